using Salvor.Vault.Format;

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
    /// Stores a record under the next free id, which is filled in. What it refers to must be durable before.
    /// </summary>
    public static async Task<BackupRecord> PutAsync(VaultAccess vault, BackupRecord record, CancellationToken cancellationToken)
    {
        var header = new ObjectHeader { Kind = ObjectKind.Backup, VaultId = vault.Id };
        var id = await NumberedRecords.PutNextAsync(
            vault, VaultKeys.Backups, VaultKeys.Backup, header,
            number => VaultJson.Write(record with { Id = number }, VaultJson.Default.BackupRecord), cancellationToken);
        return record with { Id = id };
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
        : record;
}
