using System.Runtime.CompilerServices;
using Salvor.Storage;

namespace Salvor.Vault.Copies;

/// <summary>Listings of the same vault at several destinations, read side by side.</summary>
static class CopyListing
{
    /// <summary>Every key that any of them has, once, in order; the size is that of the first that has it.</summary>
    public static async IAsyncEnumerable<ObjectInfo> UnionAsync(IReadOnlyList<IAsyncEnumerable<ObjectInfo>> listings)
    {
        await foreach (var (_, rows) in SideBySideAsync(listings))
        {
            yield return rows.First(row => row is not null)!.Value;
        }
    }

    /// <summary>Every key that any of them has, in order, with its row in each, or null where that one does not have it.</summary>
    public static async IAsyncEnumerable<(string Key, ObjectInfo?[] Rows)> SideBySideAsync(
        IReadOnlyList<IAsyncEnumerable<ObjectInfo>> listings)
    {
        var rows = listings.Select(listing => listing.GetAsyncEnumerator()).ToList();
        try
        {
            var current = new ObjectInfo?[rows.Count];
            for (var i = 0; i < rows.Count; i++)
            {
                current[i] = await rows[i].MoveNextAsync() ? rows[i].Current : null;
            }

            while (current.Where(row => row is not null).Select(row => row!.Value.Key).Min(StringComparer.Ordinal) is { } key)
            {
                yield return (key, [.. current.Select(row => row?.Key == key ? row : null)]);
                for (var i = 0; i < rows.Count; i++)
                {
                    if (current[i]?.Key == key)
                    {
                        current[i] = await rows[i].MoveNextAsync() ? rows[i].Current : null;
                    }
                }
            }
        }
        finally
        {
            foreach (var item in rows)
            {
                await item.DisposeAsync();
            }
        }
    }

    /// <summary>
    /// A listing that ends early where its destination cannot be reached: what the other destinations have must still be found.
    /// </summary>
    public static async IAsyncEnumerable<ObjectInfo> WhileReachableAsync(
        IAsyncEnumerable<ObjectInfo> listing, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await using var rows = listing.GetAsyncEnumerator(cancellationToken);
        while (true)
        {
            try
            {
                if (!await rows.MoveNextAsync())
                {
                    yield break;
                }
            }
            catch (StorageException)
            {
                // Whoever needs an object that is only there is told that it is missing.
                yield break;
            }

            yield return rows.Current;
        }
    }
}
