using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Health;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Sqlite.Snapshots;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Health;

/// <summary>The local files of one source, as a daemon writes them. This process is the daemon: it holds the lock, and lives.</summary>
sealed class HealthRig : IDisposable
{
    readonly ScratchDirectory scratch = new();
    LockFile? held;

    public HealthRig(string name = "app")
    {
        Name = name;
        Directory.CreateDirectory(State);
    }

    public ManualTime Time { get; } = new();

    public DateTimeOffset Now => Time.GetUtcNow();

    public string Name { get; }

    public string Database => scratch[$"{Name}.db"];

    public string State => scratch[".salvor"];

    public string StatusPath => LocalState.StatusPath(State, Database);

    public void Hold() => held = LockFile.Acquire(
        LocalState.LockPath(State, Database), LockHolder.Current(Now, socket: null, "1"));

    public void LetGo() => held?.Dispose();

    public void Write(StatusRecord record) => StatusFile.Write(StatusPath, record);

    public void Write(VerifyRecord record) => VerifyFile.Write(LocalState.VerifyPath(State, Database), record);

    public void Write(BackupMark mark) => BackupMarkFile.Write(LocalState.BackupPath(State, Database), mark);

    public void Drill(DateTimeOffset at, DrillResult result) => DrillFile.Write(
        State, Database, new DrillRecord { Source = Name, Result = result, StartedAt = at, FinishedAt = at, RtoSeconds = 2.5 }, kept: 9);

    /// <summary>As a daemon leaves it that serves a source and made a backup and a verification an hour ago.</summary>
    public void WriteHealthy()
    {
        Hold();
        Write(Record(Now));
        Write(Verified(Now.AddHours(-1)));
        Write(BackedUp(Now.AddHours(-1)));
    }

    public SourceHealth Read(HealthLimits? limits = null)
    {
        var target = new HealthTarget(Name, Database, State, Config: null);
        var health = new HealthReader(Time).Read(target);
        return limits is null ? health : health with { Limits = limits };
    }

    public string[] Problems(HealthLimits? limits = null) =>
        [.. HealthCheck.Problems(Read(), limits ?? HealthLimits.None).Select(problem => problem.Kind)];

    public void Dispose()
    {
        LetGo();
        scratch.Dispose();
    }

    public static StatusRecord Record(DateTimeOffset now) => StatusRecord.From(
        new SourceStatus
        {
            Source = "app", Path = "/data/app.db", Destination = "/vaults", State = SourceState.Healthy, Branch = 1, Position = 7,
            PositionTime = now.AddDays(-3),
        },
        "local",
        socket: null,
        [],
        now);

    public static BackupMark BackedUp(DateTimeOffset at) => new()
    {
        VaultId = Guid.Empty, LastSuccessAt = at, Succeeded = 3, SizeBytes = 4096, DurationSeconds = 0.5,
    };

    public static VerifyRecord Verified(DateTimeOffset at, bool ok = true, string kind = "deep") => new()
    {
        Source = "app",
        Kind = kind,
        StartedAt = at,
        FinishedAt = at,
        Ok = ok,
        EveryObject = kind is "deep" or "shallow",
        Branch = 1,
        Position = 7,
        Objects = 3,
        Bytes = 4096,
        RestorePoints = 7,
        Destinations = [new("/vaults/app", ok, 3, 4096, 7, 7, ok ? 0 : 1, [])],
    };
}
