using Salvor.Storage.S3;

namespace Salvor.Jobs.Config;

/// <summary>Reads a destination of type <c>s3</c>, or of type <c>gcs</c>, which is reached in the same way.</summary>
static class S3Reader
{
    /// <summary>What <c>sse</c> may say.</summary>
    public static readonly (string Name, S3Encryption Value)[] Encryptions =
        [("aes256", S3Encryption.Aes256), ("aws:kms", S3Encryption.Kms)];

    /// <summary>What <c>mode</c> of <c>object_lock</c> may say.</summary>
    public static readonly (string Name, S3LockMode Value)[] LockModes =
        [("governance", S3LockMode.Governance), ("compliance", S3LockMode.Compliance)];

    /// <summary>A hundred years.</summary>
    public const int LockDaysMax = 36_500;

    static readonly (string Name, bool Value)[] YesOrNo = [("true", true), ("false", false)];

    /// <summary>The keys that a URL may have too.</summary>
    public static readonly string[] Settings =
        ["region", "endpoint", "path_style", "storage_class", "sse", "kms_key", "object_lock", "profile", "allow_insecure"];

    /// <summary>Those of <c>gcs</c>.</summary>
    public static readonly string[] GoogleSettings = ["endpoint", "storage_class", "allow_insecure"];

    public static S3DestinationConfig Read(string name, ConfigMapping destination)
    {
        destination.CheckKeys(ConfigKeys.S3);
        var options = new S3Options
        {
            Bucket = destination.Text("bucket", "acme-backups"),
            Prefix = destination.OptionalText("prefix", "salvor")?.Trim('/') ?? "",
            Region = destination.OptionalText("region", "eu-west-1"),
            Endpoint = destination.OptionalText("endpoint", "https://s3.example.com"),
            PathStyle = destination.Has("path_style") ? destination.Choice("path_style", false, YesOrNo) : null,
            StorageClass = destination.OptionalText("storage_class", "STANDARD_IA"),
            Encryption = destination.Choice("sse", S3Encryption.Default, Encryptions),
            KmsKey = destination.OptionalText("kms_key", "alias/backups"),
            Lock = ReadLock(destination),
            Profile = destination.OptionalText("profile", "backups"),
            AllowInsecure = destination.Choice("allow_insecure", false, YesOrNo),
            Credentials = ReadCredentials($"destination {name}", destination),
            Maintain = ReadMaintain(name, destination),
        };
        return Checked(name, destination, options);
    }

    public static S3DestinationConfig ReadGoogle(string name, ConfigMapping destination)
    {
        destination.CheckKeys(ConfigKeys.Google);
        var options = new S3Options
        {
            Service = S3Service.Google,
            Bucket = destination.Text("bucket", "acme-backups"),
            Prefix = destination.OptionalText("prefix", "salvor")?.Trim('/') ?? "",
            Endpoint = destination.OptionalText("endpoint", "https://storage.googleapis.com"),
            StorageClass = destination.OptionalText("storage_class", "NEARLINE"),
            AllowInsecure = destination.Choice("allow_insecure", false, YesOrNo),
            Credentials = ReadCredentials(name, destination),
        };
        return Checked(name, destination, options);
    }

    static S3DestinationConfig Checked(string name, ConfigMapping destination, S3Options options)
    {
        try
        {
            S3Place.Check(options);
        }
        catch (SalvorException e)
        {
            throw destination.Error("bucket", e.Message, e.Hint);
        }

        return new S3DestinationConfig { Name = name, Options = options };
    }

    static S3Lock? ReadLock(ConfigMapping destination)
    {
        if (destination.OptionalMapping("object_lock") is not { } node)
        {
            return null;
        }

        node.CheckKeys(ConfigKeys.ObjectLock);
        var mode = node.Has("mode") ? node.Choice("mode", default, LockModes) : throw node.Missing("mode", "governance");
        var days = node.OptionalCount("days", 30, LockDaysMax) ?? throw node.Missing("days", "30");
        return new S3Lock(mode, TimeSpan.FromDays(days));
    }

    /// <summary>Who deletes for a prune; null where that is who writes.</summary>
    static S3Maintainer? ReadMaintain(string name, ConfigMapping destination)
    {
        if (destination.OptionalMapping("maintain") is not { } node)
        {
            return null;
        }

        node.CheckKeys(ConfigKeys.Maintain);
        var credentials = ReadCredentials($"maintain of destination {name}", node);
        var profile = node.OptionalText("profile", "backups-maintain");
        return credentials is null && profile is null
            ? throw node.Missing("access_key_id", "${S3_MAINTAIN_KEY_ID}")
            : new S3Maintainer(credentials, profile);
    }

    /// <summary>Null where the environment, a profile or the machine says who we are.</summary>
    static AwsCredentials? ReadCredentials(string owner, ConfigMapping destination)
    {
        var id = destination.OptionalSecret("access_key_id", "${S3_KEY_ID}");
        var secret = destination.OptionalSecret("secret_access_key", "${S3_SECRET_KEY}");
        var token = destination.OptionalSecret("session_token", "${S3_SESSION_TOKEN}");
        if (id is null && secret is null && token is null)
        {
            return null;
        }

        if (destination.Has("profile"))
        {
            throw destination.Error("profile", $"{owner} has both profile and keys of its own", "Keep one of the two.");
        }

        return new AwsCredentials(
            id ?? throw destination.Missing("access_key_id", "${S3_KEY_ID}"),
            secret ?? throw destination.Missing("secret_access_key", "${S3_SECRET_KEY}"),
            token,
            owner);
    }
}
