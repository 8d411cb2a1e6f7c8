using Salvor.Storage;

namespace Salvor.Tests.Support;

/// <summary>Tests of the tools that other tests trust.</summary>
public sealed class FaultTests
{
    static readonly byte[] Content = [7];

    [Fact]
    public async Task A_fault_before_has_no_effect()
    {
        var inner = new MemoryStore();
        var store = new FaultyStore(inner, _ => Fault.Before);

        await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("a", Content, default));

        Assert.Null(await inner.SizeAsync("a", default));
    }

    [Fact]
    public async Task A_fault_after_loses_the_answer_alone()
    {
        var inner = new MemoryStore();
        var store = new FaultyStore(inner, call => call == new StoreCall(1, StoreOperation.Put, "a") ? Fault.After : Fault.None);

        var failure = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("a", Content, default));

        Assert.True(failure.MayPass);
        Assert.Equal("injected fault in call 1: Put a", failure.Message);
        Assert.Equal(PutResult.AlreadyExists, await store.PutAsync("a", Content, default));
    }

    [Fact]
    public async Task A_listing_cut_off_after_its_last_key_fails_nevertheless()
    {
        var inner = new MemoryStore();
        await inner.PutAsync("a", Content, default);
        var listing = new FaultyStore(inner, _ => Fault.After).ListAsync("", null, default).GetAsyncEnumerator();

        Assert.True(await listing.MoveNextAsync());
        await Assert.ThrowsAsync<StorageException>(async () => await listing.MoveNextAsync());
    }

    [Fact]
    public async Task Every_call_fails_once_before_then_once_after_its_effect()
    {
        var starts = 0;

        var callCount = await EveryFault.TryAsync(
            createStore: () =>
            {
                starts++;
                return new MemoryStore();
            },
            operation: async store =>
            {
                await store.PutAsync("a", Content, default);
                await store.PutAsync("b", Content, default);
            },
            check: async store => Assert.Equal(
                [new("a", 1), new ObjectInfo("b", 1)], await store.ListAsync("", null, default).ToListAsync()));

        Assert.Equal(2, callCount);
        Assert.Equal(2 * 3, starts);
    }

    [Fact]
    public async Task An_operation_that_takes_a_lost_answer_for_a_conflict_is_found_out()
    {
        await Assert.ThrowsAsync<InvalidOperationException>(() => EveryFault.TryAsync(
            createStore: () => new MemoryStore(),
            operation: async store =>
            {
                if (await store.PutAsync("a", Content, default) != PutResult.Created)
                {
                    throw new InvalidOperationException("someone else was here");
                }
            },
            check: _ => Task.CompletedTask));
    }

    [Fact]
    public async Task A_store_takes_the_time_it_is_told_to()
    {
        var latencies = new List<StoreCall>();
        var store = new FaultyStore(new MemoryStore(), _ => Fault.None, call =>
        {
            latencies.Add(call);
            return TimeSpan.Zero;
        });

        await store.PutAsync("a", Content, default);
        await store.ListAsync("", null, default).ToListAsync();

        Assert.Equal([new(1, StoreOperation.Put, "a"), new StoreCall(2, StoreOperation.List, "")], latencies);
    }
}
