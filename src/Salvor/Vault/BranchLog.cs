namespace Salvor.Vault;

/// <summary>A log object in a listing: the numbers that it covers, one for an object as the writer made it.</summary>
/// <param name="First">The first number.</param>
/// <param name="Last">The last number, under which the object stands in the log.</param>
/// <param name="StoredBytes">Its size, with that of its parts; negative where it is missing.</param>
public readonly record struct LogEntry(ulong First, ulong Last, long StoredBytes)
{
    /// <summary>Whether it was made of several objects.</summary>
    public bool IsCompacted => First < Last;

    /// <summary>Whether no object has this number. It stands in a chain so that whoever needs it can name it.</summary>
    public bool IsMissing => StoredBytes < 0;

    /// <summary>An object as the writer makes it.</summary>
    public static LogEntry Of(ulong number, long storedBytes) => new(number, number, storedBytes);
}

/// <summary>
/// The log objects of one branch, by the numbers that they cover. A number may be covered several times: by the object that the writer made
/// and by the compacted ones that were made of it. The coarsest counts, and finer ones are looked at only for restore points that it
/// does not have; so whatever a writer that was frozen for long adds below a compacted object is ignored.
/// </summary>
public sealed class BranchLog
{
    const int MissingNamedMax = 16;

    /// <summary>A log without objects.</summary>
    public static readonly BranchLog Empty = new([]);

    readonly (ulong First, ulong Last)[] pruned;
    readonly LogEntry[] entries;
    readonly LogEntry[] compacted;
    readonly List<ulong> missing = [];

    /// <param name="listed">The objects in any order.</param>
    /// <param name="pruned">Numbers that are gone on purpose, in any order. What is listed there still is ignored.</param>
    public BranchLog(IEnumerable<LogEntry> listed, IEnumerable<(ulong First, ulong Last)>? pruned = null)
    {
        this.pruned = NumberRanges.Join(pruned ?? []);
        entries = [.. listed.Where(entry => !IsPruned(entry.First, entry.Last))];
        Array.Sort(entries, static (a, b) => a.First != b.First ? a.First.CompareTo(b.First) : a.Last.CompareTo(b.Last));
        compacted = [.. entries.Where(entry => entry.IsCompacted)];
        Last = entries.Length == 0 ? 0 : entries.Max(entry => entry.Last);
        Chain = WithoutPruned(Within(1, Last));
        NameMissing();
    }

    /// <summary>The highest number; 0 where there is none.</summary>
    public ulong Last { get; }

    /// <summary>Numbers below it that no object covers, up to a few of them.</summary>
    public IReadOnlyList<ulong> Missing => missing;

    /// <summary>All objects, by their first numbers, and of those with the same one the finest first.</summary>
    public IReadOnlyList<LogEntry> Entries => entries;

    /// <summary>
    /// The fewest objects that cover all numbers but those that were pruned, in order. Where some are missing, the first of them stands for
    /// all.
    /// </summary>
    public IReadOnlyList<LogEntry> Chain { get; }

    /// <summary>Whether all these numbers are gone on purpose.</summary>
    public bool IsPruned(ulong first, ulong last)
    {
        foreach (var range in pruned)
        {
            if (range.First <= first && last <= range.Last)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether what came right before an object was pruned.</summary>
    public bool IsAfterPruned(LogEntry entry) => entry.First > 1 && IsPruned(entry.First - 1, entry.First - 1);

    /// <summary>The objects that a compacted one was made of, or others for the same numbers; null where not all are there.</summary>
    public IReadOnlyList<LogEntry>? Finer(LogEntry entry)
    {
        var finer = entry.IsCompacted ? Within(entry.First, entry.Last, entry) : [];
        return finer.Count > 0 && finer[0].First == entry.First && !finer.Any(item => item.IsMissing) ? finer : null;
    }

    /// <summary>
    /// The fewest objects that cover these numbers and none above. Each begins where the one before it ends, if such a one exists; the
    /// first may begin below.
    /// </summary>
    public IReadOnlyList<LogEntry> Within(ulong first, ulong last) => Within(first, last, except: null);

    List<LogEntry> Within(ulong first, ulong last, LogEntry? except)
    {
        var chain = new List<LogEntry>();
        for (var next = first; next <= last && next != 0;)
        {
            var after = FirstAfter(next);
            if (Next(next, last, after, except) is { } entry)
            {
                chain.Add(entry);
                next = entry.Last + 1;
            }
            else
            {
                chain.Add(LogEntry.Of(next, storedBytes: -1));
                next = after < entries.Length ? entries[after].First : last + 1;
            }
        }

        return chain;
    }

    /// <summary>The coarsest object that begins with this number, else one that covers it.</summary>
    LogEntry? Next(ulong number, ulong last, int after, LogEntry? except)
    {
        for (var i = after - 1; i >= 0 && entries[i].First == number; i--)
        {
            if (entries[i].Last <= last && entries[i] != except)
            {
                return entries[i];
            }
        }

        LogEntry? best = null;
        foreach (var entry in compacted)
        {
            if (entry.First < number && entry.Last >= number && entry.Last <= last && entry != except && !(best?.Last >= entry.Last))
            {
                best = entry;
            }
        }

        return best;
    }

    /// <summary>The index of the first object that begins after a number.</summary>
    int FirstAfter(ulong number)
    {
        var (low, high) = (0, entries.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = entries[middle].First > number ? (low, middle) : (middle + 1, high);
        }

        return low;
    }

    List<LogEntry> WithoutPruned(IReadOnlyList<LogEntry> chain)
    {
        var left = new List<LogEntry>(chain.Count);
        for (var i = 0; i < chain.Count; i++)
        {
            var end = i + 1 < chain.Count ? chain[i + 1].First - 1 : Last;
            if (!chain[i].IsMissing)
            {
                left.Add(chain[i]);
            }
            else if (FirstNotPruned(chain[i].First, end) is { } first)
            {
                left.Add(LogEntry.Of(first, storedBytes: -1));
            }
        }

        return left;
    }

    /// <summary>The first of these numbers that was not pruned; null where all were.</summary>
    ulong? FirstNotPruned(ulong first, ulong last)
    {
        // Ranges that touch are one, so what follows the one that has it is in none.
        var end = pruned.Where(range => range.First <= first && first <= range.Last).Select(range => (ulong?)range.Last).FirstOrDefault();
        return end is null ? first : end < last ? end + 1 : null;
    }

    void NameMissing()
    {
        for (var i = 0; i < Chain.Count; i++)
        {
            var end = i + 1 < Chain.Count ? Chain[i + 1].First : Last + 1;
            for (var number = Chain[i].First; Chain[i].IsMissing && number < end && missing.Count < MissingNamedMax; number++)
            {
                if (!IsPruned(number, number))
                {
                    missing.Add(number);
                }
            }
        }
    }
}
