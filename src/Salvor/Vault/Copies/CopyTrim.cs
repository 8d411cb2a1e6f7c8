using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Vault.Copies;

/// <summary>
/// What a copy has still although the first destination removed it for good: log objects that another one has taken the place of. They go
/// only where that one was at the copy before, has every commit of theirs, and is good.
/// </summary>
sealed class CopyTrim(VaultAccess copy)
{
    readonly List<(uint Branch, LogEntry Entry, string Key)> candidates = [];
    readonly List<(uint Branch, LogEntry Entry)> covers = [];
    readonly Dictionary<string, bool> judged = [];
    readonly List<WalRef> walCandidates = [];
    readonly Dictionary<(uint, Lsn), List<WalRef>> walCovers = [];

    /// <summary>Looks at a key of the log: the first size is that at the first destination.</summary>
    public void Note(CopyRow row)
    {
        if (row.Key.StartsWith(VaultKeys.Wals, StringComparison.Ordinal) && row.Sizes[1] is not null)
        {
            NoteWal(VaultKeys.WalOf(row.Key, storedBytes: 0), isAtFirst: row.Sizes[0] is not null);
            return;
        }

        if (!row.Key.StartsWith(VaultKeys.Logs, StringComparison.Ordinal) || row.Sizes[1] is null)
        {
            return;
        }

        var branch = VaultKeys.BranchOf(row.Key);
        var (entry, part) = VaultKeys.LogEntryOf(row.Key, 0);
        if (row.Sizes[0] is null)
        {
            candidates.Add((branch, entry, row.Key));
        }
        else if (entry.IsCompacted && part == 0)
        {
            covers.Add((branch, entry));
        }
    }

    /// <summary>Removes it.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await TrimWalsAsync(cancellationToken);

        // What completes a compacted object before its parts: with it they are needed.
        foreach (var (branch, entry, key) in candidates.OrderBy(item => item.Key, StringComparer.Ordinal))
        {
            var by = covers.FirstOrDefault(item => item.Branch == branch && item.Entry != entry
                && item.Entry.First <= entry.First && entry.Last <= item.Entry.Last);
            if (by.Branch != 0 && await HasAllAsync(branch, by.Entry, cancellationToken))
            {
                await copy.TryDeleteAsync(key, cancellationToken);
            }
        }
    }

    void NoteWal(WalRef entry, bool isAtFirst)
    {
        if (!isAtFirst)
        {
            walCandidates.Add(entry);
            return;
        }

        (walCovers.TryGetValue(BlockOf(entry), out var covers) ? covers : walCovers[BlockOf(entry)] = []).Add(entry);
    }

    /// <summary>Removes pieces that became one object, where that was at the copy before and is good.</summary>
    async Task TrimWalsAsync(CancellationToken cancellationToken)
    {
        foreach (var piece in walCandidates)
        {
            var by = (walCovers.GetValueOrDefault(BlockOf(piece)) ?? []).FirstOrDefault(cover =>
                cover.Range.First <= piece.Range.First && piece.Range.End <= cover.Range.End);
            if (by.Branch != 0 && await IsGoodAsync(by.Key, cancellationToken))
            {
                await copy.TryDeleteAsync(piece.Key, cancellationToken);
            }
        }
    }

    async Task<bool> IsGoodAsync(string key, CancellationToken cancellationToken)
    {
        if (judged.TryGetValue(key, out var known))
        {
            return known;
        }

        try
        {
            await ObjectCheck.WalAsync(copy, key, whole: true, cancellationToken);
            return judged[key] = true;
        }
        catch (Exception e) when (e is LayerException or DamagedObjectException or NewerFormatException)
        {
            // A repair heals it first.
            return judged[key] = false;
        }
    }

    static (uint, Lsn) BlockOf(WalRef entry) => (entry.Branch, WalRange.BlockOf(entry.Range.First).First);

    /// <summary>Whether what stands for condemned objects is at a copy, whole; true where nothing has to.</summary>
    public static async Task<bool> IsStandingAsync(
        VaultAccess copy, string by, Condemnations condemned, CancellationToken cancellationToken)
    {
        while (condemned.GroupOf(by) is { } group)
        {
            by = group.By;
        }

        try
        {
            if (by.Length > 0)
            {
                await ObjectCheck.LogWithPartsAsync(copy, by, cancellationToken);
            }

            return true;
        }
        catch (Exception e) when (e is LayerException or DamagedObjectException or NewerFormatException)
        {
            // A repair heals it first.
            return false;
        }
    }

    async Task<bool> HasAllAsync(uint branch, LogEntry entry, CancellationToken cancellationToken)
    {
        var key = VaultKeys.Log(branch, entry);
        if (judged.TryGetValue(key, out var known))
        {
            return known;
        }

        try
        {
            var log = await ObjectCheck.LogWithPartsAsync(copy, key, cancellationToken);

            var positions = log.Header.PositionLast - log.Header.PositionFirst + 1;
            return judged[key] = (ulong)log.Details.Commits.Count == positions;
        }
        catch (Exception e) when (e is LayerException or DamagedObjectException or NewerFormatException)
        {
            // A repair heals it first.
            return judged[key] = false;
        }
    }
}
