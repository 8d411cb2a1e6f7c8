using Salvor.Vault;
using Salvor.Vault.Restore;

namespace Salvor.Sqlite.Verify;

/// <summary>How a running database compares with its vault.</summary>
/// <param name="Position">The restore point that it is equal to, or was compared with.</param>
/// <param name="PageCount">The pages that were compared.</param>
/// <param name="Pages">The first of those that differ, in order.</param>
/// <param name="Count">How many differ; where there are none and it is not equal, the database is between two restore points.</param>
/// <param name="IsEqual">Whether the database, as a whole, is that restore point.</param>
public sealed record LiveDifference(Position Position, uint PageCount, IReadOnlyList<uint> Pages, long Count, bool IsEqual);

/// <summary>
/// Compares the pages of a running database with the page hashes in its vault, at the same commit: the database is read at one commit,
/// which the vault must have among those that became durable from before that until after it.
/// </summary>
/// <param name="path">The database. Nothing in this process may have it open.</param>
/// <param name="open">Makes everything that is committed durable, and reads the vault then.</param>
/// <param name="pause">Waits for so long.</param>
public sealed class LiveComparison(string path, Func<Task<VaultCatalog>> open, Action<TimeSpan> pause)
{
    const int PagesMax = 1000;

    /// <summary>Compares once.</summary>
    public async Task<LiveDifference> RunAsync(CancellationToken cancellationToken)
    {
        var before = await open();
        var earliest = await new RestorePlanner(before).LatestAsync(before.Branches.Last().Number, cancellationToken);
        var (live, pageSize) = await Task.Run(
            () => LiveState.Read(path, before.Vault.Hasher, pause, cancellationToken), cancellationToken);
        var after = await open();
        var planner = new RestorePlanner(after);
        var latest = await planner.LatestAsync(after.Branches.Last().Number, cancellationToken);
        for (var position = earliest.Position; position <= latest.Position; position = position.Next)
        {
            if (await planner.FindAsync(after.Branches.Last().Number, position, cancellationToken) is not { } point)
            {
                // The ladder dropped it.
                continue;
            }

            var log = await planner.LogOfAsync(point, cancellationToken);
            var commit = log.Details.Commits[log.LastAt(position)];
            if (commit.Checksum == live.Checksum && commit.PageCount == live.PageCount && log.Details.PageSize == pageSize)
            {
                return new LiveDifference(position, live.PageCount, [], 0, IsEqual: true);
            }
        }

        return await NameAsync(after, planner, earliest, latest, live, cancellationToken);
    }

    /// <summary>The pages that are neither what they were before nor what they are after: no commit in between explains them.</summary>
    static async Task<LiveDifference> NameAsync(
        VaultCatalog catalog, RestorePlanner planner, RestorePoint earliest, RestorePoint latest, PageTable live,
        CancellationToken cancellationToken)
    {
        var first = await TableAsync(catalog, planner, earliest, cancellationToken);
        var last = await TableAsync(catalog, planner, latest, cancellationToken);
        var pages = new List<uint>();
        var count = 0L;
        for (var page = 1u; page <= Math.Max(live.PageCount, last.PageCount); page++)
        {
            if (live[page] != first[page] && live[page] != last[page])
            {
                count++;
                if (pages.Count < PagesMax)
                {
                    pages.Add(page);
                }
            }
        }

        return new LiveDifference(latest.Position, live.PageCount, pages, count, IsEqual: false);
    }

    static async Task<PageTable> TableAsync(
        VaultCatalog catalog, RestorePlanner planner, RestorePoint point, CancellationToken cancellationToken)
    {
        var plan = await planner.PlanAsync(point.Branch, point.Position, cancellationToken);
        var tip = new LogTip(point.Branch, 0, point.Position, Micros.Of(point.Time), default);
        return (await VaultState.ReplayAsync(catalog, plan, tip, cancellationToken)).Table;
    }
}
