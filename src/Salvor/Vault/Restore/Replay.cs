using Salvor.Vault.Format;

namespace Salvor.Vault.Restore;

/// <summary>Takes the page versions and commits of a plan in order, without their content.</summary>
interface IReplayTarget
{
    uint PageSize { get; }

    /// <summary>The size of the database so far, in pages.</summary>
    uint PageCount { get; }

    /// <summary>
    /// A version of a page that is in the database after its transaction: the row of this index in the page table of this object.
    /// </summary>
    void AddPage(LogObject log, int index);

    /// <summary>The end of a transaction.</summary>
    void AddCommit(LogObject log, CommitEntry commit);
}

/// <summary>Runs through the log of a plan up to its target.</summary>
static class Replay
{
    /// <summary>Returns the last object that was applied, or null where the plan has no log.</summary>
    public static async Task<LogObject?> RunAsync(
        VaultCatalog catalog, RestorePlan plan, IReplayTarget target, CancellationToken cancellationToken, int ahead = LogWalk.ReadAhead)
    {
        LogObject? last = null;
        var reached = plan.Snapshot.Position;
        await foreach (var parts in LogWalk.ReadAsync(catalog, plan, cancellationToken, ahead))
        {
            var until = plan.Log.First(segment => segment.Branch == parts[0].Header.Branch).Until;
            last = parts[^1];
            if (parts.FirstOrDefault(part => part.Details.PageSize != target.PageSize) is { } other)
            {
                throw new DamagedObjectException(
                    other.Key,
                    $"its pages have {other.Details.PageSize} bytes, and those of its snapshot {target.PageSize}");
            }

            reached = AddCommits(target, parts, reached, until);
        }

        // A snapshot or a branch that lies about its place in the log would make us skip objects without a gap to see.
        return reached == plan.Target
            ? last
            : throw new DamagedObjectException(
                last is null
                    ? VaultKeys.Snapshot(plan.Snapshot.Branch, plan.Snapshot.Position)
                    : last.Key,
                $"the log after it ends at position {reached}, and position {plan.Target} should follow");
    }

    /// <summary>Applies what a complete change-set has after one position and up to another, and returns the last one applied.</summary>
    static Position AddCommits(IReplayTarget target, IReadOnlyList<LogObject> parts, Position reached, Position until)
    {
        var last = parts[^1];
        var row = 0L;
        for (var i = 0; i < last.Details.Commits.Count && last.PositionOf(i) <= until; i++)
        {
            // The pages of all parts that the writer made belong to the first transaction that ends.
            var commit = last.Details.Commits[i];
            var earlier = i == 0 && !last.Details.IsCompacted ? parts.SkipLast(1).Sum(part => (long)part.Details.Pages.Count) : 0;
            var end = row + earlier + commit.Pages;
            if (last.PositionOf(i) > reached)
            {
                ExpectGrowth(target, last, commit, end - row);
                AddPages(target, parts, row, end, commit.PageCount);
                target.AddCommit(last, commit);
                reached = last.PositionOf(i);
            }

            row = end;
        }

        return reached;
    }

    /// <summary>
    /// A transaction stores each page by which the database grows, so no size needs to be believed: what is allocated for pages is paid
    /// for in bytes of the vault. Only the lock-byte page is never stored.
    /// </summary>
    static void ExpectGrowth(IReplayTarget target, LogObject log, CommitEntry commit, long pages)
    {
        if (commit.PageCount > target.PageCount + pages + 1)
        {
            throw new DamagedObjectException(
                log.Key,
                $"it grows the database from {target.PageCount} to {commit.PageCount} pages with {pages} of them");
        }
    }

    /// <summary>
    /// Adds rows of the page tables of all parts, counted through. What a transaction wrote past the end that it left is not part of the
    /// database.
    /// </summary>
    static void AddPages(IReplayTarget target, IReadOnlyList<LogObject> parts, long first, long end, uint pageCount)
    {
        var start = 0L;
        foreach (var part in parts)
        {
            var pages = part.Details.Pages;
            for (var i = Math.Max(first, start); i < Math.Min(end, start + pages.Count); i++)
            {
                if (pages[(int)(i - start)].Number <= pageCount)
                {
                    target.AddPage(part, (int)(i - start));
                }
            }

            start += pages.Count;
        }
    }
}
