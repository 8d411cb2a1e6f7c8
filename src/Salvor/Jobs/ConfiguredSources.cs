using Salvor.Jobs.Config;
using Salvor.Jobs.Keys;
using Salvor.Sqlite;
using Salvor.Text;
using Salvor.Vault.Compaction;
using Salvor.Vault.Keys;
using Salvor.Vault.Pruning;

namespace Salvor.Jobs;

/// <summary>One database of a configured source.</summary>
/// <param name="Name">The name of its vault.</param>
/// <param name="Path">The file.</param>
public sealed record SourceMember(string Name, string Path);

/// <summary>What has one vault: a database of a source, or a source that has snapshots alone.</summary>
/// <param name="Config">The source.</param>
/// <param name="Name">The name of the vault.</param>
/// <param name="Path">What local state goes by: the database, or the name.</param>
/// <param name="State">The folder of local state.</param>
public sealed record ConfiguredVault(SourceConfig Config, string Name, string Path, string State);

/// <summary>Finds databases by what a command line calls them.</summary>
public static class ConfiguredSources
{
    /// <summary>
    /// The databases of a source now: one for <c>path</c>, those that exist for <c>paths</c>. A folder that cannot be read is told, and the
    /// others go on.
    /// </summary>
    public static IEnumerable<SourceMember> Members(SqliteSourceConfig source, Action<SalvorException> onUnreadable) =>
        source.Path is { } path
            ? [new SourceMember(source.Name, path)]
            : source.Paths!.Enumerate(onUnreadable).Select(file => new SourceMember(source.Paths.MemberName(source.Name, file), file));

    /// <summary>All sources, whatever their kind.</summary>
    public static IEnumerable<SourceConfig> Sources(SalvorConfig config) => [.. config.Sources.Values, .. config.SnapshotSources];

    /// <summary>All that has a vault now, of the sources that are wanted. A folder that cannot be read is told by the daemon.</summary>
    public static IEnumerable<ConfiguredVault> Vaults(SalvorConfig config, Func<SourceConfig, bool> wanted) =>
    [
        .. config.Sources.Values.Where(source => wanted(source))
            .SelectMany(source => Members(source, _ => { }).Select(member => VaultOf(source, member))),
        .. config.SnapshotSources.Where(source => wanted(source)).Select(source => VaultOf(config, source)),
    ];

    public static ConfiguredVault VaultOf(SqliteSourceConfig source, SourceMember member) =>
        new(source, member.Name, member.Path, source.StateDirectory ?? LocalState.DefaultDirectory(member.Path));

    public static ConfiguredVault VaultOf(SalvorConfig config, SnapshotSourceConfig source) =>
        new(source, source.Name, source.Name, StateOf(config, source));

    /// <summary>How a member is protected.</summary>
    public static ReplicatorOptions OptionsOf(SqliteSourceConfig source, SourceMember member) => new()
    {
        Name = member.Name,
        Path = member.Path,
        StateDirectory = source.StateDirectory ?? LocalState.DefaultDirectory(member.Path),
        Batch = source.Batch,
        BlockMax = source.BlockMax,
        WalMaxBytes = source.WalMaxBytes,
        OutboxBytesMax = source.OutboxBytesMax,
        SnapshotEvery = source.SnapshotEvery,
        Compression = source.Compression,
        DestinationName = source.To[0],
    };

    /// <summary>What a prune of a source keeps.</summary>
    public static PrunePolicy PolicyOf(SourceConfig source) => new((source as SqliteSourceConfig)?.Keep ?? Ladder.Default)
    {
        Backups = new BackupRules { Max = source.BackupsMax, RetentionDays = source.RetentionDays },
        BytesMax = (source as SqliteSourceConfig)?.TotalSizeMax,
    };

    /// <summary>What opens the vaults of a source; null where they are plain.</summary>
    public static Keyring? KeysOf(SourceConfig source) =>
        source.Encryption is { } encryption ? SecretReader.KeyringOf(encryption.Key, encryption.KeySaved) : null;

    /// <summary>
    /// The source of files of this name, or the only source where no name is given and it is one of files; null where a database is meant.
    /// </summary>
    public static TreeSourceConfig? FindTree(SalvorConfig config, string? name) =>
        name is not null ? config.Trees.GetValueOrDefault(name)
        : config.Sources.Count == 0 && config.Trees.Count == 1 ? config.Trees.Values.First()
        : null;

