using System.Diagnostics;
using Salvor.Sqlite;
using Salvor.Sqlite.Capture;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Sqlite.Traps;

/// <summary>Databases without a write-ahead log, which are copied in the gaps between their writers.</summary>
public sealed class RollbackTests
{
    /// <summary>Less than the half minute after which the file is looked at without a reason.</summary>
    static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task What_a_disturbed_copy_saw_is_not_taken_into_the_next_one()
    {
        using var scratch = new ScratchDirectory();
        var path = scratch["app.db"];
        await using var app = SqlApp.Start(path);
        await app.DoAsync("CREATE TABLE flag (x)");
        await app.DoAsync("INSERT INTO flag VALUES (0)");
        await app.DoAsync("CREATE TABLE filler (x)");
        await app.DoAsync("INSERT INTO filler VALUES (zeroblob(40000000))");

        using var database = SqliteDatabase.Open(path);
        var (hasher, table) = (new PageHasher(1), new PageTable());
        var copier = new RollbackCapture(database, table, hasher, TimeSpan.FromSeconds(1)) { Slice = TimeSpan.Zero };
        using var all = new PageSpool(scratch.Path, database.PageSize);
        Assert.Equal(SliceResult.Copied, await copier.CopyAsync(all, default));
        foreach (var (page, (_, hash)) in all.Pages)
        {
            table.Set(page, hash);
        }

        // The page of the flag is seen while it differs, and then it is as it was.
        await app.DoAsync("UPDATE flag SET x = 1");
        await app.DoAsync("BEGIN IMMEDIATE");
        await app.DoAsync("UPDATE flag SET x = 0");
        using var changed = new PageSpool(scratch.Path, database.PageSize);
        var copying = Task.Run(() => copier.CopyAsync(changed, default));
        await Eventually.HoldsAsync(() => changed.Pages.Count > 1 || copying.IsCompleted, () => "the flag is not seen");
        await app.DoAsync("COMMIT");

        Assert.Equal(SliceResult.Copied, await copying);
        Assert.Equal([1u], changed.Pages.Keys);
    }

    [Fact]
    public async Task A_question_is_answered_at_once_however_many_changes_came_before_it()
    {
        await using var rig = new TrapRig();
        await using var app = SqlApp.Start(rig.Database);
        await app.DoAsync("CREATE TABLE t (x)");
        await rig.StartAsync();
        for (ulong round = 1; round <= 5; round++)
        {
            var before = rig.Status.Position;
            await app.DoAsync("INSERT INTO t VALUES (1)");
            await Eventually.HoldsAsync(() => rig.Status.Position > before, () => $"the change is not seen: {rig.Status}");

            // Nothing is left to do, so nothing but the question itself can wake up who answers it.
            var started = Stopwatch.GetTimestamp();
            await rig.SyncAsync();
            Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, AtOnce);
        }
    }

    [Fact]
    public async Task A_change_is_seen_however_many_questions_came_before_it()
    {
        await using var rig = new TrapRig();
        await using var app = SqlApp.Start(rig.Database);
        await app.DoAsync("CREATE TABLE t (x)");
        await rig.StartAsync();
        for (var round = 0; round < 40; round++)
        {
            await rig.SyncAsync();
        }

        var before = rig.Status.Position;
        await app.DoAsync("INSERT INTO t VALUES (1)");
        await Eventually.HoldsAsync(
            () => rig.Status.Position > before, () => $"the change is not seen: {rig.Status}", AtOnce);
    }

    [Fact]
    public async Task A_transaction_in_progress_is_not_seen_and_does_not_hinder()
    {
        await using var rig = new TrapRig();
        await using var app = SqlApp.Start(rig.Database);
        await app.DoAsync("PRAGMA cache_size=10");
        await app.DoAsync("CREATE TABLE t (x)");
        await app.DoAsync("INSERT INTO t VALUES ('before')");
        await rig.StartAsync();

        // Larger than the cache, so that uncommitted pages are in the file already.
        await app.DoAsync("BEGIN");
        await app.DoAsync("INSERT INTO t VALUES (randomblob(3000))", repeat: 100);
        await app.DoAsync("ROLLBACK");
        await app.DoAsync("INSERT INTO t VALUES ('after')");
        await rig.SyncAsync();
        Assert.Equal("before,after", await rig.RestoredAsync("SELECT group_concat(x) FROM t"));
        await rig.AssertAllOfferedRestoreAsync();
        await rig.AssertSameBytesAsync();
    }
}
