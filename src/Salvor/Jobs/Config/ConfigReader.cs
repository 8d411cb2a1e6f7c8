using Microsoft.Extensions.Logging;
using Salvor.Jobs.Keys;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>From the tree to the records: every key is known, every value is checked, every name resolves.</summary>
sealed class ConfigReader(ConfigDocument document)
{
    const int NameLengthMax = 100;
    const string PathExample = "/var/lib/app/app.db";
    const string GlobExample = "/data/tenants/*.db";
    const string KeepExample = "{ commits: 24h, minutes: 7d, hours: 30d, days: 1y }";

    static readonly string[] SourceTypes = ["sqlite", "files", "command", "postgres"];

    /// <summary>Where there are <see cref="ConfigDocument.Problems"/>, what could be read nevertheless.</summary>
    public SalvorConfig Read(YamlMappingNode node)
    {
        var root = new ConfigMapping(document, node, "the configuration");
        root.CheckKeys(ConfigKeys.Root);
        var destinations = document.Attempt(
            () => ReadNamed(root, "destination", "local: { type: file, path: /var/backups/salvor }", ReadDestination), []);
        document.Attempt(() => CheckDestinationPlaces(root, destinations), false);

        // One that is wrong is declared nevertheless: what goes to it is not wrong too.
        var named = (root.Value("destinations") as YamlMappingNode)?.Children.Keys.OfType<YamlScalarNode>() ?? [];
        string[] declared = [.. destinations.Keys.Union(named.Select(key => key.Value!))];
        var all = document.Attempt(
            () => ReadNamed<SourceConfig>(
                root,
                "source",
                $"app: {{ type: sqlite, path: {PathExample}, to: [{declared.FirstOrDefault("local")}] }}",
                (name, owner, source) => ReadSource(name, owner, source, destinations, declared)),
            []);
        var sources = Only<SqliteSourceConfig>(all);
        document.Attempt(() => CheckSourcePaths(root, sources), false);
        return new()
        {
            FileName = document.FileName,
            Destinations = destinations,
            Sources = sources,
            Trees = Only<TreeSourceConfig>(all),
            Restore = document.Attempt(() => ReadRestore(root), new()),
            Log = document.Attempt(() => ReadLog(root), new() { Level = LogLevel.Information }),
            Metrics = document.LocalOnly ? null : document.Attempt(() => MetricsReader.Read(document, root), null),
            Notifications = document.Attempt(() => NotificationsReader.Read(document, root), null),
            PlainSecrets = document.PlainSecrets,
        };
    }

    static OrderedDictionary<string, T> Only<T>(OrderedDictionary<string, SourceConfig> all)
        where T : SourceConfig =>
        new(all.Values.OfType<T>().Select(source => KeyValuePair.Create(source.Name, source)), StringComparer.Ordinal);

    /// <summary>A section that maps names to things of one kind, in the order of the file, at least one.</summary>
    OrderedDictionary<string, T> ReadNamed<T>(
        ConfigMapping root, string kind, string example, Func<string, string, ConfigMapping, T> read)
    {
        var key = $"{kind}s";
        var node = root.Value(key) ?? throw document.Error(
            root.Node, $"the configuration has no {key}", $"Add {key}: with at least one, for example {example}.");
        if (node is YamlMappingNode { Children.Count: 0 } or YamlScalarNode { Value: null or "" })
        {
            throw document.Error(node, $"{key} is empty", $"Add at least one, for example {example}.");
        }

        var things = new OrderedDictionary<string, T>(StringComparer.Ordinal);
        foreach (var (name, entry) in new ConfigMapping(document, node, key).Entries)
        {
            document.Attempt(() => things.TryAdd(name, ReadOne(name, entry.Key, entry.Value)), false);
        }

        return things;

        T ReadOne(string name, YamlScalarNode key, YamlNode value)
        {
            CheckName(document, key, kind, name);
            var owner = $"{kind} {name}";
            return read(name, owner, new(document, value, owner));
        }
    }

