namespace Salvor.Tests.Support;

/// <summary>A wall clock and a timer that move only when they are told to, each on its own.</summary>
sealed class ManualTime : TimeProvider
{
    DateTimeOffset now = new(2026, 8, 1, 10, 30, 0, TimeSpan.Zero);
    long timestamp;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => timestamp;

    public override DateTimeOffset GetUtcNow() => now;

    public void Advance(TimeSpan both) => Advance(both, both);

    public void Advance(TimeSpan clock, TimeSpan timer)
    {
        now += clock;
        timestamp += timer.Ticks;
    }
}
