using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Platform;
using Salvor.Text;

namespace Salvor.Jobs;

/// <summary>Why a backup was made.</summary>
public enum RunTrigger
{
    /// <summary>Somebody asked for it.</summary>
    Manual,

    /// <summary>A timer of systemd or cron did.</summary>
    Timer,

    /// <summary>The daemon, by the schedule of the source.</summary>
    Schedule,

    /// <summary>The daemon, for what was missed.</summary>
    CatchUp,
}

/// <summary>How a run ended.</summary>
public enum RunOutcome
{
    /// <summary>All is in the backup, and where it is to be.</summary>
    Ok,

    /// <summary>There is a backup, without what could not be read.</summary>
    Partial,

    /// <summary>There is no backup, it is not where it has to be, or the hook after it failed.</summary>
    Failed,

    /// <summary>It was due, and nothing ran.</summary>
    Missed,
}

/// <summary>One run of a backup, or those that were missed in a row.</summary>
public sealed record RunRecord
{
    public required RunTrigger Trigger { get; init; }

    public required RunOutcome Outcome { get; init; }

    /// <summary>When it began; of what was missed, when the first was due.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>When it ended; of what was missed, when the last was due.</summary>
    public required DateTimeOffset EndedAt { get; init; }

    /// <summary>How many were missed; 0 for a run.</summary>
    public int Missed { get; init; }

    /// <summary>The backup that was made; null where none was.</summary>
    public ulong? BackupId { get; init; }

    public long SizeBytes { get; init; }

    /// <summary>What it added to the vault.</summary>
    public long AddedBytes { get; init; }

    /// <summary>Why it failed; empty where it did not.</summary>
    public string Error { get; init; } = "";

    /// <summary>What in it looked as if ransomware had been there; empty where nothing did.</summary>
    public string Anomaly { get; init; } = "";
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, Converters =
    [
        typeof(InstantJsonConverter), typeof(SnakeCaseEnumConverter<RunTrigger>), typeof(SnakeCaseEnumConverter<RunOutcome>),
    ])]
[JsonSerializable(typeof(RunRecord))]
sealed partial class RunJson : JsonSerializerContext;

/// <summary>As states are written: <c>catch_up</c>.</summary>
sealed class SnakeCaseEnumConverter<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.SnakeCaseLower)
    where T : struct, Enum;

/// <summary>The file with the runs of a source, beside its status: the newest last, and no more than <see cref="RunsMax"/>.</summary>
static class RunHistory
{
    public const int RunsMax = 500;

    /// <summary>More than any history has; what is larger is not ours.</summary>
    const long BytesMax = 16L << 20;

    /// <summary>
    /// Adds a run, and forgets the oldest where there are too many; by whoever holds the lock of the source. Throws where the file is there
    /// and cannot be read: replacing it would forget them all.
    /// </summary>
    public static void Add(string path, RunRecord run)
    {
        var lines = LinesOf(path).TakeLast(RunsMax - 1).Append(JsonSerializer.Serialize(run, RunJson.Default.RunRecord));
        DurableFile.Replace(path, Encoding.UTF8.GetBytes(string.Concat(lines.Select(line => line + "\n"))));
    }

    /// <summary>The runs, oldest first. A line that cannot be read is left out.</summary>
    public static IReadOnlyList<RunRecord> Read(string path)
    {
        try
        {
            return [.. LinesOf(path).Select(ReadLine).OfType<RunRecord>()];
        }
        catch (SalvorException)
        {
            return [];
        }
    }

    static string[] LinesOf(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            if (file.Length > BytesMax)
            {
                throw Unreadable($"it is larger than {BytesMax >> 20} MiB");
            }

            using var reader = new StreamReader(file);
            return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(e.Message);
        }

        SalvorException Unreadable(string why) => new(
            FailureKind.Failure, $"{path} cannot be read, and is left as it is: {why}",
            $"Look with 'namei -l {path}' at who may read it, or move it aside: a new one is begun.");
    }

    static RunRecord? ReadLine(string line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, RunJson.Default.RunRecord);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
