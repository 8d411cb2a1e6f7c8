using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Platform;
using Salvor.Text;

namespace Salvor.Jobs;

/// <summary>What the last prune of a source by the daemon did: the file that tells <c>salvor status</c>.</summary>
public sealed record PruneRecord
{
    /// <summary>How long nothing may be proven before somebody is told that nothing is dropped.</summary>
    public static readonly TimeSpan WaitingMax = TimeSpan.FromDays(3);

    /// <summary>When it was made.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>Since when nothing is dropped because no restore point is proven; null where one is.</summary>
    public DateTimeOffset? WaitingSince { get; init; }

    /// <summary>Why it failed; empty where it did not.</summary>
    public string Error { get; init; } = "";

    /// <summary>What to do about that.</summary>
    public string Hint { get; init; } = "";

    /// <summary>The number that <c>prune undelete</c> takes; null where nothing was condemned.</summary>
    public ulong? Number { get; init; }

    public long CondemnedObjects { get; init; }

    public long DeletedObjects { get; init; }

    public long DeletedBytes { get; init; }

    /// <summary>What the destination did not allow to delete.</summary>
    public long RefusedObjects { get; init; }

    /// <summary>How far the vault is above <c>max_total_size</c>, and nothing that may go changes that; else 0.</summary>
    public long ExcessBytes { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, Converters = [typeof(InstantJsonConverter)])]
[JsonSerializable(typeof(PruneRecord))]
sealed partial class PruneJson : JsonSerializerContext;

/// <summary>The file with the last prune, beside the status file.</summary>
static class PruneFile
{
    public static void Write(string path, PruneRecord record) =>
        DurableFile.Replace(path, JsonSerializer.SerializeToUtf8Bytes(record, PruneJson.Default.PruneRecord));

    /// <summary>The record, or null where there is none that can be read: as if nothing was pruned yet, which costs nothing.</summary>
    public static PruneRecord? Read(string path) => JsonMark.TryRead(path, PruneJson.Default.PruneRecord);
}
