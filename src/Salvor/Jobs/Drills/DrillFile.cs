using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Jobs.Drills.Reports;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Jobs.Drills;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = true,
    Converters = [typeof(InstantJsonConverter)])]
[JsonSerializable(typeof(DrillRecord))]
[JsonSerializable(typeof(DrillDocument))]
[JsonSerializable(typeof(DrillHistoryDocument))]
sealed partial class DrillJson : JsonSerializerContext;

/// <summary>
/// The last drill of a source, and the ones before it: two files beside the verify record. Who asks for the age of the last drill that
/// passed needs no more than <see cref="Read"/>.
/// </summary>
static class DrillFile
{
    /// <summary>More than any history has; what is larger is not ours.</summary>
    const long HistoryBytesMax = 64L << 20;

    /// <summary>
    /// Replaces the record, and adds it to the history; what was written, with what it takes over from the record before. A drill of an
    /// older point says nothing of the newest: it goes into the history alone.
    /// </summary>
    /// <param name="state">The folder of local state; it exists.</param>
    /// <param name="databasePath">The database.</param>
    /// <param name="record">The drill.</param>
    /// <param name="kept">How many drills the history has at most.</param>
    public static DrillRecord Write(string state, string databasePath, DrillRecord record, int kept)
    {
        var path = LocalState.DrillPath(state, databasePath);
        var written = Succeed(record, Read(path));
        if (record.RequestedTime is null)
        {
            DurableFile.Replace(path, JsonSerializer.SerializeToUtf8Bytes(written, DrillJson.Default.DrillRecord));
        }

        var history = LocalState.DrillHistoryPath(state, databasePath);
        var lines = ReadHistory(history).TakeLast(kept - 1)
            .Append(written with { RowsBaseline = null, BaselineTime = null })
            .Select(item => JsonSerializer.Serialize(item, DrillJson.Default.DrillRecord) + "\n");
        DurableFile.Replace(history, System.Text.Encoding.UTF8.GetBytes(string.Concat(lines)));
        return written;
    }

    /// <summary>The last drill, or null where there is none that can be read: that proves nothing, and the caller says so.</summary>
    public static DrillRecord? Read(string path) => JsonMark.TryRead(path, DrillJson.Default.DrillRecord);

    /// <summary>The drills of a history, oldest first. A line that cannot be read is left out.</summary>
    public static IReadOnlyList<DrillRecord> ReadHistory(string path)
    {
        try
        {
            return new FileInfo(path) is { Exists: true, Length: <= HistoryBytesMax }
                ? [.. File.ReadLines(path).Select(ReadLine).OfType<DrillRecord>()]
                : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>
    /// A drill that did not pass proves nothing: what is known stays. The rows of what passed are what the next is compared with.
    /// </summary>
    static DrillRecord Succeed(DrillRecord record, DrillRecord? last) => record is { Result: DrillResult.Pass, RequestedTime: null }
        ? record with { LastPassedAt = record.FinishedAt, RowsBaseline = record.Rows, BaselineTime = record.Time }
        : record with { LastPassedAt = last?.LastPassedAt, RowsBaseline = last?.RowsBaseline, BaselineTime = last?.BaselineTime };

    static DrillRecord? ReadLine(string line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, DrillJson.Default.DrillRecord);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
