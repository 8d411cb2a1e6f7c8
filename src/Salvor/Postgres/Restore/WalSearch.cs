using Salvor.Vault.Wal;

namespace Salvor.Postgres.Restore;

/// <summary>
/// Finds transactions and restore points in the log of a vault. What objects say of themselves leads to the right ones; only those are
/// read.
/// </summary>
/// <param name="catalog">What there is.</param>
/// <param name="branch">The branch that is followed.</param>
sealed class WalSearch(WalCatalog catalog, uint branch)
{
    const int ReadBytes = 1 << 20;

    /// <summary>The first event that matches in a range, and the last commit before it; null and the last of all where none does.</summary>
    /// <param name="range">Where it looks.</param>
    /// <param name="mayHave">Whether an object can hold a match, by what it says of itself.</param>
    /// <param name="matches">What is looked for.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task<(WalEvent? Found, WalEvent? CommitBefore)> FirstAsync(
        WalRange range, Predicate<WalIndex> mayHave, Predicate<WalEvent> matches, CancellationToken cancellationToken)
    {
        // Only when it is known where the search ends the last commit is wanted: until then it is enough to know which objects have one.
        // An object may have it outside of the part that is used.
        var withCommits = new Stack<(WalPart Part, WalDetails Details)>();
        foreach (var part in catalog.Cover(branch, range))
        {
            var details = await DetailsAsync(part, cancellationToken);
            if (mayHave(details.Index))
            {
                var events = await EventsAsync(part.Range, details, cancellationToken);
                var at = events.FindIndex(matches);
                if (at >= 0)
                {
                    return (events[at], LastCommit(events.Take(at)) ?? await LastCommitAsync(withCommits, cancellationToken));
                }
            }

            if (details.Index.Commits > 0)
            {
                withCommits.Push((part, details));
            }
        }

        return (null, await LastCommitAsync(withCommits, cancellationToken));
    }

    async Task<WalEvent?> LastCommitAsync(Stack<(WalPart Part, WalDetails Details)> newestFirst, CancellationToken cancellationToken)
    {
        foreach (var (part, details) in newestFirst)
        {
            if (LastCommit(await EventsAsync(part.Range, details, cancellationToken)) is { } found)
            {
                return found;
            }
        }

        return null;
    }

    /// <summary>The last commit in a range, from as few objects as tell of it; null where there is none.</summary>
    public async Task<WalPoint?> LastCommitAsync(WalRange range, CancellationToken cancellationToken)
    {
        foreach (var part in catalog.Cover(branch, range).Reverse())
        {
            var details = await DetailsAsync(part, cancellationToken);
            var last = details.Index.Last;
            if (details.Index.Commits == 0)
            {
                continue;
            }

            if (part.Range.First < last.End && last.End <= part.Range.End)
            {
                return last;
            }

            if (LastCommit(await EventsAsync(part.Range, details, cancellationToken)) is { } found)
            {
                return new WalPoint(found.End, found.TimeMicros);
            }
        }

        return null;
    }

    /// <summary>The named restore points of a range, in its order. Each object of it is asked.</summary>
    public async Task<IReadOnlyList<WalName>> NamesAsync(WalRange range, CancellationToken cancellationToken)
    {
        const int AtOnce = 16;
        var parts = catalog.Cover(branch, range);
        var found = new IReadOnlyList<WalName>[parts.Count];
        var limit = new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, parts.Count, limit, async (i, cancel) =>
        {
            var part = parts[i].Range;
            found[i] = [.. (await DetailsAsync(parts[i], cancel)).Index.Names.Where(
                name => part.First < name.Point.End && name.Point.End <= part.End)];
        });
        return [.. found.SelectMany(names => names)];
    }

    /// <summary>What the cluster's log is like, as the object says that holds an address.</summary>
    public async Task<WalShape> ShapeAsync(Lsn at, CancellationToken cancellationToken) =>
        (await DetailsAsync(catalog.Cover(branch, new WalRange(at, at + 1))[0], cancellationToken)).Shape;

    static WalEvent? LastCommit(IEnumerable<WalEvent> events) =>
        events.Where(item => item.IsCommit).Select(item => (WalEvent?)item).LastOrDefault();

    async Task<WalDetails> DetailsAsync(WalPart part, CancellationToken cancellationToken)
    {
        using var opened = await WalObject.OpenAsync(catalog.Vault, part.Source, whole: false, cancellationToken);
        return opened.Details;
    }

    /// <summary>
    /// The events of records that end in a range. A record may begin before it, so reading begins with a segment: only a record that is
    /// longer than one is not told, and no transaction has one that has fewer than some million subtransactions.
    /// </summary>
    async Task<List<WalEvent>> EventsAsync(WalRange range, WalDetails details, CancellationToken cancellationToken)
    {
        using var reader = new WalReader(catalog);
        var shape = details.Shape;
        var segment = new Lsn(Math.Max(range.First.Value, 1) - 1).Floor(shape.SegmentBytes);
        var start = catalog.Reach(branch, segment) >= range.First ? segment : range.First.Floor(shape.SegmentBytes);
        var events = new List<WalEvent>();
        var records = new WalRecords(shape, details.Timeline, start, events.Add);
        var buffer = new byte[ReadBytes];
        for (var at = start; at < range.End && !records.HasEnded;)
        {
            var bytes = buffer.AsMemory(0, (int)Math.Min(buffer.Length, range.End - at));
            await reader.ReadAsync(branch, at, bytes, cancellationToken);
            records.Add(bytes.Span);
            at += bytes.Length;
        }

        events.RemoveAll(item => item.End <= range.First);
        return events;
    }
}
