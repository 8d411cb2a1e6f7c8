namespace Salvor.Tests.Support;

/// <summary>A clock that runs many times as fast as the real one: what happens every quarter of an hour can be waited for.</summary>
sealed class FastTime(int factor) : TimeProvider
{
    readonly DateTimeOffset start = System.GetUtcNow();
    readonly long startTimestamp = System.GetTimestamp();

    /// <summary>By how much its clock is ahead; its timers are not.</summary>
    public TimeSpan Ahead { get; set; }

    public override long TimestampFrequency => System.TimestampFrequency;

    public override long GetTimestamp() => startTimestamp + ((System.GetTimestamp() - startTimestamp) * factor);

    public override DateTimeOffset GetUtcNow() => start + Ahead + GetElapsedTime(startTimestamp);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        new Timer(System.CreateTimer(callback, state, Shorter(dueTime), Shorter(period)), Shorter);

    TimeSpan Shorter(TimeSpan time) => time > TimeSpan.Zero ? time / factor : time;

    sealed class Timer(ITimer inner, Func<TimeSpan, TimeSpan> shorter) : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => inner.Change(shorter(dueTime), shorter(period));

        public void Dispose() => inner.Dispose();

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
