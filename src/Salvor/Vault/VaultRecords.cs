using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>What a vault is of. The details of its first object, as JSON.</summary>
public sealed record VaultIdentity
{
    public required string Source { get; init; }

    /// <summary>The kind of source: <c>sqlite</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>The configured path. A source is its name and path, never its content.</summary>
    public required string Path { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The random seed of the page hashes, as 16 hexadecimal digits.</summary>
    public required string PageSeed { get; init; }
}

/// <summary>Where a branch left its parent. The details of a branch object, as JSON.</summary>
public sealed record BranchRecord
{
    /// <summary>The branch that it left; 0 for the first.</summary>
    public required uint Parent { get; init; }

    /// <summary>The last position that both share.</summary>
    public required ulong ForkPosition { get; init; }

    /// <summary>The parent's log object that holds the fork position.</summary>
    public required ulong ForkNumber { get; init; }

    /// <summary>The lineage after that object.</summary>
    public required string ForkLineage { get; init; }

    public required string Reason { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>Who writes to a vault. The details of a claim object, as JSON.</summary>
public sealed record ClaimRecord
{
    public required string Host { get; init; }

    public required string BootId { get; init; }

    public required int Pid { get; init; }

    public required long StartTicks { get; init; }

    /// <summary>Random, so that a writer knows its own claim again after an answer was lost.</summary>
    public required string WriterId { get; init; }

    public required DateTimeOffset Since { get; init; }

    public required string Version { get; init; }
}

/// <summary>What a daemon last knew of the vaults it writes at one destination. The details of a head object, as JSON.</summary>
public sealed record HeadRecord
{
    public required string Host { get; init; }

    public required int Pid { get; init; }

    public required DateTimeOffset At { get; init; }

    public required IReadOnlyList<HeadEntry> Vaults { get; init; }
}

/// <summary>One vault in a head.</summary>
public sealed record HeadEntry
{
    public required string Source { get; init; }

    public required Guid VaultId { get; init; }

    public required uint Branch { get; init; }

    public required ulong Number { get; init; }

    public required ulong Position { get; init; }

    /// <summary>Everything committed up to this time is in the vault.</summary>
    public required DateTimeOffset CompleteAsOf { get; init; }
}

/// <summary>Where the chunks of packs went. The details of a move object, as JSON.</summary>
public sealed record MoveRecord
{
    public required DateTimeOffset CreatedAt { get; init; }

    public required IReadOnlyList<PackMove> Packs { get; init; }
}

/// <summary>One pack in a move: its name, and the names of the packs that hold its chunks since.</summary>
public sealed record PackMove(string Pack, IReadOnlyList<string> Into);

/// <summary>A snapshot made on request or by schedule. The details of a backup object, as JSON.</summary>
public sealed record BackupRecord
{
    /// <summary>The number in the key; the same at every destination of the source.</summary>
    public required ulong Id { get; init; }

    /// <summary>
    /// The branch and position of its restore point. Its snapshot is there too, unless the point lies within a log object.
    /// </summary>
    public required uint Branch { get; init; }

    public required ulong Position { get; init; }

    /// <summary>The time of that position.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>For people; empty where none was given.</summary>
    public required string Label { get; init; }

    /// <summary>As it was asked for: <c>full</c>, <c>incremental</c> or <c>differential</c>. Each is a complete starting point.</summary>
    public required string Mode { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required string Host { get; init; }

    /// <summary>The size of the database, in bytes.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>The checksum of the database, as 16 hexadecimal digits.</summary>
    public required string Checksum { get; init; }

    /// <summary>Bytes that its snapshot added to the vault; 0 where one was there already.</summary>
    public required long AddedBytes { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(VaultIdentity))]
[JsonSerializable(typeof(BranchRecord))]
[JsonSerializable(typeof(ClaimRecord))]
[JsonSerializable(typeof(HeadRecord))]
[JsonSerializable(typeof(MoveRecord))]
[JsonSerializable(typeof(BackupRecord))]
sealed partial class VaultJson : JsonSerializerContext
{
    public static byte[] Write<T>(T record, JsonTypeInfo<T> type) => JsonSerializer.SerializeToUtf8Bytes(record, type);

    public static T Read<T>(string key, ReadOnlySpan<byte> details, JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(details, type)
                ?? throw new DamagedObjectException(key, "its details are empty");
        }
        catch (JsonException e)
        {
            throw new DamagedObjectException(key, $"its details cannot be read: {e.Message}");
        }
    }
}
