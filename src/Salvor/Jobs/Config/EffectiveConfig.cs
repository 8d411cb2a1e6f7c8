using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Salvor.Files;
using Salvor.Jobs.Commands;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Keys;
using Salvor.Storage.S3;
using Salvor.Text;
using Salvor.Vault.Compaction;

namespace Salvor.Jobs.Config;

/// <summary>A configuration with all that is not said in it filled in, as the keys that say it. No secret is in it.</summary>
public static class EffectiveConfig
{
    /// <summary>What stands in the place of a secret.</summary>
    public const string Masked = "(secret)";

    /// <summary>All of it.</summary>
    public static JsonObject Of(SalvorConfig config)
    {
        var root = new JsonObject
        {
            ["destinations"] = Named(config.Destinations, Of),
            ["sources"] = WithTrees(Named(config.Sources, Of), config),
            ["log"] = Keys(("level", LevelName(config.Log.Level)), ("format", config.Log.Format == LogFormat.Json ? "json" : "text")),
        };
        if (config.Restore.Scratch is { } scratch)
        {
            root["restore"] = new JsonObject { ["scratch"] = YamlOutput.Literal(scratch) };
        }

        if (config.Metrics is { } metrics)
        {
            root["metrics"] = Keys(
                ("listen", metrics.Listen), ("token", metrics.Token is null ? null : Masked), ("token_file", metrics.TokenFile),
                ("otlp", metrics.Otlp?.OriginalString));
        }

        if (config.Notifications is { } notifications)
        {
            root["notifications"] = EffectiveNotifications.Of(notifications);
        }

        return root;
    }

    /// <summary>One destination.</summary>
    public static JsonObject Of(DestinationConfig destination)
    {
        var keys = destination switch
        {
            FileDestinationConfig file => Keys(("type", "file"), ("path", file.Path)),
            S3DestinationConfig s3 => OfS3(s3.Options),
            SftpDestinationConfig sftp => Keys(
                ("type", "sftp"), ("host", sftp.Options.Host), ("port", sftp.Options.Port), ("user", sftp.Options.User),
                ("path", sftp.Options.Path), ("key_file", sftp.Options.KeyFile),
                ("key_passphrase", sftp.Options.KeyPassphrase is null ? null : Masked),
                ("password", sftp.Options.Password is null ? null : Masked), ("known_hosts", sftp.Options.KnownHostsFile),
                ("host_key", sftp.Options.HostKey), ("allow_weak", sftp.Options.AllowWeak)),
            AzureDestinationConfig azure => Keys(
                ("type", "azure"), ("account", azure.Account), ("container", azure.Container), ("prefix", NullIfEmpty(azure.Prefix)),
                ("endpoint", azure.Endpoint.AbsoluteUri.TrimEnd('/')), ("auth", azure.Auth.ToString().ToLowerInvariant()),
                ("account_key", azure.Auth == AzureAuth.Key ? Masked : null), ("sas_token", azure.Auth == AzureAuth.Sas ? Masked : null),
                ("allow_insecure", azure.AllowInsecure)),
            _ => throw new InvalidOperationException($"no keys for {destination.GetType().Name}"),
        };
        AddLimits(keys, destination);
        keys["required"] = destination.IsRequired;
        keys["on_incomplete"] = destination.OnIncomplete.ToString().ToLowerInvariant();
        if (destination.PricePerGbMonth is { } price)
        {
            keys["price_per_gb_month"] = price;
        }

        return keys;
    }

    static void AddLimits(JsonObject keys, DestinationConfig destination)
    {
        if (destination.UploadMax is { } upload)
        {
            keys["max_upload"] = $"{SizeText.FormatExact(upload)}/s";
        }

        if (destination.DownloadMax is { } download)
        {
            keys["max_download"] = $"{SizeText.FormatExact(download)}/s";
        }

        if (destination.ConcurrentCallsMax is { } calls)
        {
            keys["max_concurrent_uploads"] = calls;
        }
    }

