using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>What a vault is of. The details of its first object, as JSON.</summary>
public sealed record VaultIdentity
{
    /// <summary>The kind of a cluster of PostgreSQL.</summary>
    public const string Postgres = "postgres";

    /// <summary>No name or path is longer, and the check is computed over what a stranger may have written.</summary>
    const int TextLengthMax = 16384;

    public required string Source { get; init; }

    /// <summary>The kind of source: <c>sqlite</c>, <c>files</c>, <c>command</c> or <c>postgres</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>Whether its snapshots are trees of files, and backups all that can be restored.</summary>
    [JsonIgnore]
    public bool IsTree => Kind is "files" or "command" or Postgres;

    /// <summary>Whether it holds a write-ahead log, and its positions are addresses in that.</summary>
    [JsonIgnore]
    public bool IsPostgres => Kind == Postgres;

    /// <summary>The configured path. A source is its name and path, never its content.</summary>
    public required string Path { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The random seed of the page hashes, as 16 hexadecimal digits. Absent in an encrypted vault, whose key gives it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? PageSeed { get; init; }

    /// <summary>How the vault is encrypted; absent where it is not.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public VaultEncryption? Encryption { get; init; }

    /// <summary>This identity, of a vault with these secrets.</summary>
    internal VaultIdentity EncryptedBy(VaultSecrets secrets) => this with
    {
        PageSeed = null,
        Encryption = new VaultEncryption { Cipher = VaultEncryption.Aes256Gcm, Check = CheckBy(secrets).ToString() },
    };

    /// <summary>Whether somebody who had the data key said all this.</summary>
    internal bool IsProvedBy(VaultSecrets secrets) =>
        Math.Max(Source.Length, Math.Max(Kind.Length, Path.Length)) <= TextLengthMax
            && Hash256.TryParse(Encryption!.Check, out var check) && check == CheckBy(secrets);

    Hash256 CheckBy(VaultSecrets secrets)
    {
        var fields = new FieldWriter();
        fields.Text(Source);
        fields.Text(Kind);
        fields.Text(Path);
        fields.I64(Micros.Of(CreatedAt));
        return secrets.CheckOf(fields.Written.Span);
    }
}

/// <summary>How a vault is encrypted. Part of its identity, as JSON.</summary>
public sealed record VaultEncryption
{
    /// <summary>The only one so far.</summary>
    public const string Aes256Gcm = "aes-256-gcm";

    public required string Cipher { get; init; }

    /// <summary>A keyed hash of what the identity says, in hexadecimal: it tells a wrong key, and a changed identity.</summary>
    public required string Check { get; init; }
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

    /// <summary>The timeline of PostgreSQL that this is; absent in other vaults, as are the next two.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public uint? Timeline { get; init; }

    /// <summary>The system identifier of the cluster, in decimal: no JSON number holds it for sure.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? SystemId { get; init; }

    /// <summary>The history file of the timeline, in base64; of no bytes for the first.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public byte[]? History { get; init; }
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

    /// <summary>
    /// The file of the lock that the process holds on its machine for as long as it writes, as <see cref="Platform.FileIdentity.Text"/>.
    /// Empty: none.
    /// </summary>
    public string LockFile { get; init => field = value ?? ""; } = "";

    /// <summary>The user that the process runs as.</summary>
    public string User { get; init => field = value ?? ""; } = "";

    /// <summary>What the process does, for people: <c>salvor daemon --config FILE</c>.</summary>
    public string Command { get; init => field = value ?? ""; } = "";

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

    /// <summary>The id of the newest backup; 0 where none is known.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ulong Backup { get; init; }

    /// <summary>Everything committed up to this time is in the vault; null where that was never known.</summary>
    public required DateTimeOffset? CompleteAsOf { get; init; }

    /// <summary>When the daemon last had the claim. It is a lease: without renewal it lapses.</summary>
    public required DateTimeOffset RenewedAt { get; init; }

    /// <summary>The daemon stopped writing there in an orderly way: anybody may take over at once.</summary>
    public bool Released { get; init; }
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

