using System.Text.Json.Serialization;
using Salvor.Jobs;
using Salvor.Jobs.Clusters;
using Salvor.Text;
using Salvor.Vault.Trees;

namespace Salvor.Cli.Terminal;

// The documents that --json prints. Fields are only ever added; docs/json has a schema for each.

sealed record ErrorBody(string Kind, int ExitCode, string Message, string Hint);

sealed record ErrorDocument(ErrorBody Error);

sealed record VersionDocument(string Version, string Format, string Sqlite, string Runtime, string Platform);

sealed record SyncDocument(string Source, ulong Position, bool Durable);

sealed record BackupDocument(
    string Source, ulong BackupId, string Label, string Mode, uint Branch, ulong Position, DateTimeOffset Time, DateTimeOffset CreatedAt,
    long SizeBytes, long AddedBytes, string Checksum, bool Verified, double Seconds, int? RetentionDays)
{
    /// <summary>Of a source of files.</summary>
    public TreeBackupBody? Files { get; init; }
}

sealed record TreeBackupBody(
    long Files, long Directories, long Others, long FilesRead, long BytesRead, long Unreadable, long Changed,
    IReadOnlyList<string> Problems, AnomalyBody? Anomaly);

sealed record AnomalyBody(ulong BackupId, DateTimeOffset At, ulong? Before, IReadOnlyList<string> Findings, string Hint)
{
    public static AnomalyBody? Of(BackupAnomaly? anomaly, string source) => anomaly is null
        ? null
        : new(anomaly.BackupId, anomaly.At, anomaly.Before, anomaly.Findings, anomaly.Hint(source));
}

sealed record BackupDeleteDocument(
    string Source, string Location, ulong BackupId, bool DryRun, ulong? Number, DateTimeOffset? GraceEnds);

sealed record ListDocument(
    string Source, string Path, string Location, DateTimeOffset? CompleteAsOf, IReadOnlyList<SpanBody> Spans,
    IReadOnlyList<BranchBody> Branches, IReadOnlyList<BackupBody> Backups)
{
    /// <summary>Of a cluster.</summary>
    public ClusterListBody? Cluster { get; init; }
}

sealed record ClusterListBody(
    IReadOnlyList<WindowBody> Windows, IReadOnlyList<RestorePointBody> RestorePoints, IReadOnlyList<BackupLogBody> Backups);

sealed record WindowBody(
    uint Timeline, string FromAddress, string ToAddress, DateTimeOffset From, DateTimeOffset To, IReadOnlyList<ulong> Backups);

sealed record RestorePointBody(string Name, uint Timeline, string Address, DateTimeOffset Time);

sealed record BackupLogBody(ulong Id, uint Timeline, string LogFrom, string LogTo);

sealed record BackupBody(
    ulong Id, string Type, string Label, DateTimeOffset Timestamp, DateTimeOffset CreatedAt, uint Branch, ulong Position, long SizeBytes,
    long AddedBytes, int? RetentionDays);

sealed record SpanBody(
    uint Branch, ulong FromPosition, ulong ToPosition, DateTimeOffset From, DateTimeOffset To, string Granularity, string BeginsWith);

sealed record BranchBody(
    uint Branch, uint Parent, ulong ForkPosition, string Reason, ulong LogObjects, IReadOnlyList<ulong> SnapshotPositions,
    IReadOnlyList<ulong> MissingLogObjects);

sealed record RestoreDocument(
    string Source, string Output, bool DryRun, uint Branch, ulong Position, DateTimeOffset? Time, DateTimeOffset? RequestedTime,
    ulong ChangeSets, uint PageSize, uint PageCount, long SizeBytes, long DownloadedBytes, string Checksum, string IntegrityCheck,
    double Seconds, string Skipped)
{
    /// <summary>Of a source of files.</summary>
    public TreeRestoreBody? Files { get; init; }

    /// <summary>Of a cluster.</summary>
    public ClusterRestoreBody? Cluster { get; init; }
}

