using Salvor.Storage;
using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>
/// What was under a key before somebody overwrote it, where a destination keeps that. Objects never change, so the oldest is ours.
/// </summary>
static class Versions
{
    /// <summary>The destination as it was for each earlier content of a key, oldest first.</summary>
    public static async Task<IReadOnlyList<IObjectStore>> EarlierAsync(
        IObjectStore store, string storeKey, CancellationToken cancellationToken) =>
        [.. (await store.EarlierAsync(storeKey, cancellationToken)).Select(version => new EarlierVersion(store, storeKey, version))];

    /// <summary>
    /// Reads what is there; where that is damaged, the first earlier content that is not. Throws what was wrong with the newest.
    /// </summary>
    public static async Task<T> FirstGoodAsync<T>(
        IObjectStore store, string storeKey, Func<IObjectStore, Task<T>> read, CancellationToken cancellationToken)
    {
        try
        {
            return await read(store);
        }
        catch (Exception e) when (e is DamagedObjectException { IsMissing: false } or NewerFormatException)
        {
            foreach (var earlier in await EarlierAsync(store, storeKey, cancellationToken))
            {
                try
                {
                    return await read(earlier);
                }
                catch (Exception next) when (next is DamagedObjectException or NewerFormatException)
                {
                    // The next may be good.
                }
            }

            throw;
        }
    }
}
