using System.Text.Json;
using Salvor.Sqlite;
using Salvor.Tests.Support;

namespace Salvor.Tests.Sqlite.Traps;

/// <summary>Which frames of a write-ahead log are commits. The file holds others that look the same.</summary>
public sealed class PublishedFramesTests
{
    [Fact]
    public async Task A_commit_whose_sync_failed_is_never_taken_although_its_frames_are_valid()
    {
        await using var rig = new TrapRig();
        var (shim, flag) = (rig.Scratch["failsync.so"], rig.Scratch["fail"]);
        await TrapRig.ShellAsync($"gcc -shared -fPIC -O1 -o '{shim}' '{Tool.PathOf("failsync.c")}' -ldl");
        await using var app = SqlApp.Start(
            rig.Database, environment: new Dictionary<string, string> { ["LD_PRELOAD"] = shim, ["FAILSYNC"] = flag });
        await app.DoAsync("PRAGMA journal_mode=WAL");
        await app.DoAsync("PRAGMA synchronous=FULL");
        await app.DoAsync("PRAGMA wal_autocheckpoint=0");
        await app.DoAsync("CREATE TABLE t (x)");
        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES ('before')");
        var before = await rig.SyncAsync();

        await File.WriteAllTextAsync(flag, "");
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal("disk I/O error", await app.FailAsync("INSERT INTO t VALUES ('phantom')"));
            await rig.SyncAsync();
        }

        // The trap is set: the file has a whole commit more than anybody was told of.
        var valid = JsonElement.Parse(await TrapRig.WalAsync("info", rig.Log)).GetProperty("commits").GetArrayLength();
        var first = await rig.SyncAsync();
        Assert.Equal(before, first);
        Assert.Equal("before", await rig.RestoredAsync("SELECT group_concat(x) FROM t"));

        File.Delete(flag);
        await app.DoAsync("INSERT INTO t VALUES ('after')");
        var after = await rig.SyncAsync();

