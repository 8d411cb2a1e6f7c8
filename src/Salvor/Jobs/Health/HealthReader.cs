using Salvor.Jobs.Clusters;
using Salvor.Jobs.Config;
using Salvor.Jobs.Drills;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Sqlite.Snapshots;

namespace Salvor.Jobs.Health;

/// <summary>A database whose health is asked for.</summary>
/// <param name="Name">Its name, where its status does not say one.</param>
/// <param name="Path">The file.</param>
/// <param name="StateDirectory">The folder of its local state.</param>
/// <param name="Config">The source that it belongs to; null where it was named by its path.</param>
sealed record HealthTarget(string Name, string Path, string StateDirectory, SqliteSourceConfig? Config);

/// <summary>
/// Finds out how sources fare from local files alone: no destination is asked, and no secret is needed. A process cannot say of itself that
/// it is dead, so what it wrote counts only as far as its lock, its identity and its heartbeat bear it out.
/// </summary>
/// <param name="time">The clock.</param>
sealed class HealthReader(TimeProvider time)
{
    /// <summary>Two clocks, or one that was set a little, may differ by this much.</summary>
    public static readonly TimeSpan ClockSlack = TimeSpan.FromMinutes(5);

    readonly FileMemory<StatusRecord> statuses = new(StatusFile.Read);
    readonly FileMemory<VerifyRecord> verifications = new(VerifyFile.Read);
    readonly FileMemory<PruneRecord> prunes = new(PruneFile.Read);
    readonly FileMemory<BackupMark> backups = new(BackupMarkFile.Read);
    readonly FileMemory<FollowRecord> followers = new(FollowFile.Read);
    readonly FileMemory<DrillRecord> drills = new(DrillFile.Read);

    /// <summary>Every database of a configuration. A folder that cannot be read is told, and the others go on.</summary>
    public static IEnumerable<HealthTarget> Targets(SalvorConfig config, Action<SalvorException> onUnreadable) =>
        config.Sources.Values.SelectMany(source => Targets(source, onUnreadable));

    /// <summary>Every database of a source.</summary>
    public static IEnumerable<HealthTarget> Targets(SqliteSourceConfig source, Action<SalvorException> onUnreadable) =>
        ConfiguredSources.Members(source, onUnreadable).Select(member => TargetOf(source, member));

    public static HealthTarget TargetOf(SqliteSourceConfig source, SourceMember member) =>
        new(member.Name, member.Path, ConfiguredSources.OptionsOf(source, member).StateDirectory, source);

    /// <summary>How databases fare at this moment. Does not throw for what is wrong with one: that is the answer.</summary>
    public SourceHealth[] ReadAll(IEnumerable<HealthTarget> targets)
    {
        var signs = new ProcessSigns(time.GetUtcNow());
        return [.. targets.Select(target => Read(target, signs))];
    }

    /// <summary>How one fares.</summary>
    public SourceHealth Read(HealthTarget target) => Read(target, new ProcessSigns(time.GetUtcNow()));

    SourceHealth Read(HealthTarget target, ProcessSigns signs)
    {
        try
        {
            return Look(target, signs);
        }
        catch (SalvorException e)
        {
            return new SourceHealth
            {
                Source = target.Name,
                Path = target.Path,
                Now = signs.Now,
                State = HealthState.Unknown,
                Detail = e.Message,
                Hint = e.Hint,
                Limits = LimitsOf(target),
                Config = target.Config,
                Next = new NextRuns(null, null, null),
            };
        }
    }

    /// <summary>As <see cref="ReadAll(IEnumerable{HealthTarget})"/>, of every source of a configuration.</summary>
    public SourceHealth[] ReadAll(SalvorConfig config, Action<SalvorException> onUnreadable) =>
        [.. ReadAll(Targets(config, onUnreadable)), .. config.SnapshotSources.Select(source => Read(config, source))];