sealed record ClusterRestoreBody(
    ulong BackupId, uint Timeline, string LogFrom, string LogTo, long LogBytes, string Target, string StoppingAt, string? LastCommit,
    DateTimeOffset? LastCommitTime, string Promised, string TargetAction)
{
    /// <summary>Whom the files belong to; empty where nothing was written.</summary>
    public string Owner { get; init; } = "";

    /// <summary>What of the files was there already, and proved to be the same.</summary>
    public long ReusedBytes { get; init; }

    /// <summary>How many names were removed, because the backup does not have them.</summary>
    public long RemovedCount { get; init; }

    /// <summary>The server that was started; null where none was.</summary>
    public ClusterServerBody? Server { get; init; }
}

sealed record ClusterServerBody(int Process, int Port, string SocketFolder, string Replayed, DateTimeOffset ReadyAt);

sealed record TreeRestoreBody(
    ulong BackupId, long Files, long Entries, IReadOnlyList<OwnerBody> Owners, IReadOnlyList<string> Problems,
    long ReusedBytes, long RemovedCount, IReadOnlyList<string> Removed);

sealed record OwnerBody(string Kind, string Name, uint Number, uint Becomes, bool Conflict);

sealed record TreeListDocument(
    string Source, string Location, ulong BackupId, DateTimeOffset Time, string Path, IReadOnlyList<TreeEntryBody> Entries);

sealed record TreeEntryBody(
    string Path, string Kind, string Mode, uint UserId, uint GroupId, string User, string Group, long SizeBytes, DateTimeOffset Modified,
    string? Target, IReadOnlyList<string> Attributes, bool Unreadable, bool Changed);

sealed record FindDocument(string Source, string Location, IReadOnlyList<FoundBody> Found);

sealed record FoundBody(ulong BackupId, DateTimeOffset Time, TreeEntryBody Entry);

sealed record DiffDocument(
    string Source, string Location, ulong From, ulong To, long Added, long Removed, long Changed, long Metadata,
    IReadOnlyList<DiffLineBody> Differences);

sealed record DiffLineBody(string Change, string Path, long SizeBytes);

sealed record StatsDocument(
    string Source, string Location, ulong BackupId, DateTimeOffset Time, long Files, long Directories, long Others, long Bytes,
    long ContentBytes, long Unreadable, long Changed, IReadOnlyList<ExtensionBody> Extensions);

sealed record ExtensionBody(string Extension, long Files, long Bytes);

sealed record StatusDocument(IReadOnlyList<SourceStatusBody> Sources, bool Ok);

sealed record SourceStatusBody(
    string Source, string Path, string State, string Detail, bool Running, int? Pid, bool Responding, double? LagSeconds,
    IReadOnlyList<DestinationStatusBody> Destinations, StatusRecord? Last, VerifiedBody? Verified, ProvedBody? Proved,
    BackupStatusBody? Backup, FollowRecord? Follow, PruneRecord? Pruned, NextRunsBody Next, IReadOnlyList<ProblemBody> Problems);

sealed record DestinationStatusBody(
    string Name, string Location, bool Required, double LagSeconds, double? BackingOffSeconds, bool? VerifiedOk);

sealed record VerifiedBody(
    string Kind, DateTimeOffset FinishedAt, double AgeSeconds, bool Ok, ulong Position, DateTimeOffset? CleanAt,
    string NotRecovered);

sealed record ProvedBody(uint Branch, ulong Position, DateTimeOffset Time);

sealed record BackupStatusBody(
    DateTimeOffset? LastSuccessAt, double? AgeSeconds, DateTimeOffset? LastFailureAt, string Failure, ulong? BackupId,
    DateTimeOffset? BackupAt, long SizeBytes, long AddedBytes, double DurationSeconds, long Succeeded, long Failed,
    long? Files, long PartialFiles, AnomalyBody? Anomaly);

sealed record NextRunsBody(DateTimeOffset? BackupBy, DateTimeOffset? VerifyBy, DateTimeOffset? PruneBy);

sealed record HistoryDocument(IReadOnlyList<RunBody> Runs);

sealed record RunBody(
    string Source, string Trigger, string Outcome, DateTimeOffset StartedAt, DateTimeOffset EndedAt, double DurationSeconds, int Missed,
    ulong? BackupId, long SizeBytes, long AddedBytes, string Error, string Anomaly);

sealed record ProblemBody(string Kind, string Severity, string Message, string Hint);

sealed record LockDocument(IReadOnlyList<LockBody> Locks);

