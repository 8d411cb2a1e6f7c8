namespace Salvor;

/// <summary>What went wrong, by how a caller reacts to it. The value is the exit code of the process.</summary>
public enum FailureKind
{
    /// <summary>Anything that no other kind describes.</summary>
    Failure = 1,

    /// <summary>The command line or the configuration is wrong.</summary>
    Usage = 2,

    /// <summary>A source cannot be read: absent, no permission, not a database.</summary>
    SourceUnreadable = 3,

    /// <summary>A destination cannot be reached or refuses to work.</summary>
    DestinationUnreachable = 4,

    /// <summary>Stored data is corrupt or missing.</summary>
    Integrity = 5,

    /// <summary>There is nothing to restore, or the target cannot be reached.</summary>
    NotRestorable = 6,

    /// <summary>Another writer or process holds what is needed.</summary>
    Locked = 7,

    /// <summary>A check found an unhealthy state.</summary>
    Unhealthy = 8,

    /// <summary>Finished, but named items could not be read.</summary>
    Partial = 9,

    /// <summary>The newest state is older than it should be.</summary>
    Stale = 10,

    /// <summary>The time that was given ran out.</summary>
    TimedOut = 124,

    /// <summary>Stopped by a signal.</summary>
    Interrupted = 130,
}

/// <summary>
/// A failure that an operator can cause or meet. The message is lower case, names the thing and has no full stop; the hint
/// is a sentence with the next command.
/// </summary>
public class SalvorException(FailureKind kind, string message, string hint, Exception? inner = null)
    : Exception(message, inner)
{
    /// <summary>How a caller reacts, and the exit code.</summary>
    public FailureKind Kind { get; } = kind;

    /// <summary>The next thing to do, as one or two sentences.</summary>
    public string Hint { get; } = hint;
}
