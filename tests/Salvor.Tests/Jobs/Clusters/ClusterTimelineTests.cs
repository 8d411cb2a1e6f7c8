using Salvor.Jobs.Clusters;
using Salvor.Postgres;
using Salvor.Postgres.Backup;
using Salvor.Postgres.Protocol;
using Salvor.Postgres.Restore;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>A server that is promoted goes on in another timeline; neither hides the other.</summary>
public sealed class ClusterTimelineTests : IDisposable
{
    readonly ScratchDirectory scratch = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_backup_leads_to_the_timeline_that_follows_and_to_the_end_of_its_own()
    {
        await using var server = await PostgresServer.StartAsync(scratch);
        var vault = await VaultAccess.OpenOrCreateAsync(
            new MemoryStore(), "pg", VaultIdentity.Postgres, "pg", null, TimeProvider.System, Cancel);
        var options = new WalReceiverOptions
        {
            Server = server.Connection, Folder = scratch["spool"], PublishEvery = TimeSpan.FromMilliseconds(50),
            RetryEvery = TimeSpan.FromMilliseconds(100),
        };
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var following = new WalPublishing(options, _ => Task.FromResult(vault), TimeProvider.System).RunAsync(stopping.Token);
        await server.SqlAsync("create table t (id serial primary key, body text)");
        var moments = new List<ClusterVault.Moment>();
        await ClusterVault.WorkAsync(server, moments, 1);
        var (record, _) = await new CompleteBackup(vault, options, TimeProvider.System) { IsFollowed = true }
            .RunAsync(new BackupRequest("", "full", null), Cancel);
        await ClusterVault.WorkAsync(server, moments, 2);
        await PromoteAsync(server);
        await ClusterVault.WorkAsync(server, moments, 2);
        await ReachedAsync(vault, server, following);
        await stopping.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => following);

        Assert.Equal(moments[^1].Digest, await RecoveredAsync(vault, record, "newest", timeline: null, new RecoveryTarget.Latest()));
        Assert.Equal(moments[^3].Digest, await RecoveredAsync(vault, record, "first", timeline: 1, new RecoveryTarget.Latest()));

        // Along timeline 2, to a moment before that began.
        var early = new RecoveryTarget.Address(moments[1].Address);
        Assert.Equal(moments[1].Digest, await RecoveredAsync(vault, record, "early", timeline: null, early));
        var history = await File.ReadAllBytesAsync(Path.Combine(scratch["early"], "pg_wal", "00000003.history"), Cancel);
        var parents = TimelineHistory.Read(3, history).Parents;
        Assert.True(parents[1].SwitchAt < parents[0].SwitchAt, $"{parents[1]} is not before {parents[0]}");
    }

    public void Dispose() => scratch.Dispose();

    /// <summary>As after a failover: it recovers from its own log, and begins timeline 2.</summary>
    static async Task PromoteAsync(PostgresServer server)
    {
        await server.StopAsync();
        var signal = Path.Combine(server.Data, "standby.signal");
        await File.WriteAllTextAsync(signal, "", Cancel);
        await PostgresServer.OwnAsync(signal);
        await server.StartAsync();
        await server.SqlAsync("select pg_promote()");
    }

    static async Task ReachedAsync(VaultAccess vault, PostgresServer server, Task following)
    {
        Assert.True(Lsn.TryParse(await server.SqlAsync("select pg_current_wal_flush_lsn()"), out var end));
        await Eventually.HoldsAsync(
            async () =>
            {
                var catalog = await WalCatalog.LoadAsync(vault, Cancel);
                return WalBranches.Find(catalog.Branches, 2) is { } branch && catalog.EndOf(branch.Number) >= end;
            },
            () => following.Exception?.ToString() ?? "timeline 2 does not arrive");
    }

    /// <summary>Recovers, on a timeline that the vault does not know, and returns what is there.</summary>
    async Task<string?> RecoveredAsync(VaultAccess vault, BackupRecord record, string name, uint? timeline, RecoveryTarget target)
    {
        var catalog = await WalCatalog.LoadAsync(vault, Cancel);
        var (backup, snapshot) = await ClusterBackup.OpenAsync(vault, record, Cancel);
        var plan = await new RecoveryPlanner(catalog, [backup])
            .PlanAsync(target, timeline, backupId: null, RecoveryAction.Promote, Cancel);
        if (Environment.IsPrivilegedProcess)
        {
            File.SetUnixFileMode(scratch.Path, File.GetUnixFileMode(scratch.Path) | UnixFileMode.OtherExecute);
        }

        await new ClusterRestore(snapshot, catalog, plan).RunAsync(scratch[name], Cancel);
        await using var server = await PrivateServer.StartAsync(new(scratch[name]), "postgres", TimeProvider.System, Cancel);
        await server.RecoveredAsync(plan.Promised, Cancel);
        await using var connection = await PostgresConnection.OpenAsync(server.Connection, SessionKind.Sql, TimeProvider.System, Cancel);
        var own = await connection.QueryOneAsync("select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)", Cancel);
        Assert.Equal("00000003", own.Text(0, 0));
        return (await connection.QueryOneAsync(ClusterVault.DigestSql, Cancel)).Text(0, 0);
    }
}