    /// <summary>Names become folders of a vault, where a dot in front means unfinished and an underscore is Salvor's own.</summary>
    internal static void CheckName(ConfigDocument document, YamlScalarNode node, string kind, string name)
    {
        if (name.Length > NameLengthMax
            || !char.IsAsciiLetterOrDigit(name[0])
            || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-'))
        {
            throw document.Error(
                node,
                $"\"{name}\" cannot be the name of a {kind}",
                $"Use at most {NameLengthMax} of the characters A-Z a-z 0-9 . _ -, and begin with a letter or a digit.");
        }
    }

    DestinationConfig ReadDestination(string name, string owner, ConfigMapping destination)
    {
        var type = ReadType(destination, owner, DestinationReader.Types);
        if (document.LocalOnly)
        {
            return type == "file" ? new FileDestinationConfig { Name = name, Path = name } : new NamedDestinationConfig { Name = name };
        }

        return DestinationReader.Read(type, name, destination);
    }

    SourceConfig ReadSource(
        string name, string owner, ConfigMapping source, OrderedDictionary<string, DestinationConfig> destinations,
        IReadOnlyList<string> declared)
    {
        var type = ReadType(source, owner, SourceTypes);
        return type == "sqlite"
            ? ReadDatabase(name, owner, source, destinations, declared)
            : TreeReader.Read(type, document, name, source, () => ReadTo(source, owner, destinations, declared));
    }

    SqliteSourceConfig ReadDatabase(
        string name, string owner, ConfigMapping source, OrderedDictionary<string, DestinationConfig> destinations,
        IReadOnlyList<string> declared)
    {
        source.CheckKeys(ConfigKeys.Source);
        var path = source.OptionalPath("path", PathExample);
        var paths = ReadGlob(source, owner);
        if (path is null && paths is null)
        {
            throw source.Missing("path", PathExample);
        }

        if (path is not null && paths is not null)
        {
            throw document.Error(
                source.Entries["paths"].Key, $"{owner} has both path and paths", "Keep path for one database, or paths for a pattern.");
        }

        var to = ReadTo(source, owner, destinations, declared);
        var verify = document.Attempt(() => VerifyReader.Read(document, source, owner), new());
        var snapshotEvery = source.Duration(
            "snapshot_every", SqliteSourceConfig.SnapshotEveryDefault, SqliteSourceConfig.SnapshotEveryMin,
            SqliteSourceConfig.SnapshotEveryMax);
        return new()
        {
            Name = name,
            Path = path,
            Paths = paths,
            To = to,
            Batch = source.Duration(
                "batch", SqliteSourceConfig.BatchFor(destinations.GetValueOrDefault(to[0])), SqliteSourceConfig.BatchMin,
                SqliteSourceConfig.BatchMax),
            BlockMax = source.Duration(
                "max_block", SqliteSourceConfig.BlockMaxDefault, SqliteSourceConfig.BlockMaxMin, SqliteSourceConfig.BlockMaxMax),
            OutboxBytesMax = source.Size(
                "max_outbox", SqliteSourceConfig.OutboxBytesMaxDefault, min: 0, SqliteSourceConfig.OutboxBytesMaxMax),
            WalMaxBytes = source.Size(
                "max_wal", SqliteSourceConfig.WalMaxBytesDefault, SqliteSourceConfig.WalMaxBytesMin, SqliteSourceConfig.WalMaxBytesMax),
            TotalSizeMax = source.Value("max_total_size") is null
                ? null
                : source.Size("max_total_size", 5_000_000_000, SqliteSourceConfig.TotalSizeMaxMin, SqliteSourceConfig.TotalSizeMaxMax),
            SnapshotEvery = snapshotEvery,
            Compression = document.Attempt(() => CompressionReader.Read(document, source, owner), FrameCompression.Default),
            StateDirectory = source.OptionalPath("state_dir", "/var/lib/salvor"),
            Keep = document.Attempt(() => ReadKeep(source, owner), Ladder.Default),
            Verify = verify,
            Drill = document.LocalOnly ? new() : document.Attempt(() => DrillReader.Read(document, source, owner, ConfigKeys.Drill), new()),
            BackupsMax = source.OptionalCount("max_backups", 30, SqliteSourceConfig.BackupsMaxMax),
            RetentionDays = source.OptionalCount("retention_days", 90, BackupRequest.RetentionDaysMax),
            Prune = document.Attempt(() => PruneReader.Read(document, source, owner), new()),
            Limits = LimitsReader.Read(source, snapshotEvery, verify.Every),
            Hooks = document.Attempt(() => CommandReader.ReadHooks(document, source), new()),
            Encryption = !document.LocalOnly && source.Value("encryption") is { } node
                ? document.Attempt<EncryptionConfig?>(() => EncryptionReader.Read(document, node, owner), null)
                : null,
        };
    }

    /// <summary>The ladder. A rung that is left out is skipped, and each reaches further than the finer ones.</summary>
    Ladder ReadKeep(ConfigMapping source, string owner)
    {
        if (source.Value("keep") is not { } node)
        {
            return Ladder.Default;
        }

        var keep = new ConfigMapping(document, node, $"keep of {owner}");
        string[] names = ["commits", "minutes", "hours", "days"];
        keep.CheckKeys(ConfigKeys.Keep);
        var problems = document.Problems.Count;
        TimeSpan?[] defaults = [Ladder.Default.Commits, Ladder.Default.Minutes, Ladder.Default.Hours, Ladder.Default.Days];
        var rungs = new TimeSpan?[names.Length];
        string? finer = null;
        for (var i = 0; i < names.Length; i++)
        {
            if (keep.Value(names[i]) is not { } value)
            {
                continue;
            }

            rungs[i] = keep.Duration(names[i], defaults[i]!.Value, TimeSpan.FromMinutes(1), TimeSpan.FromDays(100 * 365));
            if (finer is not null && document.Problems.Count == problems && rungs[i] <= rungs[Array.IndexOf(names, finer)])
            {
                throw document.Error(
                    value,
                    $"keep of {owner} has {names[i]} for no longer than {finer}",
                    $"Each rung reaches further back than the finer one before it, for example {KeepExample}.");
            }

            finer = names[i];
        }

        return finer is null
            ? throw document.Error(node, $"keep of {owner} is empty", $"Write keep: {KeepExample}.")
            : new Ladder(rungs[0], rungs[1], rungs[2], rungs[3]);
    }

    /// <summary>The type is looked at before any other key, because it decides which keys there are.</summary>
    static string ReadType(ConfigMapping thing, string owner, string[] available)
    {
        thing.CheckDecisive("type");
        var type = thing.Text("type", available[0]);
        if (available.Contains(type))
        {
            return type;
        }

        var choice = $"Available {(available.Length == 1 ? "is" : "are")} {Suggestion.Enumerate(available)}.";
        throw thing.Error("type", $"unknown type \"{type}\" in {owner}", $"{Suggestion.Sentence(type, available)}{choice}");
    }

    PathGlob? ReadGlob(ConfigMapping source, string owner)
    {
        if (source.OptionalTexts("paths", $"[{GlobExample}]") is not { } patterns)
        {
            return null;
        }

        var globs = new List<string>();
        foreach (var (node, text) in patterns)
        {
            if (PathGlob.Problem(text) is { } problem)
            {
                throw document.Error(node, $"pattern \"{text}\" of {owner} {problem}", PathGlob.Hint);
            }

            globs.Add(document.FullPath(node, text));
            var (first, other) = (PathGlob.BaseOf(globs[0]), PathGlob.BaseOf(globs[^1]));
            if (first != other)
            {
                // Members are named by their path below the base: from two bases, two databases could get one name, and one vault.
                throw document.Error(
                    node, $"the patterns of {owner} begin in two directories, {first} and {other}", "Make them two sources.");
            }
        }

        return new(globs);
    }

    List<string> ReadTo(
        ConfigMapping source, string owner, OrderedDictionary<string, DestinationConfig> destinations, IReadOnlyList<string> declared)
    {
        var example = $"[{declared.FirstOrDefault("local")}]";
        var names = new List<string>();
        foreach (var (node, name) in source.OptionalTexts("to", example) ?? throw source.Missing("to", example))
        {
            if (declared.Count > 0 && !declared.Contains(name))
            {
                throw document.Error(
                    node,
                    $"{owner} goes to \"{name}\", which is not a destination",
                    $"{Suggestion.Sentence(name, declared)}Configured are {Suggestion.Enumerate(declared)}.");
            }

            if (names.Contains(name))
            {
                throw document.Error(node, $"{owner} goes to {name} twice", "Keep one of the two.");
            }

            names.Add(name);
        }

        return [.. names.OrderBy(name => destinations.GetValueOrDefault(name) is FileDestinationConfig ? 0 : 1)];
    }

    /// <summary>Two destinations in one place would be one copy that is counted as two.</summary>
    bool CheckDestinationPlaces(ConfigMapping root, OrderedDictionary<string, DestinationConfig> destinations)
    {
        var seen = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var destination in destinations.Values)
        {
            var place = Path.TrimEndingDirectorySeparator(destination.Location);
            if (!seen.TryAdd(place, destination.Name))
            {
                throw document.Error(
                    Entry(root, "destinations", destination.Name),
                    $"destinations {seen[place]} and {destination.Name} are the same place {place}",
                    "Move one of them: two copies in one place are one copy.");
            }
        }

        return true;
    }

