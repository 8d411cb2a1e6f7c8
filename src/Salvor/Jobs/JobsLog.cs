using Microsoft.Extensions.Logging;

namespace Salvor.Jobs;

/// <summary>
/// Events 2000 to 2999, of the daemon's jobs. A number is never used again, because operators build alerts on it; docs/logs.md has them
/// all.
/// </summary>
static partial class JobsLog
{
    [LoggerMessage(2001, LogLevel.Error, "{Source}: it was not pruned: {Failure}. hint: {Hint}")]
    public static partial void PruneFailed(this ILogger logger, string source, string failure, string hint);

    [LoggerMessage(
        2002, LogLevel.Information,
        "{Source}: prune deleted {Deleted} object(s) with {Bytes} bytes, and condemned {Condemned} as number {Number}")]
    public static partial void Pruned(this ILogger logger, string source, long deleted, long bytes, long condemned, ulong? number);

    [LoggerMessage(
        2003, LogLevel.Warning, "{Source}: {Refused} object(s) not deleted: the destination does not allow it. reported, not done")]
    public static partial void DeletionRefused(this ILogger logger, string source, long refused);

    [LoggerMessage(
        2004, LogLevel.Warning,
        "{Source}: max_total_size {Max} cannot be kept: without all that may go now, its vault would have {Excess} more, so "
            + "nothing was dropped for it. hint: Raise max_total_size, or let 'keep' be shorter.")]
    public static partial void SizeExceeded(this ILogger logger, string source, string max, string excess);

    [LoggerMessage(2005, LogLevel.Warning, "{Source}: when it was pruned cannot be written: {Failure}")]
    public static partial void PruneNotWritten(this ILogger logger, string source, string failure);

    [LoggerMessage(2006, LogLevel.Information, "reloaded {Path}")]
    public static partial void Reloaded(this ILogger logger, string path);

    [LoggerMessage(2007, LogLevel.Error, "{Failure}; going on with the configuration as it was. hint: {Hint}")]
    public static partial void ReloadFailed(this ILogger logger, string failure, string hint);

    [LoggerMessage(2008, LogLevel.Warning, "{Failure}. hint: {Hint}")]
    public static partial void SourcesUnreadable(this ILogger logger, string failure, string hint);

    [LoggerMessage(2010, LogLevel.Warning, "{Source}: when it was verified cannot be written: {Failure}")]
    public static partial void VerifyNotWritten(this ILogger logger, string source, string failure);

    [LoggerMessage(2011, LogLevel.Error, "{Source}: {Key} at {Destination}: {Finding}; {Consequence}. hint: {Hint}")]
    public static partial void VerifyFound(
        this ILogger logger, string source, string key, string destination, string finding, string consequence, string hint);

    [LoggerMessage(2012, LogLevel.Error, "{Source}: it could not be verified: {Failure}")]
    public static partial void VerifyFailed(this ILogger logger, string source, string failure);

    [LoggerMessage(
        2028, LogLevel.Warning,
        "{Source}: its copies were verified, and nothing proves that they can be recovered: {Failure}. hint: {Hint}")]
    public static partial void VerifyNotRecovered(this ILogger logger, string source, string failure, string hint);

    [LoggerMessage(
        2013, LogLevel.Information, "{Source}: the copy at {Destination} is not complete; it goes on at the next start")]
    public static partial void CopyUnfinished(this ILogger logger, string source, string destination);

    [LoggerMessage(2014, LogLevel.Warning, "{Source}: the copy at {Destination} is behind: {Failure}. hint: {Hint}")]
    public static partial void CopyBehind(this ILogger logger, string source, string destination, string failure, string hint);

    [LoggerMessage(2015, LogLevel.Information, "{Source}: the copy at {Destination} is complete again")]
    public static partial void CopyComplete(this ILogger logger, string source, string destination);

    [LoggerMessage(2016, LogLevel.Information, "{Source}: {Count} lock(s) at {Destination} now last until {Until}")]
    public static partial void LocksExtended(this ILogger logger, string source, long count, string destination, DateTimeOffset until);

    [LoggerMessage(2017, LogLevel.Error, "{Source}: its locks were not extended: {Failure}. hint: {Hint}")]
    public static partial void LocksNotExtended(this ILogger logger, string source, string failure, string hint);

    [LoggerMessage(2018, LogLevel.Warning, "{Destination} did not answer; the claims there lapse by themselves")]
    public static partial void ClaimsLapse(this ILogger logger, string destination);

    [LoggerMessage(2019, LogLevel.Debug, "{Source} has no part in this head: {Failure}")]
    public static partial void NotInHead(this ILogger logger, string source, string failure);

    [LoggerMessage(2020, LogLevel.Warning, "the head of {Destination} was not published: {Failure}")]
    public static partial void HeadNotPublished(this ILogger logger, string destination, string failure);

