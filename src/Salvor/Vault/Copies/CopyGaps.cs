using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Wal;

namespace Salvor.Vault.Copies;

/// <summary>
/// What copies of a vault rightly do not have, although others have it still: log objects that a larger one there has taken the place of,
/// what a prune deleted, and key slots that were removed.
/// </summary>
sealed class CopyGaps
{
    readonly List<List<(uint Branch, LogEntry Entry)>> compacted = [];
    readonly List<bool> hasSlot = [];
    readonly List<Dictionary<(uint, Lsn), List<WalRange>>> wals = [];
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
            gaps.wals.Add(await WalsAsync(copy, cancellationToken));
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

        if (key.StartsWith(VaultKeys.Wals, StringComparison.Ordinal))
        {
            return TryWalOf(key) is { } wal
                && wals[copy].GetValueOrDefault(BlockOf(wal))?.Any(by => by != wal.Range && by.First <= wal.Range.First
                    && wal.Range.End <= by.End) == true;
        }

        return key.StartsWith(VaultKeys.Logs, StringComparison.Ordinal)
            && TryEntryOf(key) is (var entry, _)
            && VaultKeys.BranchOf(key) is var branch
            && compacted[copy].Any(by => by.Branch == branch && (by.Entry.First, by.Entry.Last) != (entry.First, entry.Last)
                && by.Entry.First <= entry.First && entry.Last <= by.Entry.Last);
    }

    /// <summary>What a copy has of the log of PostgreSQL, by branch and block.</summary>
    static async Task<Dictionary<(uint, Lsn), List<WalRange>>> WalsAsync(VaultAccess copy, CancellationToken cancellationToken)
    {
        var byBlock = new Dictionary<(uint, Lsn), List<WalRange>>();
        await foreach (var row in copy.ListHereAsync(VaultKeys.Wals, after: null, cancellationToken))
        {
            if (TryWalOf(row.Key) is { } wal)
            {
                (byBlock.TryGetValue(BlockOf(wal), out var ranges) ? ranges : byBlock[BlockOf(wal)] = []).Add(wal.Range);
            }
        }

        return byBlock;
    }

    static (uint, Lsn) BlockOf(WalRef wal) => (wal.Branch, WalRange.BlockOf(wal.Range.First).First);

    static WalRef? TryWalOf(string key)
    {
        try
        {
            return VaultKeys.WalOf(key, storedBytes: 0);
        }
        catch (DamagedObjectException)
        {
            return null;
        }
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
