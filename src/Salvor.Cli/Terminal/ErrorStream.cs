using System.Text.Json;
using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;

namespace Salvor.Cli.Terminal;

/// <summary>
/// Standard error, of which a process has one: what is not of the log goes there too, and has to look like it where a program reads it.
/// </summary>
static class ErrorStream
{
    /// <summary>Where lines are JSON; null where they are text.</summary>
    static ILogger? json;

    static bool IsJournal { get; } = JournalStream.IsStandardError();

    /// <summary>The log. From now on all lines look like its own.</summary>
    public static ILogger CreateLog(TimeProvider time, LogLevel level, LogFormat format, string run)
    {
        json = format == LogFormat.Json ? new ErrorStreamLog(Console.Error, time, LogLevel.Information, format, run, IsJournal) : null;
        return new ErrorStreamLog(Console.Error, time, level, format, run, IsJournal);
    }

    /// <summary>Whether a program reads it.</summary>
    public static bool IsJson => json is not null;

    /// <summary>A line as it is.</summary>
    public static void WriteLine(string line) => ProgressLine.WriteAside(Console.Error, line);

    public static void Tell(string line)
    {
        if (json is null)
        {
            WriteLine(line);
        }
        else
        {
            json.Told(line);
        }
    }

    /// <summary>What failed, and what to do.</summary>
    public static void Print(SalvorException e)
    {
        if (json is null)
        {
            var priority = IsJournal ? $"<{LogLine.Priority(LogLevel.Error)}>" : "";
            WriteLine($"{priority}salvor: {e.Message}\n{priority}hint: {e.Hint}");
        }
        else
        {
            json.Failed(e.Message, e.Hint, NameOf(e.Kind), (int)e.Kind);
        }
    }

    /// <summary>As documents call it.</summary>
    public static string NameOf(FailureKind kind) => JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString());
}
