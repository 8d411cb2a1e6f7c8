using Microsoft.Extensions.Logging;

namespace Salvor.Jobs.Notify;

/// <summary>Events 2101 to 2199, of messages to people. A number is never used again.</summary>
static partial class NotifyLog
{
    [LoggerMessage(2101, LogLevel.Warning, "notifier {Notifier}: {Failure}; {Count} message(s) wait. hint: {Hint}")]
    public static partial void MessageNotSent(this ILogger logger, string notifier, string failure, int count, string hint);

    [LoggerMessage(2102, LogLevel.Warning, "notifier {Notifier}: {Refused}")]
    public static partial void RecipientsRefused(this ILogger logger, string notifier, string refused);

    [LoggerMessage(
        2103, LogLevel.Error,
        "a message to {Notifier} is given up, because {Reason}: {Subject}. hint: Run 'salvor notify test' to see what is wrong with it.")]
    public static partial void MessageDropped(this ILogger logger, string notifier, string reason, string subject);

    [LoggerMessage(2104, LogLevel.Warning, "a message that waited in {Path} cannot be read, and is not sent")]
    public static partial void MessageUnreadable(this ILogger logger, string path);

    [LoggerMessage(2105, LogLevel.Warning, "messages that wait cannot be written to {Path}: {Failure}")]
    public static partial void MessagesNotWritten(this ILogger logger, string? path, string failure);

    [LoggerMessage(2106, LogLevel.Warning, "what was told cannot be written to {Path}, so a restart tells it again: {Failure}")]
    public static partial void ToldNotWritten(this ILogger logger, string path, string failure);

    [LoggerMessage(2107, LogLevel.Warning, "ping: {Failure}. hint: {Hint}")]
    public static partial void PingNotHeard(this ILogger logger, string failure, string hint);

    [LoggerMessage(2108, LogLevel.Error, "an unexpected error while people were to be told; it goes on in a minute")]
    public static partial void TellingFailed(this ILogger logger, Exception exception);
}
