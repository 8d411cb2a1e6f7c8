using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Sqlite.Snapshots;

/// <summary>How the snapshots and backups of a source went: the file that tells <c>salvor status</c>. Belongs to one vault.</summary>
public sealed record BackupMark
{
    /// <summary>The vault that they are in; what is said of another one is ignored.</summary>
    public required Guid VaultId { get; init; }

    /// <summary>
    /// When one was made last, or was due and there was nothing new, so that the one that is there holds everything; null where none was.
    /// </summary>
    public DateTimeOffset? LastSuccessAt { get; init; }

    /// <summary>When one failed last; null where none did.</summary>
    public DateTimeOffset? LastFailureAt { get; init; }

    /// <summary>Why the last one failed; empty where it did not.</summary>
    public string Failure { get; init; } = "";

    /// <summary>The id of the last backup; null where there are only snapshots.</summary>
    public ulong? BackupId { get; init; }

    /// <summary>When that was made.</summary>
    public DateTimeOffset? BackupAt { get; init; }

    /// <summary>The size of the database in the last one.</summary>
    public long SizeBytes { get; init; }

    /// <summary>What the last one added to the vault.</summary>
    public long AddedBytes { get; init; }

    /// <summary>How long the last one took.</summary>
    public double DurationSeconds { get; init; }

    /// <summary>How many succeeded.</summary>
    public long Succeeded { get; init; }

    /// <summary>How many failed.</summary>
    public long Failed { get; init; }

    /// <summary>How many files the last one holds; null where it is of a database.</summary>
    public long? Files { get; init; }

    /// <summary>Of how many names the last one lacks the content, because it could not be read, or changed while it was.</summary>
    public long PartialFiles { get; init; }

    /// <summary>What looked like ransomware in the last one, or in one of the day before it; null where nothing did.</summary>
    public BackupAnomaly? Anomaly { get; init; }

    /// <summary>The destinations of a source that nothing serves in between, the first in front, as the last backup left them.</summary>
    public IReadOnlyList<CopyStatus> Copies { get; init; } = [];

    /// <summary>When one was tried last; null where none was.</summary>
    [JsonIgnore]
    public DateTimeOffset? LastTriedAt => LastFailureAt > LastSuccessAt || LastSuccessAt is null ? LastFailureAt : LastSuccessAt;

    /// <summary>After one more that was made.</summary>
    public BackupMark Made(DateTimeOffset now, MadeSnapshot made, TimeSpan duration) => this with
    {
        LastSuccessAt = now,
        Failure = "",
        SizeBytes = made.SizeBytes,
        AddedBytes = made.AddedBytes,
        DurationSeconds = Math.Round(duration.TotalSeconds, 3),
        Succeeded = Succeeded + 1,
    };

    /// <summary>After one more backup of what nothing serves in between.</summary>
    public BackupMark Made(DateTimeOffset now, BackupRecord backup, double seconds) => this with
    {
        LastSuccessAt = now,
        Failure = "",
        BackupId = backup.Id,
        BackupAt = backup.CreatedAt,
        SizeBytes = backup.SizeBytes,
        AddedBytes = backup.AddedBytes,
        DurationSeconds = seconds,
        Succeeded = Succeeded + 1,
    };

    /// <summary>After one that was due when nothing had changed.</summary>
    public BackupMark Unchanged(DateTimeOffset now, long sizeBytes) => this with
    {
        LastSuccessAt = now, Failure = "", SizeBytes = sizeBytes, AddedBytes = 0, DurationSeconds = 0, Succeeded = Succeeded + 1,
    };

    /// <summary>After one that failed.</summary>
    public BackupMark FailedAt(DateTimeOffset now, string failure) => this with
    {
        LastFailureAt = now, Failure = failure, Failed = Failed + 1,
    };
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, Converters = [typeof(InstantJsonConverter)])]
[JsonSerializable(typeof(BackupMark))]
sealed partial class BackupMarkJson : JsonSerializerContext;

/// <summary>The file with <see cref="BackupMark"/>, beside the status file.</summary>
static class BackupMarkFile
{
    public static void Write(string path, BackupMark mark) =>
        DurableFile.Replace(path, JsonSerializer.SerializeToUtf8Bytes(mark, BackupMarkJson.Default.BackupMark));

    /// <summary>
    /// Makes a backup, and notes that it failed where it came to nothing before there was a vault that would have noted it, so that what a
    /// scheduler runs in vain is counted too.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="time">Says when it failed.</param>
    /// <param name="backUp">Makes the backup.</param>
    public static async Task<T> CountAsync<T>(string path, TimeProvider time, Func<Task<T>> backUp)
    {
        var before = Read(path) ?? new BackupMark { VaultId = Guid.Empty };
        try
        {
            return await backUp();
        }
        catch (SalvorException e) when (Directory.Exists(Path.GetDirectoryName(path)) && (Read(path)?.Failed ?? 0) == before.Failed)
        {
            Write(path, before.FailedAt(time.GetUtcNow(), e.Message));
            throw;
        }
    }

    /// <summary>The mark, or null where there is none that can be read: as if there was none yet, which is never younger.</summary>
    public static BackupMark? Read(string path) => JsonMark.TryRead(path, BackupMarkJson.Default.BackupMark);
}
