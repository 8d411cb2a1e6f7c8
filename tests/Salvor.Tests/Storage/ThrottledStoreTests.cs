using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage;

/// <summary>The contract under limits that are not reached.</summary>
public sealed class ThrottledStoreContractTests : ObjectStoreContractTests
{
    protected override IObjectStore CreateStore() =>
        new ThrottledStore(new MemoryStore(), new StoreLimits(1L << 40, 1L << 40, 3, TimeProvider.System));
}

/// <summary>Limits of a destination.</summary>
public sealed class ThrottledStoreTests : IDisposable
{
    const int Mebibyte = 1 << 20;

    readonly SteppedTime time = new();
    readonly MemoryStore memory = new();
    readonly StoreLimits limits;
    readonly ThrottledStore store;

    public ThrottledStoreTests()
    {
        limits = new StoreLimits(Mebibyte, Mebibyte, null, time);
        store = new ThrottledStore(memory, limits);
    }

    public void Dispose() => limits.Dispose();

    [Theory]
    [InlineData(typeof(ThrottledStore))]
    [InlineData(typeof(RetryingStore))]
    public void What_wraps_a_store_passes_every_call_on_and_leaves_none_to_a_default(Type wrapper)
    {
        var map = wrapper.GetInterfaceMap(typeof(IObjectStore));

        // The one that is made of other calls.
        Assert.Equal(
            [nameof(IObjectStore.ReadStartsAsync)],
            map.TargetMethods.Where(method => method?.DeclaringType != wrapper).Select(method => method!.Name.Split('.')[^1]));
    }

    [Fact]
    public async Task A_large_object_goes_at_once_then_the_next_waits_until_it_is_paid_for()
    {
        await PutAsync("a", 4 * Mebibyte);
        var next = PutAsync("b", 4 * Mebibyte);

        time.Advance(TimeSpan.FromSeconds(3.9));
        Assert.False(next.IsCompleted);
        Assert.Null(await memory.SizeAsync("b", default));
        time.Advance(TimeSpan.FromSeconds(0.2));

        await next.WaitAsync(Eventually.StartMax);
    }

    [Fact]
    public async Task A_commit_does_not_wait_behind_what_is_large_which_pays_for_it()
    {
        await PutAsync("packs/1", 4 * Mebibyte);
        var waiting = PutAsync("packs/2", 4 * Mebibyte);

        await PutAsync("log/1", 200 << 10).WaitAsync(Eventually.StartMax);

        time.Advance(TimeSpan.FromSeconds(4.1));
        Assert.False(waiting.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.2));
        await waiting.WaitAsync(Eventually.StartMax);
    }

    [Fact]
    public async Task Commits_by_themselves_keep_to_the_limit_too()
    {
        for (var i = 0; i < 5; i++)
        {
            var put = PutAsync($"log/{i}", 256 << 10);
            if (i > 0)
            {
                Assert.False(put.IsCompleted);
                time.Advance(TimeSpan.FromSeconds(0.26));
            }

            await put.WaitAsync(Eventually.StartMax);
        }
    }

    [Fact]
    public async Task What_was_not_used_for_long_is_used_later_for_a_second_and_no_more()
    {
        time.Advance(TimeSpan.FromHours(1));
        await PutAsync("a", 3 * Mebibyte);
        var next = PutAsync("b", 3 * Mebibyte);

        time.Advance(TimeSpan.FromSeconds(1.9));
        Assert.False(next.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.2));
        await next.WaitAsync(Eventually.StartMax);
    }

    [Fact]
    public async Task A_read_counts_what_came_and_not_what_was_asked_for()
    {
        await memory.PutAsync("a", new byte[10], default);

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(10, await store.ReadAsync("a", 0, new byte[16 * Mebibyte], default).WaitAsync(Eventually.StartMax));
            time.Advance(TimeSpan.FromMilliseconds(1));
            await Assert.ThrowsAsync<StorageException>(
                () => store.ReadAsync("b", 0, new byte[16 * Mebibyte], default).WaitAsync(Eventually.StartMax));
        }

        await memory.PutAsync("c", new byte[4 * Mebibyte], default);
        await store.ReadAsync("c", 0, new byte[4 * Mebibyte], default).WaitAsync(Eventually.StartMax);
        Assert.False(store.ReadAsync("c", 0, new byte[4 * Mebibyte], default).IsCompleted);
    }

    [Fact]
    public async Task No_more_calls_than_allowed_are_under_way_and_one_that_is_cancelled_makes_room()
    {
        var held = new HeldStore { Holds = "held" };
        using var two = new StoreLimits(null, null, 2, time);
        var limited = new ThrottledStore(held, two);
        using var stop = new CancellationTokenSource();
        Task[] holding = [limited.PutAsync("held/1", new byte[1], stop.Token), limited.PutAsync("held/2", new byte[1], stop.Token)];

        var third = limited.PutAsync("c", new byte[1], default);
        var list = limited.ListAsync("", null, default).ToListAsync().AsTask();
        Assert.False(third.IsCompleted || list.IsCompleted);
        await stop.CancelAsync();

        Assert.Equal(PutResult.Created, await third.WaitAsync(Eventually.StartMax));
        await list.WaitAsync(Eventually.StartMax);
        foreach (var put in holding)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => put);
        }
    }

    Task<PutResult> PutAsync(string key, int bytes) => store.PutAsync(key, new byte[bytes], default);
}
