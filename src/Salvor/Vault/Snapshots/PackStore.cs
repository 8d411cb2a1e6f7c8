using Salvor.Vault.Format;
using Salvor.Vault.Pruning;

namespace Salvor.Vault.Snapshots;

/// <summary>
/// Stores packs so that a prune never takes them for garbage of its own. A pack's key is its hash, and chunks that were deleted may come
/// back; so each pack carries the number of the last prune, and one that was condemned is never the same object as one made afterwards.
/// </summary>
sealed class PackStore(VaultAccess vault)
{
    readonly HashSet<Hash256> stored = [];
    Task<ulong>? lastPrune;

    public VaultAccess Vault => vault;

    /// <summary>The keys of packs that a verification found damaged.</summary>
    public IReadOnlySet<string> Damaged { get; init; } = new HashSet<string>();

    /// <summary>No epoch: whoever packs the same chunks again makes the same object, so an interrupted copy is not stored twice.</summary>
    public async Task<ObjectHeader> HeaderAsync(CancellationToken cancellationToken) => new()
    {
        Kind = ObjectKind.Pack,
        VaultId = vault.Id,
        Number = await (lastPrune ??= Condemnations.LastAsync(vault, cancellationToken)),
    };

    /// <summary>Stores a pack, or finds it stored.</summary>
    public async Task PutAsync(Hash256 name, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var key = VaultKeys.Pack(name);
        lock (stored)
        {
            stored.Add(name);
        }

        // The same chunks make the same pack: put beside what is there, it would leave the damage in its place.
        if (!await vault.PutAsync(key, bytes, cancellationToken) && Damaged.Contains(key))
        {
            await vault.ReplaceAsync(key, bytes, cancellationToken);
        }
    }

    /// <summary>Chunks of a pack that was there before are made use of.</summary>
    public void Use(Hash256 pack)
    {
        lock (stored)
        {
            stored.Add(pack);
        }
    }

    /// <summary>
    /// Right before something that names the packs is stored. A prune that condemns one of them later finds that name before it deletes.
    /// </summary>
    public async Task ExpectKeptAsync(CancellationToken cancellationToken)
    {
        var condemned = await Condemnations.LoadAsync(vault, cancellationToken);
        lock (stored)
        {
            if (stored.Select(VaultKeys.Pack).FirstOrDefault(condemned.Hides) is { } gone)
            {
                throw new SalvorException(
                    FailureKind.Locked,
                    $"a prune of vault {vault.Location} condemned {gone} while it was made use of",
                    "Nothing is lost. Try again: what goes is stored anew then.");
            }
        }
    }
}
