using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;

namespace Salvor.Cli.Terminal;

/// <summary>The log: one line for each event, never coloured.</summary>
/// <param name="output">Standard error.</param>
/// <param name="time">For the time of each line.</param>
/// <param name="levelMin">What is less than this is not told.</param>
/// <param name="format">How a line is written.</param>
/// <param name="run">Names this process in lines of JSON.</param>
/// <param name="isJournal">Whether journald reads the lines: see <see cref="JournalStream"/>.</param>
sealed class ErrorStreamLog(TextWriter output, TimeProvider time, LogLevel levelMin, LogFormat format, string run, bool isJournal)
    : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= levelMin && logLevel != LogLevel.None;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
        {
            return;
        }

        var line = new LogLine(time.GetUtcNow(), logLevel, formatter(state, exception), exception)
        {
            Event = eventId, Fields = state as IReadOnlyList<KeyValuePair<string, object?>> ?? [],
        };
        ProgressLine.WriteAside(output, format == LogFormat.Json ? line.ToJson(run, isJournal) : line.ToText(isJournal));
    }
}
