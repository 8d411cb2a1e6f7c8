using System.Collections.Concurrent;
using Salvor.Jobs.Config;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Storage.Sftp;
using Salvor.Vault;
using Salvor.Vault.Keys;

namespace Salvor.Jobs;

/// <summary>Opens the places where copies are kept, from what a configuration or a command line calls them.</summary>
public static class Destinations
{
    /// <summary>What a network forgives: about two seconds, with growing pauses.</summary>
    const int AttemptsMax = 6;

    static readonly ConcurrentDictionary<string, bool> warned = new();

    /// <summary>
    /// The store of a destination, for a command that ends: what may pass is tried again a few times, where a network is between. Touches
    /// nothing there.
    /// </summary>
    /// <param name="destination">The destination.</param>
    /// <param name="maintains">Whether it is to be pruned: then the credentials for deletions are used, where there are any.</param>
    public static IObjectStore Open(DestinationConfig destination, bool maintains = false) => StoreOf(destination, maintains) switch
    {
        FileStore local => local,
        var remote => new RetryingStore(remote, TimeProvider.System, new Random(Environment.ProcessId), _ => { })
        {
            AttemptsMax = AttemptsMax,
        },
    };

    /// <summary>A bucket as itself, to be asked about locks and versions; each call made once.</summary>
    public static S3Store OpenBucket(S3DestinationConfig bucket, bool maintains = false) => new(
        maintains ? bucket.Options : bucket.Options with { Maintain = null }, VaultKeys.IsPack)
    {
        IsLocked = VaultKeys.IsLasting,
    };

    /// <summary>Told once of each place to which everything goes unencrypted; null where nobody wants to know.</summary>
    public static Action<string>? Warn { get; set; }

    static IObjectStore StoreOf(DestinationConfig destination, bool maintains = false)
    {
        if (destination.InsecureHost() is { } host && warned.TryAdd(host, true))
        {
            Warn?.Invoke(
                $"{destination.Location} is plain http with {host}: whoever is on the network between can read and change what is sent");
        }

        return DestinationLimits.Apply(destination, DriverOf(destination, maintains), Environment.GetEnvironmentVariable);
    }

    /// <summary>The store of a destination without its limits, each call made once. Touches nothing there.</summary>
    internal static IObjectStore DriverOf(DestinationConfig destination, bool maintains = false) => destination switch
    {
        FileDestinationConfig file => new FileStore(file.Path),
        S3DestinationConfig s3 => OpenBucket(s3, maintains),
        AzureDestinationConfig azure => new AzureBlobStore(azure.ToOptions(TimeProvider.System, Environment.GetEnvironmentVariable)),
        SftpDestinationConfig sftp => new SftpStore(sftp.Options),
        _ => throw new InvalidOperationException($"no store for {destination.GetType().Name}"),
    };

    /// <summary>A destination to write to, each call made once. A folder is made if it does not exist yet.</summary>
    public static IObjectStore OpenForWriting(DestinationConfig destination)
    {
        var store = StoreOf(destination);
        MakeFolder(store);
        return store;
    }

    /// <summary>A destination to write to, each call made once, of which no folder is made yet. Touches nothing there.</summary>
    public static IObjectStore OpenOnce(DestinationConfig destination) => StoreOf(destination);

    /// <summary>Makes the folder of a destination that is one. Throws where something else is in its place.</summary>
    internal static void MakeFolder(IObjectStore store)
    {
        if (store is not FileStore folder || Directory.Exists(folder.Location))
        {
            return;
        }

        if (File.Exists(folder.Location))
        {
            throw new SalvorException(
                FailureKind.DestinationUnreachable,
                $"destination {folder.Location} is a file, not a directory",
                "Name a directory, which is made if it does not exist.");
        }

        folder.CreateRoot();
    }

