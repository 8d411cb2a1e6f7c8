namespace Salvor.Sqlite;

/// <summary>What a source is doing. Printed and stored in lower case.</summary>
public enum SourceState
{
    /// <summary>Not started yet.</summary>
    Starting,

    /// <summary>The database does not exist yet, or is empty.</summary>
    Waiting,

    /// <summary>The first full copy, or a comparison of the whole database, is under way.</summary>
    Copying,

    /// <summary>The vault is new and encrypted, and nobody has its key elsewhere yet.</summary>
    AwaitingExport,

    /// <summary>Commits are captured as they happen.</summary>
    Healthy,

    /// <summary>A rollback-journal database changes too often to be copied in between.</summary>
    Behind,

    /// <summary>The destination does not work; commits wait.</summary>
    BackingOff,

    /// <summary>The database cannot be read, or something else is wrong that will be tried again.</summary>
    Failing,

    /// <summary>Detached on request.</summary>
    Paused,

    /// <summary>Ended.</summary>
    Stopped,
}

/// <summary>How far the copy of a source at a further destination is.</summary>
/// <param name="Destination">Where it is.</param>
/// <param name="Required">Whether a commit counts as durable only when it is there.</param>
/// <param name="BehindSince">Since when something is missing there; null where it is complete.</param>
/// <param name="Error">Why it cannot go on; empty where it can.</param>
/// <param name="Hint">What to do about that.</param>
public sealed record CopyStatus(string Destination, bool Required, DateTimeOffset? BehindSince, string Error, string Hint)
{
    /// <summary>What the configuration calls the destination; empty where it has no name.</summary>
    public string Name { get; init; } = "";

    /// <summary>What it lacks of older history and is being filled up with, where that is to be said; else empty.</summary>
    public string Lack { get; init; } = "";
}

/// <summary>How one source fares, at one moment.</summary>
public sealed record SourceStatus
{
    public required string Source { get; init; }

    public required string Path { get; init; }

    public required string Destination { get; init; }

    public required SourceState State { get; init; }

    /// <summary>Why it is in this state, where that needs words.</summary>
    public string Detail { get; init; } = "";

    /// <summary>What to do about it.</summary>
    public string Hint { get; init; } = "";

    public uint Branch { get; init; }

    /// <summary>The last restore point.</summary>
    public ulong Position { get; init; }

    /// <summary>Its time; null before the first.</summary>
    public DateTimeOffset? PositionTime { get; init; }

    /// <summary>The age of the oldest commit that is not durable yet; zero when none waits.</summary>
    public TimeSpan Lag { get; init; }

    /// <summary>When the oldest commit was seen that is not durable yet; null when none waits.</summary>
    public DateTimeOffset? WaitingSince { get; init; }

    /// <summary>
    /// Since when commits may be missed until the next comparison; null while they are captured, and where there is no database.
    /// </summary>
    public DateTimeOffset? UncapturedSince { get; init; }

    /// <summary>Since when the destination does not work; null while it does.</summary>
    public DateTimeOffset? BackingOffSince { get; init; }

    /// <summary>How many log objects wait on the local disk for a destination that does not work.</summary>
    public int OutboxObjects { get; init; }

    /// <summary>Their bytes.</summary>
    public long OutboxBytes { get; init; }

    /// <summary>Why nothing more can wait there; empty where something can.</summary>
    public string OutboxObstacle { get; init; } = "";

    /// <summary>Bytes stored since the start of the process.</summary>
    public long StoredBytes { get; init; }

    /// <summary>How far a copy is, in bytes.</summary>
    public long CopiedBytes { get; init; }

    /// <summary>The size of what is being copied; 0 when nothing is.</summary>
    public long CopyTotalBytes { get; init; }

    /// <summary>The time of the state in the newest snapshot; null until it was looked up.</summary>
    public DateTimeOffset? SnapshotTime { get; init; }

    /// <summary>Why the last snapshot that was due was not made; empty where it was.</summary>
    public string SnapshotFailure { get; init; } = "";

    /// <summary>How often continuity had to be regained by a resync since the start.</summary>
    public int Resyncs { get; init; }

    /// <summary>How far the wall clock jumped against the monotonic one, while that lasts.</summary>
    public TimeSpan ClockJump { get; init; }
}
