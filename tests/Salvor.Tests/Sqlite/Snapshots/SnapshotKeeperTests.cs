using Salvor.Sqlite.Snapshots;
using Salvor.Storage;
using Salvor.Tests.Sqlite.Traps;
using Salvor.Tests.Support;

namespace Salvor.Tests.Sqlite.Snapshots;

public sealed class SnapshotKeeperTests : IAsyncDisposable
{
    const string Count = "SELECT count(*) FROM t";

    readonly TrapRig _rig = new() { SnapshotEvery = TimeSpan.FromSeconds(1) };

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Theory]
    [InlineData(0, 60_000)]
    [InlineData(1, 59_999)]
    [InlineData(59_999, 1)]
    [InlineData(61_500, 58_500)]
    public void All_sources_look_at_the_same_moments(int milliseconds, int expected)
    {
        var time = new ManualTime();
        time.Advance(TimeSpan.FromMilliseconds(milliseconds));

        Assert.Equal(TimeSpan.FromMilliseconds(expected), SnapshotKeeper.ToNext(TimeSpan.FromMinutes(1), time));
    }

    [Fact]
    public async Task A_snapshot_is_made_when_something_changed_and_its_time_has_come()
    {
        await Tool.SqlAsync(_rig.Database, "PRAGMA journal_mode = WAL; CREATE TABLE t(x)");
        await _rig.StartAsync();
        await CommitAsync();

        // On a slow machine the base, at position 1, has had its own time before the commit came.
        var first = await SnapshotAfterAsync(1);

        // Nothing changed since: none is made, however long one waits.
        await Task.Delay(TimeSpan.FromSeconds(3), TestContext.Current.CancellationToken);
        Assert.Equal(first, await NewestAsync());
        await CommitAsync();
        await SnapshotAfterAsync(first);
        Assert.Equal("2", await _rig.RestoredAsync(Count));
        Assert.Equal("1", await TrapRig.QueryAsync(await _rig.RestoreAsync(position: first), Count));
    }

    [Fact]
    public async Task A_start_goes_on_with_the_age_of_the_last_snapshot()
    {
        await Tool.SqlAsync(_rig.Database, "PRAGMA journal_mode = WAL; CREATE TABLE t(x)");
        await _rig.StartAsync();
        await CommitAsync();
        var first = await SnapshotAfterAsync(0);
        await _rig.StopAsync();

        _rig.SnapshotEvery = TimeSpan.FromDays(1);
        await _rig.StartAsync();
        await CommitAsync();
        await _rig.StopAsync();
        Assert.Equal(first, await NewestAsync());

        // By now the last one is older than this, and the process knows it from the vault alone.
        _rig.SnapshotEvery = TimeSpan.FromSeconds(1);
        await _rig.StartAsync();
        await SnapshotAfterAsync(first);
        Assert.Equal("2", await _rig.RestoredAsync(Count));
    }

    [Fact]
    public async Task A_snapshot_that_fails_is_told_and_tried_again_while_commits_go_on()
    {
        await Tool.SqlAsync(_rig.Database, "PRAGMA journal_mode = WAL; CREATE TABLE t(x); CREATE TABLE large(x);"
            + "INSERT INTO large VALUES (zeroblob(100000))");
        await _rig.StartAsync();
        await _rig.SyncAsync();
        var (pack, content) = await TakePackAsync();

        // On a slow machine the base, at position 1, has had its own time by now.
        var before = await NewestAsync();
        await CommitAsync();

        await Eventually.HoldsAsync(
            () => _rig.Status.SnapshotFailure == $"object {pack["app/".Length..]} is damaged: it is missing from memory",
            () => $"the failure is '{_rig.Status.SnapshotFailure}'");
        await CommitAsync();
        Assert.Equal(before, await NewestAsync());
        Assert.Equal(Salvor.Sqlite.SourceState.Healthy, _rig.Status.State);

        await _rig.Store.PutAsync(pack, content, default);
        await SnapshotAfterAsync(before);
        await Eventually.HoldsAsync(() => _rig.Status.SnapshotFailure.Length == 0, () => _rig.Status.SnapshotFailure);
        Assert.Equal("2", await _rig.RestoredAsync(Count));
    }

    [Fact]
    public async Task A_stop_does_not_wait_for_a_snapshot()
    {
        var store = new HeldStore();
        _rig.Store = store;
        await Tool.SqlAsync(_rig.Database, "PRAGMA journal_mode = WAL; CREATE TABLE t(x)");
        await _rig.StartAsync();
        await _rig.SyncAsync();
        store.Holds = "app/snapshots/";
        await CommitAsync();
        await Eventually.HoldsAsync(() => store.HasHeld, () => "no snapshot began");

        // While it hangs, commits become durable.
        await CommitAsync();
        await _rig.StopAsync().WaitAsync(TimeSpan.FromSeconds(8));

        Assert.Equal(0UL, await NewestAsync());
        Assert.Equal("2", await _rig.RestoredAsync(Count));
    }

    async Task CommitAsync()
    {
        await Tool.SqlAsync(_rig.Database, "INSERT INTO t VALUES (1)");
        await _rig.SyncAsync();
    }

    async Task<ulong> NewestAsync() => (await _rig.CatalogAsync()).Snapshots.Max(snapshot => snapshot.Position.Value);

    async Task<ulong> SnapshotAfterAsync(ulong position)
    {
        for (var attempt = 0; attempt < 100 && await NewestAsync() <= position; attempt++)
        {
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }

        var newest = await NewestAsync();
        Assert.True(newest > position, $"no snapshot was made after {position}: {_rig.Status.SnapshotFailure}\n{_rig}");
        return newest;
    }

    async Task<(string Key, byte[] Content)> TakePackAsync()
    {
        var key = (await _rig.Store.ListAsync("app/packs/", null, default).FirstAsync()).Key;
        var content = (await _rig.Store.GetAsync(key, 1 << 24, default))!;
        await _rig.Store.DeleteAsync(key, default);
        return (key, content);
    }
}
