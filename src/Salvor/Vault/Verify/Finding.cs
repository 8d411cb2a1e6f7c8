namespace Salvor.Vault.Verify;

/// <summary>Where in the layers of the format a damage was found; printed and stored in lower case.</summary>
public enum FindingLayer
{
    /// <summary>What a listing shows: something is missing, or is nothing of Salvor.</summary>
    Listing,

    /// <summary>An object as a whole: header, frame index, footer, its hash, its place.</summary>
    Envelope,

    /// <summary>A frame: its checksum, its compression, the hash of its content.</summary>
    Frame,

    /// <summary>What an object says of itself.</summary>
    Details,

    /// <summary>A chunk: its name, or that a snapshot does not find it.</summary>
    Chunk,

    /// <summary>The chain through the log, the branches and the snapshots.</summary>
    Lineage,

    /// <summary>What a daemon said that it stored.</summary>
    Head,

    /// <summary>A restored database: its pages, or SQLite's own check.</summary>
    Database,

    /// <summary>The recovery of a cluster by a server, and what that says of all it holds.</summary>
    Recovery,
}

/// <summary>One damage of one copy of a vault.</summary>
/// <param name="Destination">Where the damaged copy is.</param>
/// <param name="Key">The object, inside the vault.</param>
/// <param name="What">What is wrong with it, as the part of a sentence after its name.</param>
/// <param name="Consequence">What can no longer be restored from this copy.</param>
public sealed record Finding(string Destination, string Key, FindingLayer Layer, string What, string Consequence)
{
    /// <summary>Whether it is tampering that readers see through, because the destination keeps what was deleted or overwritten.</summary>
    public bool IsKept { get; init; }
}

/// <summary>What a verification of one copy of a vault found.</summary>
public sealed record VerifyReport
{
    /// <summary>Where the copy is.</summary>
    public required string Destination { get; init; }

    /// <summary>How many objects were looked at.</summary>
    public required long Objects { get; init; }

    /// <summary>How many of them were read whole.</summary>
    public required long ObjectsRead { get; init; }

    /// <summary>How many bytes were read.</summary>
    public required long Bytes { get; init; }

    /// <summary>The positions that are restore points, on all branches.</summary>
    public required ulong RestorePoints { get; init; }

    /// <summary>The last position of the newest branch.</summary>
    public required Position Newest { get; init; }

    /// <summary>The branch that is being written; 0 where there is none.</summary>
    public required uint Branch { get; init; }

    /// <summary>The first of them, in the order in which they were found.</summary>
    public required IReadOnlyList<Finding> Findings { get; init; }

    /// <summary>How many there are in all.</summary>
    public required long FindingCount { get; init; }

    /// <summary>
    /// What of the log of PostgreSQL is missing between what is there: no damage, because a server may have removed it before it was had.
    /// No recovery gets past one.
    /// </summary>
    public IReadOnlyList<Wal.WalGap> WalGaps { get; init; } = [];
}
