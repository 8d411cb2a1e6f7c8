using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Vault.Keys;

namespace Salvor.Jobs;

/// <summary>
/// Keeps a host at what a configuration says: adds what is new, ends what is gone, and leaves alone what did not change, so that a reload
/// interrupts nothing. Databases that match a pattern join when they appear.
/// </summary>
public sealed class ConfiguredHost(ProtectionHost host, string configPath, ILogger logger) : IDisposable
{
    /// <summary>How often patterns are looked at again, besides when something appears in their folder.</summary>
    static readonly TimeSpan PatternStep = TimeSpan.FromSeconds(30);

    readonly SemaphoreSlim applying = new(1);
    readonly SemaphoreSlim asked = new(0);
    readonly Dictionary<DestinationConfig, IObjectStore> stores = [];
    readonly Dictionary<EncryptionConfig, Keyring> keyrings = [];
    readonly Dictionary<string, IReadOnlyList<SourceDestination>> storeLists = [];
    readonly Dictionary<DestinationConfig, int> seen = [];
    readonly Dictionary<string, (ReplicatorOptions Options, IReadOnlyList<SourceDestination> Stores)> current = [];
    readonly List<FileSystemWatching> watched = [];
    readonly HashSet<string> unreadable = [];
    volatile bool reloadAsked;
    SalvorConfig? config;

    /// <summary>What the patterns matched when the host was last made to follow them.</summary>
    IReadOnlyList<object> applied = [];

    /// <summary>The configuration as it is now.</summary>
    public SalvorConfig Config => config ?? throw new InvalidOperationException("no configuration was applied yet");

    /// <summary>The same; null until one was applied.</summary>
    public SalvorConfig? Applied => config;

    /// <summary>Makes the host protect what the configuration says.</summary>
    public async Task ApplyAsync(SalvorConfig next)
    {
        await applying.WaitAsync();
        try
        {
            // First all that can fail: a configuration that does not work leaves everything as it was.
            var files = Files(next);
            var wanted = Wanted(next);
            config = next;
            foreach (var name in current.Keys.Where(name => !wanted.TryGetValue(name, out var item) || item != current[name]).ToList())
            {
                await host.RemoveAsync(name);
                current.Remove(name);
            }

            foreach (var (name, item) in wanted.Where(item => !current.ContainsKey(item.Key)))
            {
                host.Add(item.Options, item.Stores[0].Store, [.. item.Stores.Skip(1)]);
                current[name] = item;
            }

            WatchPatterns(next);
            applied = files;
        }
        finally
        {
            applying.Release();
        }
    }

