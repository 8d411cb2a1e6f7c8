using Salvor.Vault;

namespace Salvor.Sqlite.Capture;

/// <summary>
/// The times of commits: the wall clock as it is, and an ordered time that never goes back, never repeats and ignores jumps of the wall
/// clock. A jump is a second or more against the monotonic clock; one that has lasted is believed, because a suspended machine wakes up
/// with the monotonic clock behind.
/// </summary>
sealed class OrderedClock(TimeProvider time, long lastMicros)
{
    static readonly TimeSpan JumpMin = TimeSpan.FromSeconds(1);
    static readonly TimeSpan BelievedAfter = TimeSpan.FromMinutes(5);

    long last = lastMicros;
    DateTimeOffset anchorWall = time.GetUtcNow();
    long anchorTicks = time.GetTimestamp();
    long? jumpedAt;

    /// <summary>How far the wall clock is from where it should be by the monotonic one; zero without a jump.</summary>
    public TimeSpan Jump { get; private set; }

    /// <summary>The time for the next commit.</summary>
    public (long RawMicros, long OrderedMicros) Next()
    {
        var wall = time.GetUtcNow();
        var expected = anchorWall + time.GetElapsedTime(anchorTicks);
        Jump = (wall - expected).Duration() < JumpMin ? TimeSpan.Zero : wall - expected;
        if (Jump == TimeSpan.Zero || HasLasted())
        {
            (anchorWall, anchorTicks, jumpedAt) = (wall, time.GetTimestamp(), null);
            (expected, Jump) = (wall, TimeSpan.Zero);
        }

        last = Math.Max(last + 1, Micros.Of(expected));
        return (Micros.Of(wall), last);
    }

    bool HasLasted()
    {
        jumpedAt ??= time.GetTimestamp();
        return time.GetElapsedTime(jumpedAt.Value) >= BelievedAfter;
    }
}