    /// <summary>One source.</summary>
    public static JsonObject Of(SqliteSourceConfig source)
    {
        var keys = Keys(
            ("type", "sqlite"), ("path", source.Path), ("paths", source.Paths?.Patterns), ("to", source.To),
            ("batch", source.Batch), ("max_block", source.BlockMax), ("max_wal", SizeText.FormatExact(source.WalMaxBytes)),
            ("max_outbox", SizeText.FormatExact(source.OutboxBytesMax)),
            ("max_total_size", source.TotalSizeMax is { } size ? SizeText.FormatExact(size) : null),
            ("snapshot_every", source.SnapshotEvery), ("compression", source.Compression.ToString()),
            ("max_backups", source.BackupsMax), ("retention_days", source.RetentionDays), ("state_dir", source.StateDirectory));
        keys["keep"] = Of(source.Keep);
        keys["verify"] = Of(source.Verify);
        keys["prune"] = source.Prune.Every is { } often ? Keys(("every", often), ("grace", source.Prune.Grace)) : "off";
        keys["drill"] = Of(source.Drill);
        Add(keys, source.Limits);
        AddHooks(keys, source);
        if (source.Encryption is { } encryption)
        {
            keys["encryption"] = Of(encryption);
        }

        return keys;
    }

    /// <summary>One source that is backed up as a tree.</summary>
    public static JsonObject Of(TreeSourceConfig source)
    {
        var keys = source switch
        {
            FilesSourceConfig files => OfFiles(files),
            PostgresSourceConfig postgres => OfPostgres(postgres),
            _ => OfCommand((CommandSourceConfig)source),
        };
        var common = Keys(
            ("to", source.To), ("compression", source.Compression.ToString()), ("max_backups", source.BackupsMax),
            ("retention_days", source.RetentionDays), ("state_dir", source.StateDirectory));
        foreach (var (name, value) in common)
        {
            keys[name] = value?.DeepClone();
        }

        AddSnapshots(keys, source);
        AddHooks(keys, source);
        if (source.Encryption is { } encryption)
        {
            keys["encryption"] = Of(encryption);
        }

        return keys;
    }

    /// <summary>What every source has that has snapshots alone.</summary>
    static void AddSnapshots(JsonObject keys, SnapshotSourceConfig source)
    {
        keys["schedule"] = source.Schedule is { } schedule ? Of(schedule) : "off";
        keys["verify"] = Of(source.Verify);
        keys["prune"] = source.Prune.Every is { } often ? Keys(("every", often), ("grace", source.Prune.Grace)) : "off";
        keys["max_backup_age"] = OrOff(source.Limits.BackupAge);
        keys["max_verify_age"] = OrOff(source.Limits.VerifyAge);
        keys["drill"] = Of(source.Drill);
        if (source.Limits.NeedsDrill)
        {
            keys["max_drill_age"] = OrOff(source.Limits.DrillAge);
        }
    }

    static JsonObject Of(ScheduleConfig schedule) => Keys(
        schedule.Times.Every is { } every ? ("every", every) : ("cron", schedule.Times.Text), ("time_zone", schedule.Times.Zone.Id),
        ("jitter", schedule.Jitter), ("catch_up", schedule.CatchesUp));

    static JsonNode Of(VerifyConfig verify) => verify.Every is { } every
        ? Keys(("every", every), ("deep", verify.Deep), ("keep_image", verify.KeepImage))
        : JsonValue.Create("off");

