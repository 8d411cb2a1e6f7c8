using Salvor.Sqlite;
using Salvor.Tests.Support;

namespace Salvor.Tests.Sqlite.Traps;

/// <summary>A source is its name and path, never its content: another file at the same path is a new line of history.</summary>
public sealed class ReplacedTests
{
    [Fact]
    public async Task A_deleted_database_is_waited_for_and_its_successor_begins_a_branch()
    {
        await using var rig = new TrapRig();
        await using var first = await WithRowAsync(rig.Database, "first");
        await rig.StartAsync();
        await rig.SyncAsync();
        await first.KillAsync();
        await TrapRig.ShellAsync($"rm '{rig.Database}' '{rig.Database}-wal' '{rig.Database}-shm'");
        await rig.BecomesAsync(SourceState.Waiting);

        await using var second = await WithRowAsync(rig.Database, "second");
        await rig.BecomesAsync(SourceState.Healthy);
        await rig.SyncAsync();

        Assert.Equal([1u, 2u], await rig.BranchesAsync());
        Assert.Equal("first", await rig.RestoredAsync("SELECT x FROM t", branch: 1));
        Assert.Equal("second", await rig.RestoredAsync("SELECT x FROM t", branch: 2));
    }

    [Fact]
    public async Task A_database_that_another_is_moved_over_begins_a_branch_at_once()
    {
        await using var rig = new TrapRig();
        await using var first = await WithRowAsync(rig.Database, "first");
        await rig.StartAsync();
        await rig.SyncAsync();
        var other = rig.Scratch["other.db"];
        await using (var second = await WithRowAsync(other, "second"))
        {
            await second.CloseAsync();
        }

        // The log of the old file must go with it: SQLite would play it into the new one.
        await first.KillAsync();
        await TrapRig.ShellAsync($"rm '{rig.Database}-wal' '{rig.Database}-shm' && mv '{other}' '{rig.Database}'");
        await Eventually.HoldsAsync(
            () => rig.Status is { Branch: 2, State: SourceState.Healthy }, () => $"no branch begins: {rig.Status}\n{rig}");
        await rig.SyncAsync();

        Assert.Equal("first", await rig.RestoredAsync("SELECT x FROM t", branch: 1));
        Assert.Equal("second", await rig.RestoredAsync("SELECT x FROM t", branch: 2));
        Assert.Contains(rig.Said, line => line.Contains("the database file was replaced", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Two_databases_that_change_places_each_begin_a_branch()
    {
        await using var one = new TrapRig();
        await using var two = new TrapRig();
        await using (var app = await WithRowAsync(one.Database, "one"))
        {
            await app.CloseAsync();
        }

        await using (var app = await WithRowAsync(two.Database, "two"))
        {
            await app.CloseAsync();
        }

        await one.StartAsync();
        await two.StartAsync();
        await TrapRig.ShellAsync($"""
            rm '{one.Database}'-* '{two.Database}'-*
            mv '{one.Database}' '{one.Database}.moving'
            mv '{two.Database}' '{one.Database}'
            mv '{one.Database}.moving' '{two.Database}'
            """);
        foreach (var (rig, before, after) in new[] { (one, "one", "two"), (two, "two", "one") })
        {
            await Eventually.HoldsAsync(
                () => rig.Status is { Branch: 2, State: SourceState.Healthy }, () => $"no branch begins: {rig.Status}\n{rig}");
            await rig.SyncAsync();
            Assert.Equal(before, await rig.RestoredAsync("SELECT x FROM t", branch: 1));
            Assert.Equal(after, await rig.RestoredAsync("SELECT x FROM t", branch: 2));
        }
    }

    [Fact]
    public async Task A_database_that_is_created_after_the_start_is_protected_from_its_first_commit()
    {
        await using var rig = new TrapRig();
        rig.Begin();
        await rig.BecomesAsync(SourceState.Waiting);
        Assert.False(File.Exists(rig.Database));

        await using var app = await WithRowAsync(rig.Database, "late");
        await rig.BecomesAsync(SourceState.Healthy);
        await rig.SyncAsync();
        Assert.Equal("late", await rig.RestoredAsync("SELECT x FROM t"));
    }

    [Fact]
    public async Task An_empty_file_is_waited_for_and_left_empty()
    {
        await using var rig = new TrapRig();
        await TrapRig.ShellAsync($": > '{rig.Database}'");
        rig.Begin();
        await rig.BecomesAsync(SourceState.Waiting);
        Assert.Equal(0, new FileInfo(rig.Database).Length);
        Assert.Contains("empty", rig.Status.Detail, StringComparison.Ordinal);

        await using var app = await WithRowAsync(rig.Database, "at last");
        await rig.BecomesAsync(SourceState.Healthy);
        await rig.SyncAsync();
        Assert.Equal("at last", await rig.RestoredAsync("SELECT x FROM t"));
    }

    [Fact]
    public async Task An_app_that_wants_the_database_for_itself_is_named_as_the_reason_and_recovered_from()
    {
        await using var rig = new TrapRig();
        await using var app = await WithRowAsync(rig.Database, "first");
        await app.CloseAsync();
        await app.DoAsync("PRAGMA locking_mode=EXCLUSIVE");
        await app.DoAsync("INSERT INTO t VALUES ('exclusive')");
        rig.Begin();
        await rig.BecomesAsync(SourceState.Failing);
        Assert.Contains("locked by another process", rig.Status.Detail, StringComparison.Ordinal);
        Assert.Contains("locking_mode=EXCLUSIVE", rig.Status.Hint, StringComparison.Ordinal);

        // The app is not hindered by our trying.
        await app.DoAsync("INSERT INTO t VALUES (?)", repeat: 100);
        await app.CloseAsync();
        await app.DoAsync("INSERT INTO t VALUES ('shared again')");
        await rig.BecomesAsync(SourceState.Healthy, TimeSpan.FromSeconds(40));
        await rig.SyncAsync();
        Assert.Equal("103", await rig.RestoredAsync("SELECT count(*) FROM t"));
    }

    static async Task<SqlApp> WithRowAsync(string database, string row)
    {
        var app = SqlApp.Start(database);
        await app.DoAsync("PRAGMA journal_mode=WAL");
        await app.DoAsync("CREATE TABLE t (x)");
        await app.DoAsync($"INSERT INTO t VALUES ('{row}')");
        return app;
    }
}
