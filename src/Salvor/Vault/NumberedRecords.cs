using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>Objects with JSON details whose keys are numbers from 1, made by create-if-absent: each takes the next free number.</summary>
static class NumberedRecords
{
    /// <summary>Stores a record under the next free number and returns that.</summary>
    /// <param name="vault">The vault.</param>
    /// <param name="folder">What the keys begin with.</param>
    /// <param name="keyOf">The key of a number.</param>
    /// <param name="header">The header; the number is added.</param>
    /// <param name="details">
    /// The details for a number. They must tell this record from that of another writer, so that a put whose answer was lost is recognised.
    /// </param>
    /// <param name="cancellationToken">Ends it between two puts.</param>
    public static async Task<ulong> PutNextAsync(
        VaultAccess vault, string folder, Func<ulong, string> keyOf, ObjectHeader header, Func<ulong, byte[]> details,
        CancellationToken cancellationToken)
    {
        var number = 1UL;
        await foreach (var row in vault.ListAsync(folder, after: null, cancellationToken))
        {
            number = VaultKeys.NumberOf(row.Key) + 1;
        }

        for (; ; number++)
        {
            using var writer = vault.NewObject();
            var (bytes, _) = writer.Finish(header with { VaultId = vault.Id, Number = number }, details(number));
            if (await vault.PutAsync(keyOf(number), bytes, cancellationToken)
                || await vault.HoldsAsync(keyOf(number), bytes, cancellationToken))
            {
                return number;
            }
        }
    }
}