    /// <summary>
    /// Finds the vault that <c>--from</c> names: the vault itself, or a destination's root with one vault or with one of this name.
    /// </summary>
    /// <param name="from">A path or URL.</param>
    /// <param name="source">The name of the source; null where there is only one.</param>
    /// <param name="keys">What opens the vault; null where it is expected to be plain.</param>
    public static async Task<VaultAccess> FindVaultAsync(
        string from, string? source, Keyring? keys, CancellationToken cancellationToken)
    {
        var destination = DestinationUrl.Parse(from);
        ExpectDirectory(destination);
        var store = Open(destination);
        if (await VaultAccess.FindAsync(store, "", keys, cancellationToken) is { } direct)
        {
            return await FromItsRootAsync(destination, direct, keys, cancellationToken);
        }

        if (source is not null)
        {
            return await VaultAccess.FindAsync(store, source, keys, cancellationToken)
                ?? throw NoVault(
                    $"there is no vault of source {source} at {store.Location}", await NamesAsync(store, cancellationToken));
        }

        var names = await NamesAsync(store, cancellationToken);
        return names.Count switch
        {
            1 => (await VaultAccess.FindAsync(store, names[0], keys, cancellationToken))!,
            0 => throw NoVault($"there is no vault at {store.Location}", names),
            _ => throw new SalvorException(
                FailureKind.Usage,
                $"{store.Location} holds {names.Count} vaults: {string.Join(", ", names)}",
                $"Name one of them, for example '{names[0]}'."),
        };
    }

    /// <summary>The vault of a configured source at the first of its destinations that has one.</summary>
    public static async Task<VaultAccess?> FindVaultAsync(
        SalvorConfig config, string sourceName, IEnumerable<string> destinations, Keyring? keys,
        CancellationToken cancellationToken)
    {
        foreach (var name in destinations)
        {
            if (await VaultAccess.FindAsync(Open(config.Destinations[name]), sourceName, keys, cancellationToken) is { } vault)
            {
                return vault;
            }
        }

        return null;
    }

    /// <summary>The names of all vaults at a destination.</summary>
    public static async Task<IReadOnlyList<string>> NamesAsync(IObjectStore store, CancellationToken cancellationToken)
    {
        const string Suffix = "/vault";
        var names = new List<string>();
        for (string? after = null; ;)
        {
            // Nothing of a vault's many objects is listed: it is skipped as a whole. What others keep is read over.
            (string Vault, string Next)? inside = null;
            await foreach (var row in store.ListAsync("", after, cancellationToken))
            {
                if (row.Key.EndsWith(Suffix, StringComparison.Ordinal))
                {
                    names.Add(row.Key[..^Suffix.Length]);
                }
                else if ((inside = FolderOf(row.Key)) is not null)
                {
                    break;
                }
            }

            if (inside is not var (vault, next))
            {
                return names;
            }

            // Others may have folders of that name too.
            if (await store.SizeAsync(vault + Suffix, cancellationToken) is not null)
            {
                names.Add(vault);
                next = vault + Suffix;
            }

            after = next;
        }
    }

    /// <summary>A disk that is not mounted is another mistake than one without a vault.</summary>
    static void ExpectDirectory(DestinationConfig destination)
    {
        if (destination is not FileDestinationConfig { Path: var path } || Directory.Exists(path))
        {
            return;
        }

        throw Directory.Exists(Path.GetDirectoryName(path))
            ? NoVault($"there is no vault at {path}", [])
            : new SalvorException(
                FailureKind.DestinationUnreachable,
                $"{path} does not exist",
                "Check the path after '--from', or mount the disk that holds it.");
    }

    /// <summary>Opened through the destination's root, a vault's head can be read too.</summary>
    static async Task<VaultAccess> FromItsRootAsync(
        DestinationConfig destination, VaultAccess direct, Keyring? keys, CancellationToken cancellationToken)
    {
        var source = direct.Identity.Source;
        return destination.ParentOf(source) is { } parent
            ? await VaultAccess.FindAsync(Open(parent), source, keys, cancellationToken) ?? direct
            : direct;
    }

    /// <summary>The vault in whose folder a key may lie, and what comes after that folder; null where it lies in none.</summary>
    static (string Vault, string Next)? FolderOf(string key)
    {
        ReadOnlySpan<string> folders =
            ["/backups/", "/branches/", "/claims/", "/keys/", "/log/", "/moves/", "/packs/", "/snapshots/"];
        foreach (var folder in folders)
        {
            var at = key.IndexOf(folder, StringComparison.Ordinal);
            if (at >= 0)
            {
                return (key[..at], key[..(at + folder.Length - 1)] + (char)('/' + 1));
            }
        }

        return null;
    }

    static SalvorException NoVault(string message, IReadOnlyList<string> names) => new(
        FailureKind.NotRestorable,
        message,
        names.Count == 0
            ? "Nothing was backed up there yet; check the path, or start 'salvor replicate DB DEST'."
            : $"The vaults there are: {string.Join(", ", names)}.");
}
