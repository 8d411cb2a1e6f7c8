using Salvor.Jobs;
using Salvor.Jobs.Doctor;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Jobs.Doctor;

public sealed class VaultChecksTests : IDisposable
{
    static readonly DateTimeOffset Now = new(2026, 8, 1, 12, 0, 0, TimeSpan.Zero);

    readonly DoctorRig rig = new();

    public void Dispose() => rig.Dispose();

    [Fact]
    public async Task A_vault_says_what_it_can_restore()
    {
        var vault = await rig.CreateVaultAsync();
        await vault.CommitAsync(20, (3, 7));

        var facts = await GatherAsync();
        var check = DoctorRig.Find(Judge(facts), "vault", "local can restore position 2 of 2026-08-01T10:30:02");

        Assert.Equal(CheckLevel.Ok, check.Level);
        Assert.Contains("one snapshot and 2 log object(s), 0 backup(s), 80 KiB", check.Detail, StringComparison.Ordinal);
        Assert.Equal(20 * 4096, facts.DatabaseBytes);
    }

    [Fact]
    public async Task A_vault_whose_snapshot_is_damaged_fails()
    {
        await rig.CreateVaultAsync();
        Damage("snapshots");

        DoctorRig.AssertFound(
            Judge(await GatherAsync()), CheckLevel.Fail, "vault", "local cannot restore its newest point", "snapshots/", "salvor ",
            FailureKind.Integrity);
    }

    [Fact]
    public async Task A_vault_whose_newest_log_object_is_damaged_fails()
    {
        await rig.CreateVaultAsync();
        Damage("log");

        DoctorRig.AssertFound(
            Judge(await GatherAsync()), CheckLevel.Fail, "vault", "local cannot restore its newest point", "log/", "salvor ",
            FailureKind.Integrity);
    }

    [Fact]
    public async Task A_hole_in_the_log_is_named()
    {
        var vault = await rig.CreateVaultAsync();
        await vault.CommitAsync(20, (3, 7));
        await vault.CommitAsync(20, (3, 8));
        File.Delete(rig["vaults/app/log/000001/0000000000000002"]);

        var facts = await GatherAsync();

        Assert.Equal([(1U, 2UL)], facts.Holes);
        Assert.NotEqual(0, Check.ExitCodeOf(Judge(facts)));
        DoctorRig.AssertFound(
            Judge(facts with { Failure = null }), CheckLevel.Fail, "vault", "branch 1 at local misses log object 2", rig["vaults/app"],
            "salvor repair app", FailureKind.Integrity);
    }

    [Fact]
    public async Task A_pack_that_cannot_be_read_fails()
    {
        await rig.CreateVaultAsync();
        var store = new ArchivedStore(new FileStore(rig["vaults"]));

        DoctorRig.AssertFound(
            Judge(await VaultFacts.GatherAsync(store, "local", "app", keys: null, default)), CheckLevel.Fail, "vault",
            "local cannot restore its newest point", "the object is archived", "Bring it back first.", FailureKind.DestinationUnreachable);
    }

    [Fact]
    public async Task A_vault_of_another_database_fails()
    {
        await rig.CreateVaultAsync();
        var facts = await GatherAsync();

        DoctorRig.AssertFound(
            VaultChecks.Judge(facts, Source(), last: null, isElsewhere: false, Now), CheckLevel.Fail, "vault",
            "the vault at local is of sqlite /data/app.db", rig.Database, "Correct 'path' of the source", FailureKind.Usage);
    }

    [Fact]
    public async Task Commits_that_are_in_no_vault_are_told()
    {
        await rig.CreateVaultAsync();
        var complete = (await GatherAsync()).Newest!.Time;
        var source = Source() with { Path = "/data/app.db", ChangedAt = complete.AddHours(3) };

        DoctorRig.AssertFound(
            VaultChecks.Judge(await GatherAsync(), source, last: null, isElsewhere: false, complete.AddHours(4)), CheckLevel.Warn, "vault",
            "the database changed since local was complete", "3h later", "Start 'salvor daemon'");
        Assert.DoesNotContain(
            VaultChecks.Judge(await GatherAsync(), source with { ChangedAt = complete.AddMinutes(1) }, null, false, complete.AddHours(4)),
            check => check.Level != CheckLevel.Ok);
    }

