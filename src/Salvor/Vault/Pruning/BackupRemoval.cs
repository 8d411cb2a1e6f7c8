namespace Salvor.Vault.Pruning;

/// <summary>Whether one backup may go because somebody asks for it.</summary>
public static class BackupRemoval
{
    /// <summary>
    /// The backup. Throws where there is none, where it went already, and where it is the newest, or the newest that is proven. No backup
    /// depends on another, so nothing else is looked at.
    /// </summary>
    /// <param name="catalog">The vault.</param>
    /// <param name="id">The backup.</param>
    /// <param name="proven">The newest restore point that a verification has restored; null where none is known.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<BackupRecord> ExpectAllowedAsync(
        VaultCatalog catalog, ulong id, (uint Branch, Position Position)? proven, CancellationToken cancellationToken)
    {
        var key = VaultKeys.Backup(id);
        if (catalog.Condemned.All.LastOrDefault(item => !item.IsUndeleted && item.Keys.Contains(key)) is { } gone)
        {
            throw new SalvorException(
                FailureKind.NotRestorable,
                $"backup {id} of vault {catalog.Vault.Location} was condemned already, as number {gone.Number}",
                gone.IsDeleting
                    ? "Its restore point may be there still: 'salvor list' shows it."
                    : $"'salvor prune undelete {gone.Number}' takes it back.");
        }

        var backup = await Backups.ReadAsync(catalog, id, cancellationToken);
        var all = new List<BackupRecord>();
        foreach (var other in catalog.Backups)
        {
            all.Add(await Backups.ReadAsync(catalog, other, cancellationToken));
        }

        var wal = catalog.Vault.Identity.IsPostgres
            ? (await PruneReading.ReadAsync(catalog, proven, DateTimeOffset.MinValue, cancellationToken)).Wal
            : null;
        return BackupVerdicts.Fixed(all, proven, wal?.Broken.ToHashSet(), wal?.Leading).TryGetValue(id, out var what)
            ? throw new SalvorException(
                FailureKind.Usage,
                $"backup {id} of vault {catalog.Vault.Location} is {what}, and stays",
                "Make a newer one with 'salvor backup', prove it with 'salvor verify --deep', then try again.")
            : backup;
    }
}
