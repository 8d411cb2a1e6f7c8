using System.Globalization;
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

/// <summary>What a cluster has in tablespaces comes back with it, and never into those of the server that it was backed up from.</summary>
public sealed class ClusterTablespaceTests : IDisposable
{
    readonly ScratchDirectory scratch = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_tablespace_goes_where_it_is_wanted_or_beside_the_data_directory()
    {
        await using var server = await PostgresServer.StartAsync(scratch);
        var original = await MakeAsync(server, "aside");
        await server.SqlAsync("create table t tablespace aside as select i from generate_series(1, 5000) i");
        var (vault, record) = await BackUpAsync(server);
        var oid = await server.SqlAsync("select oid from pg_tablespace where spcname = 'aside'");
        var id = uint.Parse(oid, CultureInfo.InvariantCulture);
        await server.StopAsync();
        Directory.Delete(original, recursive: true);

        Assert.Equal("5000", await RecoveredAsync(vault, record, "beside", []));
        Assert.NotEmpty(Directory.GetDirectories(Path.Combine(scratch["beside.tablespaces"], oid)));
        Assert.Equal("5000", await RecoveredAsync(vault, record, "mapped", new() { [id] = scratch["place"] }));
        Assert.NotEmpty(Directory.GetDirectories(scratch["place"]));
        Assert.False(Directory.Exists(original) || Directory.Exists(scratch["mapped.tablespaces"]));
        var absent = await Assert.ThrowsAsync<SalvorException>(() => RecoveredAsync(vault, record, "no", new() { [3] = scratch["other"] }));
        Assert.Equal($"backup {record.Id} has no tablespace 3", absent.Message);
    }

    [Fact]
    public async Task A_tablespace_that_was_made_after_the_backup_is_never_written_to_by_a_recovery()
    {
        await using var server = await PostgresServer.StartAsync(scratch, "pg", "wal_keep_size = 64MB");
        await server.SqlAsync("create table t as select i from generate_series(1, 10) i");
        var (vault, record) = await BackUpAsync(server);
        var xid = await server.SqlAsync("begin; insert into t values (11); select txid_current(); commit");
        var place = await MakeAsync(server, "late");
        await server.SqlAsync("create table u tablespace late as select i from generate_series(1, 10) i");
        await FollowAsync(server, vault);

        var failure = await Assert.ThrowsAsync<SalvorException>(() => RecoveredAsync(vault, record, "whole", []));

        Assert.Equal(FailureKind.NotRestorable, failure.Kind);
        Assert.Matches(
            $"^after backup {record.Id} began, a tablespace was made in {place}, and a recovery past [0-9A-F/]+ writes there$",
            failure.Message);
        Assert.Contains("Recover to the end of a transaction before ", failure.Hint, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(scratch["whole"], "global", "pg_control")));
        var before = new RecoveryTarget.Transaction(uint.Parse(xid, CultureInfo.InvariantCulture));
        Assert.Equal("11", await RecoveredAsync(vault, record, "before", [], before));
        Assert.Equal("10", await server.SqlAsync("select count(*) from u"));
    }

    public void Dispose() => scratch.Dispose();

    /// <summary>Until all of its log is stored.</summary>
    async Task FollowAsync(PostgresServer server, VaultAccess vault)
    {
        Assert.True(Lsn.TryParse(await server.SqlAsync("select pg_current_wal_flush_lsn()"), out var end));
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var following = new WalPublishing(OptionsOf(server), _ => Task.FromResult(vault), TimeProvider.System).RunAsync(stopping.Token);
        await Eventually.HoldsAsync(
            async () => (await WalCatalog.LoadAsync(vault, Cancel)).EndOf(1) >= end,
            () => following.Exception?.ToString() ?? "the log does not arrive");
        await stopping.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => following);
    }

    async Task<string> MakeAsync(PostgresServer server, string name)
    {
        var place = scratch.Subdirectory(name);
        await PostgresServer.OwnAsync(place);
        await server.SqlAsync($"create tablespace {name} location '{place}'");
        return place;
    }

    async Task<(VaultAccess Vault, BackupRecord Record)> BackUpAsync(PostgresServer server)
    {
        var vault = await VaultAccess.OpenOrCreateAsync(
            new MemoryStore(), "pg", VaultIdentity.Postgres, "pg", null, TimeProvider.System, Cancel);
        var (record, _) = await new CompleteBackup(vault, OptionsOf(server), TimeProvider.System)
            .RunAsync(new BackupRequest("", "full", null), Cancel);
        return (vault, record);
    }

    WalReceiverOptions OptionsOf(PostgresServer server) => new()
    {
        Server = server.Connection, Folder = scratch["spool"], PublishEvery = TimeSpan.FromMilliseconds(50),
    };

    async Task<string?> RecoveredAsync(
        VaultAccess vault, BackupRecord record, string name, Dictionary<uint, string> places, RecoveryTarget? target = null)
    {
        var catalog = await WalCatalog.LoadAsync(vault, Cancel);
        var (backup, snapshot) = await ClusterBackup.OpenAsync(vault, record, Cancel);
        var plan = await new RecoveryPlanner(catalog, [backup])
            .PlanAsync(target ?? new RecoveryTarget.Latest(), timeline: null, backupId: null, RecoveryAction.Promote, Cancel);
        if (Environment.IsPrivilegedProcess)
        {
            File.SetUnixFileMode(scratch.Path, File.GetUnixFileMode(scratch.Path) | UnixFileMode.OtherExecute);
        }

        await new ClusterRestore(snapshot, catalog, plan) { Tablespaces = places }.RunAsync(scratch[name], Cancel);
        await using var server = await PrivateServer.StartAsync(new(scratch[name]), "postgres", TimeProvider.System, Cancel);
        await server.RecoveredAsync(plan.Promised, Cancel);
        await using var connection = await PostgresConnection.OpenAsync(server.Connection, SessionKind.Sql, TimeProvider.System, Cancel);
        return (await connection.QueryOneAsync("select count(*) from t", Cancel)).Text(0, 0);
    }
}
