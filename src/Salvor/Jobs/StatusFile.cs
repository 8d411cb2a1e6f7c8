using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Jobs;

/// <summary>How a source fared when its daemon last wrote it down; the answer of <c>salvor status --json</c> for one source.</summary>
public sealed record StatusRecord
{
    public required string Source { get; init; }

    public required string Path { get; init; }

    public required string Destination { get; init; }

    /// <summary>What the configuration calls it; empty where it has no name.</summary>
    public string DestinationName { get; init; } = "";

    /// <summary>One of: starting, waiting, copying, awaiting_export, healthy, behind, backing_off, failing, paused, stopped.</summary>
    public required string State { get; init; }

    public required string Detail { get; init; }

    public required string Hint { get; init; }

    public required uint Branch { get; init; }

    public required ulong Position { get; init; }

    public required DateTimeOffset? PositionTime { get; init; }

    /// <summary>As it was when this was written: what it is now follows from the next three.</summary>
    public required double LagSeconds { get; init; }

    /// <summary>When the oldest commit was seen that is not durable yet; null when none waits.</summary>
    public DateTimeOffset? WaitingSince { get; init; }

    /// <summary>Since when commits may be missed until the next comparison; null while they are captured.</summary>
    public DateTimeOffset? UncapturedSince { get; init; }

    /// <summary>Since when the destination does not work; null while it does.</summary>
    public DateTimeOffset? BackingOffSince { get; init; }

    public required long StoredBytes { get; init; }

    public required long CopiedBytes { get; init; }

    public required long CopyTotalBytes { get; init; }

    /// <summary>How many log objects wait on the local disk for a destination that does not work.</summary>
    public int OutboxObjects { get; init; }

    public long OutboxBytes { get; init; }

    /// <summary>Why nothing more can wait there; empty where something can.</summary>
    public string OutboxObstacle { get; init; } = "";

    public required int Resyncs { get; init; }

    public DateTimeOffset? SnapshotTime { get; init; }

    public string SnapshotFailure { get; init; } = "";

    public required double ClockJumpSeconds { get; init; }

    /// <summary>The copies at further destinations.</summary>
    public IReadOnlyList<CopyStatus> Copies { get; init; } = [];

    public required int Pid { get; init; }

    /// <summary>With the next two, which process that is, for good: ids are given again.</summary>
    public string Host { get; init; } = "";

    public string BootId { get; init; } = "";

    public long StartTicks { get; init; }

    /// <summary>The process's socket: touched all the time, which shows that it lives. Empty where it has none.</summary>
    public string Socket { get; init; } = "";

    public required DateTimeOffset UpdatedAt { get; init; }

    public static StatusRecord From(
        SourceStatus status, string destinationName, string? socket, IReadOnlyList<CopyStatus> copies, DateTimeOffset now) => new()
    {
        Source = status.Source,
        Path = status.Path,
        Destination = status.Destination,
        DestinationName = destinationName,
        State = StateName(status.State),
        Detail = status.Detail,
        Hint = status.Hint,
        Branch = status.Branch,
        Position = status.Position,
        PositionTime = status.PositionTime,
        WaitingSince = status.WaitingSince,
        UncapturedSince = status.UncapturedSince,
        BackingOffSince = status.BackingOffSince,
        LagSeconds = Math.Round(LagOf(status, copies, now).TotalSeconds, 3),
        StoredBytes = status.StoredBytes,
        CopiedBytes = status.CopiedBytes,
        CopyTotalBytes = status.CopyTotalBytes,
        OutboxObjects = status.OutboxObjects,
        OutboxBytes = status.OutboxBytes,
        OutboxObstacle = status.OutboxObstacle,
        Resyncs = status.Resyncs,
        SnapshotTime = status.SnapshotTime,
        SnapshotFailure = status.SnapshotFailure,
        ClockJumpSeconds = Math.Round(status.ClockJump.TotalSeconds, 3),
        Copies = copies,
        Pid = Environment.ProcessId,
        Host = ProcessIdentity.Current().Host,
        BootId = ProcessIdentity.Current().BootId,
        StartTicks = ProcessIdentity.Current().StartTicks,
        Socket = socket ?? "",
        UpdatedAt = now,
    };

    /// <summary>What waits for a required copy is not durable either.</summary>
    static TimeSpan LagOf(SourceStatus status, IReadOnlyList<CopyStatus> copies, DateTimeOffset now) => copies
        .Where(copy => copy.Required)
        .Select(copy => now - (copy.BehindSince ?? now))
        .Append(status.Lag)
        .Max();

    /// <summary>Whether the process that wrote it certainly runs no more.</summary>
    public bool IsFromTheDead() => Writer.IsProvablyDead();

    /// <summary>The process that wrote it.</summary>
    internal ProcessIdentity Writer => new(Host, BootId, Pid, StartTicks);

    public static string StateName(SourceState state) => JsonNamingPolicy.SnakeCaseLower.ConvertName(state.ToString());
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, Converters = [typeof(InstantJsonConverter)])]
[JsonSerializable(typeof(StatusRecord))]
sealed partial class StatusJson : JsonSerializerContext;

/// <summary>The status file of one source: written by its daemon when something changed, read by <c>salvor status</c>.</summary>
static class StatusFile
{
    /// <summary>Replaces the file by renaming; a reader sees the old or the new one. It need not survive a loss of power.</summary>
    public static void Write(string path, StatusRecord record)
    {
        var temporary = path + ".tmp";
        File.WriteAllBytes(temporary, JsonSerializer.SerializeToUtf8Bytes(record, StatusJson.Default.StatusRecord));
        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>The record, or null where there is none. Throws, naming the file, where it cannot be read: that is not healthy.</summary>
    public static StatusRecord? Read(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllBytes(path), StatusJson.Default.StatusRecord) : null;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new SalvorException(
                FailureKind.Unhealthy,
                $"status file {path} {(e is JsonException ? "is damaged or half written" : $"cannot be read: {e.Message}")}",
                $"A daemon that works writes it again: look at its log, and with 'namei -l {path}' at who may read it.",
                e);
        }
    }
}
