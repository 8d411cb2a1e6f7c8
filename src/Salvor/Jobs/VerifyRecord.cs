using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Platform;
using Salvor.Text;

namespace Salvor.Jobs;

/// <summary>
/// What a verification of a source found: the answer of <c>salvor verify --json</c> for one source, and the file that says when it was
/// verified last.
/// </summary>
public sealed record VerifyRecord
{
    public required string Source { get; init; }

    /// <summary>One of: quick, sample, shallow, deep, live.</summary>
    public required string Kind { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    public required DateTimeOffset FinishedAt { get; init; }

    /// <summary>Whether nothing was found.</summary>
    public required bool Ok { get; init; }

    public required uint Branch { get; init; }

    /// <summary>The point that was verified: the newest one, or the one that was restored. 0 where there is none.</summary>
    public required ulong Position { get; init; }

    public required long Objects { get; init; }

    /// <summary>The bytes that were read.</summary>
    public required long Bytes { get; init; }

    public required ulong RestorePoints { get; init; }

    public required IReadOnlyList<VerifiedDestination> Destinations { get; init; }

    /// <summary>The restore of a deep verification; null where there was none.</summary>
    public VerifiedRestore? Restore { get; init; }

    /// <summary>Why it could not be carried out; empty where it was.</summary>
    public string Error { get; init; } = "";

    /// <summary>What a cluster can be recovered to, in words; null of a source that is none.</summary>
    public IReadOnlyList<string>? Windows { get; init; }

    /// <summary>Why a cluster was not recovered although that was asked for: no server of its version is here; else empty.</summary>
    public string NotRecovered { get; init; } = "";

    /// <summary>What to do about that.</summary>
    public string NotRecoveredHint { get; init; } = "";

    /// <summary>Whether every object was read, and not only what lists them or a sample.</summary>
    public bool EveryObject { get; init; }

    /// <summary>When a verification found nothing last; only in the file. One that found something does not move it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DateTimeOffset? CleanAt { get; init; }
}

/// <summary>What a verification found at one destination.</summary>
public sealed record VerifiedDestination(
    string Destination, bool Ok, long Objects, long Bytes, ulong RestorePoints, ulong Position, long FindingCount,
    IReadOnlyList<VerifiedFinding> Findings)
{
    /// <summary>What is missing between what is there of the log of a cluster: no recovery gets past one.</summary>
    public IReadOnlyList<string> Gaps { get; init; } = [];
}

/// <summary>One damage.</summary>
/// <param name="Key">Its key inside the vault.</param>
/// <param name="Layer">One of: listing, envelope, frame, details, chunk, lineage, head, database, recovery.</param>
/// <param name="Message">What is wrong with it.</param>
/// <param name="Consequence">What cannot be restored.</param>
/// <param name="Hint">What to do about it.</param>
public sealed record VerifiedFinding(string Key, string Layer, string Message, string Consequence, string Hint);

/// <summary>A restore that proved a point.</summary>
public sealed record VerifiedRestore(
    uint Branch, ulong Position, DateTimeOffset Time, long SizeBytes, long FetchedBytes, bool FromImage, string Check, double Seconds,
    string DiscardedImage)
{
    /// <summary>What a server made of a cluster; null of a source that is none.</summary>
    public VerifiedCluster? Cluster { get; init; }
}

/// <summary>A cluster that was recovered.</summary>
/// <param name="Major">The version of the server.</param>
/// <param name="BackupId">The base backup that it began with.</param>
/// <param name="Timeline">The timeline that was followed.</param>
/// <param name="Replayed">Up to where the log was applied.</param>
/// <param name="Transactions">How many committed transactions that log has.</param>
/// <param name="LastCommit">The last of them after the base backup; null where there is none.</param>
public sealed record VerifiedCluster(
    int Major, ulong BackupId, uint Timeline, string Replayed, long Transactions, DateTimeOffset? LastCommit);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, Converters = [typeof(InstantJsonConverter)])]
[JsonSerializable(typeof(VerifyRecord))]
sealed partial class VerifyJson : JsonSerializerContext;

/// <summary>
/// The file that says when a source was verified last, beside its status file. Whoever shares the folder can run the verification; what
/// asks for its age needs no more than this file.
/// </summary>
static class VerifyFile
{
    /// <summary>
    /// Replaces the file. A quick look that found nothing says less than what is there already, so it does not take the place of more; nor
    /// does one that restored nothing and found nothing make a restore undone that proved a point. What found something stays until one
    /// that reads as much finds nothing.
    /// </summary>
    public static void Write(string path, VerifyRecord record)
    {
        var last = Read(path);
        if (record is { Kind: "quick", Ok: true } && last is { Ok: true, Kind: not "quick" })
        {
            return;
        }

        if (record.Ok && last is { Ok: false } && !Clears(record, last))
        {
            return;
        }

        record = record with
        {
            CleanAt = record.Ok ? record.FinishedAt : last?.CleanAt ?? (last is { Ok: true } ? last.FinishedAt : null),
        };
        if (record is { Ok: true, Restore: null } && last is { Ok: true, Restore: { } proof })
        {
            record = record with { Restore = proof };
        }

        DurableFile.Replace(path, JsonSerializer.SerializeToUtf8Bytes(record, VerifyJson.Default.VerifyRecord));
    }

    /// <summary>Whether what was read and found whole includes what was read before and not found whole.</summary>
    static bool Clears(VerifyRecord clean, VerifyRecord failed) =>
        (clean.EveryObject || !failed.EveryObject)
        && (clean.Kind == failed.Kind || clean.Kind == "deep" || (clean.EveryObject && failed.Kind is "quick" or "sample"));

    /// <summary>The record, or null where there is none that can be read: that proves nothing, and the caller says so.</summary>
    public static VerifyRecord? Read(string path) => JsonMark.TryRead(path, VerifyJson.Default.VerifyRecord);
}
