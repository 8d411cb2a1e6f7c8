using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Keys;
using Salvor.Vault.Pruning;

namespace Salvor.Cli.Commands;

/// <summary>A vault, and what the configuration says of it, if there is one.</summary>
/// <param name="Vault">The vault.</param>
/// <param name="StateDirectory">Where the local state of the source is.</param>
/// <param name="Source">The configured source, or null.</param>
/// <param name="Destination">The configured destination, or null.</param>
sealed record VaultPlace(VaultAccess Vault, string StateDirectory, SourceConfig? Source, DestinationConfig? Destination)
{
    /// <summary>What to call the destination.</summary>
    public string DestinationName => Destination?.Name ?? Vault.Store.Location;

    /// <summary>The lock file of the database on this machine.</summary>
    public string LockPath => LocalState.LockPath(StateDirectory, Vault.Identity.Path);

    /// <summary>Every vault that is meant: those of one source where it is named, else all, at all their destinations.</summary>
    public static async Task<IReadOnlyList<VaultPlace>> FindAllAsync(VaultOptions options, Invocation invocation)
    {
        var name = invocation.Get(options.Db) ?? invocation.Get(options.Source);
        var found = new List<VaultPlace>();
        foreach (var from in invocation.Get(options.From))
        {
            found.AddRange(await FromAsync(from, name, KeyOptions.Find(invocation, source: null), invocation.Cancellation));
        }

        if (!options.IsFromGiven(invocation))
        {
            found.AddRange(await ConfiguredAsync(invocation, name));
        }

        return found.Count > 0
            ? found
            : throw new SalvorException(
                FailureKind.NotRestorable, "nothing is backed up yet at any destination", "Start 'salvor daemon', then try again.");
    }

    /// <summary>Of each source the first destination: the others follow it.</summary>
    public static async Task<IReadOnlyList<VaultPlace>> FindFirstAsync(VaultOptions options, Invocation invocation) =>
        [.. (await FindAllAsync(options, invocation)).DistinctBy(place => place.Vault.Id)];

    /// <summary>The only one of those. Throws where there are several.</summary>
    /// <param name="options">What names it.</param>
    /// <param name="invocation">The command line.</param>
    /// <param name="counts">What each vault counts by itself, so that a number alone does not tell which.</param>
    public static async Task<VaultPlace> FindOneAsync(VaultOptions options, Invocation invocation, string counts) =>
        await FindFirstAsync(options, invocation) switch
        {
            [var only] => only,
            var places => throw new SalvorException(
                FailureKind.Usage,
                $"there are {places.Count} vaults, and each counts its {counts} by itself",
                $"Name the source: {string.Join(", ", places.Select(place => place.Vault.Identity.Source))}."),
        };

    /// <summary>The restore point that a deep verification on this machine proved last; null where none is known.</summary>
    public (uint Branch, Position Position)? Proven =>
        ProvenPoint.Find(StateDirectory, Vault.Identity.Path) is { } proven ? (proven.Branch, proven.Position) : null;

    /// <summary>How long what is condemned can be taken back.</summary>
    public TimeSpan Grace => Source?.Prune.Grace ?? Pruner.GraceDefault;

    static async Task<IReadOnlyList<VaultPlace>> FromAsync(
        string from, string? name, Keyring? keys, CancellationToken cancellationToken)
    {
        var store = Destinations.Open(DestinationUrl.Parse(from));
        if (name is null && (store is not FileStore || Directory.Exists(store.Location))
            && await store.SizeAsync("vault", cancellationToken) is null
            && await Destinations.NamesAsync(store, cancellationToken) is { Count: > 1 } names)
        {
            var all = new List<VaultPlace>();
            foreach (var item in names)
            {
                all.Add(Unconfigured((await VaultAccess.FindAsync(store, item, keys, cancellationToken))!));
            }

            return all;
        }

        return [Unconfigured(await Destinations.FindVaultAsync(from, name, keys, cancellationToken))];
    }

    static VaultPlace Unconfigured(VaultAccess vault) => new(vault, LocalState.DefaultDirectory(vault.Identity.Path), null, null);

    static async Task<IReadOnlyList<VaultPlace>> ConfiguredAsync(Invocation invocation, string? name)
    {
        var config = invocation.LoadConfig();
        IEnumerable<TreeSourceConfig> trees = name is null ? config.Trees.Values
            : config.Trees.TryGetValue(name, out var named) ? [named]
            : [];
        var members = name is null ? config.Sources.Values.SelectMany(source => Members(invocation, source))
            : config.Sources.TryGetValue(name, out var whole) ? Members(invocation, whole)
            : config.Trees.ContainsKey(name) ? []
            : [ConfiguredSources.Find(config, name)];
        var wanted = members
            .Select(item => (
                Source: (SourceConfig)item.Source, item.Member.Name, ConfiguredSources.OptionsOf(item.Source, item.Member).StateDirectory))
            .Concat(trees.Select(tree => (Source: (SourceConfig)tree, tree.Name, StateDirectory: ConfiguredSources.StateOf(config, tree))));
        var found = new List<VaultPlace>();
        foreach (var (source, vaultName, state) in wanted)
        {
            foreach (var destination in source.To.Select(to => config.Destinations[to]))
            {
                var store = Destinations.Open(destination, maintains: true);
                var keys = KeyOptions.Find(invocation, source);
                if (await VaultAccess.FindAsync(store, vaultName, keys, invocation.Cancellation) is { } vault)
                {
                    found.Add(new VaultPlace(vault.With(source.Compression), state, source, destination));
                }
            }
        }

        return found;
    }

    static IEnumerable<(SqliteSourceConfig Source, SourceMember Member)> Members(Invocation invocation, SqliteSourceConfig source) =>
        ConfiguredSources.Members(source, failure => invocation.Tell($"salvor: {failure.Message}\nhint: {failure.Hint}"))
            .Select(member => (source, member));
}