    [LoggerMessage(2021, LogLevel.Error, "{Source}: the drill could not be made or written down: {Failure}")]
    public static partial void DrillNotMade(this ILogger logger, string source, string failure);

    [LoggerMessage(2022, LogLevel.Error, "{Source}: drill {Result}: {Reason}. hint: {Hint}")]
    public static partial void DrillNotPassed(this ILogger logger, string source, string result, string reason, string hint);

    [LoggerMessage(2023, LogLevel.Debug, "{Source}: its log was not merged: {Failure}")]
    public static partial void LogNotMerged(this ILogger logger, string source, string failure);

    [LoggerMessage(2024, LogLevel.Error, "an unexpected error while an event of a file was handled")]
    public static partial void FileEventFailed(this ILogger logger, Exception exception);

    [LoggerMessage(2025, LogLevel.Warning, "{Source}: its status cannot be written: {Failure}")]
    public static partial void StatusNotWritten(this ILogger logger, string source, string failure);

    [LoggerMessage(2026, LogLevel.Warning, "{Source}: {Lack}; it is being filled up")]
    public static partial void CopyIncomplete(this ILogger logger, string source, string lack);

    [LoggerMessage(2027, LogLevel.Error, "an unexpected error while '{Verb}' of {Path} was answered")]
    public static partial void RequestFailed(this ILogger logger, Exception exception, string verb, string path);

    [LoggerMessage(
        2031, LogLevel.Information, "{Source}: backup {Backup} of {Files} file(s), {Read} of them read, {Bytes} bytes added")]
    public static partial void TreeBackedUp(this ILogger logger, string source, ulong backup, long files, long read, long bytes);

    [LoggerMessage(2036, LogLevel.Information, "{Source}: backup {Backup} read {Bytes} bytes of the cluster: {How}")]
    public static partial void ClusterRead(this ILogger logger, string source, ulong backup, long bytes, string how);

    [LoggerMessage(2032, LogLevel.Warning, "{Source}: {Problem}")]
    public static partial void TreeProblem(this ILogger logger, string source, string problem);

    [LoggerMessage(2033, LogLevel.Error, "{Source}: it was not backed up: {Failure}. hint: {Hint}")]
    public static partial void TreeNotBackedUp(this ILogger logger, string source, string failure, string hint);

    [LoggerMessage(2034, LogLevel.Warning, "{Source}: {Count} backup(s) were not made that were due from {First:O} to {Last:O}")]
    public static partial void BackupsMissed(this ILogger logger, string source, int count, DateTimeOffset first, DateTimeOffset last);

    [LoggerMessage(
        2035, LogLevel.Warning, "{Source}: backup {Backup} looks as if ransomware had been there: {Findings}. hint: {Hint}")]
    public static partial void BackupAnomalous(this ILogger logger, string source, ulong backup, string findings, string hint);

    [LoggerMessage(2040, LogLevel.Information, "{Source}: {Notice}")]
    public static partial void ServerFollowed(this ILogger logger, string source, string notice);

    [LoggerMessage(2041, LogLevel.Warning, "{Source}: its log is not received: {Failure}. hint: {Hint}")]
    public static partial void ServerLost(this ILogger logger, string source, string failure, string hint);

    [LoggerMessage(2042, LogLevel.Information, "{Source}: its log is received again")]
    public static partial void ServerBack(this ILogger logger, string source);

    [LoggerMessage(2043, LogLevel.Error, "{Source}: {Notice}. hint: {Hint}")]
    public static partial void LogGap(this ILogger logger, string source, string notice, string hint);

    [LoggerMessage(2044, LogLevel.Error, "{Source}: {Notice}. hint: {Hint}")]
    public static partial void SlotLost(this ILogger logger, string source, string notice, string hint);

    [LoggerMessage(2045, LogLevel.Error, "{Source}: {Notice}. hint: {Hint}")]
    public static partial void SpoolFull(this ILogger logger, string source, string notice, string hint);

    [LoggerMessage(2046, LogLevel.Warning, "{Source}: {Notice}. hint: {Hint}")]
    public static partial void LogNotStored(this ILogger logger, string source, string notice, string hint);

    [LoggerMessage(2047, LogLevel.Information, "{Source}: its log is stored again")]
    public static partial void LogStored(this ILogger logger, string source);

    [LoggerMessage(2048, LogLevel.Error, "{Source}: it is not followed: {Failure}. hint: {Hint}")]
    public static partial void ServerNotFollowed(this ILogger logger, string source, string failure, string hint);

    [LoggerMessage(2049, LogLevel.Warning, "{Source}: {Reason}; a base backup is made now")]
    public static partial void BaseBackupNeeded(this ILogger logger, string source, string reason);

    [LoggerMessage(
        2050, LogLevel.Warning,
        "{Source}: slot {Slot} at {Server} is no longer followed, and keeps its log there. hint: "
            + "SELECT pg_drop_replication_slot('{Name}');")]
    public static partial void SlotLeft(this ILogger logger, string source, string slot, string server, string name);
}
