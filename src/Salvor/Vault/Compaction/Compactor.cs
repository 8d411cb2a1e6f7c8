using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Vault.Compaction;

/// <summary>
/// Makes one log object of several. It holds the commits that are kept, and of every page that changed between two of them the newest
/// version, so it leads from where its sources begin to where they end; the links at its edges and the checksum of every kept commit are
/// those of the sources. All that is read is checked, and what was written is read back before this returns. Nothing is deleted here. The
/// same sources and the same kept commits give the same bytes, whoever makes them. Memory: about 40 MiB.
/// </summary>
public sealed class Compactor(VaultCatalog catalog)
{
    /// <summary>Few, because each may have megabytes of details.</summary>
    const int ReadAhead = 2;

    /// <summary>
    /// Carries a run out and returns the objects that now cover its numbers: one, or more where it was too large for one. Empty where
    /// nothing could be made.
    /// </summary>
    public async Task<IReadOnlyList<LogEntry>> RunAsync(uint branch, CompactionRun run, CancellationToken cancellationToken)
    {
        try
        {
            return [await MakeAsync(branch, run, cancellationToken)];
        }
        catch (RunTooLargeException)
        {
            var made = new List<LogEntry>();
            foreach (var half in await HalvesAsync(branch, run, cancellationToken))
            {
                made.AddRange(await RunAsync(branch, half, cancellationToken));
            }

            return made;
        }
    }

    async Task<LogEntry> MakeAsync(uint branch, CompactionRun run, CancellationToken cancellationToken)
    {
        var first = await catalog.ReadLogHeaderAsync(branch, run.Entries[0], cancellationToken);
        var last = await catalog.ReadLogAsync(branch, run.Entries[^1], cancellationToken);
        Invariant.Check(last.Details.Final && run.Entries.Count > 1);
        var end = new Position(last.Header.PositionLast);
        var pages = new CompactedPages(last.Details.PageSize, position => run.Kept?.Contains(position) != false, end);
        var plan = new RestorePlan(
            branch, end, new SnapshotRef(branch, new Position(first.PositionFirst - 1)), [new LogSegment(branch, run.Entries, end)])
        {
            SnapshotNumber = run.Entries[0].First - 1,
            SnapshotLineage = first.LineageBefore,
        };
        await Replay.RunAsync(catalog, plan, pages, cancellationToken, ReadAhead);
        var header = new ObjectHeader
        {
            Kind = ObjectKind.Log,
            VaultId = catalog.Vault.Id,
            Branch = branch,
            Number = run.Entries[^1].Last,
            PositionFirst = first.PositionFirst,
            PositionLast = end.Value,
            TimeFirstMicros = pages.TimeFirstMicros!.Value,
            TimeLastMicros = last.Header.TimeLastMicros,
            LineageBefore = first.LineageBefore,
            LineageAfter = last.Header.LineageAfter,
        };
        var writer = new CompactedWriter(catalog, header, new LogEntry(run.Entries[0].First, run.Entries[^1].Last, 0), pages);
        return await writer.WriteAsync(cancellationToken);
    }

    /// <summary>Cut where a change-set ends; what is one change-set stays as it is.</summary>
    async Task<IReadOnlyList<CompactionRun>> HalvesAsync(uint branch, CompactionRun run, CancellationToken cancellationToken)
    {
        for (var i = 0; i < run.Entries.Count - 1; i++)
        {
            var cut = (run.Entries.Count / 2) + (i % 2 == 0 ? i / 2 : -1 - (i / 2));
            if (cut >= 1 && cut < run.Entries.Count
                && (await catalog.ReadLogHeaderAsync(branch, run.Entries[cut - 1], cancellationToken)).Log.Final)
            {
                CompactionRun[] halves =
                    [run with { Entries = [.. run.Entries.Take(cut)] }, run with { Entries = [.. run.Entries.Skip(cut)] }];
                return [.. halves.Where(half => half.Entries.Count > 1)];
            }
        }

        return [];
    }
}