    /// <summary>
    /// As it was asked for: <c>full</c>, <c>incremental</c> or <c>differential</c>; of a cluster as it was read. Each is a complete
    /// starting point.
    /// </summary>
    public required string Mode { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required string Host { get; init; }

    /// <summary>The size of the database, in bytes.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>The checksum of the database, as 16 hexadecimal digits.</summary>
    public required string Checksum { get; init; }

    /// <summary>Bytes that its snapshot added to the vault; 0 where one was there already.</summary>
    public required long AddedBytes { get; init; }

    /// <summary>
    /// For how many days from <see cref="CreatedAt"/> on it is to stay, whatever other rules say; after that a prune drops it. Absent where
    /// it was not said.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? RetentionDays { get; init; }

    /// <summary>What of earlier backups there was when it was made. Absent in records of writers that did not say it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public BackupsBefore? Before { get; init; }
}

/// <summary>
/// The link of a backup to those before it. Ids are dense, so one that is absent was pruned, or was removed by somebody else.
/// </summary>
/// <param name="Id">The newest one that there was; 0 where there was none.</param>
/// <param name="Hash">The hash of its details as in names of chunks, 64 hexadecimal digits; zeros where there was none.</param>
/// <param name="Gone">Ids that were absent already when the first record with such a link was made: nobody knows why any more.</param>
public sealed record BackupsBefore(ulong Id, string Hash, IReadOnlyList<NumberRange> Gone);

/// <summary>What a prune says goes when the grace is over. The details of a condemned object, as JSON.</summary>
public sealed record CondemnedRecord
{
    public required DateTimeOffset At { get; init; }

    public required string Host { get; init; }

    public required int Pid { get; init; }

    /// <summary>From <see cref="At"/> on it can be taken back for so many seconds; after that it is deleted.</summary>
    public required long GraceSeconds { get; init; }

    public required IReadOnlyList<CondemnedGroup> Groups { get; init; }

    /// <summary>Log numbers that go without another object that stands for them.</summary>
    public required IReadOnlyList<PrunedRange> Pruned { get; init; }

    /// <summary>
    /// Earlier records that this one takes over: all they named is gone, and what they pruned is among <see cref="Pruned"/>. They and their
    /// outcomes may be deleted as soon as this one counts for good.
    /// </summary>
    public IReadOnlyList<NumberRange> Retired { get; init => field = value ?? []; } = [];

    /// <summary>The ids of the backups that those deleted: they are absent on purpose.</summary>
    public IReadOnlyList<NumberRange> PrunedBackups { get; init => field = value ?? []; } = [];
}

/// <summary>Consecutive numbers.</summary>
public sealed record NumberRange(ulong First, ulong Last);

/// <summary>Objects that go for the same reason.</summary>
/// <param name="Reason">For people.</param>
/// <param name="By">The key of the object that stands for all of them from now on; empty where there is none.</param>
/// <param name="Keys">The keys inside the vault.</param>
public sealed record CondemnedGroup(string Reason, string By, IReadOnlyList<string> Keys);

/// <summary>Numbers of the log of a branch that are gone on purpose.</summary>
public sealed record PrunedRange(uint Branch, ulong First, ulong Last);

/// <summary>What became of what a prune condemned. The details of an outcome object, as JSON.</summary>
public sealed record OutcomeRecord
{
    public const string Undeleted = "undeleted";
    public const string Deleting = "deleting";

    /// <summary><see cref="Undeleted"/> or <see cref="Deleting"/>; whoever came first decided.</summary>
    public required string Decision { get; init; }

    /// <summary>The keys that stay although the record condemns them: something made since needs them.</summary>
    public IReadOnlyList<string> Kept { get; init => field = value ?? []; } = [];

    public required DateTimeOffset At { get; init; }

    public required string Host { get; init; }

    public required int Pid { get; init; }
}

// The generated readers set to null what JSON leaves out, whatever its initial value: so members that may be absent replace null.
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(VaultIdentity))]
[JsonSerializable(typeof(BranchRecord))]
[JsonSerializable(typeof(ClaimRecord))]
[JsonSerializable(typeof(HeadRecord))]
[JsonSerializable(typeof(MoveRecord))]
[JsonSerializable(typeof(BackupRecord))]
[JsonSerializable(typeof(CondemnedRecord))]
[JsonSerializable(typeof(OutcomeRecord))]
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
