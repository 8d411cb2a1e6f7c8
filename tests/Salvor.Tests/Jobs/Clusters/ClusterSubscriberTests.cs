using Salvor.Jobs.Clusters;
using Salvor.Postgres;
using Salvor.Postgres.Backup;
using Salvor.Postgres.Restore;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>A copy of a server that subscribes to another one takes nothing away from it.</summary>
public sealed class ClusterSubscriberTests : IDisposable
{
    readonly ScratchDirectory scratch = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => scratch.Dispose();

    [Fact]
    public async Task What_was_published_while_only_a_copy_ran_comes_to_the_original()
    {
        await using var publisher = await PostgresServer.StartAsync(scratch, "publisher", "wal_level = logical");
        await using var original = await PostgresServer.StartAsync(scratch, "original");
        await publisher.SqlAsync("create table t (i int primary key); create publication p for table t; insert into t values (1)");
        await original.SqlAsync("create table t (i int primary key)");
        var from = $"host={publisher.Folder} port={publisher.Port} user=postgres dbname=postgres";
        await original.SqlAsync($"create subscription s connection '{from}' publication p");
        await HasAsync(original, 1);
        var (vault, record) = await BackUpAsync(original);
        await HasAsync(original, 1);
        await original.StopAsync();

        await using var free = await PostgresServer.AtAsync(scratch, "copy");
        var log = await WalCatalog.LoadAsync(vault, Cancel);
        var (backup, snapshot) = await ClusterBackup.OpenAsync(vault, record, Cancel);
        var plan = await new RecoveryPlanner(log, [backup])
            .PlanAsync(new RecoveryTarget.Latest(), timeline: null, backupId: null, RecoveryAction.Promote, Cancel);
        var restored = await new ClusterRestore(snapshot, log, plan).RunAsync(free.Data, Cancel);
        var copy = await ClusterStart.RunAsync(restored, "postgres", plan, free.Port, TimeProvider.System, Cancel);
        try
        {
            await publisher.SqlAsync("insert into t values (2)");
            Assert.Equal("0", await SqlAsync("select count(*) from pg_stat_subscription where pid is not null"));
            Assert.Equal("1", await SqlAsync("select count(*) from t"));
            await original.StartAsync();
            await HasAsync(original, 2);
            Assert.Equal("1", await SqlAsync("select count(*) from t"));
        }
        finally
        {
            await PostgresServer.RunAsync("pg_ctl", "-D", free.Data, "-m", "immediate", "-w", "stop");
        }

        async Task<string> SqlAsync(string sql)
        {
            var result = await PostgresServer.RunAsync(
                "psql", "-XAtq", "-h", copy.SocketFolder, "-p", $"{copy.Port}", "-U", "postgres", "-d", "postgres", "-c", sql);
            Assert.True(result.ExitCode == 0, $"{result}");
            return result.Stdout.Trim();
        }
    }

    static Task HasAsync(PostgresServer server, int count) => Eventually.HoldsAsync(
        async () => await server.SqlAsync("select count(*) from t") == $"{count}", () => $"it never has {count}: {server.Log}",
        Eventually.StartMax);

    async Task<(VaultAccess Vault, BackupRecord Record)> BackUpAsync(PostgresServer server)
    {
        var vault = await VaultAccess.OpenOrCreateAsync(
            new MemoryStore(), "pg", VaultIdentity.Postgres, "pg", null, TimeProvider.System, Cancel);
        var options = new WalReceiverOptions
        {
            Server = server.Connection, Folder = scratch["spool"], PublishEvery = TimeSpan.FromMilliseconds(50),
        };
        var (record, _) = await new CompleteBackup(vault, options, TimeProvider.System).RunAsync(
            new BackupRequest("", "full", null), Cancel);
        return (vault, record);
    }
}
