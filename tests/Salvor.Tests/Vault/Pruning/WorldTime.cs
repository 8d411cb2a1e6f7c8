namespace Salvor.Tests.Vault.Pruning;

/// <summary>The clock of everybody who prunes in a simulation.</summary>
sealed class WorldTime : TimeProvider
{
    public DateTimeOffset Now { get; set; } = DateTimeOffset.UnixEpoch;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Now.UtcTicks;

    public override DateTimeOffset GetUtcNow() => Now;
}
