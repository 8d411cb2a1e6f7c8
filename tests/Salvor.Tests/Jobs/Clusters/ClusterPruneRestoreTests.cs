using Salvor.Jobs.Clusters;
using Salvor.Postgres;
using Salvor.Postgres.Backup;
using Salvor.Postgres.Restore;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Pruning;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>What a prune leaves of a real cluster is what a server needs.</summary>
public sealed class ClusterPruneRestoreTests : IDisposable
{
    readonly ScratchDirectory scratch = new();
    readonly FastTime time = new(1);

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task After_a_prune_to_the_newest_of_three_backups_a_server_recovers_to_a_moment_after_it()
    {
        var vault = await VaultAccess.OpenOrCreateAsync(
            new MemoryStore(), "pg", VaultIdentity.Postgres, "pg", null, TimeProvider.System, Cancel);
        var moments = await BackUpThriceAsync(vault);
        var before = await WalCatalog.LoadAsync(vault, Cancel);

        var pruner = new Pruner(vault, time);
        var policy = new PrunePolicy(Ladder.Default) { Backups = new BackupRules { Last = 1 } };
        var (plan, _) = await pruner.CondemnAsync(policy, proven: null, Pruner.GraceMin, Cancel);
        Assert.Contains(plan.Condemned, group => group.Keys.Any(key => key.StartsWith(VaultKeys.Wals, StringComparison.Ordinal)));
        time.Ahead = TimeSpan.FromDays(2);
        Assert.True((await pruner.DeleteAsync(dryRun: false, Cancel)).Objects > 0);

        var log = await WalCatalog.LoadAsync(vault, Cancel);
        Assert.True(before.Spans(1)[0].First < log.Spans(1)[0].First, $"{log.Spans(1)[0]}");
        Assert.Empty((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(Cancel)).Findings);
        var catalog = await VaultCatalog.LoadAsync(vault, Cancel);
        var record = await Backups.ReadAsync(catalog, Assert.Single(catalog.Backups), Cancel);
        var (backup, snapshot) = await ClusterBackup.OpenAsync(vault, record, Cancel);
        var recovery = await new RecoveryPlanner(log, [backup]).PlanAsync(
            new RecoveryTarget.Time(moments[^2].At), timeline: null, backupId: null, RecoveryAction.Promote, Cancel);
        await new ClusterRestore(snapshot, log, recovery).RunAsync(scratch["restored"], Cancel);
        await using var server = await PrivateServer.StartAsync(new(scratch["restored"]), "postgres", TimeProvider.System, Cancel);
        await server.RecoveredAsync(recovery.Promised, Cancel);
        Assert.Equal(moments[^2].Digest, await ClusterRestoreTests.AskAsync(server, ClusterVault.DigestSql));
    }

    /// <summary>Work, and after each backup a few megabytes of log, so that the backups lie in segments and objects of their own.</summary>
    async Task<List<ClusterVault.Moment>> BackUpThriceAsync(VaultAccess vault)
    {
        await using var source = await PostgresServer.StartAsync(scratch, "pg", "wal_keep_size = 512MB");
        await source.SqlAsync("create table t (id serial primary key, body text)");
        var options = new WalReceiverOptions
        {
            Server = source.Connection, Folder = scratch["spool"], PublishEvery = TimeSpan.FromMilliseconds(50),
        };
        using var stopping = new CancellationTokenSource();
        var following = new WalPublishing(options, _ => Task.FromResult(vault), TimeProvider.System).RunAsync(stopping.Token);
        var moments = new List<ClusterVault.Moment>();
        for (var i = 0; i < 3; i++)
        {
            await new CompleteBackup(vault, options, TimeProvider.System) { IsFollowed = true }
                .RunAsync(new BackupRequest("", "full", null), Cancel);
            await ClusterVault.WorkAsync(source, moments, 2);
            await source.SqlAsync("create table w as select repeat('x', 500) from generate_series(1, 8000); drop table w");
        }

        await ClusterVault.WorkAsync(source, moments, 2);
        Assert.True(Lsn.TryParse(await source.SqlAsync("select pg_current_wal_flush_lsn()"), out var end));
        await Eventually.HoldsAsync(
            async () => (await WalCatalog.LoadAsync(vault, default)).EndOf(1) >= end,
            () => following.Exception?.ToString() ?? "the log does not arrive");
        await stopping.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => following);
        return moments;
    }

    public void Dispose() => scratch.Dispose();
}
