using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Salvor.Tests.Support;

/// <summary>Keeps what is logged, a line each.</summary>
sealed class LogLines : ILogger
{
    readonly ConcurrentQueue<string> lines = new();

    public IEnumerable<string> Lines => lines;

    public void Add(string line) => lines.Enqueue(line);

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        lines.Enqueue(formatter(state, exception));
}