    /// <summary>
    /// Folders on this machine that no backup of files has and no restore of files removes: those of destinations and of local state.
    /// </summary>
    public static IReadOnlyList<string> OwnFolders(SalvorConfig config) =>
    [
        .. config.Destinations.Values.OfType<FileDestinationConfig>().Select(destination => destination.Path),
        .. Vaults(config, _ => true).Select(vault => vault.State).Distinct(),
    ];

    /// <summary>The folder of the local state of a source that has snapshots alone.</summary>
    public static string StateOf(SalvorConfig config, SnapshotSourceConfig source) => source.StateDirectory
        ?? Path.Combine(Path.GetDirectoryName(Path.GetFullPath(config.FileName))!, LocalState.FolderName);

    /// <summary>The source and database of this name; the only one where no name is given.</summary>
    public static (SqliteSourceConfig Source, SourceMember Member) Find(SalvorConfig config, string? name)
    {
        if (name is null)
        {
            var single = config.Sources.Count + config.Trees.Count == 1 ? config.Sources.Values.FirstOrDefault() : null;
            return single?.Path is { } path ? (single, new SourceMember(single.Name, path))
                : single is not null ? throw Many(single)
                : throw new SalvorException(
                    FailureKind.Usage,
                    $"{config.FileName} has several sources: {Suggestion.Enumerate(NamesOf(config))}",
                    "Name one of them.");
        }

        if (config.Trees.ContainsKey(name))
        {
            var kind = config.Trees[name] switch
            {
                FilesSourceConfig => "one of files",
                CommandSourceConfig => "a command",
                _ => "a cluster",
            };
            throw new SalvorException(
                FailureKind.Usage,
                $"source {name} is {kind}, and this works on databases",
                "'backup', 'restore', 'list', 'verify', 'prune', 'usage' and 'status' work on it.");
        }

        foreach (var source in config.Sources.Values)
        {
            if (source.Path is not null && source.Name == name)
            {
                return (source, new SourceMember(name, source.Path));
            }

            if (source.Paths is not null && name.StartsWith(source.Name + "/", StringComparison.Ordinal))
            {
                return (source, MemberOf(source.Name, source.Paths, name[(source.Name.Length + 1)..]));
            }
        }

        if (config.Sources.TryGetValue(name, out var many))
        {
            throw Many(many);
        }

        throw new SalvorException(
            FailureKind.Usage,
            $"{config.FileName} has no source '{name}'",
            Suggestion.Sentence(name, NamesOf(config)) + $"Its sources are {Suggestion.Enumerate(NamesOf(config))}.");
    }

    static string[] NamesOf(SalvorConfig config) => [.. config.Sources.Keys, .. config.Trees.Keys];

    /// <summary>A database that was deleted is still restorable by its name, which may be spelled as the file or as the vault.</summary>
    static SourceMember MemberOf(string source, PathGlob paths, string member)
    {
        var path = Path.Combine(paths.BaseDirectory, member);
        var unescaped = Path.Combine(paths.BaseDirectory, SourceNames.Unescape(member));
        path = File.Exists(path) || !paths.IsMatch(unescaped) ? path : unescaped;
        return paths.IsMatch(path)
            ? new SourceMember(paths.MemberName(source, path), path)
            : throw new SalvorException(
                FailureKind.Usage,
                $"source {source} cannot have a database {member}: {path} matches none of its patterns",
                $"Its patterns are {Suggestion.Enumerate(paths.Patterns)}; 'salvor status {source}' shows its databases.");
    }

    static SalvorException Many(SqliteSourceConfig source)
    {
        const int NamedMax = 5;
        string[] names = [.. Members(source, failure => throw failure).Select(member => member.Name)];
        var more = names.Length > NamedMax ? $", and {names.Length - NamedMax} more" : "";
        return new SalvorException(
            FailureKind.Usage,
            $"source {source.Name} is {names.Length} database(s), each with a name of its own",
            names.Length == 0
                ? $"None matches {source.Paths!.Patterns[0]} now; name one that was there once, like {source.Name}/FILE."
                : $"Name one: {string.Join(", ", names.Take(NamedMax))}{more}.");
    }
}
