using Microsoft.Extensions.Logging;

namespace Salvor.Cli.Terminal;

/// <summary>
/// Events 3000 to 3999: what a command says on standard error beside its log, where all of that is JSON. A number is never used again.
/// </summary>
static partial class CliLog
{
    [LoggerMessage(3001, LogLevel.Information, "{Said}")]
    public static partial void Told(this ILogger logger, string said);

    [LoggerMessage(3002, LogLevel.Error, "{Failure} ({Kind}, {ExitCode}). hint: {Hint}")]
    public static partial void Failed(this ILogger logger, string failure, string hint, string kind, int exitCode);
}
