using System.Text.Json;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Sqlite.Traps;

/// <summary>What happens to a database while nobody watches it, and what is made of it at the next start.</summary>
public sealed class DetachedTests
{
    const int ManyRows = 2000;

    [Fact]
    public async Task Commits_made_while_nobody_watched_are_taken_one_by_one_while_the_log_still_has_them()
    {
        await using var rig = new TrapRig();
        await using var app = await FilledAsync(rig);
        await rig.StartAsync();
        var before = await rig.SyncAsync();
        await rig.StopAsync();
        await app.DoAsync("INSERT INTO t VALUES (?, 'unwatched')", repeat: 30);

        await rig.StartAsync();
        Assert.Equal(before.Value + 30, (await rig.SyncAsync()).Value);
        Assert.Equal(0, rig.Status.Resyncs);
    }

    [Theory]
    [InlineData("PRAGMA wal_checkpoint(RESTART)")]
    [InlineData("PRAGMA wal_checkpoint(TRUNCATE)")]
    [InlineData("PRAGMA journal_mode=DELETE")]
    [InlineData("close")]
    public async Task A_log_that_was_reused_or_deleted_while_nobody_watched_costs_a_comparison_and_only_what_differs(string ending)
    {
        await using var rig = new TrapRig();
        await using var app = await FilledAsync(rig);
        await rig.StartAsync();
        await rig.SyncAsync();
        var (number, position) = (rig.LogNumber, rig.Status.Position);
        await rig.StopAsync();
        await app.DoAsync("UPDATE t SET y = 'unwatched' WHERE x = 1000");
        await app.DoAsync(ending);
        await app.DoAsync("PRAGMA journal_mode=WAL");
        await app.DoAsync("UPDATE t SET y = 'unwatched too' WHERE x = 1500");

        await rig.StartAsync();
        await rig.SyncAsync();

        Assert.Equal(1, rig.Status.Resyncs);
        Assert.InRange(await rig.PagesAfterAsync(number), 2, 10);
        Assert.Equal([1u], await rig.BranchesAsync());
        Assert.Equal("2", await rig.RestoredAsync("SELECT count(*) FROM t WHERE y LIKE 'unwatched%'"));
        Assert.Equal("0", await TrapRig.QueryAsync(await rig.RestoreAsync(1, position), "SELECT count(*) FROM t WHERE y LIKE 'un%'"));

        // The gap is told: the restore points after it begin with its reason.
        var spans = await RestoreSpans.FindAsync(await rig.CatalogAsync(), default);
        Assert.Contains(spans, span => span.BeginsWith.Contains("nobody was looking", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public async Task Two_logs_that_nobody_wrote_to_are_not_the_same_log(string journal)
    {
        await using var rig = new TrapRig();
        await using var app = await FilledAsync(rig);
        await app.DoAsync($"PRAGMA journal_mode={journal}");
        await app.CloseAsync();
        await rig.StartAsync();
        await rig.SyncAsync();
        await rig.StopAsync();
        await app.DoAsync($"PRAGMA journal_mode=DELETE");
        await app.DoAsync("UPDATE t SET y = 'unwatched' WHERE x = 1000");
        await app.DoAsync("PRAGMA journal_mode=WAL");
        await app.CloseAsync();

        await rig.StartAsync();
        await rig.SyncAsync();
        Assert.Equal("1", await rig.RestoredAsync("SELECT count(*) FROM t WHERE y = 'unwatched'"));
    }

    [Fact]
    public async Task Local_state_that_is_lost_costs_nothing()
    {
        await using var rig = new TrapRig();
        await using var app = await FilledAsync(rig);
        await rig.StartAsync();
        await rig.SyncAsync();
        var number = rig.LogNumber;
        await rig.StopAsync();
        Directory.Delete(Path.Combine(Path.GetDirectoryName(rig.Database)!, ".salvor"), recursive: true);

        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES (-1, 'after')");
        await rig.SyncAsync();
        Assert.Equal(0, rig.Status.Resyncs);
        Assert.InRange(await rig.PagesAfterAsync(number), 1, 3);

        // Also while it is in use: it holds a lock and a status, and neither is data.
        Directory.Delete(Path.Combine(Path.GetDirectoryName(rig.Database)!, ".salvor"), recursive: true);
        await app.DoAsync("INSERT INTO t VALUES (-2, 'after')");
        await rig.SyncAsync();
        Assert.Equal("2", await rig.RestoredAsync("SELECT count(*) FROM t WHERE y = 'after'"));
    }

    [Fact]
    public async Task A_database_that_went_to_a_rollback_journal_and_back_stays_on_its_branch()
    {
        await using var rig = new TrapRig();
        await using var app = await FilledAsync(rig);
        await rig.StartAsync();
        await rig.SyncAsync();
        var number = rig.LogNumber;
        await rig.StopAsync();
        Assert.Equal("delete", await app.ReadAsync("PRAGMA journal_mode=DELETE"));
        await rig.StartAsync();
        await app.DoAsync("UPDATE t SET y = 'by journal' WHERE x = 7");
        await rig.SyncAsync();
        Assert.Equal("1", await rig.RestoredAsync("SELECT count(*) FROM t WHERE y = 'by journal'"));

        // From a rollback journal an app may leave while it is watched; the next look notices.
        Assert.Equal("wal", await app.ReadAsync("PRAGMA journal_mode=WAL"));
        await app.DoAsync("UPDATE t SET y = 'by log' WHERE x = 8");
        await Eventually.HoldsAsync(
            () => rig.Said.Any(line => line.Contains("changed to a write-ahead log", StringComparison.Ordinal)) || rig.Status.Resyncs > 0,
            () => $"the change of the journal is not noticed: {rig.Status}\n{rig}");
        await rig.BecomesAsync(Salvor.Sqlite.SourceState.Healthy);
        var before = await rig.SyncAsync();
        await app.DoAsync("UPDATE t SET y = 'by log' WHERE x = ? + 10", repeat: 3);
        Assert.Equal(before.Value + 3, (await rig.SyncAsync()).Value);
        Assert.Equal("4", await rig.RestoredAsync("SELECT count(*) FROM t WHERE y = 'by log'"));
        Assert.Equal([1u], await rig.BranchesAsync());
        Assert.InRange(await rig.PagesAfterAsync(number), 4, 40);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_vault_that_is_ahead_of_its_source_keeps_what_the_source_lost_on_a_branch_of_its_own(bool goesOn)
    {
        await using var rig = new TrapRig();
        await using (var app = await FilledAsync(rig))
        {
            await rig.StartAsync();
            await app.DoAsync("INSERT INTO t VALUES (?, 'safe')", repeat: 5);
            await rig.SyncAsync();
            await app.DoAsync("INSERT INTO t VALUES (?, 'lost')", repeat: 5);
            await rig.SyncAsync();
            await rig.StopAsync();
            await app.KillAsync();
        }

        // With synchronous=NORMAL a power loss may take the end of the log.
        var frames = JsonElement.Parse(await TrapRig.WalAsync("info", rig.Log)).GetProperty("frames").GetInt32();
        await TrapRig.WalAsync("cut", rig.Log, $"{frames - 5}");
        File.Delete($"{rig.Database}-shm");
        await using var next = SqlApp.Start(rig.Database);
        Assert.Equal("5", await next.ReadAsync("SELECT count(*) FROM t WHERE y IN ('safe', 'lost')"));
        if (goesOn)
        {
            // As many frames as before and more, in the same use of the log: only their content tells.
            await next.DoAsync("INSERT INTO t VALUES (?, 'new')", repeat: 8);
        }

        await rig.StartAsync();
        await next.DoAsync("INSERT INTO t VALUES (?, 'new')", repeat: 2);
        await rig.SyncAsync();

        Assert.Equal([1u, 2u], await rig.BranchesAsync());
        Assert.Equal("5", await rig.RestoredAsync("SELECT count(*) FROM t WHERE y = 'lost'", branch: 1));
        Assert.Equal(
            goesOn ? "5|0|10" : "5|0|2",
            await rig.RestoredAsync("SELECT sum(y = 'safe'), sum(y = 'lost'), sum(y = 'new') FROM t", branch: 2));
        Assert.Contains(rig.Said, line => line.Contains("branch 2 begins", StringComparison.Ordinal));

        // It goes on there: the next start does not find the same reason again.
        await rig.StopAsync();
        await rig.StartAsync();
        await next.DoAsync("INSERT INTO t VALUES (?, 'new')", repeat: 2);
        await rig.SyncAsync();
        Assert.Equal([1u, 2u], await rig.BranchesAsync());
    }

    [Fact]
    public async Task A_page_size_that_changed_while_nobody_watched_begins_a_branch_with_a_full_copy()
    {
        await using var rig = new TrapRig();
        await using var app = await FilledAsync(rig);
        await rig.StartAsync();
        await rig.SyncAsync();
        await rig.StopAsync();
        await app.DoAsync("PRAGMA journal_mode=DELETE");
        await app.DoAsync("PRAGMA page_size=1024");
        await app.DoAsync("VACUUM");
        await app.DoAsync("PRAGMA journal_mode=WAL");

        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES (-1, 'small pages')");
        await rig.SyncAsync();
        Assert.Equal([1u, 2u], await rig.BranchesAsync());
        Assert.Equal("4096", await TrapRig.QueryAsync(await rig.RestoreAsync(1), "PRAGMA page_size"));
        Assert.Equal("1024", await TrapRig.QueryAsync(await rig.RestoreAsync(2), "PRAGMA page_size"));
        Assert.Equal($"{ManyRows + 1}", await rig.RestoredAsync("SELECT count(*) FROM t"));
        await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        await rig.AssertSameBytesAsync();
    }

    [Theory]
    [InlineData(1024)]
    [InlineData(8192)]
    public async Task A_page_size_that_changes_under_a_rollback_journal_while_watched_begins_a_branch(int pageSize)
    {
        await using var rig = new TrapRig();
        await using var app = await FilledAsync(rig);
        await app.DoAsync("PRAGMA journal_mode=DELETE");
        await rig.StartAsync();
        await rig.SyncAsync();

        // Not a whole number of the pages that it had.
        await app.DoAsync("DELETE FROM t WHERE x > 1003");
        await app.DoAsync($"PRAGMA page_size={pageSize}");
        await app.DoAsync("VACUUM");
        await Eventually.HoldsAsync(
            () => rig.Status.Branch == 2 && rig.Status.State == Salvor.Sqlite.SourceState.Healthy,
            () => $"no branch begins: {rig.Status}\n{rig}");
        await rig.SyncAsync();
        Assert.Equal($"{pageSize}", await rig.RestoredAsync("PRAGMA page_size"));
        Assert.Equal("4096", await rig.RestoredAsync("PRAGMA page_size", branch: 1));
        await rig.AssertSameBytesAsync();
    }

    /// <summary>An app with enough rows that a full copy and a few pages cannot be confused.</summary>
    static async Task<SqlApp> FilledAsync(TrapRig rig)
    {
        var app = await PublishedFramesTests.SmallAppAsync(rig);
        await app.DoAsync("BEGIN");
        await app.DoAsync("INSERT INTO t VALUES (?, printf('%0500d', 0))", repeat: ManyRows);
        await app.DoAsync("COMMIT");
        await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        return app;
    }
}
