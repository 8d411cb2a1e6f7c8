using Salvor.Storage.Sftp;
using Salvor.Vault.Copies;

namespace Salvor.Jobs.Config;

/// <summary>Reads one of the <c>destinations</c>: each type has keys of its own, besides those that all have.</summary>
static class DestinationReader
{
    /// <summary>The types that can be used.</summary>
    public static readonly string[] Types = ["file", "s3", "sftp", "azure", "gcs"];

    const int ConcurrentCallsMaxMax = 10_000;

    /// <param name="type">One of <see cref="Types"/>.</param>
    /// <param name="name">What the configuration calls it.</param>
    /// <param name="destination">Its keys.</param>
    public static DestinationConfig Read(string type, string name, ConfigMapping destination)
    {
        DestinationConfig config = type switch
        {
            "file" => ReadFile(name, destination),
            "s3" => S3Reader.Read(name, destination),
            "sftp" => ReadSftp(name, destination),
            "azure" => ReadAzure(name, destination),
            "gcs" => S3Reader.ReadGoogle(name, destination),
            _ => throw new InvalidOperationException($"no reader for type {type}"),
        };
        return config with
        {
            IsRequired = destination.Choice("required", false, ("true", true), ("false", false)),
            OnIncomplete = destination.Choice(
                "on_incomplete", IncompleteCopy.Backfill,
                ("backfill", IncompleteCopy.Backfill), ("refuse", IncompleteCopy.Refuse), ("warn", IncompleteCopy.Warn)),
            UploadMax = destination.OptionalRate("max_upload", "20MiB/s"),
            DownloadMax = destination.OptionalRate("max_download", "50MiB/s"),
            ConcurrentCallsMax = destination.OptionalCount("max_concurrent_uploads", 10, ConcurrentCallsMaxMax),
            PricePerGbMonth = destination.OptionalAmount("price_per_gb_month", "0.023"),
        };
    }

    static FileDestinationConfig ReadFile(string name, ConfigMapping destination)
    {
        destination.CheckKeys(ConfigKeys.File);
        return new FileDestinationConfig { Name = name, Path = destination.Path("path", "/var/backups/salvor") };
    }

    static AzureDestinationConfig ReadAzure(string name, ConfigMapping destination)
    {
        destination.CheckKeys(ConfigKeys.Azure);
        return new AzureReader($"destination {name}", TextOf, destination.Error, destination.Variable).Read(name);

        string? TextOf(string setting)
        {
            var key = ConfigKeys.Azure.Keys.First(item => item.Name == setting);
            return key.Value == ConfigValue.Secret
                ? destination.OptionalSecret(setting, key.Example)
                : destination.OptionalText(setting, key.Example);
        }
    }

    static SftpDestinationConfig ReadSftp(string name, ConfigMapping destination)
    {
        destination.CheckKeys(ConfigKeys.Sftp);
        var options = new SftpOptions
        {
            Host = destination.Text("host", "backup.example.com"),
            Port = destination.OptionalCount("port", 22, ushort.MaxValue),
            User = destination.OptionalText("user", "salvor"),
            Path = destination.Text("path", "/srv/salvor"),
            KeyFile = destination.OptionalPath("key_file", "/etc/salvor/id_ed25519"),
            KeyPassphrase = Secret("key_passphrase", "${NAS_KEY_PASSPHRASE}"),
            Password = Secret("password", "${NAS_PASSWORD}"),
            KnownHostsFile = destination.OptionalPath("known_hosts", "/etc/salvor/known_hosts"),
            HostKey = destination.OptionalText("host_key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI..."),
            AllowWeak = destination.Choice("allow_weak", false, ("true", true), ("false", false)),
        };
        return options.Problem() is { } problem
            ? throw destination.Error("host", $"destination {name}: {problem}", "Correct it; docs/cli.md has an example of each key.")
            : new SftpDestinationConfig { Name = name, Options = options };

        SecretText? Secret(string key, string example) =>
            destination.OptionalSecret(key, example) is { } text ? new SecretText(text) : null;
    }
}