    static JsonObject OfFiles(FilesSourceConfig source)
    {
        var (options, restore) = (source.Options, source.Restore);
        var keys = Keys(
            ("type", "files"), ("paths", options.Paths), ("exclude", source.Exclude.Count > 0 ? source.Exclude : null),
            ("exclude_if_present", options.ExcludeIfPresent.Count > 0 ? options.ExcludeIfPresent : null),
            ("exclude_caches", options.ExcludeCaches), ("one_file_system", options.OneFileSystem),
            ("warn_of_anomalies", options.WarnsOfAnomalies), ("databases", source.CopiesDatabases ? "copy" : "as_files"));
        if (restore != new RestoreProfile())
        {
            keys["restore"] = Keys(
                ("chown", restore.Chown), ("owner_by", restore.OwnerBy == OwnerBy.Number ? "number" : "name"),
                ("owner_map", restore.OwnerMap), ("chmod", restore.Chmod));
        }

        return keys;
    }

    /// <summary>Arguments may have a secret in them, by a variable; the name of the program has not.</summary>
    static JsonObject OfCommand(CommandSourceConfig source)
    {
        var keys = Keys(
            ("type", "command"), ("command", source.Command is { } command ? Shown(command) : null),
            ("timeout", source.Command?.Limit), ("file_name", source.FileName), ("allow_empty", source.AllowsEmpty));
        if (source.Command?.Environment is { Count: > 0 } environment)
        {
            keys["environment"] = Keys([.. environment.Keys.Select(name => (name, (object?)Masked))]);
        }

        return keys;
    }

    /// <summary>Where it has no password, it is no secret.</summary>
    static JsonObject OfPostgres(PostgresSourceConfig source) => Keys(
        ("type", "postgres"),
        ("connection", source.Server is { Password: null, SslPassword: null } ? source.Connection!.Value : Masked),
        ("slot", source.Slot), ("max_spool", SizeText.FormatExact(source.SpoolBytesMax)), ("full_every", source.FullEvery),
        ("rpo", OrOff(source.Limits.Lag)));

    static string[] Shown(ConfiguredCommand command) => [command.Name, .. command.Arguments.Skip(1).Select(_ => Masked)];

    static void AddHooks(JsonObject keys, SourceConfig source)
    {
        if (source.Hooks.Commands.Count > 0)
        {
            keys["hooks"] = Keys(
                [.. source.Hooks.Commands.Select(item => (item.Key, (object?)Shown(item.Value))), ("timeout", source.Hooks.Limit)]);
        }
    }

    static JsonObject WithTrees(JsonObject sources, SalvorConfig config)
    {
        foreach (var (name, tree) in config.Trees)
        {
            sources[name] = Of(tree);
        }

        return sources;
    }

    static JsonObject Of(Ladder keep) =>
        Keys(("commits", keep.Commits), ("minutes", keep.Minutes), ("hours", keep.Hours), ("days", keep.Days));

    static JsonObject Of(DrillConfig drill)
    {
        var keys = Keys(
            ("every", drill.Every is { } every ? every : "off"), ("rto", drill.Rto), ("rpo", drill.Rpo), ("max_age", drill.AgeMax),
            ("max_shrink", drill.ShrinkPercent is { } percent ? $"{percent}%" : null), ("keep_reports", drill.KeepReports));
        if (drill.Checks.Count > 0)
        {
            keys["checks"] = new JsonArray([.. drill.Checks.Select(Of)]);
        }

        return keys;
    }

    /// <summary>What it asks may have a secret in it, by a variable; its name has not.</summary>
    static JsonObject Of(SmokeCheck check) => check switch
    {
        SmokeCheck.Url url => Keys(
            ("name", url.Name), ("timeout", url.Limit), ("url", Masked), ("status", url.Status), ("contains", url.Contains)),
        SmokeCheck.Sql sql => Keys(
            ("name", sql.Name), ("timeout", sql.Limit), ("sql", Masked), ("database", sql.Database), ("expect", sql.Expect)),
        SmokeCheck.Exists file => Keys(("name", file.Name), ("timeout", file.Limit), ("exists", file.Path)),
        SmokeCheck.Command command => Keys(
            ("name", command.Name), ("timeout", command.Limit), ("command", Masked), ("expect", command.Expect)),
        _ => throw new InvalidOperationException($"no keys for {check.GetType().Name}"),
    };

