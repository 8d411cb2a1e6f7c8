using Salvor.Jobs.Clusters;
using Salvor.Postgres.Restore;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>What can still be recovered from a vault of a cluster that has lost something, and what is said of it.</summary>
public sealed class ClusterDamageTests(ClusterVault real) : IClassFixture<ClusterVault>, IAsyncLifetime
{
    readonly ScratchDirectory scratch = new();

    VaultAccess vault = null!;

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Assert.Equal(0, (await ChildProcess.RunAsync("cp", ["-a", real.Vaults, scratch["vaults"]])).ExitCode);
        File.SetUnixFileMode(scratch.Path, File.GetUnixFileMode(scratch.Path) | UnixFileMode.OtherExecute);
        vault = (await VaultAccess.FindAsync(new FileStore(scratch["vaults"]), "pg", null, Cancel))!;
    }

    public ValueTask DisposeAsync()
    {
        scratch.Dispose();
        return default;
    }

    [Fact]
    public async Task A_cluster_comes_back_up_to_a_gap_in_the_middle_of_a_segment()
    {
        var whole = await WalCatalog.LoadAsync(vault, Cancel);
        var lost = whole.Objects(1).First(item => item.Range.First > real.Moments[4].Address && item.Range.End < whole.EndOf(1)
            && item.Range.First != item.Range.First.Floor(PostgresServer.SegmentBytes));
        await vault.DeleteAsync(lost.Key, Cancel);
        var log = await WalCatalog.LoadAsync(vault, Cancel);
        Assert.True(log.Reach(1, real.Backup.Log.First) < lost.Range.End && log.EndOf(1) > lost.Range.End);
        var plan = await new RecoveryPlanner(log, [real.Backup])
            .PlanAsync(new RecoveryTarget.Latest(), timeline: null, backupId: null, RecoveryAction.Promote, Cancel);

        await new ClusterRestore(real.Snapshot, log, plan).RunAsync(scratch["restored"], Cancel);
        await using var server = await PrivateServer.StartAsync(new(scratch["restored"]), "postgres", TimeProvider.System, Cancel);
        await server.RecoveredAsync(plan.Promised, Cancel);

        var last = real.Moments.First(moment => moment.Address >= plan.LastCommit!.Value.End);
        Assert.Equal(last.Digest, await ClusterRestoreTests.AskAsync(server, ClusterVault.DigestSql));
    }

    [Fact]
    public async Task A_backup_whose_record_is_damaged_leads_nowhere_and_hides_no_other()
    {
        await vault.PutAsync(VaultKeys.Backup(2), new byte[300], Cancel);

        var beside = await LogCover.LookAsync(vault, 1, Cancel);
        await vault.DeleteAsync(VaultKeys.Backup(1), Cancel);
        var alone = await LogCover.LookAsync(vault, 1, Cancel);

        Assert.Equal(("", "no base backup leads to timeline 1 of the log"), (beside.Lack, alone.Lack));
    }
}
