using Salvor.Vault.Format;
using Salvor.Vault.Verify;

namespace Salvor.Vault.Wal;

/// <summary>
/// Makes one object of the pieces in which an open block was stored, and removes those that this process has seen replaced for ten minutes.
/// Any number of processes may do it: they make the same.
/// </summary>
public sealed class WalMerger(VaultAccess vault, TimeProvider time)
{
    /// <summary>An open block is a few objects at any time, although a piece is added every second.</summary>
    const int PiecesMax = 32;

    readonly Dictionary<string, long> seen = [];
    readonly HashSet<string> proved = [];
    readonly HashSet<WalRef> failed = [];

    /// <summary>Told once of each range whose pieces are left as they are, because one is damaged or differs from another.</summary>
    public Action<SalvorException>? Failed { get; init; }

    /// <summary>One pass. Returns after which time another one has something to remove; null where that is never.</summary>
    public async Task<TimeSpan?> RunAsync(CancellationToken cancellationToken)
    {
        var catalog = await WalCatalog.LoadAsync(vault, cancellationToken);
        var isMerged = false;
        foreach (var branch in catalog.Branches)
        {
            foreach (var run in catalog.Blocks(branch.Number).SelectMany(Runs))
            {
                isMerged |= await TryMergeAsync(catalog, new WalRef(branch.Number, run), cancellationToken);
            }
        }

        catalog = isMerged ? await WalCatalog.LoadAsync(vault, cancellationToken) : catalog;
        return await DeleteAsync(catalog, cancellationToken) ? LogWriter.SupersededKept : null;
    }

    /// <summary>The ranges of a block that are to become one object.</summary>
    internal static IEnumerable<WalRange> Runs(IReadOnlyList<WalRef> block)
    {
        var run = new List<WalRange>();
        foreach (var piece in Chain(block))
        {
            if (run.Count > 0 && run[^1].End != piece.First)
            {
                if (Due(run) is { } range)
                {
                    yield return range;
                }

                run.Clear();
            }

            run.Add(piece);
        }

        if (Due(run) is { } last)
        {
            yield return last;
        }
    }

    /// <summary>All addresses of a block once, each by the object that reaches furthest from there.</summary>
    static List<WalRange> Chain(IReadOnlyList<WalRef> block)
    {
        var (chain, at) = (new List<WalRange>(), Lsn.None);
        while (true)
        {
            var ranges = block.Select(item => item.Range).Where(range => range.End > at).ToList();
            if (ranges.Count == 0)
            {
                return chain;
            }

            var next = Lsn.Max(at, ranges.Min(range => range.First));
            var end = ranges.Where(range => range.First <= next).Max(range => range.End);
            chain.Add(new WalRange(next, end));
            at = end;
        }
    }

    /// <summary>What of adjoining pieces is merged now; null where nothing is.</summary>
    static WalRange? Due(List<WalRange> run)
    {
        if (run.Count < 2)
        {
            return null;
        }

        var all = new WalRange(run[0].First, run[^1].End);
        if (all.Length == WalRange.BlockBytes)
        {
            return all;
        }

        if (run.Count < PiecesMax)
        {
            return null;
        }

        // From the end, as far as pieces are not longer than all behind them: so each byte is written a few times, and not with each piece.
        var first = run.Count - 1;
        while (first > 0 && (run[first - 1].Length <= run[^1].End - run[first].First || run.Count - first < PiecesMax / 2))
        {
            first--;
        }

        return all with { First = run[first].First };
    }

    /// <summary>A piece that is of no use keeps its block as it is, and no other: a verification tells it, and a repair heals it.</summary>
    async Task<bool> TryMergeAsync(WalCatalog catalog, WalRef entry, CancellationToken cancellationToken)
    {
        try
        {
            await MergeAsync(catalog, entry, cancellationToken);
            return true;
        }
        catch (SalvorException e) when (e is DamagedObjectException or NewerFormatException or WalConflictException)
        {
            if (failed.Add(entry))
            {
                Failed?.Invoke(e);
            }

            return false;
        }
    }

