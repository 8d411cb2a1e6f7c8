using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Verify;

namespace Salvor.Vault;

/// <summary>What a backup is to be.</summary>
/// <param name="Label">For people; may be empty.</param>
/// <param name="Mode">What it is called; each is complete.</param>
/// <param name="RetentionDays">For how many days it stays; null where the rules of the source say that.</param>
public sealed record BackupRequest(string Label, string Mode, int? RetentionDays)
{
    /// <summary>A hundred years.</summary>
    public const int RetentionDaysMax = 36500;

    /// <summary>How what it stores anew is compressed; null where as the rest of the source.</summary>
    public FrameCompression? Compression { get; init; }
}

/// <summary>The backups of a vault: restore points with a number and a label, made on request or by schedule.</summary>
public static class Backups
{
    /// <summary>
    /// Stores a record under the next free id, which is filled in with its link to the backups before it. What it refers to must be durable
    /// before.
    /// </summary>
    public static async Task<BackupRecord> PutAsync(VaultAccess vault, BackupRecord record, CancellationToken cancellationToken)
    {
        for (var free = 1UL; ; free++)
        {
            var (id, before) = await NextAsync(vault, cancellationToken);
            free = Math.Max(free, id);
            var linked = record with { Id = free, Before = before };
            using var writer = vault.NewObject();
            var header = new ObjectHeader { Kind = ObjectKind.Backup, VaultId = vault.Id, Number = free };
            var (bytes, _) = writer.Finish(header, VaultJson.Write(linked, VaultJson.Default.BackupRecord));
            var key = VaultKeys.Backup(free);
            if (await vault.PutAsync(key, bytes, cancellationToken) || await vault.HoldsAsync(key, bytes, cancellationToken))
            {
                return linked;
            }
        }
    }

    /// <summary>The next free id, and what a record that takes it says of those before it.</summary>
    static async Task<(ulong Id, BackupsBefore Before)> NextAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        var ids = await vault.ListAsync(VaultKeys.Backups, after: null, cancellationToken)
            .Select(row => VaultKeys.NumberOf(row.Key)).ToListAsync(cancellationToken);
        var known = await LastOfHeadsAsync(vault, cancellationToken);
        var next = Math.Max(ids.LastOrDefault(), known) + 1;
        foreach (var id in Enumerable.Reverse(ids))
        {
            try
            {
                var (record, hash) = await ObjectCheck.BackupAsync(vault, VaultKeys.Backup(id), cancellationToken);
                var gone = record.Before?.Gone ?? await GoneAsync(vault, ids, cancellationToken);
                return (next, new BackupsBefore(id, hash.ToString(), gone));
            }
            catch (Exception e) when (e is LayerException or DamagedObjectException or NewerFormatException)
            {
                // A verification tells it; the one before it is the link.
            }
        }

        return (next, new BackupsBefore(0, Hash256.Zero.ToString(), []));
    }

    /// <summary>An id that a head names is taken, be its record there or not.</summary>
    static async Task<ulong> LastOfHeadsAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        try
        {
            return (await Heads.OfVaultAsync(vault, cancellationToken)).Select(entry => entry.Backup).DefaultIfEmpty().Max();
        }
        catch (SalvorException e) when (e is DamagedObjectException or NewerFormatException)
        {
            // As above.
            return 0;
        }
    }

    /// <summary>What is absent and no prune explains, when the first link is made.</summary>
    static async Task<IReadOnlyList<NumberRange>> GoneAsync(
        VaultAccess vault, IReadOnlyList<ulong> ids, CancellationToken cancellationToken)
    {
        var condemned = await Condemnations.LoadAsync(vault, cancellationToken);
        return [.. NumberRanges.Missing(ids.Select(id => (id, id)).Concat(condemned.BackupsGone), ids[^1])
            .Select(range => new NumberRange(range.First, range.Last))];
    }

    /// <summary>Reads one. Throws <see cref="FailureKind.NotRestorable"/> where there is none of this id.</summary>
    public static async Task<BackupRecord> ReadAsync(VaultCatalog catalog, ulong id, CancellationToken cancellationToken)
    {
        if (!catalog.Backups.Contains(id))
        {
            throw new SalvorException(
                FailureKind.NotRestorable,
                $"vault {catalog.Vault.Location} has no backup {id}",
                catalog.Backups.Count == 0
                    ? "It has none; 'salvor backup' makes one, and 'salvor list' shows what can be restored without."
                    : $"Its newest is {catalog.Backups[^1]}; 'salvor list' shows all.");
        }

        var key = VaultKeys.Backup(id);
        var record = await catalog.Vault.ReadRecordAsync(key, ObjectKind.Backup, VaultJson.Default.BackupRecord, cancellationToken);
        return Expect(key, id, record);
    }

    /// <summary>The record, where it can be that of the backup in this place.</summary>
    internal static BackupRecord Expect(string key, ulong id, BackupRecord record) =>
        record.Id != id ? throw new DamagedObjectException(key, $"it is backup {record.Id}, put in this place")
        : record.RetentionDays is < 1 or > BackupRequest.RetentionDaysMax
            ? throw new DamagedObjectException(key, $"it is to stay for {record.RetentionDays} days")
        : record.Before is { } before && !IsLink(before, id)
            ? throw new DamagedObjectException(key, $"it cannot follow backup {before.Id} as it says")
        : record;

    static bool IsLink(BackupsBefore before, ulong id) => before.Id < id && Hash256.TryParse(before.Hash, out _)
        && before.Gone.All(range => range is not null && range.First > 0 && range.First <= range.Last && range.Last < id);
}
