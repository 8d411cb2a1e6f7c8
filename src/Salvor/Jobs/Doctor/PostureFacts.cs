using Salvor.Jobs.Config;

namespace Salvor.Jobs.Doctor;

/// <summary>How one source is kept, as what is known of its destinations adds up to.</summary>
sealed record PostureFacts
{
    public required string Source { get; init; }

    /// <summary>The destinations that have a restore point of it.</summary>
    public required IReadOnlyList<DestinationFacts> Copies { get; init; }

    /// <summary>The disk of the database; null where that is not known.</summary>
    public ulong? Device { get; init; }

    public required DaemonFacts Daemon { get; init; }

    public bool IsEncrypted { get; init; }

    public bool IsCompressed { get; init; }

    /// <summary>The medium of a copy: a disk, or a kind of service.</summary>
    public static string MediumOf(DestinationFacts copy) => copy.Config switch
    {
        FileDestinationConfig when !copy.IsRemote => copy.Device is { } device ? $"disk {device >> 32}:{device & 0xffffffff}" : "disk",
        S3DestinationConfig => "s3",
        AzureDestinationConfig => "azure",
        SftpDestinationConfig => "sftp",
        _ => "share",
    };

    /// <summary>Whether what was stored cannot be taken away with the credentials used here; null where that is not known.</summary>
    public static bool? IsImmutable(DestinationFacts copy) =>
        copy.Probe is { } probe && probe.Refused.Any(item => item.Verb == "delete") ? true
        : copy.Bucket is { } bucket ? bucket.ObjectLock.Value is { } objectLock ? objectLock is not ("off" or "on") : null
        : copy.Config is AzureDestinationConfig ? null
        : false;
}
