using Salvor.Vault.Format;

namespace Salvor.Vault.Restore;

/// <summary>
/// Uses a vault whose log objects may be superseded meanwhile: where one that was listed is gone when it is read, the vault is listed once
/// more and all begins again.
/// </summary>
public static class FreshListing
{
    /// <summary>A superseded object stays for minutes, so more than once is rare already; more often than this is something else.</summary>
    const int AttemptsMax = 3;

    /// <summary>Runs a step with a listing, again with a new one where it needs to. The step must bear being begun anew.</summary>
    public static async Task<T> UseAsync<T>(VaultAccess vault, Func<VaultCatalog, Task<T>> step, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
            try
            {
                return await step(catalog);
            }
            catch (DamagedObjectException e) when (e.IsMissing && attempt < AttemptsMax && WasListed(catalog, e.Key))
            {
                // Either something that covers it is in the next listing, or the next one does not have it and says so.
            }
        }
    }

    static bool WasListed(VaultCatalog catalog, string key) =>
        key.StartsWith(VaultKeys.Logs, StringComparison.Ordinal)
        && VaultKeys.LogEntryOf(key, 0).Entry is var gone
        && catalog.Logs(VaultKeys.BranchOf(key)).Entries.Any(entry => (entry.First, entry.Last) == (gone.First, gone.Last));
}
