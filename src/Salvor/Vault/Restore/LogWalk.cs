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
        foreach (var segment in plan.Log)
        {
            Hash256? link = segment.First == 1 ? catalog.LineageStart(catalog.Branch(segment.Branch)) : null;
            await foreach (var log in ReadSegmentAsync(catalog, segment, cancellationToken))
            {
                var key = VaultKeys.Log(segment.Branch, log.Header.Number);
                if (link is { } expected && log.Header.LineageBefore != expected)
                {
                    throw new DamagedObjectException(key, "it does not continue the lineage of the object before it");
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
                    yield return [.. parts];
                    parts.Clear();
                }
            }
        }
    }

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
