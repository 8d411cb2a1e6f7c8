using Salvor.Storage;
using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>
/// The heads of a destination: what each daemon last knew of all its vaults there. They turn "no commit came" into a fact that can be
/// restored to, show when the newest objects of a log are missing, and renew the claims of their daemon.
/// </summary>
public static class Heads
{
    /// <summary>How often a daemon publishes a head at least.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMinutes(15);

    const int KeptPerWriter = 3;

    /// <summary>Publishes a head; null where its number is taken.</summary>
    public static async Task<ulong?> TryPutAsync(
        IObjectStore store, string writerId, ulong number, HeadRecord record, CancellationToken cancellationToken)
    {
        using var writer = new ObjectWriter(VaultSecrets.Plain, FrameCompression.Default);
        var header = new ObjectHeader { Kind = ObjectKind.Head, VaultId = Guid.Empty, Number = number };
        var (bytes, _) = writer.Finish(header, VaultJson.Write(record, VaultJson.Default.HeadRecord));
        if (await store.PutAsync(VaultKeys.Head(writerId, number), bytes, cancellationToken) == PutResult.AlreadyExists)
        {
            return null;
        }

        if (number > KeptPerWriter)
        {
            try
            {
                await store.DeleteAsync(VaultKeys.Head(writerId, number - KeptPerWriter), cancellationToken);
            }
            catch (StorageException e) when (e.Failure == StorageFailure.Denied)
            {
                // With credentials that may not delete, they stay: some hundred bytes each.
            }
        }

        return number;
    }

    /// <summary>The newest head of a writer and its number; null where it has none.</summary>
    public static async Task<(ulong Number, HeadRecord Record)?> LastOfAsync(
        IObjectStore store, string writerId, CancellationToken cancellationToken)
    {
        string? last = null;
        await foreach (var row in store.ListAsync(VaultKeys.HeadsOf(writerId), after: null, cancellationToken))
        {
            last = row.Key;
        }

        return last is null ? null : (VaultKeys.NumberOf(last), await ReadAsync(store, last, cancellationToken));
    }

    /// <summary>What is known best of this vault from the heads, or null where none knows it.</summary>
    public static async Task<HeadEntry?> FindAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        var entries = await OfVaultAsync(vault, cancellationToken);
        if (entries.MaxBy(entry => (entry.CompleteAsOf is not null, entry.Epoch, entry.CompleteAsOf)) is not { } best)
        {
            return null;
        }

        // Ids only grow, so whoever saw the newest backup is right.
        var found = best with { Backup = entries.Max(entry => entry.Backup) };

        // Whoever was taken over and does not know it may say anything: what it said before counts.
        var claim = await new WriterClaims(vault).NewestWithEpochAsync(cancellationToken);
        return claim is { } newest && newest.Epoch > found.Epoch && newest.Claim.Since < found.CompleteAsOf
            ? found with { CompleteAsOf = newest.Claim.Since }
            : found;
    }

    /// <summary>What the newest head of each daemon says of this vault.</summary>
    internal static async Task<IReadOnlyList<HeadEntry>> OfVaultAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        var newest = new Dictionary<string, string>();
        await foreach (var row in vault.Store.ListAsync(VaultKeys.Heads, after: null, cancellationToken))
        {
            newest[row.Key[..row.Key.LastIndexOf('/')]] = row.Key;
        }

        string[] keys = [.. newest.Values];
        var heads = new HeadRecord[keys.Length];
        await InFlight.ForEachAsync(
            keys.Length, async i => heads[i] = await ReadAsync(vault.Store, keys[i], cancellationToken), cancellationToken);
        return [.. heads.SelectMany(head => head.Vaults).Where(entry => entry.VaultId == vault.Id)];
    }

    static Task<HeadRecord> ReadAsync(IObjectStore store, string key, CancellationToken cancellationToken) =>
        Versions.FirstGoodAsync(store, key, from => ReadFromAsync(from, key, cancellationToken), cancellationToken);

    static async Task<HeadRecord> ReadFromAsync(IObjectStore store, string key, CancellationToken cancellationToken)
    {
        using var stored = await StoredObject.OpenAsync(
            store, "", key, ObjectKind.Head, VaultSecrets.Plain, whole: true, cancellationToken);
        return VaultJson.Read(key, await stored.ReadDetailsAsync(cancellationToken), VaultJson.Default.HeadRecord);
    }
}
