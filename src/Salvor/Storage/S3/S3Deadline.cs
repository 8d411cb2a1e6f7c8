namespace Salvor.Storage.S3;

/// <summary>
/// Ends a call that stands still, and one that goes on too slowly to be of use: a service that sends a byte now and then would
/// otherwise be waited for for ever.
/// </summary>
sealed class S3Deadline : IDisposable
{
    static readonly TimeSpan StillMax = TimeSpan.FromSeconds(30);
    static readonly TimeSpan CallMax = TimeSpan.FromSeconds(60);

    /// <summary>Slower than any line that backups are sent over.</summary>
    const int BytesPerSecondMin = 16 << 10;

    readonly TimeProvider time;
    readonly CancellationTokenSource timer;
    readonly CancellationTokenSource linked;
    readonly long started;
    readonly TimeSpan max;

    /// <param name="bytes">How many bytes travel, at most.</param>
    public S3Deadline(long bytes, TimeProvider time, CancellationToken cancellationToken)
    {
        this.time = time;
        started = time.GetTimestamp();
        max = CallMax + TimeSpan.FromSeconds(bytes / (double)BytesPerSecondMin);
        timer = new CancellationTokenSource(StillMax, time);
        linked = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
    }

    public CancellationToken Token => linked.Token;

    /// <summary>How long the call has taken.</summary>
    public TimeSpan Elapsed => time.GetElapsedTime(started);

    /// <summary>Bytes went, or came.</summary>
    public void Move()
    {
        var left = max - Elapsed;
        timer.CancelAfter(left < TimeSpan.Zero ? TimeSpan.Zero : left < StillMax ? left : StillMax);
    }

    public void Dispose()
    {
        linked.Dispose();
        timer.Dispose();
    }
}
