using Salvor.Vault.Format;

namespace Salvor.Vault.Restore;

/// <summary>
/// Finds log objects by position and time: from headers, and the details of what was found. Coarse objects first, and finer ones for what
/// those do not have any more.
/// </summary>
sealed class LogSearch(VaultCatalog catalog)
{
    readonly Dictionary<(uint, LogEntry), ObjectHeader> headers = [];
    readonly Dictionary<(uint, LogEntry), LogObject> objects = [];

    public async Task<LogObject> ReadAsync(uint branch, LogEntry entry, CancellationToken cancellationToken)
    {
        if (!objects.TryGetValue((branch, entry), out var log))
        {
            log = objects[(branch, entry)] = await catalog.ReadLogAsync(branch, entry, cancellationToken);
        }

        return log;
    }

    public async ValueTask<ObjectHeader> HeaderAsync(uint branch, LogEntry entry, CancellationToken cancellationToken)
    {
        if (!headers.TryGetValue((branch, entry), out var header))
        {
            header = headers[(branch, entry)] = await catalog.ReadLogHeaderAsync(branch, entry, cancellationToken);
        }

        return header;
    }

    /// <summary>Reads the headers of many objects at once, for what follows.</summary>
    public async Task PrefetchAsync(uint branch, IReadOnlyList<LogEntry> entries, CancellationToken cancellationToken)
    {
        var read = await catalog.ReadLogHeadersAsync(branch, entries, cancellationToken);
        headers.EnsureCapacity(headers.Count + read.Length);
        for (var i = 0; i < read.Length; i++)
        {
            headers[(branch, entries[i])] = read[i];
        }
    }

    /// <summary>The objects of a coarse one that lost points, if they are still there and linked like it; else null.</summary>
    public async Task<IReadOnlyList<LogEntry>?> FinerAsync(uint branch, LogEntry entry, CancellationToken cancellationToken)
    {
        if (!entry.IsCompacted)
        {
            return null;
        }

        var coarse = await HeaderAsync(branch, entry, cancellationToken);
        if (coarse.Log.Points == coarse.PositionLast - coarse.PositionFirst + 1 || catalog.Logs(branch).Finer(entry) is not { } finer)
        {
            return null;
        }

        // A writer that was frozen may have put something else under a number that is free again: that has another link.
        var (link, position) = (coarse.LineageBefore, coarse.PositionFirst);
        foreach (var item in finer)
        {
            var header = await HeaderAsync(branch, item, cancellationToken);
            if (header.LineageBefore != link || header.PositionFirst > position)
            {
                return null;
            }

            (link, position) = (header.LineageAfter, header.Log.Final ? header.PositionLast + 1 : position);
        }

        return link == coarse.LineageAfter ? finer : null;
    }

    /// <summary>
    /// The coarsest object that has a position as a restore point; where none does, the finest that covers it, or the first after it where
    /// it was pruned. Null past the end.
    /// </summary>
    public async Task<(LogEntry Entry, LogObject Log)?> FindAsync(
        uint branch, IReadOnlyList<LogEntry> chain, Position position, CancellationToken cancellationToken)
    {
        var (index, damage) = IsInLast(branch, chain, position)
            ? (chain.Count - 1, null)
            : await FirstAsync(branch, chain, header => header.PositionLast >= position.Value, cancellationToken);
        for (; index < chain.Count; index++)
        {
            var header = await HeaderAsync(branch, chain[index], cancellationToken);
            if (!header.Log.Final || header.PositionLast < position.Value)
            {
                continue;
            }

            if (header.PositionFirst > position.Value && !await IsAfterPrunedAsync(branch, chain, index, cancellationToken))
            {
                throw damage ?? new DamagedObjectException(
                    VaultKeys.Log(branch, chain[index]),
                    $"it begins at position {header.PositionFirst}, and none before it holds {position}");
            }

            var log = await ReadAsync(branch, chain[index], cancellationToken);
            if (!log.Has(position) && await FinerAsync(branch, chain[index], cancellationToken) is { } finer
                && await FindAsync(branch, finer, position, cancellationToken) is { } better)
            {
                return better;
            }

            return (chain[index], log);
        }

        return damage is null ? null : throw damage;
    }

    /// <summary>Whether the last object covers a position, as far as that is known: the newest point is wanted most often.</summary>
    bool IsInLast(uint branch, IReadOnlyList<LogEntry> chain, Position position) =>
        chain.Count > 0 && headers.TryGetValue((branch, chain[^1]), out var last) && last.Log.Final
        && last.PositionFirst <= position.Value && position.Value <= last.PositionLast;

