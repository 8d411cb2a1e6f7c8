using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Sqlite.Verify;

/// <summary>What the proven image beside it is: the state of a vault at a position.</summary>
sealed record ProvenRecord
{
    public required Guid VaultId { get; init; }

    public required uint Branch { get; init; }

    public required ulong Position { get; init; }

    /// <summary>The log object that ends at that position.</summary>
    public required ulong Number { get; init; }

    /// <summary>The link after it.</summary>
    public required string Lineage { get; init; }

    /// <summary>The checksum of the database, as 16 hexadecimal digits.</summary>
    public required string Checksum { get; init; }

    public required uint PageSize { get; init; }

    public required uint PageCount { get; init; }

    public required DateTimeOffset ProvedAt { get; init; }

    /// <summary>When it last passed the full check and not the quick one.</summary>
    public required DateTimeOffset IntegrityCheckedAt { get; init; }

    public static string PathFor(string image) => image + ".json";

    /// <summary>The record of an image, or null where there is none that can be read. What is wrong with it costs a full restore.</summary>
    public static ProvenRecord? TryRead(string image)
    {
        try
        {
            var path = PathFor(image);
            var record = File.Exists(path) && File.Exists(image)
                ? JsonSerializer.Deserialize(File.ReadAllBytes(path), ProvenJson.Default.ProvenRecord)
                : null;
            return record is not null
                && DatabasePages.IsPageSize(record.PageSize)
                && new FileInfo(image).Length == (long)record.PageSize * record.PageCount
                ? record
                : null;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public void Write(string image) => DurableFile.Replace(
        PathFor(image), JsonSerializer.SerializeToUtf8Bytes(this, ProvenJson.Default.ProvenRecord));
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, Converters = [typeof(InstantJsonConverter)])]
[JsonSerializable(typeof(ProvenRecord))]
sealed partial class ProvenJson : JsonSerializerContext;
