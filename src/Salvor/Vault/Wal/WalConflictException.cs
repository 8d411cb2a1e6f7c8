namespace Salvor.Vault.Wal;

/// <summary>
/// The vault holds other bytes at an address than whoever wants to store them. Nothing is damaged, and trying again does not help: two
/// servers wrote the same addresses of one timeline.
/// </summary>
public sealed class WalConflictException(string location, uint timeline, Lsn at) : SalvorException(
    FailureKind.Integrity,
    $"{location} holds other bytes at {at} of timeline {timeline} than this server",
    "One of two servers was set back to an earlier state without a new timeline. Find out which one counts; promote the other, so that it "
        + "begins a timeline of its own, or give it another name.")
{
    /// <summary>The first address that differs.</summary>
    public Lsn At { get; } = at;
}
