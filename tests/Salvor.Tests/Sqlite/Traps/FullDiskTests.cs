using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Sqlite.Traps;

/// <summary>No room beside the database or at the destination, and destinations that go and come back.</summary>
public sealed class FullDiskTests
{
    const int Rows = 1500;

    [Fact]
    public async Task A_full_state_directory_during_a_comparison_is_told_and_recovered_from()
    {
        using var state = new TemporaryDirectory();
        using var mount = TemporaryMount.OfOneMebibyte(state.Path);
        await using var rig = new TrapRig { StateDirectory = state.Path };
        await using var app = await FilledAsync(rig);
        await rig.StartAsync();
        await rig.SyncAsync();
        await rig.StopAsync();
        await app.DoAsync("UPDATE t SET y = randomblob(1000)");
        await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");

        rig.Begin();
        await rig.BecomesAsync(SourceState.Failing);
        Assert.Contains("cannot stage pages", rig.Status.Detail, StringComparison.Ordinal);
        Assert.Contains("state_dir", rig.Status.Hint, StringComparison.Ordinal);
        await app.DoAsync("INSERT INTO t VALUES (-1, 'unhindered')");

        mount.Enlarge();
        await rig.BecomesAsync(SourceState.Healthy);
        await rig.SyncAsync();
        await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        await rig.AssertSameBytesAsync();
    }

    [Fact]
    public async Task A_full_state_directory_during_the_first_copy_is_told_and_recovered_from()
    {
        using var state = new TemporaryDirectory();
        using var mount = TemporaryMount.OfOneMebibyte(state.Path);
        await using var rig = new TrapRig { StateDirectory = state.Path };
        await using var app = await FilledAsync(rig);

        // While the copy waits for its destination, what is written meanwhile has to be staged.
        var broken = true;
        rig.Store = new FaultyStore(rig.Store, call => broken && IsPack(call) ? Fault.Before : Fault.None);
        rig.Begin();
        await rig.BecomesAsync(SourceState.BackingOff);
        await app.DoAsync("UPDATE t SET y = randomblob(1000)");
        await Eventually.HoldsAsync(() => new FileInfo(rig.Log).Length > 1 << 20, () => "the app did not write");
        broken = false;
        await Eventually.HoldsAsync(
            () => rig.Said.Any(line => line.Contains("cannot stage pages", StringComparison.Ordinal)), () => $"{rig.Status}\n{rig}");

        mount.Enlarge();
        await rig.BecomesAsync(SourceState.Healthy);
        await rig.SyncAsync();
        await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        await rig.AssertSameBytesAsync();
    }

    [Fact]
    public async Task A_full_destination_delays_and_loses_nothing()
    {
        using var vaults = new TemporaryDirectory();
        using var mount = TemporaryMount.OfOneMebibyte(vaults.Path);
        await using var rig = new TrapRig { Store = new FileStore(vaults.Path) };
        await using var app = await PublishedFramesTests.SmallAppAsync(rig);
        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES (?, randomblob(10000))", repeat: 200);
        await rig.BecomesAsync(SourceState.BackingOff);
        await app.DoAsync("INSERT INTO t VALUES (?, randomblob(10000))", repeat: 100);
        Assert.True(rig.Status.Lag > TimeSpan.Zero);

        mount.Enlarge();
        var end = await rig.SyncAsync();
        await rig.BecomesAsync(SourceState.Healthy);

        await AssertOneSpanAsync(rig, end.Value, rows: 300);
        await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        await rig.AssertSameBytesAsync();
    }

    [Fact]
    public async Task A_destination_that_goes_and_comes_back_has_every_commit()
    {
        await using var rig = new TrapRig();
        var vaults = rig.Scratch.Subdirectory("vaults");
        rig.Store = new FileStore(vaults);
        await using var app = await PublishedFramesTests.SmallAppAsync(rig);
        await rig.StartAsync();
        for (var round = 0; round < 3; round++)
        {
            await app.DoAsync("INSERT INTO t VALUES (?, randomblob(1000))", repeat: 50);
            Directory.Move(vaults, $"{vaults}.away");
            await app.DoAsync("INSERT INTO t VALUES (?, randomblob(1000))", repeat: 50);
            await rig.BecomesAsync(SourceState.BackingOff);
            Assert.False(Directory.Exists(vaults), "a destination that is not mounted must not be made anew");
            Directory.Move($"{vaults}.away", vaults);
            await rig.SyncAsync();
        }

        await AssertOneSpanAsync(rig, (await rig.SyncAsync()).Value, rows: 300);
    }

    [Fact]
    public async Task A_log_over_its_limit_is_let_go_and_the_gap_is_closed_and_told()
    {
        await using var rig = new TrapRig { WalMaxBytes = 1 << 20, DrainMax = TimeSpan.FromSeconds(1) };
        var broken = false;
        rig.Store = new FaultyStore(rig.Store, _ => Volatile.Read(ref broken) ? Fault.Before : Fault.None);
        await using var app = await PublishedFramesTests.SmallAppAsync(rig);
        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES (0, 'before')");
        var before = await rig.SyncAsync();
        Volatile.Write(ref broken, true);

        // More than the memory of the queue holds, so that the log has to keep it.
        await app.DoAsync("INSERT INTO t VALUES (?, randomblob(1000000))", repeat: 50);
        await Eventually.HoldsAsync(
            () => rig.Said.Any(line => line.Contains("grew over 1 MiB", StringComparison.Ordinal)), () => $"{rig.Status}\n{rig}");
        await Eventually.HoldsAsync(
            async () => await app.ReadAsync("PRAGMA wal_checkpoint(TRUNCATE)") == "0|0|0", () => "the log is still held");
        Assert.Equal(0, new FileInfo(rig.Log).Length);
        await app.DoAsync("INSERT INTO t VALUES (-1, 'during')");

        Volatile.Write(ref broken, false);
        await rig.BecomesAsync(SourceState.Healthy, TimeSpan.FromSeconds(40));
        await rig.SyncAsync();
        await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        await rig.AssertSameBytesAsync();
        var spans = await RestoreSpans.FindAsync(await rig.CatalogAsync(), default);
        Assert.Contains(spans, span => span.Last >= before);
        Assert.Contains(spans, span => span.BeginsWith.Length > 0);
        Assert.Equal([1u], await rig.BranchesAsync());
    }

    static bool IsPack(StoreCall call) => call.Operation == StoreOperation.Put && call.Key.Contains("pack", StringComparison.Ordinal);

    static async Task AssertOneSpanAsync(TrapRig rig, ulong last, int rows)
    {
        var span = Assert.Single(await RestoreSpans.FindAsync(await rig.CatalogAsync(), default));
        Assert.Equal((1UL, last), (span.First.Value, span.Last.Value));
        Assert.Equal(0, rig.Status.Resyncs);
        Assert.Equal($"{rows}", await rig.RestoredAsync("SELECT count(*) FROM t"));
        Assert.Equal($"{rows - 1}", await TrapRig.QueryAsync(await rig.RestoreAsync(1, last - 1), "SELECT count(*) FROM t"));
    }

    static async Task<SqlApp> FilledAsync(TrapRig rig)
    {
        var app = await PublishedFramesTests.SmallAppAsync(rig);
        await app.DoAsync("BEGIN");
        await app.DoAsync("INSERT INTO t VALUES (?, zeroblob(1000))", repeat: Rows);
        await app.DoAsync("COMMIT");
        await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        return app;
    }
}
