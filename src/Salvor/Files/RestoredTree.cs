namespace Salvor.Files;

/// <summary>A tree that was restored.</summary>
/// <param name="Files">Regular files.</param>
/// <param name="Entries">All names.</param>
/// <param name="Bytes">How much content they have.</param>
/// <param name="FetchedBytes">What was read from the vault.</param>
public sealed record RestoredTree(long Files, long Entries, long Bytes, long FetchedBytes)
{
    /// <summary>The files that are left out, because they could not be read when they were backed up.</summary>
    public (long Files, long Bytes) Lacking { get; init; }

    /// <summary>What of the content was here already, and proved to be the same.</summary>
    public long ReusedBytes { get; init; }

    /// <summary>How many names were removed, or would be.</summary>
    public long RemovedCount { get; init; }

    /// <summary>Their paths in the backup, in order; at most <see cref="TreeBackupResult.ProblemsMax"/>.</summary>
    public IReadOnlyList<string> Removed { get; init; } = [];

    /// <summary>It and another one, as one.</summary>
    internal RestoredTree With(RestoredTree other) =>
        new(Files + other.Files, Entries + other.Entries, Bytes + other.Bytes, FetchedBytes + other.FetchedBytes)
        {
            Lacking = (Lacking.Files + other.Lacking.Files, Lacking.Bytes + other.Lacking.Bytes),
            ReusedBytes = ReusedBytes + other.ReusedBytes,
            RemovedCount = RemovedCount + other.RemovedCount,
            Removed = [.. Removed.Concat(other.Removed).Take(TreeBackupResult.ProblemsMax)],
            Problems = [.. Problems.Concat(other.Problems).Take(TreeBackupResult.ProblemsMax)],
        };

    /// <summary>What is not as it was, each a line; at most <see cref="TreeBackupResult.ProblemsMax"/>.</summary>
    public required IReadOnlyList<string> Problems { get; init; }
}
