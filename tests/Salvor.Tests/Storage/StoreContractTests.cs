using Salvor.Storage;

namespace Salvor.Tests.Storage;

/// <summary>The contract is worth what it notices: each store here breaks one promise, as real services do.</summary>
public sealed class StoreContractTests
{
    [Fact]
    public async Task A_store_that_replaces_is_noticed() =>
        await AssertNoticedAsync("put never replaces an object", new BrokenStore { Replaces = true });

    [Fact]
    public async Task A_store_that_replaces_has_more_than_one_winner_of_a_race() =>
        await AssertNoticedAsync("of sixteen racing puts exactly one creates the object", new BrokenStore { Replaces = true });

    [Fact]
    public async Task A_listing_that_ends_at_a_thousand_keys_is_noticed() =>
        await AssertNoticedAsync(
            "a long listing is complete, page by page",
            new BrokenStore { Listing = items => items.Take(1_000) });

    [Fact]
    public async Task A_listing_in_another_order_is_noticed() =>
        await AssertNoticedAsync(
            "a listing has the order of whole keys",
            new BrokenStore { Listing = items => items.OrderBy(item => item.Key, StringComparer.OrdinalIgnoreCase) });

    [Fact]
    public async Task A_listing_that_begins_with_the_key_it_should_follow_is_noticed() =>
        await AssertNoticedAsync("a listing goes on after any key", new BrokenStore { RepeatsAfter = true });

    [Fact]
    public async Task A_deletion_that_does_nothing_is_noticed() =>
        await AssertNoticedAsync("a deleted object is gone", new BrokenStore { KeepsDeleted = true });

    [Fact]
    public async Task A_replacement_in_steps_is_noticed() =>
        await AssertNoticedAsync(
            "who reads an object while it is replaced has one of the two", new BrokenStore { ReplacesInSteps = true });

    [Fact]
    public async Task Content_that_is_cut_off_is_noticed() =>
        await AssertNoticedAsync("an object of 16 MiB is kept whole", new BrokenStore { SizeBytesMax = 8 * 1024 * 1024 });

    [Fact]
    public async Task A_broken_promise_names_the_store_the_promise_and_what_happened()
    {
        var store = new BrokenStore { Replaces = true };
        var promise = StoreContract.Cases.Single(item => item.Name == "put never replaces an object");

        var failure = await Assert.ThrowsAsync<StoreContractException>(() => promise.RunAsync(store, "trial", default));

        Assert.Equal(
            "broken breaks a promise that backups rest on: put never replaces an object: "
                + "the second put answered that it created the object",
            failure.Message);
        Assert.Equal(
            "Do not keep backups there. Run 'salvor bench destination' again to see whether it stays so, and use another destination.",
            failure.Hint);
    }

    [Fact]
    public void Every_promise_has_a_name_of_its_own() =>
        Assert.Equal(StoreContract.Cases.Count, StoreContract.Cases.Select(item => item.Name).Distinct().Count());

    static async Task AssertNoticedAsync(string promise, BrokenStore store) =>
        await Assert.ThrowsAsync<StoreContractException>(
            () => StoreContract.Cases.Single(item => item.Name == promise).RunAsync(store, "trial", default));

    sealed class BrokenStore : IObjectStore
    {
        readonly MemoryStore inner = new();

        public bool Replaces { get; init; }

        public bool ReplacesInSteps { get; init; }

        public bool KeepsDeleted { get; init; }

        public bool RepeatsAfter { get; init; }

        public int SizeBytesMax { get; init; } = int.MaxValue;

        public Func<IEnumerable<ObjectInfo>, IEnumerable<ObjectInfo>> Listing { get; init; } = items => items;

        public string Location => "broken";

        public async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            if (Replaces)
            {
                await inner.DeleteAsync(key, cancellationToken);
            }

            return await inner.PutAsync(key, content[..Math.Min(content.Length, SizeBytesMax)], cancellationToken);
        }

        public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
            inner.ReadAsync(key, offset, buffer, cancellationToken);

        public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) => inner.SizeAsync(key, cancellationToken);

        public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken)
        {
            var from = RepeatsAfter && after is { Length: > 0 } ? after[..^1] : after;
            return Listing(inner.ListAsync(prefix, from, cancellationToken).ToBlockingEnumerable(cancellationToken))
                .ToAsyncEnumerable();
        }

        public async Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            if (ReplacesInSteps)
            {
                await inner.DeleteAsync(key, cancellationToken);
                await Task.Delay(1, cancellationToken);
            }

            await inner.ReplaceAsync(key, content[..Math.Min(content.Length, SizeBytesMax)], cancellationToken);
        }

        public Task DeleteAsync(string key, CancellationToken cancellationToken) =>
            KeepsDeleted ? Task.CompletedTask : inner.DeleteAsync(key, cancellationToken);
    }
}
