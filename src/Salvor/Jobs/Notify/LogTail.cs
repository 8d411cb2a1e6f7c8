using Microsoft.Extensions.Logging;
using Salvor.Text;

namespace Salvor.Jobs.Notify;

/// <summary>Keeps the last lines of a log, for messages about what went wrong, and passes everything on.</summary>
/// <param name="inner">Where the log goes.</param>
/// <param name="time">The clock.</param>
public sealed class LogTail(ILogger inner, TimeProvider time) : ILogger
{
    /// <summary>How many lines are kept.</summary>
    public const int LinesMax = 50;

    const int LineLengthMax = 500;

    readonly Queue<string> lines = new();
    readonly Lock gate = new();

    /// <summary>The last lines, oldest first.</summary>
    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (gate)
            {
                return [.. lines];
            }
        }
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => inner.BeginScope(state);

    /// <summary>What the log leaves out may be what explains a failure.</summary>
    public bool IsEnabled(LogLevel logLevel) => IsKept(logLevel) || inner.IsEnabled(logLevel);

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        inner.Log(logLevel, eventId, state, exception, formatter);
        if (IsKept(logLevel))
        {
            var level = logLevel switch { LogLevel.Information => "info", LogLevel.Warning => "warning", _ => "error" };
            Add($"{InstantText.Format(time.GetUtcNow())} {level} {formatter(state, exception)}");
        }
    }

    /// <summary>One more line.</summary>
    public void Add(string line)
    {
        var cut = NotifyText.Cut(line.ReplaceLineEndings(" "), LineLengthMax);
        lock (gate)
        {
            lines.Enqueue(cut);
            if (lines.Count > LinesMax)
            {
                lines.Dequeue();
            }
        }
    }

    static bool IsKept(LogLevel logLevel) => logLevel is >= LogLevel.Information and not LogLevel.None;
}
