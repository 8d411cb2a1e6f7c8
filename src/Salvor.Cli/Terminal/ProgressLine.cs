using Salvor.Text;

namespace Salvor.Cli.Terminal;

/// <summary>One line on standard error that shows how far a long step is, its rate and the time left. Thread-safe.</summary>
sealed class ProgressLine(Invocation invocation, string what) : IDisposable
{
    static readonly TimeSpan Step = TimeSpan.FromMilliseconds(200);

    readonly Lock gate = new();
    readonly long started = invocation.Time.GetTimestamp();
    long drawnAt = invocation.Time.GetTimestamp();
    bool isDrawn;

    public void Report(long done, long total)
    {
        if (!invocation.ShowsProgress || invocation.Time.GetElapsedTime(Volatile.Read(ref drawnAt)) < Step)
        {
            return;
        }

        lock (gate)
        {
            drawnAt = invocation.Time.GetTimestamp();
            var elapsed = invocation.Time.GetElapsedTime(started).TotalSeconds;
            var rate = done / Math.Max(elapsed, 0.001);
            var left = TimeSpan.FromSeconds(Math.Ceiling((total - done) / Math.Max(rate, 1)));
            Console.Error.Write(
                $"\r{what} {SizeText.Format(done)} of {SizeText.Format(total)}, {SizeText.Format((long)rate)}/s, "
                    + $"{DurationText.FormatShort(left)} left  ");
            isDrawn = true;
        }
    }

    /// <summary>Removes the line, so that what is printed next starts clean.</summary>
    public void Clear()
    {
        lock (gate)
        {
            if (isDrawn)
            {
                Console.Error.Write("\r\e[K");
                isDrawn = false;
            }
        }
    }

    public void Dispose() => Clear();
}
