namespace Salvor.Storage;

/// <summary>
/// So many bytes a second, for all who share it. A call may begin when what went before is paid for, and then goes at full speed: a large
/// object is a burst, and a pause after it. Small calls (a commit, a claim, a header) do not wait for large ones: they wait for each
/// other only, and the large ones pay for them.
/// </summary>
/// <param name="bytesPerSecond">From 1 on.</param>
/// <param name="time">The clock.</param>
sealed class Bandwidth(long bytesPerSecond, TimeProvider time) : IDisposable
{
    /// <summary>Almost every commit, and no pack.</summary>
    public const int SmallBytesMax = 256 << 10;

    /// <summary>What was not used for so long is used later, no more.</summary>
    static readonly TimeSpan Saved = TimeSpan.FromSeconds(1);

    readonly Lock gate = new();

    // Who came first goes first.
    readonly SemaphoreSlim small = new(1);
    readonly SemaphoreSlim large = new(1);
    long refilled = time.GetTimestamp();

    /// <summary>What all may use, and what small calls may use; below zero where it was used ahead.</summary>
    double all;
    double ofSmall;

    /// <summary>Waits until a call of so many bytes may begin, and counts them.</summary>
    public async Task TakeAsync(int bytes, CancellationToken cancellationToken)
    {
        var isSmall = bytes <= SmallBytesMax;
        var turn = isSmall ? small : large;
        await turn.WaitAsync(cancellationToken);
        try
        {
            while (WaitFor(isSmall, bytes) is { } wait)
            {
                await Task.Delay(wait, time, cancellationToken);
            }
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>So many of the bytes that were counted for a call did not travel.</summary>
    public void Return(int bytesOfCall, int bytesLeft)
    {
        lock (gate)
        {
            Use(bytesOfCall <= SmallBytesMax, -bytesLeft);
        }
    }

    public void Dispose()
    {
        small.Dispose();
        large.Dispose();
    }

    /// <summary>How long to wait; null where the call may begin, and was counted.</summary>
    TimeSpan? WaitFor(bool isSmall, int bytes)
    {
        lock (gate)
        {
            Refill();
            var left = isSmall ? ofSmall : all;
            if (left < 0)
            {
                // Not less than a millisecond: a clock that rounds down would be asked for ever.
                return TimeSpan.FromSeconds(Math.Max(0.001, -left / bytesPerSecond));
            }

            Use(isSmall, bytes);
            return null;
        }
    }

    void Refill()
    {
        var now = time.GetTimestamp();
        var came = time.GetElapsedTime(refilled, now).TotalSeconds * bytesPerSecond;
        var max = Saved.TotalSeconds * bytesPerSecond;
        (all, ofSmall, refilled) = (Math.Min(max, all + came), Math.Min(max, ofSmall + came), now);
    }

    void Use(bool isSmall, int bytes)
    {
        all -= bytes;
        ofSmall -= isSmall ? bytes : 0;
    }
}
