using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault.Format;

namespace Salvor.Vault.Trees;

/// <summary>The backups of a vault whose snapshots are trees: they alone are what can be restored.</summary>
public static class TreeBackups
{
    /// <summary>Makes a stored snapshot a backup: from here on it is offered.</summary>
    internal static Task<BackupRecord> PutAsync(
        VaultAccess vault, BackupRequest request, StoredTree stored, long sizeBytes, DateTimeOffset started, TimeProvider time,
        CancellationToken cancellationToken) => Backups.PutAsync(
        vault,
        new BackupRecord
        {
            Id = 0,
            Branch = TreeSnapshotWriter.Branch,
            Position = stored.Position.Value,
            Time = Micros.ToTime(Micros.Of(started)),
            Label = request.Label,
            Mode = request.Mode,
            RetentionDays = request.RetentionDays,
            CreatedAt = time.GetUtcNow(),
            Host = ProcessIdentity.Current().Host,
            SizeBytes = sizeBytes,
            Checksum = stored.DetailsHash.ToString()[..16],
            AddedBytes = stored.StoredBytes,
        },
        cancellationToken);

    /// <summary>
    /// The backup that somebody means: <c>latest</c> or nothing, an id, a label, or a time, which means the last one at or before it.
    /// Throws <see cref="FailureKind.NotRestorable"/> where there is none.
    /// </summary>
    public static async Task<BackupRecord> FindAsync(VaultCatalog catalog, string? name, CancellationToken cancellationToken)
    {
        if (catalog.Backups.Count == 0)
        {
            throw new SalvorException(
                FailureKind.NotRestorable,
                $"nothing is backed up yet in vault {catalog.Vault.Location}",
                "Run 'salvor backup' first.");
        }

        if (name is null or "latest")
        {
            return await Backups.ReadAsync(catalog, catalog.Backups[^1], cancellationToken);
        }

        if (ulong.TryParse(name, System.Globalization.CultureInfo.InvariantCulture, out var id))
        {
            return await Backups.ReadAsync(catalog, id, cancellationToken);
        }

        DateTimeOffset? until = InstantText.TryParse(name, out var time) ? time : null;
        foreach (var candidate in catalog.Backups.Reverse())
        {
            var record = await Backups.ReadAsync(catalog, candidate, cancellationToken);
            if (record.Label == name || record.Time <= until)
            {
                return record;
            }
        }

        throw new SalvorException(
            FailureKind.NotRestorable,
            until is null
                ? $"vault {catalog.Vault.Location} has no backup '{name}'"
                : $"vault {catalog.Vault.Location} has no backup at or before {InstantText.Format(until.Value)}",
            "Name one by its id, its label, a time, or 'latest'; 'salvor list' shows all.");
    }

    /// <summary>The snapshot of a backup.</summary>
    public static Task<TreeSnapshot> OpenAsync(VaultAccess vault, BackupRecord record, CancellationToken cancellationToken) =>
        TreeSnapshot.OpenAsync(vault, new SnapshotRef(record.Branch, new Position(record.Position)), cancellationToken);
}
