using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Restore;

/// <summary>A base backup that a recovery can begin with.</summary>
/// <param name="Id">Of the backup.</param>
/// <param name="Branch">The timeline that it was made on.</param>
/// <param name="Log">The log that it needs to be consistent: from its checkpoint to its end.</param>
/// <param name="Time">When it was complete: it can be restored to no earlier moment.</param>
public sealed record ClusterBackup(ulong Id, uint Branch, WalRange Log, DateTimeOffset Time)
{
    /// <summary>The snapshot of a backup, and what of the log it needs.</summary>
    public static async Task<(ClusterBackup Backup, TreeSnapshot Snapshot)> OpenAsync(
        VaultAccess vault, BackupRecord record, CancellationToken cancellationToken)
    {
        var snapshot = await TreeBackups.OpenAsync(vault, record, cancellationToken);
        var log = new WalRange(new Lsn(snapshot.Header.PositionFirst), new Lsn(snapshot.Header.PositionLast));
        return (new ClusterBackup(record.Id, record.Branch, log, record.Time), snapshot);
    }

    /// <summary>All base backups of a vault, the oldest first. One that is damaged is told, and the others are there.</summary>
    public static async Task<IReadOnlyList<ClusterBackup>> AllAsync(
        VaultCatalog catalog, Action<DamagedObjectException> damaged, CancellationToken cancellationToken)
    {
        var all = new List<ClusterBackup>();
        foreach (var id in catalog.Backups)
        {
            try
            {
                var record = await Backups.ReadAsync(catalog, id, cancellationToken);
                all.Add((await OpenAsync(catalog.Vault, record, cancellationToken)).Backup);
            }
            catch (DamagedObjectException e)
            {
                damaged(e);
            }
        }

        return all;
    }
}