        Assert.Equal(before.Value + 1, after.Value);
        Assert.Equal(valid, JsonElement.Parse(await TrapRig.WalAsync("info", rig.Log)).GetProperty("commits").GetArrayLength());
        Assert.Equal("before,after", await rig.RestoredAsync("SELECT group_concat(x) FROM t"));
        Assert.Equal(0, rig.Status.Resyncs);
        await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        await rig.AssertSameBytesAsync();
    }

    [Fact]
    public async Task Frames_of_an_earlier_use_of_the_log_are_not_taken_again()
    {
        await using var rig = new TrapRig();
        await using var app = await SmallAppAsync(rig);
        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES (?, zeroblob(3000))", repeat: 100);
        await RestartLogAsync(rig, app);
        var before = await rig.SyncAsync();

        // One short use over a long one: behind its single commit follow a hundred others, whole and of right length.
        await app.DoAsync("INSERT INTO t VALUES (1000, 'new')");
        var after = await rig.SyncAsync();
        Assert.True(new FileInfo(rig.Log).Length > 100 * 4096);

        Assert.Equal(before.Value + 1, after.Value);
        Assert.Equal("101", await rig.RestoredAsync("SELECT count(*) FROM t"));
        Assert.Equal(0, rig.Status.Resyncs);
    }

    [Fact]
    public async Task A_log_that_is_used_again_at_the_same_length_is_not_taken_for_unchanged()
    {
        await using var rig = new TrapRig();
        await using var app = await SmallAppAsync(rig);
        await app.DoAsync("INSERT INTO t VALUES (1, 0)");
        await rig.StartAsync();
        await RestartLogAsync(rig, app);
        long length = 0;
        for (var round = 0; round < 5; round++)
        {
            await app.DoAsync($"UPDATE t SET y = {round}", repeat: 20);
            await rig.SyncAsync();
            length = length == 0 ? new FileInfo(rig.Log).Length : length;
            Assert.Equal(length, new FileInfo(rig.Log).Length);
            await RestartLogAsync(rig, app);
        }

        Assert.Equal("4", await rig.RestoredAsync("SELECT max(y) FROM t"));
        Assert.Equal(0, rig.Status.Resyncs);
    }

    [Fact]
    public async Task The_salts_of_an_empty_log_may_change_at_any_time()
    {
        await using var rig = new TrapRig();
        await using var app = await SmallAppAsync(rig);
        await rig.StartAsync();
        for (var round = 0; round < 20; round++)
        {
            // A connection that never wrote draws both salts anew when it begins an empty log; the next truncation counts from there.
            await app.DoAsync($"INSERT INTO t VALUES ({round}, 'fresh')", connection: $"fresh-{round}");
            await rig.SyncAsync();
            await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)", connection: "checkpointer");
            await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)", connection: "checkpointer");
        }

        await rig.SyncAsync();
        Assert.Equal("20", await rig.RestoredAsync("SELECT count(*) FROM t WHERE y = 'fresh'"));
        Assert.Equal(0, rig.Status.Resyncs);
        await rig.AssertSameBytesAsync();
    }

    [Fact]
    public async Task A_log_from_a_machine_of_the_other_byte_order_is_read()
    {
        await using var rig = new TrapRig();
        await using (var app = await SmallAppAsync(rig))
        {
            await app.DoAsync("INSERT INTO t VALUES (?, 'first')", repeat: 5);
            await rig.StartAsync();
            await rig.StopAsync();
            await app.DoAsync("INSERT INTO t VALUES (?, 'second')", repeat: 5);
            await app.KillAsync();
        }

        // Another order means other checksums, so what was captured before cannot be proved; the log itself is sound.
        await TrapRig.WalAsync("big-endian", rig.Log);
        File.Delete($"{rig.Database}-shm");
        await rig.StartAsync();
        await using var other = SqlApp.Start(rig.Database);
        Assert.Equal("10", await other.ReadAsync("SELECT count(*) FROM t"));
        await other.DoAsync("INSERT INTO t VALUES (?, 'third')", repeat: 5);
        await rig.SyncAsync();

        // The app goes on in the order that the log has.
        Assert.Equal((byte)0x83, await LastMagicByteAsync(rig.Log));
        Assert.Equal("first,second,third", await rig.RestoredAsync("SELECT group_concat(y) FROM (SELECT DISTINCT y FROM t)"));
        Assert.Equal(1, rig.Status.Resyncs);
    }

    [Fact]
    public async Task A_log_whose_header_is_damaged_is_empty_to_SQLite_and_to_us()
    {
        await using var rig = new TrapRig();
        await using (var app = await SmallAppAsync(rig))
        {
            await rig.StartAsync();
            await app.DoAsync("INSERT INTO t VALUES (1, 'in the file')");
            await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");
            await rig.SyncAsync();
            await app.DoAsync("INSERT INTO t VALUES (2, 'lost')");
            await rig.SyncAsync();
            await rig.StopAsync();
            await app.KillAsync();
        }

        await TrapRig.WalAsync("break-header", rig.Log);
        File.Delete($"{rig.Database}-shm");
        await rig.StartAsync();
        await using var next = SqlApp.Start(rig.Database);
        Assert.Equal("in the file", await next.ReadAsync("SELECT group_concat(y) FROM t"));
        await next.DoAsync("INSERT INTO t VALUES (3, 'after')");
        await rig.SyncAsync();

        Assert.Equal("in the file,after", await rig.RestoredAsync("SELECT group_concat(y) FROM t"));

        // What is lost in the source stays in the vault.
        Assert.Equal("in the file,lost", await TrapRig.QueryAsync(await rig.RestoreAsync(1, 3), "SELECT group_concat(y) FROM t"));
    }

    /// <summary>An app with an empty table, which checkpoints only when it is told to.</summary>
    internal static async Task<SqlApp> SmallAppAsync(TrapRig rig)
    {
        var app = SqlApp.Start(rig.Database);
        await app.DoAsync("PRAGMA journal_mode=WAL");
        await app.DoAsync("PRAGMA wal_autocheckpoint=0");
        await app.DoAsync("CREATE TABLE t (x, y)");
        return app;
    }

    /// <summary>Copies the whole log into the file so that the next commit begins it anew without shortening it.</summary>
    internal static async Task RestartLogAsync(TrapRig rig, SqlApp app)
    {
        await rig.SyncAsync();
        Assert.Equal("0", (await app.ReadAsync("PRAGMA wal_checkpoint(RESTART)")).Split('|')[0]);
    }

    static async Task<byte> LastMagicByteAsync(string log)
    {
        var magic = await TrapRig.ShellAsync($"od -An -tx1 -j3 -N1 '{log}'");
        return Convert.ToByte(magic.Trim(), 16);
    }
}
