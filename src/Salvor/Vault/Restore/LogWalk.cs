using System.Runtime.CompilerServices;
using Salvor.Vault.Format;

namespace Salvor.Vault.Restore;

/// <summary>
/// Reads the log objects of a plan in order, a few ahead, and proves the chain: each continues the one before, nothing is missing,
/// reordered or foreign. Parts that were never ended are dropped.
/// </summary>
static class LogWalk
{
    /// <summary>How many objects are read before they are due.</summary>
    public const int ReadAhead = 16;

    /// <summary>
    /// The objects of complete change-sets: for one in several parts, all parts in a row. The last may hold commits after the target, and
    /// the first may hold commits that the snapshot has already.
    /// </summary>
    public static async IAsyncEnumerable<IReadOnlyList<LogObject>> ReadAsync(
        VaultCatalog catalog, RestorePlan plan, [EnumeratorCancellation] CancellationToken cancellationToken, int ahead = ReadAhead)
    {
        var parts = new List<LogObject>();
        var reached = new Reached(plan.SnapshotNumber, plan.SnapshotLineage, plan.Snapshot.Position);
        foreach (var segment in plan.Log)
        {
            parts.Clear();
            reached = StartOf(catalog, plan, segment, reached);
            await foreach (var log in ReadSegmentAsync(catalog, segment, ahead, cancellationToken))
            {
                reached.Expect(log);
                if (log.Details.IsCompacted)
                {
                    reached = reached.After(log);
                    yield return await catalog.ReadPartsAsync(log, cancellationToken);
                    parts.Clear();
                    continue;
                }

                if (log.Details.FirstPart == log.Header.Number)
                {
                    parts.Clear();
                }
                else if (parts.Count == 0 || parts[0].Header.Number != log.Details.FirstPart)
                {
                    throw new DamagedObjectException(log.Key, $"its first part {log.Details.FirstPart} is not before it");
                }

                parts.Add(log);
                reached = reached.After(log);
                if (log.Details.Final)
                {
                    yield return [.. parts];
                    parts.Clear();
                }
            }

            // What follows the fork belongs to the branch that was left.
            reached = reached with { Position = reached.Position > segment.Until ? segment.Until : reached.Position };
        }
    }

    /// <summary>Where a segment continues: at the snapshot, or where its branch begins.</summary>
    static Reached StartOf(VaultCatalog catalog, RestorePlan plan, LogSegment segment, Reached reached)
    {
        if (segment.Branch == plan.Snapshot.Branch && plan.SnapshotNumber > 0)
        {
            return reached;
        }

        // Where a coarser object than the one at the fork was read, the record has the link; the first object of the branch proves it.
        var branch = catalog.Branch(segment.Branch);
        var isLinked = segment != plan.Log[0] && reached.Number == branch.Record.ForkNumber;
        return reached with
        {
            Number = 0,
            Link = isLinked
                ? Lineage.StartOf(catalog.Vault.Secrets, catalog.Vault.Id, segment.Branch, reached.Position, reached.Link)
                : catalog.LineageStart(branch),
        };
    }

    static async IAsyncEnumerable<LogObject> ReadSegmentAsync(
        VaultCatalog catalog, LogSegment segment, int aheadMax, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var ahead = new Queue<Task<LogObject>>();
        for (var next = 0; next < segment.Entries.Count || ahead.Count > 0;)
        {
            while (next < segment.Entries.Count && ahead.Count < aheadMax)
            {
                ahead.Enqueue(catalog.ReadLogAsync(segment.Branch, segment.Entries[next++], cancellationToken));
            }

            yield return await ahead.Dequeue();
        }
    }

    /// <summary>How far the walk is.</summary>
    readonly record struct Reached(ulong Number, Hash256 Link, Position Position)
    {
        /// <summary>
        /// An object that begins below the number that is due has been compacted over the place where the walk stands. Its link there is
        /// gone; what it brings is proved by the checksum of the database, as all is.
        /// </summary>
        public void Expect(LogObject log)
        {
            var first = log.Details.IsCompacted ? log.Details.FirstNumber : log.Header.Number;
            var overlaps = log.Details.IsCompacted && first <= Number;
            if (!overlaps && log.Header.LineageBefore != Link)
            {
                throw new DamagedObjectException(log.Key, "it does not continue the lineage of the object before it");
            }

            if (overlaps ? log.Header.PositionFirst > Position.Next.Value : log.Header.PositionFirst != Position.Next.Value)
            {
                throw new DamagedObjectException(
                    log.Key, $"it begins at position {log.Header.PositionFirst}, and what comes before it ends at {Position}");
            }
        }

        public Reached After(LogObject log) =>
            new(log.Header.Number, log.Header.LineageAfter, log.Details.Final ? new Position(log.Header.PositionLast) : Position);
    }
}
