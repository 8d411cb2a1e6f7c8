using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Wal;

namespace Salvor.Jobs.Clusters;

/// <summary>Whether a recovery gets to the newest log of a vault.</summary>
/// <param name="Lack">Why it does not, without a full stop; empty where it does.</param>
/// <param name="Gaps">What is missing on the way to the newest log.</param>
sealed record LogCover(string Lack, IReadOnlyList<string> Gaps)
{
    /// <summary>What none of so many newest backups reaches, an older one does not either.</summary>
    const int ReadMax = 8;

    /// <summary>Looks by listing, and reads no more than the records of some backups.</summary>
    /// <param name="vault">The vault at the first destination.</param>
    /// <param name="timeline">The timeline of the server.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<LogCover> LookAsync(VaultAccess vault, uint timeline, CancellationToken cancellationToken)
    {
        var log = await WalCatalog.LoadAsync(vault, cancellationToken);
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        if (catalog.Backups.Count == 0)
        {
            return new("there is no base backup", []);
        }

        if (log.Branches.LastOrDefault(branch => branch.Record.Timeline == timeline) is not { Number: var branch })
        {
            return new("", []);
        }

        var (path, end, reach) = (log.PathTo(branch), log.EndOf(branch), Lsn.None);
        foreach (var id in catalog.Backups.Reverse().Take(ReadMax))
        {
            if (await TryReadAsync(catalog, id, cancellationToken) is not { } backup)
            {
                continue;
            }

            var position = new Lsn(backup.Position);
            if (path.Any(item => item.Branch.Number == backup.Branch && position <= item.Own.End))
            {
                reach = Lsn.Max(reach, log.Reach(branch, position));
            }

            if (reach >= end)
            {
                break;
            }
        }

        return new(
            reach >= end ? ""
                : reach == Lsn.None ? $"no base backup leads to timeline {timeline} of the log"
                : $"no base backup leads past {reach}, and the log of timeline {timeline} goes on to {end}",
            [.. log.Gaps(branch).Select(gap => $"{gap}")]);
    }

    /// <summary>Null where it is damaged, or gone since it was listed: then it leads nowhere.</summary>
    static async Task<BackupRecord?> TryReadAsync(VaultCatalog catalog, ulong id, CancellationToken cancellationToken)
    {
        try
        {
            return await Backups.ReadAsync(catalog, id, cancellationToken);
        }
        catch (DamagedObjectException)
        {
            return null;
        }
    }
}