    async Task MergeAsync(WalCatalog catalog, WalRef entry, CancellationToken cancellationToken)
    {
        var (branch, range) = (entry.Branch, entry.Range);
        var content = new byte[range.Length];
        using var reader = new WalReader(catalog);
        await reader.ReadOwnAsync(branch, range.First, content, cancellationToken);
        var parts = catalog.CoverOwn(branch, range);
        var indexes = new List<WalIndex>();
        var (first, last) = (long.MaxValue, long.MinValue);
        WalDetails? details = null;
        foreach (var part in parts)
        {
            using var stored = await WalObject.OpenAsync(vault, part.Source, whole: false, cancellationToken);
            (first, last) = (Math.Min(first, stored.Header.TimeFirstMicros), Math.Max(last, stored.Header.TimeLastMicros));
            details ??= stored.Details;
            indexes.Add(stored.Details.Index);
            if (part.Range != part.Source.Range)
            {
                await ExpectSameAsync(stored, range, content, cancellationToken);
            }
        }

        // Where they overlap, what lies in both is in the indexes of both.
        var index = parts.All(part => part.Source.Range == part.Range) ? WalIndex.Join(indexes) : Read(details!, range, content);
        await WalWriter.PutAsync(
            vault, entry, content, details! with { Index = index }, (Micros.ToTime(first), Micros.ToTime(last)), stored: null,
            cancellationToken);
    }

    /// <summary>Where pieces overlap, one of them is read: the others must say the same.</summary>
    async Task ExpectSameAsync(WalObject stored, WalRange range, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var common = stored.Ref.Range.Within(range);
        var there = new byte[common.Length];
        await stored.ReadAsync(common, there, cancellationToken);
        var same = content.Span[(int)(common.First - range.First)..].CommonPrefixLength(there);
        if (same < there.Length)
        {
            throw new WalConflictException(vault.Location, stored.Details.Timeline, common.First + same);
        }
    }

    static WalIndex Read(WalDetails details, WalRange range, ReadOnlySpan<byte> content)
    {
        var events = new List<WalEvent>();
        new WalRecords(details.Shape, details.Timeline, range.First, events.Add).Add(content);
        return WalIndex.Of(events, range);
    }

    /// <summary>Deletes what was replaced for long enough; true where something waits for that.</summary>
    async Task<bool> DeleteAsync(WalCatalog catalog, CancellationToken cancellationToken)
    {
        var all = catalog.Branches.SelectMany(branch => catalog.Superseded(branch.Number)).ToList();
        foreach (var gone in seen.Keys.Except(all.Select(item => item.Object.Key)).ToList())
        {
            seen.Remove(gone);
        }

        var isPending = false;
        foreach (var (piece, by) in all)
        {
            var since = seen.TryGetValue(piece.Key, out var known) ? known : seen[piece.Key] = time.GetTimestamp();
            if (time.GetElapsedTime(since) < LogWriter.SupersededKept)
            {
                isPending = true;
            }
            else if (await IsSameAsync(piece, by, cancellationToken) && !await vault.TryDeleteAsync(piece.Key, cancellationToken))
            {
                // By a lock, which is of one age with those behind it, or by permissions: none of them is asked for.
                break;
            }
        }

        return isPending;
    }

    /// <summary>
    /// Whether what takes over is whole, as it is at the destination now, and has these bytes. Where it does not, a verification tells it.
    /// </summary>
    async Task<bool> IsSameAsync(WalRef piece, WalRef by, CancellationToken cancellationToken)
    {
        try
        {
            var alone = vault.Alone();
            if (!proved.Contains(by.Key))
            {
                await ObjectCheck.WalAsync(alone, by.Key, whole: true, cancellationToken);
                proved.Add(by.Key);
            }

            return await IsSameAsync(alone, piece, by, cancellationToken);
        }
        catch (Exception e) when (e is LayerException or DamagedObjectException or NewerFormatException)
        {
            // A repair heals it first.
            return false;
        }
    }

    static async Task<bool> IsSameAsync(VaultAccess alone, WalRef piece, WalRef by, CancellationToken cancellationToken)
    {
        var (one, other) = (new byte[piece.Range.Length], new byte[piece.Range.Length]);
        using var stored = await WalObject.OpenAsync(alone, piece, whole: true, cancellationToken);
        await stored.ReadAsync(piece.Range, one, cancellationToken);
        using var cover = await WalObject.OpenAsync(alone, by, whole: false, cancellationToken);
        await cover.ReadAsync(piece.Range, other, cancellationToken);
        return one.AsSpan().SequenceEqual(other);
    }
}
