namespace Salvor.Vault.Restore;

/// <summary>A run of restore points with nothing missing in between.</summary>
/// <param name="BeginsWith">Why it does not continue the span before it; empty where it is the first of its branch.</param>
public sealed record RestoreSpan(uint Branch, Position First, Position Last, DateTimeOffset From, DateTimeOffset To, string BeginsWith);

/// <summary>Finds what a vault offers. A damaged or missing object ends the offer of its branch: nothing behind it can be proved.</summary>
public static class RestoreSpans
{
    public static async Task<IReadOnlyList<RestoreSpan>> FindAsync(VaultCatalog catalog, CancellationToken cancellationToken)
    {
        var spans = new List<RestoreSpan>();
        foreach (var branch in catalog.Branches)
        {
            var logs = catalog.Logs(branch.Number);
            var last = logs.Missing.Count > 0 ? logs.Missing[0] - 1 : logs.Last;
            var log = new List<LogSegment> { new(branch.Number, 1, last, new Position(ulong.MaxValue)) };
            var fork = new SnapshotRef(branch.Number, new Position(branch.Record.ForkPosition));
            var plan = new RestorePlan(branch.Number, default, fork, log);
            RestoreSpan? open = null;
            await foreach (var parts in LogWalk.ReadAsync(catalog, plan, cancellationToken))
            {
                open = Extend(spans, open, parts[^1]);
            }

            if (open is not null)
            {
                spans.Add(open);
            }
        }

        return spans;
    }

    static RestoreSpan Extend(List<RestoreSpan> spans, RestoreSpan? open, LogObject log)
    {
        var to = Micros.ToTime(log.Header.TimeLastMicros);
        var last = new Position(log.Header.PositionLast);
        if (open is not null && log.Details.Kind == LogKind.Commits)
        {
            return open with { Last = last, To = to };
        }

        if (open is not null)
        {
            spans.Add(open);
        }

        var reason = log.Details.Kind == LogKind.Resync ? log.Details.Reason : "";
        return new RestoreSpan(
            log.Header.Branch, new Position(log.Header.PositionFirst), last, Micros.ToTime(log.Header.TimeFirstMicros), to, reason);
    }
}