    [Fact]
    public async Task A_vault_that_is_not_there_is_told_and_one_that_was_there_fails()
    {
        var facts = await GatherAsync();

        DoctorRig.AssertFound(
            Judge(facts), CheckLevel.Warn, "vault", "nothing is backed up at local yet", rig["vaults/app"], "Start 'salvor daemon'");
        DoctorRig.AssertFound(
            VaultChecks.Judge(facts, null, null, isElsewhere: true, Now), CheckLevel.Warn, "vault", "local has no copy yet",
            rig["vaults/app"], "salvor repair app");
        DoctorRig.AssertFound(
            VaultChecks.Judge(facts, null, Status(rig["vaults"]), isElsewhere: false, Now), CheckLevel.Fail, "vault",
            "the vault that was at local is gone", "a daemon stored position 7 there", "Mount the disk that it is on",
            FailureKind.DestinationUnreachable);
    }

    [Fact]
    public async Task What_there_was_no_time_for_is_unknown()
    {
        var check = DoctorRig.Find(Judge(await GatherAsync() with { IsLate = true }), "vault", "whether local can restore it");

        Assert.Equal((CheckLevel.Warn, false, "salvor doctor app --destination local"), (check.Level, check.Known, check.Fix));
    }

    [Fact]
    public async Task A_copy_that_is_behind_is_told_and_another_vault_fails()
    {
        var vault = await rig.CreateVaultAsync();
        CopyFolder(rig["vaults"], rig["copy"]);
        await vault.CommitAsync(20, (3, 7));
        Directory.CreateDirectory(rig["foreign"]);
        await rig.CreateVaultAsync("foreign");
        var (one, copy, foreign) = (await GatherAsync(), await GatherAsync("copy"), await GatherAsync("foreign"));

        DoctorRig.AssertFound(
            VaultChecks.JudgeCopies("app", [one, copy]), CheckLevel.Warn, "vault", "copy is behind local", "position 1 of 2, 1s",
            "salvor repair app");
        DoctorRig.AssertFound(
            VaultChecks.JudgeCopies("app", [one, foreign]), CheckLevel.Fail, "vault", "foreign and local hold different vaults",
            $"{foreign.Vault!.Id}", "Move the older one", FailureKind.Usage);
        DoctorRig.AssertFound(
            VaultChecks.JudgeCopies("app", [one, copy with { Oldest = new SnapshotRef(1, new Position(9)) }]), CheckLevel.Warn, "vault",
            "copy does not go as far back as local", "position 9 of branch 1", "salvor repair app");
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(VaultChecks.JudgeCopies("app", [one, one]), "vault", "its 2 copies").Level);
    }

    internal static StatusRecord Status(string destination) => new()
    {
        Source = "app", Path = "/data/app.db", Destination = destination, State = "healthy", Detail = "", Hint = "", Branch = 1,
        Position = 7, PositionTime = Now, LagSeconds = 0, StoredBytes = 1, CopiedBytes = 0, CopyTotalBytes = 0, Resyncs = 0,
        ClockJumpSeconds = 0, Pid = 1, UpdatedAt = Now,
    };

    SourceFacts Source() => new()
    {
        Name = "app", Path = rig.Database, User = "root", SqliteVersion = "3.51.3", Exists = true, State = Folder, Beside = Folder,
        Scratch = Folder, Source = Salvor.Jobs.Config.ConfigFile.Load(rig.ConfigPath, _ => null).Sources["app"],
    };

    FolderFacts Folder => new(rig["app"], FreeBytes: 1L << 40, MayWrite: true);

    Task<VaultFacts> GatherAsync(string folder = "vaults") => VaultFacts.GatherAsync(
        new FileStore(rig[folder]), folder == "vaults" ? "local" : folder, "app", keys: null, TestContext.Current.CancellationToken);

    static IReadOnlyList<Check> Judge(VaultFacts facts) =>
        VaultChecks.Judge(facts, source: null, last: null, isElsewhere: false, Now);

    void Damage(string kind)
    {
        var file = Directory.GetFiles(rig[$"vaults/app/{kind}"], "*", SearchOption.AllDirectories).Single();
        var bytes = File.ReadAllBytes(file);
        bytes[^40] ^= 1;
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(file, bytes);
    }

    static void CopyFolder(string from, string to)
    {
        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }

    sealed class ArchivedStore(IObjectStore inner) : ForwardingStore(inner), IObjectStore
    {
        readonly IObjectStore inner = inner;

        Task<int> IObjectStore.ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
            key.Contains("/packs/", StringComparison.Ordinal)
                ? throw new StorageException(StorageFailure.Denied, "the object is archived", "Bring it back first.")
                : inner.ReadAsync(key, offset, buffer, cancellationToken);
    }
}