    /// <summary>Whether what came before the change-set that ends in an object was pruned.</summary>
    async Task<bool> IsAfterPrunedAsync(
        uint branch, IReadOnlyList<LogEntry> chain, int index, CancellationToken cancellationToken)
    {
        while (!catalog.Logs(branch).IsAfterPruned(chain[index]))
        {
            index--;
            if (index < 0 || (await HeaderAsync(branch, chain[index], cancellationToken)).Log.Final)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The last restore point of some objects that is at or before a time and a position; null where there is none.</summary>
    public async Task<RestorePoint?> LastAsync(
        uint branch, IReadOnlyList<LogEntry> chain, long micros, Position end, CancellationToken cancellationToken)
    {
        var (index, _) = await FirstAsync(branch, chain, header => header.TimeLastMicros > micros, cancellationToken);
        for (index = Math.Min(index, chain.Count - 1); index >= 0; index--)
        {
            var header = await HeaderAsync(branch, chain[index], cancellationToken);
            if (!header.Log.Final || header.TimeFirstMicros > micros || header.PositionFirst > end.Value)
            {
                continue;
            }

            if (await FinerAsync(branch, chain[index], cancellationToken) is { } finer
                && await LastAsync(branch, finer, micros, end, cancellationToken) is { } better)
            {
                return better;
            }

            var log = await ReadAsync(branch, chain[index], cancellationToken);
            var commits = log.Details.Commits;
            var commit = log.LastAt(end);
            while (commit >= 0 && commits[commit].TimeMicros > micros)
            {
                commit--;
            }

            if (commit >= 0)
            {
                return new RestorePoint(branch, log.PositionOf(commit), Micros.ToTime(commits[commit].TimeMicros));
            }
        }

        return null;
    }

    /// <summary>The first restore point of some objects; null where there is none.</summary>
    public async Task<RestorePoint?> FirstAsync(uint branch, IReadOnlyList<LogEntry> chain, CancellationToken cancellationToken)
    {
        foreach (var entry in chain)
        {
            if ((await HeaderAsync(branch, entry, cancellationToken)).Log.Final)
            {
                var finer = await FinerAsync(branch, entry, cancellationToken);
                var log = await ReadAsync(branch, entry, cancellationToken);
                return finer is not null
                    ? await FirstAsync(branch, finer, cancellationToken)
                    : new RestorePoint(branch, log.PositionOf(0), Micros.ToTime(log.Details.Commits[0].TimeMicros));
            }
        }

        return null;
    }

    /// <summary>The last of some objects in which a change-set ends; null where there is none.</summary>
    public async Task<LogEntry?> LastFinalAsync(uint branch, IReadOnlyList<LogEntry> chain, CancellationToken cancellationToken)
    {
        for (var index = chain.Count - 1; index >= 0; index--)
        {
            if ((await HeaderAsync(branch, chain[index], cancellationToken)).Log.Final)
            {
                return chain[index];
            }
        }

        return null;
    }

    /// <summary>The index of the first object for which something holds that holds for all that follow it.</summary>
    /// <returns>
    /// The index, and what is wrong with an object that was passed over: a damaged one is in the way of the search, but whatever is
    /// elsewhere does not need it.
    /// </returns>
    async Task<(int Index, SalvorException? Damage)> FirstAsync(
        uint branch, IReadOnlyList<LogEntry> chain, Func<ObjectHeader, bool> holds, CancellationToken cancellationToken)
    {
        try
        {
            var (low, high) = (0, chain.Count);
            while (low < high)
            {
                var middle = low + ((high - low) / 2);
                (low, high) = holds(await HeaderAsync(branch, chain[middle], cancellationToken)) ? (low, middle) : (middle + 1, high);
            }

            return (low, null);
        }
        catch (SalvorException e) when (IsUnreadable(e))
        {
            return await FirstReadableAsync(branch, chain, holds, cancellationToken);
        }
    }

    /// <summary>The same, one by one.</summary>
    async Task<(int Index, SalvorException? Damage)> FirstReadableAsync(
        uint branch, IReadOnlyList<LogEntry> chain, Func<ObjectHeader, bool> holds, CancellationToken cancellationToken)
    {
        SalvorException? damage = null;
        for (var i = 0; i < chain.Count; i++)
        {
            try
            {
                if (holds(await HeaderAsync(branch, chain[i], cancellationToken)))
                {
                    return (i, damage);
                }
            }
            catch (SalvorException e) when (IsUnreadable(e))
            {
                damage ??= e;
            }
        }

        return (chain.Count, damage);
    }

    /// <summary>Whether this object will never be read, and another may be.</summary>
    static bool IsUnreadable(SalvorException e) => e is DamagedObjectException or NewerFormatException;
}
