using Salvor.Vault.Format;

namespace Salvor.Postgres.Backup;

/// <summary>No incremental backup can be made, but a full one may.</summary>
/// <param name="reason">Why, as a part of a sentence.</param>
/// <param name="inner">What it was made of.</param>
sealed class NotIncrementalException(string reason, SalvorException? inner = null) : SalvorException(
    inner?.Kind ?? FailureKind.SourceUnreadable,
    $"no incremental backup can be made: {reason}",
    "Make a full one: 'salvor backup NAME --mode full'.",
    inner)
{
    public string Reason { get; } = reason;

    /// <summary>Whether the server was sending already, so that its connection has to be given up.</summary>
    public bool IsSending { get; init; }

    /// <summary>The object of the vault that is damaged; null where none is.</summary>
    public string? DamagedKey => (InnerException as DamagedObjectException)?.Key;
}
