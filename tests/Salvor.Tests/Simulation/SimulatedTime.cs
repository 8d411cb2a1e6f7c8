namespace Salvor.Tests.Simulation;

/// <summary>
/// A clock that stands still until it is told to jump to the next timer. The wall clock can be set; the monotonic one cannot.
/// </summary>
sealed class SimulatedTime : TimeProvider
{
    static readonly DateTimeOffset Start = new(2026, 8, 1, 10, 30, 0, TimeSpan.Zero);

    readonly PriorityQueue<(SimulatedTimer Timer, long Version), (long Due, long Order)> timers = new();
    long order;

    /// <summary>How long the simulation runs by now.</summary>
    public TimeSpan Elapsed { get; private set; }

    /// <summary>How far somebody moved the wall clock.</summary>
    public TimeSpan WallOffset { get; set; }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Elapsed.Ticks;

    public override DateTimeOffset GetUtcNow() => Start + Elapsed + WallOffset;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new SimulatedTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Jumps to the next timer and lets it fire; false where there is none.</summary>
    public bool TryFireNext()
    {
        while (timers.TryDequeue(out var next, out var at))
        {
            if (next.Timer.Version == next.Version)
            {
                Elapsed = TimeSpan.FromTicks(at.Due);
                next.Timer.Fire();
                return true;
            }
        }

        return false;
    }

    sealed class SimulatedTimer(SimulatedTime time, TimerCallback callback, object? state) : ITimer
    {
        // Whoever started the timer gets its callback, unless it was killed meanwhile.
        readonly SynchronizationContext owner = SynchronizationContext.Current
            ?? throw new SimulationException("a timer was started outside of the simulation");

        TimeSpan period;

        public long Version { get; private set; }

        public bool Change(TimeSpan dueTime, TimeSpan next)
        {
            (Version, period) = (Version + 1, next);
            if (dueTime != Timeout.InfiniteTimeSpan)
            {
                time.timers.Enqueue((this, Version), ((time.Elapsed + dueTime).Ticks, time.order++));
            }

            return true;
        }

        public void Fire()
        {
            Change(period > TimeSpan.Zero ? period : Timeout.InfiniteTimeSpan, period);
            owner.Post(static timer => ((SimulatedTimer)timer!).Call(), this);
        }

        public void Dispose() => Version++;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        void Call() => callback(state);
    }
}
