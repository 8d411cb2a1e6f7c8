using Salvor.Vault.Format;

namespace Salvor.Vault.Verify;

/// <summary>Finds what an object was before it was overwritten, at a destination that keeps that.</summary>
static class EarlierVersions
{
    /// <summary>
    /// The vault as it was when the oldest content of this object that is whole was there, with its hash; null where none is.
    /// </summary>
    public static async Task<(VaultAccess Vault, Hash256 Hash)?> FindAsync(
        VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        foreach (var earlier in await vault.EarlierAsync(key, cancellationToken))
        {
            try
            {
                return (earlier, await ObjectCheck.WholeAsync(earlier, key, cancellationToken));
            }
            catch (Exception e) when (e is LayerException or DamagedObjectException or NewerFormatException)
            {
                // What was put over it, or before it. What is wrong with the object is told already.
            }
        }

        return null;
    }
}
