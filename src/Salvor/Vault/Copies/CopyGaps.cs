using Salvor.Vault.Format;
using Salvor.Vault.Pruning;

namespace Salvor.Vault.Copies;

/// <summary>
/// What copies of a vault rightly do not have, although others have it still: log objects that a compacted one there has taken the place
/// of, what a prune deleted, and key slots that were removed.
/// </summary>
sealed class CopyGaps
{
    readonly List<List<(uint Branch, LogEntry Entry)>> compacted = [];
    readonly List<bool> hasSlot = [];
    readonly HashSet<string> deleted = [];
    readonly List<NumberRange> retired = [];

    CopyGaps()
    {
    }

    public static async Task<CopyGaps> ReadAsync(IReadOnlyList<VaultAccess> copies, CancellationToken cancellationToken)
    {
        var gaps = new CopyGaps();
        foreach (var copy in copies)
        {
            var condemned = await Condemnations.LoadAsync(copy, cancellationToken);
            gaps.deleted.UnionWith(condemned.Deleted);
            gaps.retired.AddRange(condemned.Retired);
            var entries = new List<(uint, LogEntry)>();
            await foreach (var row in copy.ListHereAsync(VaultKeys.Logs, after: null, cancellationToken))
            {
                if (TryEntryOf(row.Key) is ({ IsCompacted: true } entry, 0))
                {
                    entries.Add((VaultKeys.BranchOf(row.Key), entry));
                }
            }

            gaps.compacted.Add(entries);
            gaps.hasSlot.Add(await copy.ListHereAsync(VaultKeys.KeySlots, after: null, cancellationToken)
                .AnyAsync(row => row.Key != VaultKeys.KeyExported, cancellationToken));
        }

        return gaps;
    }

    /// <summary>Whether a key that is absent at a copy is rightly so.</summary>
    /// <param name="copy">The index of the copy.</param>
    public bool IsRight(int copy, string key)
    {
        if (key.StartsWith(VaultKeys.KeySlots, StringComparison.Ordinal) && key != VaultKeys.KeyExported)
        {
            return hasSlot[copy];
        }

        if (deleted.Contains(key) || IsRetired(key))
        {
            return true;
        }

        return key.StartsWith(VaultKeys.Logs, StringComparison.Ordinal)
            && TryEntryOf(key) is (var entry, _)
            && VaultKeys.BranchOf(key) is var branch
            && compacted[copy].Any(by => by.Branch == branch && (by.Entry.First, by.Entry.Last) != (entry.First, entry.Last)
                && by.Entry.First <= entry.First && entry.Last <= by.Entry.Last);
    }

    bool IsRetired(string key) =>
        (key.StartsWith(VaultKeys.Condemned, StringComparison.Ordinal) || key.StartsWith(VaultKeys.Outcomes, StringComparison.Ordinal))
        && VaultKeys.TryNumberOf(key) is { } number && retired.Any(range => range.First <= number && number <= range.Last);

    /// <summary>Null for a key that is none of Salvor's.</summary>
    static (LogEntry Entry, uint Part)? TryEntryOf(string key)
    {
        try
        {
            VaultKeys.BranchOf(key);
            return VaultKeys.LogEntryOf(key, 0);
        }
        catch (DamagedObjectException)
        {
            return null;
        }
    }
}
