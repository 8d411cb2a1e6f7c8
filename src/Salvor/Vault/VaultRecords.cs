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

    /// <summary>The namespace of the process id: two containers with one name on one machine both have a process 1. 0: not known.</summary>
    public ulong PidNamespace { get; init; }

    /// <summary>The user that the process runs as.</summary>
    public string User { get; init; } = "";

    /// <summary>What the process does, for people: <c>salvor daemon --config FILE</c>.</summary>
    public string Command { get; init; } = "";

    /// <summary>It only ends the claim before it: nobody writes under it, and anybody may take over at once.</summary>
    public bool Released { get; init; }

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

    /// <summary>The claim under which the daemon writes there.</summary>
    public required uint Epoch { get; init; }

    /// <summary>0 before the first restore point, as are the next two.</summary>
    public required uint Branch { get; init; }

    public required ulong Number { get; init; }

    public required ulong Position { get; init; }

    /// <summary>Everything committed up to this time is in the vault; null where that was never known.</summary>
    public required DateTimeOffset? CompleteAsOf { get; init; }

    /// <summary>When the daemon last had the claim. It is a lease: without renewal it lapses.</summary>
    public required DateTimeOffset RenewedAt { get; init; }

    /// <summary>The daemon stopped writing there in an orderly way: anybody may take over at once.</summary>
    public bool Released { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(VaultIdentity))]
[JsonSerializable(typeof(BranchRecord))]
[JsonSerializable(typeof(ClaimRecord))]
[JsonSerializable(typeof(HeadRecord))]
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
