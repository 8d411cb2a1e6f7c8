using System.Runtime.CompilerServices;
using Salvor.Vault.Format;

namespace Salvor.Vault.Restore;

/// <summary>
/// Reads the log objects of a plan in order, a few ahead, and proves the chain: each continues the one before, nothing is missing,
/// reordered or foreign. Parts that were never ended are dropped.
/// </summary>
static class LogWalk
{
    const int ReadAhead = 16;

    /// <summary>
    /// The objects of complete change-sets: for one in several parts, all parts in a row. The last may hold commits after the target.
    /// </summary>
    public static async IAsyncEnumerable<IReadOnlyList<LogObject>> ReadAsync(
        VaultCatalog catalog, RestorePlan plan, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var parts = new List<LogObject>();
        var position = plan.Snapshot.Position;
        Hash256? link = null;
        foreach (var segment in plan.Log)
        {
            parts.Clear();
            link = StartOf(catalog, plan, segment, position, link);
            await foreach (var log in ReadSegmentAsync(catalog, segment, cancellationToken))
            {
                var key = VaultKeys.Log(segment.Branch, log.Header.Number);
                if (log.Header.LineageBefore != link)
                {
                    throw new DamagedObjectException(key, "it does not continue the lineage of the object before it");
                }

                if (log.Header.PositionFirst != position.Next.Value)
                {
                    throw new DamagedObjectException(
                        key, $"it begins at position {log.Header.PositionFirst}, and what comes before it ends at {position}");
                }

                link = log.Header.LineageAfter;
                if (log.Details.FirstPart == log.Header.Number)
                {
                    parts.Clear();
                }
                else if (parts.Count == 0 || parts[0].Header.Number != log.Details.FirstPart)
                {
                    throw new DamagedObjectException(key, $"its first part {log.Details.FirstPart} is not before it");
                }

                parts.Add(log);
                if (log.Details.Final)
                {
                    position = new Position(log.Header.PositionLast);
                    yield return [.. parts];
                    parts.Clear();
                }
            }

            // What follows the fork belongs to the branch that was left.
            position = position > segment.Until ? segment.Until : position;
        }
    }

    /// <summary>The link that the first object of a segment continues.</summary>
    static Hash256 StartOf(VaultCatalog catalog, RestorePlan plan, LogSegment segment, Position position, Hash256? parentLink) =>
        segment.First != 1 ? plan.SnapshotLineage
        : parentLink is { } link ? Lineage.StartOf(catalog.Vault.Secrets, catalog.Vault.Id, segment.Branch, position, link)
        : catalog.LineageStart(catalog.Branch(segment.Branch));

    static async IAsyncEnumerable<LogObject> ReadSegmentAsync(
        VaultCatalog catalog, LogSegment segment, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var ahead = new Queue<Task<LogObject>>();
        for (var number = segment.First; number <= segment.Last || ahead.Count > 0;)
        {
            while (number <= segment.Last && ahead.Count < ReadAhead)
            {
                ahead.Enqueue(catalog.ReadLogAsync(segment.Branch, number++, cancellationToken));
            }

            yield return await ahead.Dequeue();
        }
    }
}