    /// <summary>An age of drills is a limit of its own where it is said, even before the first drill.</summary>
    static void Add(JsonObject keys, HealthLimits limits)
    {
        keys["rpo"] = OrOff(limits.Lag);
        keys["max_backup_age"] = OrOff(limits.BackupAge);
        keys["max_verify_age"] = OrOff(limits.VerifyAge);
        if (limits.NeedsDrill)
        {
            keys["max_drill_age"] = OrOff(limits.DrillAge);
        }
    }

    static string OrOff(TimeSpan? duration) => duration is { } time ? DurationText.Format(time) : "off";

    static JsonObject Of(EncryptionConfig encryption)
    {
        (string Name, object? Value) place = encryption.Key switch
        {
            KeySource.KeyFile file => ("key_file", file.Path),
            KeySource.PassphraseFile file => ("passphrase_file", file.Path),
            KeySource.PassphraseCommand => ("passphrase_command", Masked),
            KeySource.PassphraseDescriptor descriptor => ("passphrase_fd", descriptor.Descriptor),
            KeySource.Credential credential => ("credential", credential.Name),
            _ => ("passphrase", Masked),
        };
        return Keys(place, ("key_saved", encryption.KeySaved));
    }

    static JsonObject OfS3(S3Options options)
    {
        var keys = PlainOfS3(options);
        if (options.Lock is { } locked)
        {
            keys["object_lock"] = Keys(
                ("mode", S3Reader.LockModes.First(item => item.Value == locked.Mode).Name), ("days", (int)locked.Time.TotalDays));
        }

        if (options.Maintain is { } maintain)
        {
            keys["maintain"] = Keys(
                ("access_key_id", maintain.Credentials is null ? null : Masked),
                ("secret_access_key", maintain.Credentials is null ? null : Masked),
                ("session_token", maintain.Credentials?.SessionToken is null ? null : Masked), ("profile", maintain.Profile));
        }

        return keys;
    }

    static JsonObject PlainOfS3(S3Options options) => Keys(
        ("type", options.Service == S3Service.Google ? "gcs" : "s3"),
        ("bucket", options.Bucket), ("prefix", NullIfEmpty(options.Prefix)), ("region", options.Region),
        ("endpoint", options.Endpoint), ("path_style", options.PathStyle), ("storage_class", options.StorageClass),
        ("sse", S3Reader.Encryptions.FirstOrDefault(item => item.Value == options.Encryption).Name), ("kms_key", options.KmsKey),
        ("profile", options.Profile), ("allow_insecure", options.AllowInsecure),
        ("access_key_id", options.Credentials is null ? null : Masked),
        ("secret_access_key", options.Credentials is null ? null : Masked),
        ("session_token", options.Credentials?.SessionToken is null ? null : Masked));

    static JsonObject Named<T>(IReadOnlyDictionary<string, T> things, Func<T, JsonObject> of)
    {
        var all = new JsonObject();
        foreach (var (name, thing) in things)
        {
            all[name] = of(thing);
        }

        return all;
    }

    /// <summary>What is null is not a key.</summary>
    internal static JsonObject Keys(params (string Name, object? Value)[] items)
    {
        var keys = new JsonObject();
        foreach (var (name, value) in items.Where(item => item.Value is not null))
        {
            keys[name] = value switch
            {
                bool flag => flag,
                int number => number,
                TimeSpan duration => DurationText.Format(duration),
                IReadOnlyList<string> list => new JsonArray([.. list.Select(item => JsonValue.Create(YamlOutput.Literal(item)))]),
                _ => YamlOutput.Literal(Convert.ToString(value, CultureInfo.InvariantCulture)!),
            };
        }

        return keys;
    }

    static string? NullIfEmpty(string text) => text.Length == 0 ? null : text;

    static string LevelName(LogLevel level) => level switch { LogLevel.Debug => "debug", LogLevel.Warning => "warning", _ => "info" };
}
