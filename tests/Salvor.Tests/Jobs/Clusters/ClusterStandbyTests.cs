using Salvor.Jobs.Clusters;
using Salvor.Postgres.Backup;
using Salvor.Postgres.Protocol;
using Salvor.Postgres.Restore;
using Salvor.Storage;
using Salvor.Tests.Postgres;
using Salvor.Tests.Support;
using Salvor.Tests.Vault.Wal;
using Salvor.Vault;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>A cluster that is backed up from a standby comes back as its primary has it.</summary>
public sealed class ClusterStandbyTests : WalReceiverRig
{
    static readonly BackupRequest Request = new("ours", "full", RetentionDays: null);

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_a_standby_gave_is_restored_as_the_primary_has_it()
    {
        await using var primary = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        await primary.SqlAsync("create table t (id serial primary key, body text)");
        var moments = new List<ClusterVault.Moment>();
        await ClusterVault.WorkAsync(primary, moments, 2);
        await using var standby = await primary.StandbyAsync(Scratch, "standby", "synchronous_standby_names = '*'");
        var publishing = Follow(standby);
        await ReachedAsync(primary, publishing, 1);
        Assert.False(publishing.Receiver!.IsSynchronous);
        Assert.True(publishing.Receiver.IsStandby);

        var working = Task.Run(() => ClusterVault.WorkAsync(primary, moments, 8), Cancel);
        var vault = await VaultAsync();
        var backup = await BackUpAsync(vault, standby);
        await working;
        await ReachedAsync(primary, publishing, 1);
        await AssertRestoredAsync(vault, backup, primary, "restored");
        Assert.Empty((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(Cancel)).Findings);

        // Without a commit in between a standby is where it was.
        var again = await BackUpAsync(vault, standby);
        var third = await BackUpAsync(vault, standby);
        Assert.Equal([1UL, 2, 3], (IEnumerable<ulong>)[backup.Id, again.Id, third.Id]);
        Assert.Equal((again.Position, again.Checksum, 0L), (third.Position, third.Checksum, third.AddedBytes));
        Assert.Empty((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(Cancel)).Findings);
        await AssertRestoredAsync(vault, third, primary, "again");
    }

    [Fact]
    public async Task A_standby_that_is_promoted_during_a_backup_fails_it_and_the_next_one_is_of_the_new_timeline()
    {
        await using var primary = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        await primary.SqlAsync("create table t (id int, body text); insert into t select i, "
            + "(select string_agg(md5(i::text || j), '') from generate_series(1, 200) j) from generate_series(1, 7000) i");
        await using var standby = await primary.StandbyAsync(Scratch, "standby", RealWal.KeepAll);
        var publishing = Follow(standby);
        await ReachedAsync(primary, publishing, 1);
        await primary.StopAsync();

        // Nothing of it is stored before that, and the server waits to send more.
        var promoting = new Lazy<Task>(() => standby.SqlAsync("select pg_promote()"));
        var slow = await VaultAccess.OpenOrCreateAsync(
            new WaitingStore(Store, promoting), "pg", VaultIdentity.Postgres, "pg", TimeProvider.System, Cancel);
        var failure = await Assert.ThrowsAsync<PostgresException>(() => BackUpAsync(slow, standby));

        Assert.Equal(
            (FailureKind.SourceUnreadable, $"server {standby.Folder}/.s.PGSQL.{standby.Port} says: "
                + "the standby was promoted during online backup"),
            (failure.Kind, failure.Message));
        Assert.Equal(
            "This means that the backup being taken is corrupt and should not be used. Try taking another online backup.", failure.Hint);
        Assert.Empty((await VaultCatalog.LoadAsync(await VaultAsync(), Cancel)).Backups);

        await standby.SqlAsync("insert into t select i, 'of timeline 2' from generate_series(1, 1000) i");
        var backup = await BackUpAsync(await VaultAsync(), standby);
        await standby.SqlAsync("insert into t select i, 'after the backup' from generate_series(1, 1000) i");
        await ReachedAsync(standby, publishing, 2);
        Assert.Equal(2u, backup.Branch);
        await AssertRestoredAsync(await VaultAsync(), backup, standby, "restored");
    }

    async Task<BackupRecord> BackUpAsync(VaultAccess vault, PostgresServer server) =>
        (await new CompleteBackup(vault, Options(server), TimeProvider.System) { IsFollowed = true }.RunAsync(Request, Cancel)).Record;

    /// <summary>Recovers all of the log, and compares what is there.</summary>
    async Task AssertRestoredAsync(VaultAccess vault, BackupRecord record, PostgresServer original, string name)
    {
        var log = await WalCatalog.LoadAsync(vault, Cancel);
        var (backup, snapshot) = await ClusterBackup.OpenAsync(vault, record, Cancel);
        var plan = await new RecoveryPlanner(log, [backup])
            .PlanAsync(new RecoveryTarget.Latest(), timeline: null, backupId: null, RecoveryAction.Promote, Cancel);
        await new ClusterRestore(snapshot, log, plan).RunAsync(Scratch[name], Cancel);
        await using var server = await PrivateServer.StartAsync(new(Scratch[name]), "postgres", TimeProvider.System, Cancel);
        await server.RecoveredAsync(plan.Promised, Cancel);
        var host = server.Connection.Hosts[0];
        Assert.Equal(await DumpAsync(original.Folder, original.Port), await DumpAsync(host.Name, host.Port));
    }

    static async Task<string> DumpAsync(string folder, int port)
    {
        var result = await PostgresServer.RunAsync("pg_dump", "-h", folder, "-p", $"{port}", "-U", "postgres", "postgres");
        Assert.True(result.ExitCode == 0, $"{result}");

        // Newer ones begin with a word of chance, and of a sequence the log has some numbers in advance.
        return string.Join('\n', result.Stdout.Split('\n').Where(line =>
            !line.StartsWith('\\') && !line.Contains("pg_catalog.setval(", StringComparison.Ordinal)));
    }

    sealed class WaitingStore(IObjectStore inner, Lazy<Task> before) : ForwardingStore(inner)
    {
        public override async Task<PutResult> PutAsync(
            string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            await (key.Contains("/packs/", StringComparison.Ordinal) ? before.Value : Task.CompletedTask);
            return await base.PutAsync(key, content, cancellationToken);
        }
    }
}