    /// <summary>Runs until cancelled: reloads the configuration on SIGHUP, and lets new databases join.</summary>
    public async Task ReloadOnSignalAsync(CancellationToken cancellationToken)
    {
        using var hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            reloadAsked = true;
            asked.Release();
        });
        while (true)
        {
            var patterns = config!.Sources.Values.Any(source => source.Paths is not null);
            var isAsked = await asked.WaitAsync(patterns ? PatternStep : Timeout.InfiniteTimeSpan, cancellationToken);
            if (!isAsked && Files(config).SequenceEqual(applied, ReferenceEqualityComparer.Instance))
            {
                continue;
            }

            while (await asked.WaitAsync(TimeSpan.Zero, cancellationToken))
            {
                // One look answers all that was asked up to now.
            }

            if (reloadAsked)
            {
                reloadAsked = false;
                await ReloadAsync();
            }
            else
            {
                await ApplyAsync(config);
            }
        }
    }

    public void Dispose()
    {
        watched.ForEach(item => item.Dispose());
        applying.Dispose();
        asked.Dispose();
    }

    async Task ReloadAsync()
    {
        try
        {
            await ApplyAsync(ConfigFile.Load(configPath));
            logger.Reloaded(configPath);
        }
        catch (SalvorException e)
        {
            logger.ReloadFailed(e.Message, e.Hint);
        }
    }

    Dictionary<string, (ReplicatorOptions Options, IReadOnlyList<SourceDestination> Stores)> Wanted(SalvorConfig next)
    {
        var wanted = new Dictionary<string, (ReplicatorOptions, IReadOnlyList<SourceDestination>)>();
        foreach (var source in next.Sources.Values)
        {
            var stores = StoresOf([.. source.To.Select(name => next.Destinations[name])]);
            foreach (var member in ConfiguredSources.Members(source, NoteUnreadable))
            {
                wanted[member.Name] = (ConfiguredSources.OptionsOf(source, member) with { Keys = KeysOf(source) }, stores);
            }
        }

        // What matched a pattern once stays protected while its file is away: it may come back.
        foreach (var (name, item) in current)
        {
            if (next.Sources.Values.Any(source => source.Paths?.IsMatch(item.Options.Path) == true
                && source.Paths.MemberName(source.Name, item.Options.Path) == name))
            {
                wanted.TryAdd(name, item);
            }
        }

        return wanted;
    }

    /// <summary>What the patterns match, each the same list as before where nothing changed.</summary>
    IReadOnlyList<object> Files(SalvorConfig next) =>
        [.. next.Sources.Values.Where(source => source.Paths is not null).Select(source => source.Paths!.Enumerate(NoteUnreadable))];

    /// <summary>Said once, not at each look.</summary>
    void NoteUnreadable(SalvorException e)
    {
        if (unreadable.Add(e.Message))
        {
            logger.SourcesUnreadable(e.Message, e.Hint);
        }
    }

    /// <summary>The same for as long as the configuration says the same: what did not change is not interrupted, and read once.</summary>
    Keyring? KeysOf(SqliteSourceConfig source)
    {
        if (source.Encryption is not { } encryption)
        {
            return null;
        }

        return keyrings.TryGetValue(encryption, out var keys) ? keys : keyrings[encryption] = ConfiguredSources.KeysOf(source)!;
    }

    /// <summary>The same list for the same destinations, so that a comparison tells whether something changed.</summary>
    IReadOnlyList<SourceDestination> StoresOf(IReadOnlyList<DestinationConfig> destinations)
    {
        // Not what they print: that has no secrets, and a new password must be taken.
        var key = string.Join(' ', destinations.Select(NumberOf));
        return storeLists.TryGetValue(key, out var list)
            ? list
            : storeLists[key] =
            [
                new SourceDestination(FirstStoreOf(destinations[0]), IsRequired: true) { Name = destinations[0].Name },
                .. destinations.Skip(1)
                    .Select(item => new SourceDestination(StoreOf(item), item.IsRequired)
                    {
                        Name = item.Name, OnIncomplete = item.OnIncomplete,
                    }),
            ];
    }

    IObjectStore FirstStoreOf(DestinationConfig destination)
    {
        var store = StoreOf(destination);
        Destinations.MakeFolder(store);
        return store;
    }

    IObjectStore StoreOf(DestinationConfig destination) =>
        stores.TryGetValue(destination, out var store) ? store : stores[destination] = Destinations.OpenOnce(destination);

    int NumberOf(DestinationConfig destination) =>
        seen.TryGetValue(destination, out var number) ? number : seen[destination] = seen.Count;

    void WatchPatterns(SalvorConfig next)
    {
        var folders = next.Sources.Values.Select(source => source.Paths?.BaseDirectory).OfType<string>().ToHashSet();
        foreach (var gone in watched.Where(item => !folders.Contains(item.Directory)).ToList())
        {
            gone.Dispose();
            watched.Remove(gone);
        }

        foreach (var folder in folders.Where(folder => Directory.Exists(folder) && watched.All(item => item.Directory != folder)))
        {
            watched.Add(host.WatchDirectory(folder, () => asked.Release()));
        }
    }
}

/// <summary>A watch on a folder; ends when disposed.</summary>
public sealed class FileSystemWatching(string directory, IDisposable inner) : IDisposable
{
    public string Directory { get; } = directory;

    public void Dispose() => inner.Dispose();
}