sealed record LockBody(
    string Source, string Location, string State, uint? Epoch, HolderBody? Holder, DateTimeOffset? RenewedAt, double? LeaseAgeSeconds,
    LocalLockBody Local);

sealed record HolderBody(
    string Host, string BootId, int Pid, long StartTicks, string User, string Command, DateTimeOffset Since, string Version);

sealed record LocalLockBody(string Path, bool Held, HolderBody? Holder);

sealed record BreakLockDocument(IReadOnlyList<BrokenLockBody> Vaults);

sealed record BrokenLockBody(string Source, string Location, bool Broken, uint? Epoch, ulong RestorePoints);

sealed record UsageDocument(IReadOnlyList<VaultUsageBody> Vaults, IReadOnlyList<DestinationUsageBody> Destinations, UsageTotals Total);

sealed record VaultUsageBody(
    string Source, string Location, string Destination, long Bytes, long Objects, IReadOnlyList<KindUsageBody> Kinds, long DatabaseBytes,
    double? DedupRatio, double? CompressionRatio, GrowthBody GrowthPerDay, long? MaxTotalSize, double? DaysToMaxTotalSize,
    double? CostPerMonth);

sealed record KindUsageBody(string Kind, long Bytes, long Objects);

sealed record GrowthBody(long? Days1, long? Days7, long? Days30);

sealed record DestinationUsageBody(
    string Destination, string Location, long Bytes, long Objects, GrowthBody GrowthPerDay, long? FreeBytes, double? DaysToFull,
    double? CostPerMonth);

sealed record UsageTotals(long Bytes, long Objects, double? CostPerMonth);

sealed record BenchDestinationDocument(
    string Destination, string Location, IReadOnlyList<string> Refused, IReadOnlyList<PromiseBody> Promises,
    IReadOnlyList<CallTimesBody> Latency, double? WriteBytesPerSecond, double? ReadBytesPerSecond);

sealed record TamperDocument(
    string Destination, string Location, bool LockAsked, bool Protected, string Summary, IReadOnlyList<TamperStepBody> Steps);

sealed record TamperStepBody(string Name, bool Held, string Said);

sealed record PromiseBody(string Name, bool Kept, string Broken);

sealed record CallTimesBody(string Call, int Count, double P50Milliseconds, double MaxMilliseconds);

sealed record DoctorDocument(bool Ok, int ExitCode, int OkCount, int WarnCount, int FailCount, IReadOnlyList<CheckBody> Checks);

sealed record CheckBody(string Level, string Area, string Subject, string What, string Detail, string Fix, bool Known);

sealed record ReplicateDocument(string Source, string Path, string Destination, string Event, ulong Position);

sealed record DaemonDocument(string Config, int Databases, string Event);

sealed record KeyListDocument(
    string Source, string Location, Guid VaultId, bool Exported, IReadOnlyList<KeySlotBody> Slots, IReadOnlyList<string> Damaged);

sealed record KeySlotBody(ulong Slot, string Kind, string Label, string Kdf, DateTimeOffset CreatedAt, bool Opened);

sealed record KeyChangeDocument(
    string Source, string Location, Guid VaultId, string Change, IReadOnlyList<ulong> Added, IReadOnlyList<ulong> Removed, string File);

sealed record NotifyDocument(bool Ok, IReadOnlyList<NotifierResultBody> Notifiers);

sealed record NotifierResultBody(string Name, bool Ok, string Error, string Hint, double Seconds);

sealed record DemoDocument(
    int Commits, double WriterCommitsPerSecond, double LagP50Milliseconds, double LagP99Milliseconds, long DatabaseBytes, long VaultBytes,
    IReadOnlyList<DemoRestore> Restores, bool Proved, string Folder, int LagCommits, string LagMeasured);

sealed record DemoRestore(string Target, ulong Position, int CommitsFound, double Seconds, bool EqualToWhatWasWritten);

sealed record VerifyDocument(IReadOnlyList<VerifyRecord> Sources, bool Ok);

sealed record DataFileDocument(
    string Source, string File, uint Branch, ulong Position, DateTimeOffset Time, bool Ok, uint PageCount, IReadOnlyList<uint> Pages,
    long PagesDiffering);

sealed record RunbookDocument(string Scenario, IReadOnlyList<string> Sources, string Markdown, string Kit);

