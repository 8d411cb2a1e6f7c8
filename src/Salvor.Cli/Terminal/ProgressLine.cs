namespace Salvor.Cli.Terminal;

/// <summary>
/// Shows on standard error how far long work is: on a terminal one line that is drawn over and taken away at the end, elsewhere a line now
/// and then. What takes no longer than a moment shows nothing. Thread-safe.
/// </summary>
sealed class ProgressLine : IDisposable
{
    const string Erase = "\r\e[K";

    static readonly TimeSpan First = TimeSpan.FromMilliseconds(500);
    static readonly TimeSpan RedrawEvery = TimeSpan.FromMilliseconds(250);
    static readonly TimeSpan WriteEvery = TimeSpan.FromSeconds(2);

    /// <summary>Standard error and standard output may be one terminal: whoever writes there takes the line away first.</summary>
    static readonly Lock Gate = new();

    static bool isDrawn;

    readonly TimeProvider time;
    readonly string what;
    readonly Func<WorkProgress?> read;
    readonly bool redraws = ErrorTerminal.CanRedraw;
    readonly ITimer? timer;
    WorkProgress? reported;
    string phase = "";
    (long At, long Done) began;
    bool isDisposed;

    /// <param name="invocation">Says whether anything is shown.</param>
    /// <param name="what">What is worked on, such as a source.</param>
    /// <param name="read">Asked how far it is, null for nothing to show; without it, what was reported last is shown.</param>
    public ProgressLine(Invocation invocation, string what, Func<WorkProgress?>? read = null)
    {
        (time, this.what, this.read) = (invocation.Time, what, read ?? (() => Volatile.Read(ref reported)));
        if (invocation.ShowsProgress)
        {
            timer = time.CreateTimer(
                _ => Show(), state: null, redraws ? First : WriteEvery, redraws ? RedrawEvery : WriteEvery);
        }
    }

    /// <summary>For whoever works; null where nothing is shown, and nobody need find out how much there is.</summary>
    public Action<WorkProgress>? Reporter => timer is null ? null : Report;

    /// <summary>How far it is now.</summary>
    public void Report(WorkProgress progress) => Volatile.Write(ref reported, progress);

    /// <summary>Writes a line, with what is drawn out of its way.</summary>
    public static void WriteAside(TextWriter output, string line)
    {
        lock (Gate)
        {
            TakeAway();
            output.WriteLine(line);
        }
    }

    /// <summary>Takes the line away for good.</summary>
    public void Dispose()
    {
        lock (Gate)
        {
            isDisposed = true;
            TakeAway();
        }

        timer?.Dispose();
    }

    void Show()
    {
        lock (Gate)
        {
            if (isDisposed)
            {
                return;
            }

            if (read() is not { } progress)
            {
                TakeAway();
                return;
            }

            if (phase != progress.Phase)
            {
                (phase, began) = (progress.Phase, (time.GetTimestamp(), progress.Done));
            }

            var pace = new ProgressPace(time.GetElapsedTime(began.At), progress.Done - began.Done);
            if (redraws)
            {
                // The last column stays free: a terminal that wraps there would leave a line behind.
                Console.Error.Write(Erase + ProgressText.Format(what, progress, pace, ErrorTerminal.Columns - 1));
                isDrawn = true;
            }
            else
            {
                Console.Error.WriteLine(ProgressText.Format(what, progress, pace, int.MaxValue));
            }
        }
    }

    static void TakeAway()
    {
        if (isDrawn)
        {
            Console.Error.Write(Erase);
            isDrawn = false;
        }
    }
}
