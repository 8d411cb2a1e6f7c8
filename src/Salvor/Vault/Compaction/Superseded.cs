namespace Salvor.Vault.Compaction;

/// <summary>Which log objects nobody needs any more, because another one has every commit of theirs.</summary>
public static class Superseded
{
    /// <param name="log">A branch.</param>
    /// <param name="isLossless">Whether a compacted object has all commits of the numbers that it covers.</param>
    public static IReadOnlyList<(LogEntry Entry, LogEntry By)> Find(BranchLog log, Func<LogEntry, bool> isLossless)
    {
        var needed = new HashSet<LogEntry>();
        Need(log, log.Chain, isLossless, needed);
        LogEntry[] covers = [.. log.Entries.Where(entry => entry.IsCompacted && needed.Contains(entry) && isLossless(entry))];
        var found = new List<(LogEntry, LogEntry)>();
        foreach (var entry in log.Entries.Where(entry => !needed.Contains(entry)))
        {
            // Nobody begins a number that is covered anew, so the covers are as good as in order; there are few of them.
            if (Array.FindIndex(covers, cover => cover.First <= entry.First && entry.Last <= cover.Last) is >= 0 and var index)
            {
                found.Add((entry, covers[index]));
            }
        }

        return found;
    }

    /// <summary>The coarsest objects, and below each that lost commits the ones that still have them.</summary>
    static void Need(BranchLog log, IReadOnlyList<LogEntry> chain, Func<LogEntry, bool> isLossless, HashSet<LogEntry> needed)
    {
        foreach (var entry in chain)
        {
            needed.Add(entry);
            if (entry.IsCompacted && !isLossless(entry) && log.Finer(entry) is { } finer)
            {
                Need(log, finer, isLossless, needed);
            }
        }
    }
}
