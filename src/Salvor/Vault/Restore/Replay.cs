using Salvor.Vault.Format;

namespace Salvor.Vault.Restore;

/// <summary>Takes the page versions and commits of a plan in order, without their content.</summary>
interface IReplayTarget
{
    /// <summary>A version of a page: the row of this index in the page table of this object.</summary>
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
        await foreach (var parts in LogWalk.ReadAsync(catalog, plan, cancellationToken))
        {
            var until = plan.Log.First(segment => segment.Branch == parts[0].Header.Branch).Until;
            foreach (var part in parts.SkipLast(1))
            {
                AddPages(target, part, 0, part.Details.Pages.Count);
            }

            last = parts[^1];
            AddCommits(target, last, until);
        }

        return last;
    }

    static void AddCommits(IReplayTarget target, LogObject log, Position until)
    {
        var page = 0;
        for (var i = 0; i < log.Details.Commits.Count && log.Header.PositionFirst + (ulong)i <= until.Value; i++)
        {
            var commit = log.Details.Commits[i];
            AddPages(target, log, page, page + (int)commit.Pages);
            page += (int)commit.Pages;
            target.AddCommit(log, commit);
        }
    }

    static void AddPages(IReplayTarget target, LogObject log, int first, int end)
    {
        for (var i = first; i < end; i++)
        {
            target.AddPage(log, i);
        }
    }
}
