using Microsoft.Extensions.Logging;

namespace Salvor.Sqlite;

/// <summary>
/// Events 1000 to 1999, about one source. A number is never used again, because operators build alerts on it; docs/logs.md has them all.
/// </summary>
static partial class SqliteLog
{
    [LoggerMessage(1001, LogLevel.Information, "{Source}: stored {Count} object(s) that waited for {Destination}")]
    public static partial void OutboxStored(this ILogger logger, string source, int count, string destination);

    [LoggerMessage(
        1002, LogLevel.Warning,
        "{Source}: {Count} object(s) that waited for {Destination} do not continue what is there now, because another process "
            + "wrote to it in between; they are kept in {Aside}. hint: The database goes on from its present content; delete that "
            + "folder when nothing of the time in between is needed.")]
    public static partial void OutboxRefused(this ILogger logger, string source, int count, string destination, string aside);

    [LoggerMessage(1003, LogLevel.Warning, "{Source}: {Reason}; comparing the whole database")]
    public static partial void ContinuityLost(this ILogger logger, string source, string reason);

    [LoggerMessage(1004, LogLevel.Information, "{Source}: comparing the database with its vault, because {Reason}")]
    public static partial void Comparing(this ILogger logger, string source, string reason);

    [LoggerMessage(1005, LogLevel.Debug, "{Source}: snapshot at position {Position}, {Bytes} bytes")]
    public static partial void SnapshotMade(this ILogger logger, string source, ulong position, long bytes);

    [LoggerMessage(1006, LogLevel.Warning, "{Source}: no snapshot was made: {Failure}. hint: {Hint}")]
    public static partial void SnapshotFailed(this ILogger logger, string source, string failure, string hint);

    [LoggerMessage(1007, LogLevel.Warning, "{Source}: when a backup was made cannot be written: {Failure}")]
    public static partial void BackupMarkNotWritten(this ILogger logger, string source, string failure);

    [LoggerMessage(1008, LogLevel.Warning, "{Source}: {Failure}. hint: {Hint}")]
    public static partial void CopyNotOpened(this ILogger logger, string source, string failure, string hint);

    [LoggerMessage(
        1009, LogLevel.Warning,
        "{Source}: object {Key} at {Destination} is damaged: {Damage}; it was read from another copy. "
            + "hint: Run 'salvor repair {Source}'.")]
    public static partial void DamageReadAround(this ILogger logger, string source, string key, string destination, string damage);

    [LoggerMessage(1010, LogLevel.Debug, "{Source}: {Reason}")]
    public static partial void SessionEnded(this ILogger logger, string source, string reason);

    [LoggerMessage(1011, LogLevel.Error, "{Source}: snapshots ended by an unexpected error")]
    public static partial void SnapshotsEnded(this ILogger logger, Exception? exception, string source);

    [LoggerMessage(
        1012, LogLevel.Warning,
        "{Source}: {Reason}; branch {Branch} begins after position {Position}, and what came before stays restorable")]
    public static partial void BranchBegun(this ILogger logger, string source, string reason, uint branch, ulong position);

    [LoggerMessage(1013, LogLevel.Warning, "{Source}: {Before}")]
    public static partial void WriterReplaced(this ILogger logger, string source, string before);

    [LoggerMessage(1014, LogLevel.Information, "{Source}: capture ended ({Reason}); beginning again")]
    public static partial void CaptureEnded(this ILogger logger, string source, string reason);

    [LoggerMessage(1015, LogLevel.Information, "{Source}: {Obstacle}; waiting for it")]
    public static partial void WaitingForDatabase(this ILogger logger, string source, string? obstacle);

    [LoggerMessage(1016, LogLevel.Warning, "{Source}: {Failure}. hint: {Hint}")]
    public static partial void SourceFailed(this ILogger logger, string source, string failure, string hint);

    [LoggerMessage(1017, LogLevel.Warning, "{Source}: {Failure}; trying again. hint: {Hint}")]
    public static partial void DestinationFailed(this ILogger logger, string source, string failure, string hint);

    [LoggerMessage(1018, LogLevel.Information, "{Source}: destination {Destination} works again")]
    public static partial void DestinationWorksAgain(this ILogger logger, string source, string destination);

    [LoggerMessage(
        1019, LogLevel.Warning,
        "{Source}: writers change the database faster than it can be copied; PRAGMA journal_mode=WAL would help")]
    public static partial void WritersTooFast(this ILogger logger, string source);

    [LoggerMessage(1020, LogLevel.Information, "{Source}: {Path} was not written: {Failure}")]
    public static partial void PageTableNotWritten(this ILogger logger, string source, string path, string failure);
}
