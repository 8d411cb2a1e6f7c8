namespace Salvor.Storage.S3;

/// <summary>
/// What an operator says of a bucket. What is left out comes from the environment that other tools for S3 use, or has a default.
/// </summary>
public sealed record S3Options
{
    public required string Bucket { get; init; }

    /// <summary>Whose words it understands.</summary>
    public S3Service Service { get; init; }

    /// <summary>What stands in front of every key, without slashes at its ends; empty for the root of the bucket.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>Null: <c>AWS_REGION</c>, <c>AWS_DEFAULT_REGION</c>, the profile, or us-east-1.</summary>
    public string? Region { get; init; }

    /// <summary>The URL of the service. Null: <c>AWS_ENDPOINT_URL_S3</c>, <c>AWS_ENDPOINT_URL</c>, the profile, or Amazon's.</summary>
    public string? Endpoint { get; init; }

    /// <summary>Whether the bucket is named in the path and not in the host. Null: with every service but Amazon's.</summary>
    public bool? PathStyle { get; init; }

    /// <summary>The class of large objects that are rarely read; null for the standard one.</summary>
    public string? StorageClass { get; init; }

    /// <summary>How the service encrypts; in addition to what Salvor does.</summary>
    public S3Encryption Encryption { get; init; }

    /// <summary>The key of <see cref="S3Encryption.Kms"/>; null for the bucket's own.</summary>
    public string? KmsKey { get; init; }

    /// <summary>How long what is put can neither be deleted nor overwritten; null where the bucket alone says that.</summary>
    public S3Lock? Lock { get; init; }

    /// <summary>Who we are. Null: the environment, a profile, the container or the machine say it.</summary>
    public AwsCredentials? Credentials { get; init; }

    /// <summary>The section of <c>~/.aws/credentials</c> and <c>~/.aws/config</c>; null for <c>AWS_PROFILE</c> or <c>default</c>.</summary>
    public string? Profile { get; init; }

    /// <summary>Who deletes, where who writes may not; null where they are one.</summary>
    public S3Maintainer? Maintain { get; init; }

    /// <summary>Whether http may leave this machine.</summary>
    public bool AllowInsecure { get; init; }

    /// <summary>
    /// The URL of the place, with which it can be opened again where the environment is the same. No secrets, and nothing that only a
    /// writer needs.
    /// </summary>
    public string Location
    {
        get
        {
            (string Name, string? Value)[] settings =
            [
                ("region", Region), ("endpoint", Endpoint), ("path_style", PathStyle is { } style ? (style ? "true" : "false") : null),
                ("profile", Profile), ("allow_insecure", AllowInsecure ? "true" : null),
            ];
            var query = string.Join('&', settings.Where(item => item.Value is not null).Select(item => $"{item.Name}={item.Value}"));
            var scheme = Service == S3Service.Google ? "gs" : "s3";
            return $"{scheme}://{Bucket}{(Prefix.Length == 0 ? "" : "/" + Prefix)}{(query.Length == 0 ? "" : "?" + query)}";
        }
    }
}

/// <summary>What a service does with an object before it lies on its disks.</summary>
public enum S3Encryption
{
    /// <summary>What the bucket says.</summary>
    Default,

    /// <summary>With a key of the service (SSE-S3).</summary>
    Aes256,

    /// <summary>With a key that is managed by the operator (SSE-KMS).</summary>
    Kms,
}

/// <summary>Credentials for deletions: keys, or a profile.</summary>
public sealed record S3Maintainer(AwsCredentials? Credentials, string? Profile);

/// <summary>A lock on each version of an object, which the service itself holds.</summary>
/// <param name="Mode">Who may end it.</param>
/// <param name="Time">How long it lasts from the put on.</param>
public sealed record S3Lock(S3LockMode Mode, TimeSpan Time);

/// <summary>Who may end a lock before its time.</summary>
public enum S3LockMode
{
    /// <summary>Whoever has the permission to.</summary>
    Governance,

    /// <summary>Nobody.</summary>
    Compliance,
}
