using System.Globalization;
using System.Text.Json;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>What a drill counts of a cluster, against what psql counts on the server that was backed up.</summary>
public sealed class ClusterDrillRowsTests : IDisposable
{
    readonly ScratchDirectory scratch = new();

    public void Dispose() => scratch.Dispose();

    [Fact]
    public async Task The_rows_of_all_databases_are_those_of_the_source_and_a_table_that_was_emptied_is_named()
    {
        await using var server = await PostgresServer.StartAsync(scratch, "pg", "wal_keep_size = 512MB");
        await FillAsync(server);
        Configure(server);
        await ExpectAsync(0, "backup", "pg");
        var counted = await CountAsync(server);

        var drill = await ExpectAsync(0, "drill", "pg", "--json");

        var rows = JsonElement.Parse(drill.Stdout).GetProperty("drills")[0].GetProperty("rows");
        Assert.Equal(
            counted, rows.EnumerateObject().ToDictionary(item => item.Name, item => item.Value.GetInt64()));
        Assert.Equal(700, counted["app.s.parts"]);

        await server.SqlAsync("delete from s.\"Odd.\"\"name\" where i > 100; insert into s.spaced values (0)", "app");
        await ExpectAsync(0, "backup", "pg");
        var shrunk = await ExpectAsync(1, "drill", "pg");
        Assert.StartsWith(
            "salvor: pg: rows: table app.s.Odd.\"name went from 1,000 to 100 row(s), expected no table loses more than 20%\n",
            shrunk.Stderr, StringComparison.Ordinal);
        await ExpectAsync(0, "drill", "pg", "--accept-rows");
        await ExpectAsync(0, "drill", "pg");
    }

    [Fact]
    public async Task A_copy_that_is_kept_is_one_that_a_server_starts_from()
    {
        await using var server = await PostgresServer.StartAsync(scratch, "pg", "wal_keep_size = 512MB");
        await FillAsync(server);
        await server.SqlAsync("create database closed allow_connections false");
        Configure(server);
        await ExpectAsync(0, "backup", "pg");
        var counted = await CountAsync(server);
        await server.StopAsync();

        // What it needs it has with it.
        Directory.Delete(scratch["space"], recursive: true);
        var drill = await ExpectAsync(0, "drill", "pg", "--keep");
        Assert.Contains("; not counted: database closed (allows no connections)", drill.Stdout, StringComparison.Ordinal);
        await ExpectAsync(0, "drill", "pg");

        var kept = drill.Stdout.Split('\n').Single(line => line.StartsWith("  kept: ", StringComparison.Ordinal))["  kept: ".Length..];
        Assert.StartsWith(scratch["restored/drill-pg-0-"], kept, StringComparison.Ordinal);
        Assert.Equal(kept, $"{Path.Combine(Directory.GetDirectories(scratch["restored"]).Single(), "data")}");
        await using var again = await PostgresServer.AtAsync(scratch, "again");
        Assert.Equal(0, (await ChildProcess.RunAsync("mv", [kept, again.Data])).ExitCode);
        await again.StartAsync();
        Assert.Equal(counted, await CountAsync(again));
        Assert.Equal("off", await again.SqlAsync("show archive_mode"));
        Assert.Equal("f", await again.SqlAsync("select pg_is_in_recovery()"));
    }

    async Task FillAsync(PostgresServer server)
    {
        scratch.Subdirectory("space");
        await PostgresServer.OwnAsync(scratch["space"]);
        await server.SqlAsync($"create tablespace space location '{scratch["space"]}'");
        await server.SqlAsync("create database app");
        await server.SqlAsync("create table t as select i from generate_series(1, 10) i");
        await server.SqlAsync(
            "create schema s; create table s.\"Odd.\"\"name\" as select i from generate_series(1, 1000) i; "
                + "create table s.spaced (i int) tablespace space; insert into s.spaced select generate_series(1, 300); "
                + "create table s.parts (i int) partition by range (i); "
                + "create table s.low partition of s.parts for values from (0) to (500); "
                + "create table s.high partition of s.parts for values from (500) to (1000); "
                + "insert into s.parts select generate_series(300, 999); "
                + "create table s.parent (i int); create table s.child () inherits (s.parent); "
                + "insert into s.parent values (1); insert into s.child values (2), (3); create table s.empty (i int); "
                + "create function s.count(bigint) returns bigint language sql as 'select 1'",
            "app");
    }

    void Configure(PostgresServer server) => ClusterVault.Configure(
        scratch,
        "verify: off, drill: { every: off, max_shrink: 20%, "
            + "checks: [ { sql: SELECT count(*) FROM s.child, database: app, expect: 2 }, { sql: SELECT sum(i) FROM t, expect: 55 } ] }",
        $"host={server.Folder} port={server.Port} user=postgres");

    /// <summary>As somebody counts who has the server; a table that inherits is one of its own.</summary>
    static async Task<Dictionary<string, long>> CountAsync(PostgresServer server)
    {
        (string Name, string Database, string Table)[] tables =
        [
            ("postgres.public.t", "postgres", "t"), ("app.s.Odd.\"name", "app", "s.\"Odd.\"\"name\""), ("app.s.spaced", "app", "s.spaced"),
            ("app.s.parts", "app", "s.parts"), ("app.s.parent", "app", "only s.parent"), ("app.s.child", "app", "s.child"),
            ("app.s.empty", "app", "s.empty"),
        ];
        var rows = new Dictionary<string, long>();
        foreach (var (name, database, table) in tables)
        {
            rows[name] = long.Parse(await server.SqlAsync($"select count(*) from {table}", database), CultureInfo.InvariantCulture);
        }

        return rows;
    }

    async Task<ProcessResult> ExpectAsync(int exitCode, params string[] arguments)
    {
        var result = await SalvorProcess.RunAsync([.. arguments, "--config", scratch["salvor.yaml"]]);
        Assert.True(result.ExitCode == exitCode, $"not {exitCode}: {result}");
        return result;
    }
}
