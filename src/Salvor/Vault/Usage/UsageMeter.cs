using Salvor.Storage;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Trees;

namespace Salvor.Vault.Usage;

/// <summary>
/// Measures what a vault takes from one listing of it, the roots of its snapshots and a few headers: the log is in the order of time, so
/// the object where a day began is found in a few steps. How well frames compress is judged from objects spread over the vault.
/// </summary>
public static class UsageMeter
{
    /// <summary>Of packs and of log objects each: a smaller vault is measured whole.</summary>
    const int SampleMax = 100;

    /// <summary>Measures a vault.</summary>
    public static async Task<VaultUsage> MeasureAsync(VaultAccess vault, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var rows = Enum.GetValues<UsageKind>().ToDictionary(kind => kind, _ => new List<ObjectInfo>());
        var catalog = await VaultCatalog.LoadAsync(vault, row => rows[KindOf(row.Key)].Add(row), cancellationToken);
        return new VaultUsage
        {
            Kinds = rows.ToDictionary(item => item.Key, item => new Amount(item.Value.Count, item.Value.Sum(row => row.SizeBytes))),
            DatabaseBytes = await DatabaseBytesAsync(catalog, cancellationToken),
            SnapshotContentBytes = await SnapshotContentBytesAsync(vault, rows[UsageKind.Snapshots], cancellationToken),
            CompressionRatio = await CompressionRatioAsync(vault, rows, cancellationToken),
            Growth = await GrowthAsync(vault, rows, now, cancellationToken),
        };
    }

    static UsageKind KindOf(string key) =>
        key.StartsWith(VaultKeys.Logs, StringComparison.Ordinal)
            ? key.Contains('-', StringComparison.Ordinal) ? UsageKind.Compacted : UsageKind.Log
        : key.StartsWith(VaultKeys.Wals, StringComparison.Ordinal) ? UsageKind.Wal
        : key.StartsWith(VaultKeys.Packs, StringComparison.Ordinal) ? UsageKind.Packs
        : key.StartsWith(VaultKeys.Snapshots, StringComparison.Ordinal) ? UsageKind.Snapshots
        : UsageKind.Other;

    static async Task<long> DatabaseBytesAsync(VaultCatalog catalog, CancellationToken cancellationToken)
    {
        if (catalog.IsEmpty || (catalog.Vault.Identity.IsTree && catalog.Backups.Count == 0))
        {
            return 0;
        }

        if (catalog.Vault.Identity.IsTree)
        {
            return (await Backups.ReadAsync(catalog, catalog.Backups[^1], cancellationToken)).SizeBytes;
        }

        try
        {
            var planner = new RestorePlanner(catalog);
            var latest = await planner.LatestAsync(planner.NewestBranch, cancellationToken);
            var details = (await planner.LogOfAsync(latest, cancellationToken)).Details;
            return (long)details.Commits[^1].PageCount * details.PageSize;
        }
        catch (SalvorException e) when (e.Kind == FailureKind.NotRestorable)
        {
            // The first copy is not complete: it takes room already.
            return 0;
        }
    }

    static async Task<long> SnapshotContentBytesAsync(
        VaultAccess vault, IEnumerable<ObjectInfo> rows, CancellationToken cancellationToken)
    {
        var bytes = 0L;
        foreach (var row in rows)
        {
            using var stored = await vault.OpenAsync(row.Key, ObjectKind.Snapshot, whole: false, cancellationToken);
            bytes += SnapshotRoot.Read(row.Key, await stored.ReadDetailsAsync(cancellationToken)).ContentBytes;
        }

        return bytes;
    }

    static async Task<double?> CompressionRatioAsync(
        VaultAccess vault, Dictionary<UsageKind, List<ObjectInfo>> rows, CancellationToken cancellationToken)
    {
        var (content, stored) = (0L, 0L);
        foreach (var (kind, objectKind) in ((UsageKind, ObjectKind)[])
            [(UsageKind.Packs, ObjectKind.Pack), (UsageKind.Log, ObjectKind.Log), (UsageKind.Compacted, ObjectKind.Log),
                (UsageKind.Wal, ObjectKind.Wal)])
        {
            foreach (var row in Sample(rows[kind]))
            {
                using var item = await vault.OpenAsync(row.Key, objectKind, whole: false, cancellationToken);
                content += item.Frames.Sum(frame => (long)frame.ContentBytes);
                stored += item.Frames.Sum(frame => (long)frame.StoredBytes);
            }
        }

        return stored == 0 ? null : (double)content / stored;
    }

    static IEnumerable<ObjectInfo> Sample(List<ObjectInfo> rows) => rows.Count <= SampleMax
        ? rows
        : Enumerable.Range(0, SampleMax).Select(i => rows[(int)((long)i * rows.Count / SampleMax)]);

    static async Task<Growth> GrowthAsync(
        VaultAccess vault, Dictionary<UsageKind, List<ObjectInfo>> rows, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var logs = rows[UsageKind.Log].Concat(rows[UsageKind.Compacted]).GroupBy(row => (VaultKeys.BranchOf(row.Key), IsCompacted(row)))
            .Select(group => group.ToList()).ToList();
        async Task<long?> DailyAsync(int days)
        {
            var since = now - TimeSpan.FromDays(days);
            if (vault.Identity.CreatedAt > since)
            {
                return null;
            }

            var others = rows.Where(item => item.Key is not (UsageKind.Log or UsageKind.Compacted)).SelectMany(item => item.Value);
            var bytes = others.Where(row => row.StoredAt >= since).Sum(row => row.SizeBytes);
            foreach (var log in logs)
            {
                bytes += log.Skip(await FirstSinceAsync(vault, log, Micros.Of(since), cancellationToken)).Sum(row => row.SizeBytes);
            }

            return bytes / days;
        }

        return new Growth(await DailyAsync(1), await DailyAsync(7), await DailyAsync(30));
    }

    static bool IsCompacted(ObjectInfo row) => KindOf(row.Key) == UsageKind.Compacted;

    /// <summary>The index of the first log object that ends at this time or later.</summary>
    static async Task<int> FirstSinceAsync(
        VaultAccess vault, List<ObjectInfo> log, long micros, CancellationToken cancellationToken)
    {
        var (low, high) = (0, log.Count);
        while (low < high)
        {
            var middle = low + ((high - low) / 2);
            using var stored = await vault.OpenAsync(log[middle].Key, ObjectKind.Log, whole: false, cancellationToken);
            (low, high) = stored.Header.TimeLastMicros < micros ? (middle + 1, high) : (low, middle);
        }

        return low;
    }
}
