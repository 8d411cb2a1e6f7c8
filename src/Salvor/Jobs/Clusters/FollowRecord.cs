using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Text;
using Salvor.Vault.Wal;

namespace Salvor.Jobs.Clusters;

/// <summary>How the log of a cluster is followed, as its follower wrote it down. Addresses are as PostgreSQL prints them.</summary>
public sealed record FollowRecord
{
    /// <summary>The server, as messages call it.</summary>
    public required string Server { get; init; }

    public required string Slot { get; init; }

    /// <summary>Whether the server sends its log.</summary>
    public bool Connected { get; init; }

    /// <summary>Whether commits wait until it is durable on this machine.</summary>
    public bool Synchronous { get; init; }

    /// <summary>Whether the server is a standby, or sessions of it only read: what its primary has is not known.</summary>
    public bool Standby { get; init; }

    /// <summary>0 before the first connection.</summary>
    public uint Timeline { get; init; }

    /// <summary>Up to where the server has log.</summary>
    public string ServerEnd { get; init; } = $"{Lsn.None}";

    /// <summary>Up to where it was received.</summary>
    public string Received { get; init; } = $"{Lsn.None}";

    /// <summary>Up to where it is durable on this machine.</summary>
    public string Durable { get; init; } = $"{Lsn.None}";

    /// <summary>Up to where it is in the vault at the first destination.</summary>
    public string Published { get; init; } = $"{Lsn.None}";

    /// <summary>When something of it got there last; null where nothing did since the follower was started.</summary>
    public DateTimeOffset? PublishedAt { get; init; }

    /// <summary>How much of the log the vault lacks.</summary>
    public long LagBytes { get; init; }

    /// <summary>When the oldest of it was seen, or since when nobody sees what the server writes; null where it lacks nothing.</summary>
    public DateTimeOffset? WaitingSince { get; init; }

    /// <summary>When the server was connected to last; null where it never was.</summary>
    public DateTimeOffset? ContactAt { get; init; }

    /// <summary>What waits on this machine, and what stays there until its block is complete.</summary>
    public long SpoolBytes { get; init; }

    /// <summary>Why the log is not received; empty where it is.</summary>
    public string Problem { get; init; } = "";

    public string Hint { get; init; } = "";

    /// <summary>Why it does not get into the vault; empty where it does.</summary>
    public string StoreProblem { get; init; } = "";

    public string StoreHint { get; init; } = "";

    /// <summary>Since when it does not; null where it does.</summary>
    public DateTimeOffset? StoreProblemSince { get; init; }

    /// <summary>Why no base backup leads to the newest log; empty where one does, and where that is not known yet.</summary>
    public string BackupNeeded { get; init; } = "";

    /// <summary>What is missing in the vault between what is there.</summary>
    public IReadOnlyList<string> Gaps { get; init; } = [];

    /// <summary>The further destinations.</summary>
    public IReadOnlyList<CopyStatus> Copies { get; init; } = [];

    /// <summary>Whether the follower ended as it was told to.</summary>
    public bool Stopped { get; init; }

    public int Pid { get; init; }

    /// <summary>With the next two, which process that is, for good: ids are given again.</summary>
    public string Host { get; init; } = "";

    public string BootId { get; init; } = "";

    public long StartTicks { get; init; }

    public DateTimeOffset UpdatedAt { get; init; }

    internal ProcessIdentity Writer => new(Host, BootId, Pid, StartTicks);
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, Converters = [typeof(InstantJsonConverter)])]
[JsonSerializable(typeof(FollowRecord))]
sealed partial class FollowJson : JsonSerializerContext;

/// <summary>The file with <see cref="FollowRecord"/>, beside the other local state.</summary>
static class FollowFile
{
    /// <summary>How often it is written at least. One that is older than a few times that is of somebody who does nothing.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    /// <summary>Replaces the file by renaming; it need not survive a loss of power.</summary>
    public static void Write(string path, FollowRecord record)
    {
        var temporary = path + ".tmp";
        File.WriteAllBytes(temporary, JsonSerializer.SerializeToUtf8Bytes(record, FollowJson.Default.FollowRecord));
        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>The record, or null where there is none that can be read: as if nobody followed.</summary>
    public static FollowRecord? Read(string path) => JsonMark.TryRead(path, FollowJson.Default.FollowRecord);
}