sealed record RepairDocument(bool DryRun, IReadOnlyList<RepairBody> Sources, bool Ok);

sealed record RepairBody(
    string Source, long Objects, int Healed, int Lost, int Failed, long WrittenBytes, IReadOnlyList<RepairStepBody> Steps)
{
    public int Degraded { get; init; }
}

sealed record RepairStepBody(string Key, string Action, string? From, string To, string Reason, string Failure);

sealed record PruneDocument(bool DryRun, IReadOnlyList<PruneBody> Vaults);

sealed record PruneBody(
    string Source, string Location, IReadOnlyList<PruneLineBody> Lines, int Rewrites, long CondemnedObjects, long CondemnedBytes,
    ulong? Number, DateTimeOffset? GraceEnds, long DeletedObjects, long DeletedBytes, long RefusedObjects, long RefusedBytes,
    long HeldObjects, long HeldBytes, long? MaxTotalSize, DateTimeOffset? CutBefore, long ExcessBytes);

sealed record PruneLineBody(string Subject, bool Kept, string Reason);

sealed record UndeleteDocument(string Source, string Location, ulong Number, IReadOnlyList<ulong> Later);

sealed record ScheduleDocument(string Format, IReadOnlyList<ScheduleFileBody> Files);

sealed record ScheduleFileBody(string Name, string Text);
sealed record InitDocument(
    string Config, bool Written, IReadOnlyList<InitSourceBody> Sources, string? KeyFile, IReadOnlyList<string> Exports, string? DropIn,
    IReadOnlyList<string> Next);

sealed record InitSourceBody(
    string Source, string Path, ulong BackupId, ulong Position, DateTimeOffset Time, IReadOnlyList<string> Verified);

sealed record ConfigTestDocument(
    string File, bool Ok, int? Sources, int? Destinations, IReadOnlyList<ConfigProblemBody> Problems, IReadOnlyList<string> Warnings);

sealed record ConfigProblemBody(int? Line, int? Column, string Message, string Hint);

sealed record ConfigConvertDocument(string From, string Yaml, IReadOnlyList<ConvertedKeyBody> Keys);

sealed record ConvertedKeyBody(int Line, string From, string? To, string Reason);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, Converters = [typeof(InstantJsonConverter)])]
[JsonSerializable(typeof(ErrorDocument))]
[JsonSerializable(typeof(VersionDocument))]
[JsonSerializable(typeof(SyncDocument))]
[JsonSerializable(typeof(BackupDocument))]
[JsonSerializable(typeof(BackupDeleteDocument))]
[JsonSerializable(typeof(ListDocument))]
[JsonSerializable(typeof(TreeListDocument))]
[JsonSerializable(typeof(FindDocument))]
[JsonSerializable(typeof(DiffDocument))]
[JsonSerializable(typeof(StatsDocument))]
[JsonSerializable(typeof(HistoryDocument))]
[JsonSerializable(typeof(RestoreDocument))]
[JsonSerializable(typeof(StatusDocument))]
[JsonSerializable(typeof(LockDocument))]
[JsonSerializable(typeof(BreakLockDocument))]
[JsonSerializable(typeof(UsageDocument))]
[JsonSerializable(typeof(BenchDestinationDocument))]
[JsonSerializable(typeof(TamperDocument))]

[JsonSerializable(typeof(DoctorDocument))]
[JsonSerializable(typeof(ReplicateDocument))]
[JsonSerializable(typeof(DaemonDocument))]
[JsonSerializable(typeof(DemoDocument))]
[JsonSerializable(typeof(KeyListDocument))]
[JsonSerializable(typeof(KeyChangeDocument))]
[JsonSerializable(typeof(NotifyDocument))]
[JsonSerializable(typeof(VerifyDocument))]
[JsonSerializable(typeof(RunbookDocument))]
[JsonSerializable(typeof(RepairDocument))]
[JsonSerializable(typeof(DataFileDocument))]
[JsonSerializable(typeof(PruneDocument))]
[JsonSerializable(typeof(UndeleteDocument))]
[JsonSerializable(typeof(ScheduleDocument))]
[JsonSerializable(typeof(InitDocument))]
[JsonSerializable(typeof(ConfigTestDocument))]
[JsonSerializable(typeof(ConfigConvertDocument))]
sealed partial class CliJson : JsonSerializerContext;
