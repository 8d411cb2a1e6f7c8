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
    RestoredCluster? restored;

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

        File.CreateSymbolicLink(scratch["way"], scratch.Path);
        string[] near = [scratch["no"], scratch["no/in"], scratch["way/no/in"], scratch.Path];
        foreach (var place in near)
        {
            var refused = await Assert.ThrowsAsync<SalvorException>(() => RecoveredAsync(vault, record, "no", new() { [id] = place }));
            Assert.Equal(
                $"tablespace {id} cannot be restored to {place}: that is {scratch["no"]}, or in it, or above it", refused.Message);
        }
    }

    [Fact]
    public async Task A_tablespace_is_restored_over_only_where_the_data_directory_links_to_it()
    {
        await using var server = await PostgresServer.StartAsync(scratch);
        var original = await MakeAsync(server, "aside");
        await server.SqlAsync("create table t tablespace aside as select i from generate_series(1, 5000) i");
        var (vault, record) = await BackUpAsync(server);
        var id = uint.Parse(await server.SqlAsync("select oid from pg_tablespace where spcname = 'aside'"), CultureInfo.InvariantCulture);
        var place = scratch[$"beside.tablespaces/{id}"];
        await RecoveredAsync(vault, record, "beside", []);
        var stray = Path.Combine(Directory.GetDirectories(place).Single(), "stray");
        File.WriteAllText(stray, "");
        string[] others = [Path.Combine(place, "PG_14_202107181"), Path.Combine(place, "lost+found")];
        Array.ForEach(others, path => File.WriteAllText(Path.Combine(Directory.CreateDirectory(path).FullName, "x"), ""));

        var foreign = await Assert.ThrowsAsync<SalvorException>(
            () => RecoveredAsync(vault, record, "beside", new() { [id] = original }, isOver: true));
        Assert.Equal("5000", await RecoveredAsync(vault, record, "beside", [], isOver: true));
        Assert.False(File.Exists(stray));
        Assert.All(others, path => Assert.True(File.Exists(Path.Combine(path, "x"))));
        Assert.InRange(restored!.Files.ReusedBytes, restored.Files.Bytes * 8 / 10, restored.Files.Bytes);
        Assert.Empty(restored.Files.Problems);

        // As one that was killed while it wrote the tablespace.
        var branch = Assert.Single((await WalCatalog.LoadAsync(vault, Cancel)).Branches);
        await File.WriteAllTextAsync(scratch["beside/salvor_restoring"], $"{WalBranches.SystemIdOf(branch)}\n", Cancel);
        File.Delete(scratch["beside/global/pg_control"]);
        Array.ForEach(Directory.GetFiles(place, "*", SearchOption.AllDirectories), File.Delete);
        Assert.Equal("5000", await RecoveredAsync(vault, record, "beside", [], isOver: true));

        var link = scratch[$"beside/pg_tblspc/{id}"];
        File.Delete(link);
        Directory.CreateDirectory(link);
        var real = await Assert.ThrowsAsync<SalvorException>(() => RecoveredAsync(vault, record, "beside", [], isOver: true));
        Assert.Equal($"{link} is no link, and tablespace {id} needs one there", real.Message);
        Assert.True(File.Exists(scratch["beside/global/pg_control"]));
        Directory.Delete(link);
        File.CreateSymbolicLink(link, place);

        Assert.Equal("5000", await RecoveredAsync(vault, record, "beside", new() { [id] = scratch["place"] }, isOver: true));
        Assert.Equal($"tablespace {id} was in {place}, and what is there stays", Assert.Single(restored.Files.Problems));
        Assert.NotEmpty(Directory.GetDirectories(place));
        Assert.Equal(
            $"tablespace {id} cannot be restored to {original}: that is no full path of a new or empty directory", foreign.Message);
        Assert.Equal("5000", await server.SqlAsync("select count(*) from t"));
    }

    [Fact]
    public async Task A_tablespace_that_a_server_uses_is_not_restored_over_although_a_copy_links_to_it()
    {
        await using var server = await PostgresServer.StartAsync(scratch);
        var original = await MakeAsync(server, "aside");
        await server.SqlAsync("create table t tablespace aside as select i from generate_series(1, 5000) i");
        var (vault, record) = await BackUpAsync(server);
        var id = uint.Parse(await server.SqlAsync("select oid from pg_tablespace where spcname = 'aside'"), CultureInfo.InvariantCulture);
        Assert.Equal(0, (await ChildProcess.RunAsync("cp", ["-a", server.Data, scratch["copy"]])).ExitCode);
        File.Delete(scratch["copy/postmaster.pid"]);

        var used = await Assert.ThrowsAsync<SalvorException>(
            () => RecoveredAsync(vault, record, "copy", new() { [id] = original }, isOver: true));

        Assert.Equal(FailureKind.Locked, used.Kind);
        Assert.Matches($"^tablespace {id} cannot be restored to {original}: a server uses it, process \\d+$", used.Message);
        Assert.Equal("5000", await RecoveredAsync(vault, record, "copy", [], isOver: true));
        Assert.Equal("5000", await server.SqlAsync("select count(*) from t"));
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
        VaultAccess vault, BackupRecord record, string name, Dictionary<uint, string> places, RecoveryTarget? target = null,
        bool isOver = false)
    {
        var catalog = await WalCatalog.LoadAsync(vault, Cancel);
        var (backup, snapshot) = await ClusterBackup.OpenAsync(vault, record, Cancel);
        var plan = await new RecoveryPlanner(catalog, [backup])
            .PlanAsync(target ?? new RecoveryTarget.Latest(), timeline: null, backupId: null, RecoveryAction.Promote, Cancel);
        if (Environment.IsPrivilegedProcess)
        {
            File.SetUnixFileMode(scratch.Path, File.GetUnixFileMode(scratch.Path) | UnixFileMode.OtherExecute);
        }

        restored = await new ClusterRestore(snapshot, catalog, plan) { Tablespaces = places, IsOver = isOver }
            .RunAsync(scratch[name], Cancel);
        await using var server = await PrivateServer.StartAsync(new(scratch[name]), "postgres", TimeProvider.System, Cancel);
        await server.RecoveredAsync(plan.Promised, Cancel);
        string? count;
        await using (var connection = await PostgresConnection.OpenAsync(server.Connection, SessionKind.Sql, TimeProvider.System, Cancel))
        {
            count = (await connection.QueryOneAsync("select count(*) from t", Cancel)).Text(0, 0);
        }

        await server.ShutDownAsync(Cancel);
        return count;
    }
}
