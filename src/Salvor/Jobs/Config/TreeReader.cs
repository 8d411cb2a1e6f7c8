using Salvor.Files;
using Salvor.Jobs.Commands;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Jobs.Config;

/// <summary>Reads sources that are backed up as trees.</summary>
static class TreeReader
{
    const string PathExample = "[/srv/app/uploads]";
    const string PatternExample = "[\"*.tmp\", /srv/app/cache/]";

    /// <param name="type"><c>files</c>, <c>command</c> or <c>postgres</c>.</param>
    /// <param name="document">The file.</param>
    /// <param name="name">The name of the source.</param>
    /// <param name="source">Its keys.</param>
    /// <param name="to">Reads its destinations.</param>
    public static TreeSourceConfig Read(
        string type, ConfigDocument document, string name, ConfigMapping source, Func<IReadOnlyList<string>> to)
    {
        source.CheckKeys(type switch
        {
            "files" => ConfigKeys.Files,
            "command" => ConfigKeys.Command,
            _ => ConfigKeys.Postgres,
        });
        return type switch
        {
            "files" => ReadFiles(document, name, source.Owner, source, to()),
            "command" => ReadCommand(document, name, source.Owner, source, to()),
            _ => PostgresReader.Read(document, name, source, to()).WithCommon(document, source, source.Owner),
        };
    }

    static FilesSourceConfig ReadFiles(
        ConfigDocument document, string name, string owner, ConfigMapping source, IReadOnlyList<string> to)
    {
        var paths = source.OptionalTexts("paths", PathExample) ?? throw source.Missing("paths", PathExample);
        var exclude = source.OptionalTexts("exclude", PatternExample) ?? [];
        foreach (var (node, pattern) in exclude)
        {
            if (PathPatterns.Problem(pattern) is { } problem)
            {
                throw document.Error(
                    node, $"pattern \"{pattern}\" of {owner} {problem}", "Write a name like '*.tmp', or a path like '/srv/app/cache/'.");
            }
        }

        string[] patterns = [.. exclude.Select(item => item.Text)];
        return new FilesSourceConfig
        {
            Name = name,
            To = to,
            Options = new TreeOptions
            {
                Paths = [.. paths.Select(item => document.FullPath(item.Node, item.Text))],
                Exclude = PathPatterns.Parse(patterns),
                ExcludeIfPresent = [.. (source.OptionalTexts("exclude_if_present", "[.nobackup]") ?? []).Select(item => item.Text)],
                ExcludeCaches = source.Choice("exclude_caches", false, ("true", true), ("false", false)),
                OneFileSystem = source.Choice("one_file_system", false, ("true", true), ("false", false)),
                WarnsOfAnomalies = source.Choice("warn_of_anomalies", true, ("true", true), ("false", false)),
            },
            Exclude = patterns,
            CopiesDatabases = source.Choice("databases", true, ("copy", true), ("as_files", false)),
            Restore = document.Attempt(() => ReadRestore(source), new()),
        }.WithCommon(document, source, owner);
    }

    /// <summary>Names of users are looked up where something is restored: this may be another machine.</summary>
    static RestoreProfile ReadRestore(ConfigMapping source)
    {
        if (source.OptionalMapping("restore") is not { } restore)
        {
            return new();
        }

        restore.CheckKeys(ConfigKeys.OwnersRestored);
        var (chown, chmod) = (restore.OptionalText("chown", "app:app"), restore.OptionalText("chmod", "D750,F640"));
        return new RestoreProfile
        {
            Chown = chown is null || chown.Trim(':').Length > 0
                ? chown
                : throw restore.Error("chown", $"chown of {restore.Owner} names nobody", "Write chown: USER, USER:GROUP or :GROUP."),
            OwnerBy = restore.Choice("owner_by", OwnerBy.Name, ("name", OwnerBy.Name), ("number", OwnerBy.Number)),
            OwnerMap = restore.OptionalPath("owner_map", "/etc/salvor/owners"),
            Chmod = chmod is null || Modes.TryParse(chmod, out _)
                ? chmod
                : throw restore.Error(
                    "chmod", $"chmod of {restore.Owner} is \"{chmod}\", which is no permissions",
                    "Write octal permissions of directories and files: chmod: \"D750,F640\"."),
        };
    }

    static CommandSourceConfig ReadCommand(
        ConfigDocument document, string name, string owner, ConfigMapping source, IReadOnlyList<string> to)
    {
        var command = document.Attempt(() => CommandReader.Read(document, source, "command", "[pg_dumpall, --clean]"), null);
        var limit = source.Duration(
            "timeout", CommandSourceConfig.LimitDefault, ConfiguredCommand.LimitMin, ConfiguredCommand.LimitMax);
        var environment = document.Attempt(() => CommandReader.ReadEnvironment(document, source), new Dictionary<string, SecretText>());
        var read = new CommandSourceConfig
        {
            Name = name,
            To = to,
            Command = command is null ? null : command with { Limit = limit, Environment = environment },
            FileName = document.Attempt(() => ReadFileName(owner, source), null),
            AllowsEmpty = source.Choice("allow_empty", false, ("true", true), ("false", false)),
        }.WithCommon(document, source, owner);
        return read.Command is null && read.Schedule is not null && !source.Has("command")
            ? throw source.Error("schedule", $"{owner} has a schedule and no command", "Add command: [pg_dumpall, --clean].")
            : read;
    }

    static string? ReadFileName(string owner, ConfigMapping source) => source.OptionalText("file_name", "app.sql") switch
    {
        { } name when !StreamBackup.IsName(name) => throw source.Error(
            "file_name", $"file_name of {owner} is \"{name}\", which is no name of a file", "Write a name without a folder: app.sql."),
        var name => name,
    };

    static T WithCommon<T>(this T read, ConfigDocument document, ConfigMapping source, string owner)
        where T : TreeSourceConfig
    {
        var verify = document.Attempt(() => VerifyReader.Read(document, source, owner), new());
        var isPostgres = read is PostgresSourceConfig;
        var schedule = document.Attempt(() => ScheduleReader.Read(document, source, read.Name, owner), null)
            ?? (isPostgres && !source.Has("schedule") ? PostgresReader.Daily(read.Name) : null);
        return (T)(read with
        {
            Schedule = schedule,
            Verify = verify,
            Drill = document.LocalOnly ? new() : document.Attempt(
                () => DrillReader.Read(document, source, owner, isPostgres ? ConfigKeys.DrillOfCluster : ConfigKeys.DrillOfFiles), new()),
            Compression = document.Attempt(() => CompressionReader.Read(document, source, owner), FrameCompression.Default),
            BackupsMax = source.OptionalCount("max_backups", 30, SqliteSourceConfig.BackupsMaxMax),
            RetentionDays = source.OptionalCount("retention_days", 90, BackupRequest.RetentionDaysMax),
            Prune = document.Attempt(() => PruneReader.Read(document, source, owner), new()),
            Limits = LimitsReader.Read(source, schedule, verify.Every, hasLog: isPostgres),
            Hooks = document.Attempt(() => CommandReader.ReadHooks(document, source), new()),
            StateDirectory = source.OptionalPath("state_dir", "/var/lib/salvor"),
            Encryption = !document.LocalOnly && source.Value("encryption") is { } encryption
                ? document.Attempt<EncryptionConfig?>(() => EncryptionReader.Read(document, encryption, owner), null)
                : null,
        });
    }
}
