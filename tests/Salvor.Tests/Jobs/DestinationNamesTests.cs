using Salvor.Jobs;
using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs;

/// <summary>Which vaults a place holds.</summary>
public sealed class DestinationNamesTests
{
    [Fact]
    public async Task What_others_keep_in_a_bucket_is_read_over_in_few_requests_and_harms_nothing()
    {
        var store = new Counting();
        string[] keys = ["app/vault", "app/log/1", "app/log/2", "app/packs/1", "app/snapshots/1", "zoo/claims/1", "zoo/vault"];
        foreach (var key in keys)
        {
            await store.PutAsync(key, new byte[1], default);
        }

        for (var i = 0; i < 500; i++)
        {
            await store.PutAsync($"photos/{i:d4}", new byte[1], default);
        }

        Assert.Equal(["app", "zoo"], await Destinations.NamesAsync(store, default));
        Assert.InRange(store.Listings, 1, 6);
    }

    sealed class Counting() : ForwardingStore(new MemoryStore())
    {
        public int Listings { get; private set; }

        public override IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken)
        {
            Listings++;
            return base.ListAsync(prefix, after, cancellationToken);
        }
    }
}
