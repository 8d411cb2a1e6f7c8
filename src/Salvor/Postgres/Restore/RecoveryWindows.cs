using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Restore;

/// <summary>A run of moments of one timeline, each of which can be recovered to.</summary>
/// <param name="Branch">The timeline.</param>
/// <param name="From">The first address.</param>
/// <param name="Since">The first moment.</param>
/// <param name="To">Where the log ends that is there without a gap.</param>
/// <param name="LastCommit">The last transaction of it; null where nothing was committed.</param>
/// <param name="Backups">The backups from which it is reached, by their ids, the oldest first.</param>
public sealed record RecoveryWindow(
    Branch Branch, Lsn From, DateTimeOffset Since, Lsn To, WalPoint? LastCommit, IReadOnlyList<ulong> Backups)
{
    public uint Timeline => WalBranches.HistoryOf(Branch).Timeline;

    /// <summary>The last moment: that of the last transaction.</summary>
    public DateTimeOffset Until => LastCommit is { } commit && Micros.ToTime(commit.TimeMicros) is var time && time > Since ? time : Since;

    public override string ToString() =>
        $"timeline {Timeline} from {InstantText.Format(Since)} ({From}) to {InstantText.Format(Until)} ({To})";
}

/// <summary>Finds what can be recovered to: a base backup, and the log from it on up to its end or to a gap.</summary>
public static class RecoveryWindows
{
    const int NamedMax = 3;

    /// <summary>
    /// Those of each timeline, in the order of the timelines and then of the addresses. What a timeline shares with the one that it came
    /// from is told of that one alone.
    /// </summary>
    public static async Task<IReadOnlyList<RecoveryWindow>> FindAsync(
        WalCatalog catalog, IReadOnlyList<ClusterBackup> backups, CancellationToken cancellationToken)
    {
        var windows = new List<RecoveryWindow>();
        foreach (var branch in catalog.Branches)
        {
            windows.AddRange(await OfBranchAsync(catalog, backups, branch, cancellationToken));
        }

        return windows;
    }

    /// <summary>The restore points in a window that have names, in the order of the log.</summary>
    public static Task<IReadOnlyList<WalName>> NamesAsync(
        WalCatalog catalog, RecoveryWindow window, CancellationToken cancellationToken) =>
        new WalSearch(catalog, window.Branch.Number).NamesAsync(new WalRange(window.From, window.To), cancellationToken);

    /// <summary>The windows that are nearest to a target, in words; the last ones where it is no moment and no address.</summary>
    public static string NearestTo(RecoveryTarget target, IReadOnlyList<RecoveryWindow> windows)
    {
        Func<RecoveryWindow, bool>? isBefore = target switch
        {
            RecoveryTarget.Time { At: var time } => window => window.Since <= time,
            RecoveryTarget.Address { At: var address } => window => window.From <= address,
            _ => null,
        };
        IEnumerable<RecoveryWindow> named = isBefore is null
            ? windows.TakeLast(NamedMax)
            : [.. windows.Where(isBefore).TakeLast(1), .. windows.Where(window => !isBefore(window)).Take(1)];
        return string.Join(", and ", named);
    }

    static async Task<IReadOnlyList<RecoveryWindow>> OfBranchAsync(
        WalCatalog catalog, IReadOnlyList<ClusterBackup> backups, Branch branch, CancellationToken cancellationToken)
    {
        var (path, search) = (catalog.PathTo(branch.Number), new WalSearch(catalog, branch.Number));
        var (fork, spans) = (path[^1].Own.First, new List<(WalRange Range, ClusterBackup First, List<ulong> Backups)>());
        foreach (var backup in RecoveryPlanner.Leading(path, backups).OrderBy(backup => backup.Log.End))
        {
            var reach = await WalReader.ReachAsync(catalog, branch.Number, backup.Log.First, cancellationToken);
            var range = new WalRange(Lsn.Max(backup.Log.End, fork), reach);
            if (reach < backup.Log.End || (path.Count > 1 && reach <= fork))
            {
                continue;
            }

            if (spans.Count > 0 && range.First <= spans[^1].Range.End)
            {
                spans[^1].Backups.Add(backup.Id);
                spans[^1] = spans[^1] with { Range = spans[^1].Range with { End = Lsn.Max(spans[^1].Range.End, reach) } };
            }
            else
            {
                spans.Add((range, backup, [backup.Id]));
            }
        }

        var windows = new List<RecoveryWindow>();
        foreach (var (range, first, ids) in spans)
        {
            // What the backup has already cannot be left out again.
            var had = await search.LastCommitAsync(new WalRange(first.Log.First, range.First), cancellationToken);
            var since = had is { } point && Micros.ToTime(point.TimeMicros) is var time && time > first.Time ? time : first.Time;
            var last = await search.LastCommitAsync(range, cancellationToken);
            windows.Add(new RecoveryWindow(branch, range.First, since, range.End, last, ids));
        }

        return windows;
    }
}