    /// <summary>A database in two sources would be captured twice, and its two vaults would each be half of what it costs.</summary>
    bool CheckSourcePaths(ConfigMapping root, OrderedDictionary<string, SqliteSourceConfig> sources)
    {
        for (var index = 1; index < sources.Count; index++)
        {
            var later = sources.GetAt(index).Value;
            foreach (var earlier in sources.Values.Take(index))
            {
                if (SharedPath(earlier, later) is { } path)
                {
                    throw document.Error(
                        Entry(root, "sources", later.Name),
                        $"sources {earlier.Name} and {later.Name} both name {path}",
                        "Keep one of them; 'to' takes more than one destination.");
                }
            }
        }

        return true;
    }

    /// <summary>What both sources are known to contain. Patterns that overlap without being equal show only when files are there.</summary>
    static string? SharedPath(SqliteSourceConfig a, SqliteSourceConfig b) => (a, b) switch
    {
        ({ Path: { } path }, { Path: { } other }) => path == other ? path : null,
        ({ Paths: { } glob }, { Path: { } path }) => glob.IsMatch(path) ? path : null,
        ({ Path: { } path }, { Paths: { } glob }) => glob.IsMatch(path) ? path : null,
        _ => a.Paths!.Patterns.Intersect(b.Paths!.Patterns).FirstOrDefault(),
    };

    YamlScalarNode Entry(ConfigMapping root, string section, string name) =>
        new ConfigMapping(document, root.Value(section)!, section).Entries[name].Key;

    RestoreConfig ReadRestore(ConfigMapping root)
    {
        if (root.Value("restore") is not { } node)
        {
            return new();
        }

        var restore = new ConfigMapping(document, node, "restore");
        restore.CheckKeys(ConfigKeys.Restore);
        return new() { Scratch = restore.OptionalPath("scratch", "./restored") };
    }

    LogConfig ReadLog(ConfigMapping root)
    {
        if (root.Value("log") is not { } node)
        {
            return new() { Level = LogLevel.Information };
        }

        var log = new ConfigMapping(document, node, "log");
        log.CheckKeys(ConfigKeys.Log);
        return new()
        {
            Level = log.Choice(
                "level", LogLevel.Information, ("info", LogLevel.Information), ("debug", LogLevel.Debug), ("warning", LogLevel.Warning)),
            Format = log.Choice("format", LogFormat.Text, ("text", LogFormat.Text), ("json", LogFormat.Json)),
        };
    }
}
