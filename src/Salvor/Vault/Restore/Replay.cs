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
        VaultCatalog catalog, RestorePlan plan, IReplayTarget target, CancellationToken cancellationToken)
    {
        LogObject? last = null;
        var reached = plan.Snapshot.Position;
        await foreach (var parts in LogWalk.ReadAsync(catalog, plan, cancellationToken))
        {
            var until = plan.Log.First(segment => segment.Branch == parts[0].Header.Branch).Until;
            last = parts[^1];
            if (parts.FirstOrDefault(part => part.Details.PageSize != target.PageSize) is { } other)
            {
                throw new DamagedObjectException(
                    VaultKeys.Log(other.Header.Branch, other.Header.Number),
                    $"its pages have {other.Details.PageSize} bytes, and those of its snapshot {target.PageSize}");
            }

            reached = AddCommits(target, parts, until);
        }

        // A snapshot or a branch that lies about its place in the log would make us skip objects without a gap to see.
        return reached == plan.Target
            ? last
            : throw new DamagedObjectException(
                last is null
                    ? VaultKeys.Snapshot(plan.Snapshot.Branch, plan.Snapshot.Position)
                    : VaultKeys.Log(last.Header.Branch, last.Header.Number),
                $"the log after it ends at position {reached}, and position {plan.Target} should follow");
    }

    /// <summary>Applies a complete change-set up to a position, and returns the last one applied.</summary>
    static Position AddCommits(IReplayTarget target, IReadOnlyList<LogObject> parts, Position until)
    {
        var last = parts[^1];
        var (page, position) = (0, last.Header.PositionFirst - 1);
        foreach (var commit in last.Details.Commits)
        {
            if (position == until.Value)
            {
                break;
            }

            // The pages of all parts belong to the first transaction that ends.
            var earlier = position + 1 == last.Header.PositionFirst ? parts.SkipLast(1).ToArray() : [];
            ExpectGrowth(target, last, commit, earlier.Sum(part => (long)part.Details.Pages.Count) + commit.Pages);
            foreach (var part in earlier)
            {
                AddPages(target, part, 0, part.Details.Pages.Count, commit.PageCount);
            }

            AddPages(target, last, page, page + (int)commit.Pages, commit.PageCount);
            page += (int)commit.Pages;
            target.AddCommit(last, commit);
            position++;
        }

        return new Position(position);
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
                VaultKeys.Log(log.Header.Branch, log.Header.Number),
                $"it grows the database from {target.PageCount} to {commit.PageCount} pages with {pages} of them");
        }
    }

    /// <summary>What a transaction wrote past the end that it left is not part of the database.</summary>
    static void AddPages(IReplayTarget target, LogObject log, int first, int end, uint pageCount)
    {
        for (var i = first; i < end; i++)
        {
            if (log.Details.Pages[i].Number <= pageCount)
            {
                target.AddPage(log, i);
            }
        }
    }
}
