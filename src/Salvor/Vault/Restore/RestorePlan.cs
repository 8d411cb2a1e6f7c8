using Salvor.Vault.Format;

namespace Salvor.Vault.Restore;

/// <summary>What to apply of one branch.</summary>
/// <param name="Branch">The branch.</param>
/// <param name="Entries">The log objects, in order.</param>
/// <param name="Until">The last position that counts.</param>
public sealed record LogSegment(uint Branch, IReadOnlyList<LogEntry> Entries, Position Until);

/// <summary>
/// How to reach a position: the newest usable snapshot at or before it, then the log from there. Made without reading any content, so a dry
/// run prints the same plan that a real run carries out.
/// </summary>
/// <param name="Branch">The branch that was asked for.</param>
/// <param name="Target">The position to reach.</param>
/// <param name="Snapshot">Where to start.</param>
/// <param name="Log">What to apply, in order.</param>
public sealed record RestorePlan(uint Branch, Position Target, SnapshotRef Snapshot, IReadOnlyList<LogSegment> Log)
{
    /// <summary>The number of the log object after which the snapshot stands; 0 before the first.</summary>
    public ulong SnapshotNumber { get; init; }

    /// <summary>The link that the log has there.</summary>
    public Hash256 SnapshotLineage { get; init; }

    /// <summary>How many log objects are read.</summary>
    public ulong LogObjectCount => Log.Aggregate(0UL, (sum, segment) => sum + (ulong)segment.Entries.Count);
}

/// <summary>A restore point: where a branch was at a time.</summary>
public sealed record RestorePoint(uint Branch, Position Position, DateTimeOffset Time);
