using Salvor.Vault.Format;

namespace Salvor.Vault.Restore;

/// <summary>A run of restore points, equally fine, with nothing missing in between that was not dropped on purpose.</summary>
/// <param name="Granularity">How far apart the restore points are.</param>
/// <param name="BeginsWith">
/// Why it does not continue the span before it; empty where it is the first of its branch, or only finer or coarser than that.
/// </param>
public sealed record RestoreSpan(
    uint Branch, Position First, Position Last, DateTimeOffset From, DateTimeOffset To, Granularity Granularity, string BeginsWith);

/// <summary>
/// Finds what a vault offers, from the headers of the log. A missing object ends the offer of its branch: nothing behind it can be proved.
/// </summary>
public static class RestoreSpans
{
    public static async Task<IReadOnlyList<RestoreSpan>> FindAsync(VaultCatalog catalog, CancellationToken cancellationToken)
    {
        var spans = new List<RestoreSpan>();
        foreach (var branch in catalog.Branches)
        {
            await new BranchSpans(catalog, branch, spans).FindAsync(cancellationToken);
        }

        return spans;
    }

    /// <summary>Why a span does not continue the one before it.</summary>
    const string Pruned = "what came before has expired";

    sealed class BranchSpans(VaultCatalog catalog, Branch branch, List<RestoreSpan> spans)
    {
        readonly LogSearch search = new(catalog);
        readonly int before = spans.Count;

        /// <summary>What came before the next restore point was pruned.</summary>
        bool isAfterPruned;

        public async Task FindAsync(CancellationToken cancellationToken)
        {
            IReadOnlyList<LogEntry> chain = [.. catalog.Logs(branch.Number).Chain.TakeWhile(entry => !entry.IsMissing)];
            await search.PrefetchAsync(branch.Number, chain, cancellationToken);
            await ExpectLinksAsync(chain, cancellationToken);
            await AddAsync(chain, cancellationToken);
        }

        /// <summary>As a restore does it: each object continues the one before.</summary>
        async Task ExpectLinksAsync(IReadOnlyList<LogEntry> chain, CancellationToken cancellationToken)
        {
            var (number, link, position) = (0UL, catalog.LineageStart(branch), branch.Record.ForkPosition);
            foreach (var entry in chain)
            {
                var header = await search.HeaderAsync(branch.Number, entry, cancellationToken);
                if (catalog.Logs(branch.Number).IsAfterPruned(entry))
                {
                    (number, link, position) = (entry.First - 1, header.LineageBefore, header.PositionFirst - 1);
                }

                if (entry.First == number + 1 && header.LineageBefore != link)
                {
                    throw new DamagedObjectException(
                        VaultKeys.Log(branch.Number, entry), "it does not continue the lineage of the object before it");
                }

                if (header.PositionFirst > position + 1 || (entry.First == number + 1 && header.PositionFirst != position + 1))
                {
                    throw new DamagedObjectException(
                        VaultKeys.Log(branch.Number, entry),
                        $"it begins at position {header.PositionFirst}, and what comes before it ends at {position}");
                }

                (number, link) = (entry.Last, header.LineageAfter);
                position = header.Log.Final ? header.PositionLast : position;
            }
        }

        async Task AddAsync(IReadOnlyList<LogEntry> chain, CancellationToken cancellationToken)
        {
            foreach (var entry in chain)
            {
                isAfterPruned |= catalog.Logs(branch.Number).IsAfterPruned(entry);
                if (await search.FinerAsync(branch.Number, entry, cancellationToken) is { } finer)
                {
                    await AddAsync(finer, cancellationToken);
                    continue;
                }

                var header = await search.HeaderAsync(branch.Number, entry, cancellationToken);
                if (!header.Log.Final)
                {
                    continue;
                }

                if (header.Log is { Kind: LogKind.Commits, HasBreaks: false } && !isAfterPruned
                    && Open is { } open && open.Granularity == header.Log.Granularity)
                {
                    spans[^1] = open with { Last = new Position(header.PositionLast), To = Micros.ToTime(header.TimeLastMicros) };
                }
                else
                {
                    Add(await search.ReadAsync(branch.Number, entry, cancellationToken));
                    isAfterPruned = false;
                }
            }
        }

        RestoreSpan? Open => spans.Count > before ? spans[^1] : null;

        /// <summary>The spans of an object that may begin or hold some.</summary>
        void Add(LogObject log)
        {
            int[] starts = [0, .. log.Details.Breaks.Select(item => (int)item.Commit), log.Details.Commits.Count];
            for (var i = 0; i + 1 < starts.Length; i++)
            {
                var (first, last) = (starts[i], starts[i + 1] - 1);
                var to = Micros.ToTime(log.Details.Commits[last].TimeMicros);
                var kind = i == 0 ? log.Details.Kind : LogKind.Resync;
                var begins = isAfterPruned && i == 0;
                if (kind == LogKind.Commits && !begins && Open is { } open && open.Granularity == log.Details.Granularity)
                {
                    spans[^1] = open with { Last = log.PositionOf(last), To = to };
                    continue;
                }

                var reason = kind != LogKind.Resync ? (begins ? Pruned : "")
                    : i == 0 ? log.Details.Reason
                    : log.Details.Breaks[i - 1].Reason;
                spans.Add(new RestoreSpan(
                    branch.Number, log.PositionOf(first), log.PositionOf(last), Micros.ToTime(log.Details.Commits[first].TimeMicros), to,
                    log.Details.Granularity, reason));
            }
        }
    }
}
