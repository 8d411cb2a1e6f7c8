using Microsoft.Extensions.Logging;
using Salvor.Text;

namespace Salvor.Cli.Terminal;

/// <summary>
/// The log: one line each on standard error, never coloured. Under systemd it has the priority that journald understands, and no time,
/// because journald has its own.
/// </summary>
sealed class ErrorStreamLog(TimeProvider time, LogLevel levelMin) : ILogger
{
    readonly bool isJournal = Environment.GetEnvironmentVariable("JOURNAL_STREAM") is { Length: > 0 };

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

        var message = formatter(state, exception).ReplaceLineEndings(" ");
        var (name, priority) = logLevel switch
        {
            LogLevel.Critical or LogLevel.Error => ("error", 3),
            LogLevel.Warning => ("warning", 4),
            LogLevel.Information => ("info", 6),
            _ => ("debug", 7),
        };

        // A stack is for whoever reports a defect, who needs all of it; its lines belong to the line above.
        var stack = exception is null or SalvorException ? "" : $"\n{exception}";
        Console.Error.WriteLine(isJournal
            ? $"<{priority}>{message}{stack}"
            : $"{InstantText.Format(time.GetUtcNow())} {name} {message}{stack}");
    }
}
