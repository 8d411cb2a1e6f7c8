using Salvor.Storage;
using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>
/// The heads of a destination: what each daemon last knew of all its vaults there. They turn "no commit came" into a fact that can be
/// restored to, and show when the newest objects of a log are missing.
/// </summary>
public static class Heads
{
    const int KeptPerWriter = 3;

    /// <summary>Publishes the next head of a writer and returns its number.</summary>
    public static async Task<ulong> PutAsync(
        IObjectStore store, string writerId, ulong previous, HeadRecord record, CancellationToken cancellationToken)
    {
        var number = previous + 1;
        using var writer = new ObjectWriter(VaultSecrets.Plain);
        var header = new ObjectHeader { Kind = ObjectKind.Head, VaultId = Guid.Empty, Number = number };
        var (bytes, _) = writer.Finish(header, VaultJson.Write(record, VaultJson.Default.HeadRecord));
        await store.PutAsync(VaultKeys.Head(writerId, number), bytes, cancellationToken);
        if (number > KeptPerWriter)
        {
            await store.DeleteAsync(VaultKeys.Head(writerId, number - KeptPerWriter), cancellationToken);
        }

        return number;
    }

    /// <summary>What the newest head that knows this vault says of it, or null.</summary>
    public static async Task<HeadEntry?> FindAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        var newest = new Dictionary<string, string>();
        await foreach (var row in vault.Store.ListAsync(VaultKeys.Heads, after: null, cancellationToken))
        {
            newest[row.Key[..row.Key.LastIndexOf('/')]] = row.Key;
        }

        HeadEntry? found = null;
        foreach (var key in newest.Values)
        {
            using var stored = await StoredObject.OpenAsync(
                vault.Store, "", key, ObjectKind.Head, VaultSecrets.Plain, whole: true, cancellationToken);
            var head = VaultJson.Read(key, await stored.ReadDetailsAsync(cancellationToken), VaultJson.Default.HeadRecord);
            var entry = head.Vaults.FirstOrDefault(item => item.VaultId == vault.Id);
            found = entry is not null && (found is null || entry.CompleteAsOf > found.CompleteAsOf) ? entry : found;
        }

        return found;
    }
}
