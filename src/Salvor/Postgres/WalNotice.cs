namespace Salvor.Postgres;

/// <summary>What happened to whoever follows a server.</summary>
public enum WalNoticeKind
{
    /// <summary>It receives, from an address on.</summary>
    Follows,

    /// <summary>There is no connection; it is tried again.</summary>
    ServerLost,

    /// <summary>The slot did not keep the log.</summary>
    SlotLost,

    /// <summary>Log is gone for good.</summary>
    Gap,

    /// <summary>No more may wait on this machine.</summary>
    SpoolFull,

    /// <summary>What was received does not get into the vault.</summary>
    NotPublished,

    /// <summary>Something that makes the vault smaller was not done.</summary>
    NotMerged,
}

/// <summary>What an operator has to know of a server that is followed.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">In words, without a full stop.</param>
/// <param name="Hint">What to do about it; empty where nothing is to be done.</param>
public sealed record WalNotice(WalNoticeKind Kind, string Text, string Hint = "");