    /// <summary>How a source fares that has snapshots alone: by its last backup, because nothing serves it in between.</summary>
    public SourceHealth Read(SalvorConfig config, SnapshotSourceConfig source)
    {
        var (state, signs) = (ConfiguredSources.StateOf(config, source), new ProcessSigns(time.GetUtcNow()));
        var now = signs.Now;
        var holder = LockFile.HolderOf(LocalState.LockPath(state, source.Name));
        var mark = backups.Read(LocalState.BackupPath(state, source.Name));
        var verified = verifications.Read(LocalState.VerifyPath(state, source.Name));
        var pruned = prunes.Read(LocalState.PrunePath(state, source.Name));
        var due = mark?.LastTriedAt is { } tried ? source.Schedule?.NextAfter(tried) : null;
        var verdict = HealthJudge.Judge(source, mark, holder, due, now);
        var isCluster = source is PostgresSourceConfig;
        var followed = isCluster ? followers.Read(LocalState.FollowPath(state, source.Name)) : null;
        Verdict? ofLog = isCluster && (mark, followed) is not (null, null)
            ? FollowJudge.Judge(source.Name, followed, mark?.BackupId is not null, holder is not null, signs)
            : null;
        var ofBackups = verdict.State;
        verdict = ofLog is { State: not HealthState.Healthy } worse ? worse : verdict;
        return new SourceHealth
        {
            Source = source.Name,
            Path = source.Subject,
            Now = now,
            State = verdict.State,
            Detail = verdict.Detail,
            Hint = verdict.Hint,
            Pid = verdict.Pid ?? ofLog?.Pid,
            Followed = followed,
            OfLog = ofLog,
            OfBackups = ofBackups,
            Holder = holder,
            Verified = verified,
            Pruned = pruned,
            Backup = mark,
            Drill = drills.Read(LocalState.DrillPath(state, source.Name)),
            Limits = source.Limits,
            Next = new NextRuns(due, verified?.FinishedAt + source.Verify.Every, pruned?.At + source.Prune.Every),
            Destinations = ofLog is { } log
                ? HealthLag.DestinationsOf(mark, followed, log.State, verified, now)
                : HealthLag.DestinationsOf(mark, verified, now),
            Config = source,
            HasSnapshotsOnly = true,
        };
    }

    static HealthLimits LimitsOf(HealthTarget target) => target.Config?.Limits ?? new HealthLimits();

    SourceHealth Look(HealthTarget target, ProcessSigns signs)
    {
        // The kernel drops the lock with the process, so a dead daemon cannot look alive. Who waits for a database has no lock on it.
        var holder = LockFile.HolderOf(LocalState.LockPath(target.StateDirectory, target.Path));
        var last = statuses.Read(LocalState.StatusPath(target.StateDirectory, target.Path));
        var socket = holder?.Socket ?? last?.Socket;
        var pid = holder?.Pid ?? last?.Pid ?? 0;
        var verdict = HealthJudge.Judge(new Evidence
        {
            Name = last?.Source ?? target.Name,
            Path = target.Path,
            Holder = holder,
            Last = last,
            IsDead = last is not null && signs.IsDead(last),
            Responds = signs.Responds(pid, socket),
            Here = ProcessIdentity.Current(),
            Now = signs.Now,
        });
        return Describe(target, signs, holder, last, verdict);
    }

    SourceHealth Describe(HealthTarget target, ProcessSigns signs, LockHolder? holder, StatusRecord? last, Verdict verdict)
    {
        var (state, path) = (target.StateDirectory, target.Path);
        var verified = verifications.Read(LocalState.VerifyPath(state, path));
        var pruned = prunes.Read(LocalState.PrunePath(state, path));
        var backup = backups.Read(LocalState.BackupPath(state, path));
        return new SourceHealth
        {
            Source = last?.Source ?? target.Name,
            Path = path,
            Now = signs.Now,
            State = verdict.State,
            Detail = verdict.Detail,
            Hint = verdict.Hint,
            Pid = verdict.Pid,
            Holder = holder,
            Last = last,
            Verified = verified,
            Pruned = pruned,
            Backup = backup,
            Drill = drills.Read(LocalState.DrillPath(state, path)),
            Limits = LimitsOf(target),
            Config = target.Config,
            Next = NextOf(target.Config, verified, pruned, backup),
            Destinations = last is null
                ? []
                : HealthLag.DestinationsOf(last, verified, verdict.State, LastSign(last, holder, signs), signs.Now),
        };
    }

    /// <summary>When the process showed last that it worked: what was committed later, nobody has seen.</summary>
    static DateTimeOffset LastSign(StatusRecord last, LockHolder? holder, ProcessSigns signs)
    {
        var beat = signs.LastBeat(holder?.Socket ?? last.Socket);
        return beat is { } seen && seen > last.UpdatedAt ? seen : last.UpdatedAt;
    }

    static NextRuns NextOf(SqliteSourceConfig? source, VerifyRecord? verified, PruneRecord? pruned, BackupMark? backup) => new(
        backup?.LastSuccessAt + source?.SnapshotEvery,
        verified?.FinishedAt + source?.Verify.Every,
        pruned?.At + source?.Prune.Every);
}

/// <summary>What files said, for as long as they are the same ones: a daemon with a thousand sources is asked every few seconds.</summary>
sealed class FileMemory<T>(Func<string, T?> read)
    where T : class
{
    readonly Dictionary<string, (FileStat Stat, T? Content)> known = [];
    readonly Lock gate = new();

    public T? Read(string path)
    {
        // All of them are replaced by renaming, so that another content is another file.
        if (FileStat.Of(path) is not { } stat)
        {
            return null;
        }

        lock (gate)
        {
            if (known.TryGetValue(path, out var found) && found.Stat == stat)
            {
                return found.Content;
            }
        }

        var content = read(path);
        lock (gate)
        {
            known[path] = (stat, content);
        }

        return content;
    }
}
