using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text.Json.Serialization.Metadata;
using Salvor.Storage;
using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>One vault at one destination: reads and makes its objects, and knows what it is of.</summary>
public sealed class VaultAccess
{
    VaultAccess(IObjectStore store, string name, Guid id, VaultIdentity identity)
    {
        (Store, Name, Id, Identity) = (store, name, id, identity);
        Hasher = new PageHasher(ParseSeed(identity.PageSeed));
    }

    public IObjectStore Store { get; }

    /// <summary>The name of the source: the folder of the vault at the destination. Empty where the destination is the vault.</summary>
    public string Name { get; }

    public Guid Id { get; }

    public VaultIdentity Identity { get; }

    public PageHasher Hasher { get; }

    /// <summary>What messages call this vault.</summary>
    public string Location => Name.Length == 0 ? Store.Location : $"{Store.Location}/{Name}";

    string Prefix => PrefixOf(Name);

    /// <summary>Opens a vault that exists, or null.</summary>
    public static async Task<VaultAccess?> FindAsync(IObjectStore store, string name, CancellationToken cancellationToken)
    {
        if (await store.SizeAsync(PrefixOf(name) + VaultKeys.Identity, cancellationToken) is null)
        {
            return null;
        }

        using var stored = await StoredObject.OpenAsync(
            store, PrefixOf(name), VaultKeys.Identity, ObjectKind.Vault, whole: true, cancellationToken);
        var details = await stored.ReadDetailsAsync(cancellationToken);
        var identity = VaultJson.Read(VaultKeys.Identity, details, VaultJson.Default.VaultIdentity);
        return new VaultAccess(store, name, stored.Header.VaultId, identity);
    }

    /// <summary>Opens the vault of a source, making it where it is absent. Refuses one that belongs to another kind or path.</summary>
    public static async Task<VaultAccess> OpenOrCreateAsync(
        IObjectStore store, string name, string kind, string path, TimeProvider time, CancellationToken cancellationToken)
    {
        var vault = await FindAsync(store, name, cancellationToken);
        if (vault is null)
        {
            var identity = new VaultIdentity
            {
                Source = name,
                Kind = kind,
                Path = path,
                CreatedAt = time.GetUtcNow(),
                PageSeed = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8)),
            };
            var id = new Guid(RandomNumberGenerator.GetBytes(16));
            using var writer = new ObjectWriter();
            var (bytes, _) = writer.Finish(
                new ObjectHeader { Kind = ObjectKind.Vault, VaultId = id },
                VaultJson.Write(identity, VaultJson.Default.VaultIdentity));
            await store.PutAsync(PrefixOf(name) + VaultKeys.Identity, bytes, cancellationToken);

            // Whoever won a race to make it, the stored one counts.
            vault = await FindAsync(store, name, cancellationToken)
                ?? throw new DamagedObjectException(VaultKeys.Identity, "it vanished right after it was made");
        }

        if (vault.Identity.Kind != kind || vault.Identity.Path != path)
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"vault {vault.Location} belongs to {vault.Identity.Kind} source {vault.Identity.Path}, not to {kind} source {path}",
                "Give this source another name with '--name NAME' or another destination, so that neither history hides the other.");
        }

        return vault;
    }

    /// <summary>Stores an object of this vault; true where the key was free.</summary>
    internal async Task<bool> PutAsync(string key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        await Store.PutAsync(Prefix + key, bytes, cancellationToken) == PutResult.Created;

    internal async Task<StoredObject> OpenAsync(string key, ObjectKind kind, bool whole, CancellationToken cancellationToken)
    {
        var stored = await StoredObject.OpenAsync(Store, Prefix, key, kind, whole, cancellationToken);
        if (stored.Header.VaultId != Id)
        {
            stored.Dispose();
            throw new DamagedObjectException(key, $"it belongs to vault {stored.Header.VaultId}, not to {Id}");
        }

        return stored;
    }

    /// <summary>
    /// For a key that turned out to be taken. An earlier attempt was stored although its answer was lost: then the object is ours to the
    /// byte, and nothing is left to do. Otherwise another writer is at work.
    /// </summary>
    internal async Task ExpectOwnAsync(string key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var stored = await Store.GetAsync(Prefix + key, ObjectWriter.ObjectBytesMax, cancellationToken);
        if (stored is not null && stored.AsSpan().SequenceEqual(bytes.Span))
        {
            return;
        }

        var holder = await new WriterClaims(this).NewestAsync(cancellationToken);
        throw new TakenOverException(
            $"another writer added {key} to vault {Location}"
                + (holder is null ? "" : $"; the newest claim is of pid {holder.Pid} on host {holder.Host}"));
    }

    /// <summary>Reads the details of an object whose details are JSON.</summary>
    internal async Task<T> ReadRecordAsync<T>(
        string key, ObjectKind kind, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using var stored = await OpenAsync(key, kind, whole: true, cancellationToken);
        return VaultJson.Read(key, await stored.ReadDetailsAsync(cancellationToken), type);
    }

    /// <summary>Keys inside the vault, in order.</summary>
    internal async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var start = Prefix.Length;
        await foreach (var row in Store.ListAsync(Prefix + prefix, after is null ? null : Prefix + after, cancellationToken))
        {
            yield return row with { Key = row.Key[start..] };
        }
    }

    static string PrefixOf(string name) => name.Length == 0 ? "" : name + "/";

    static ulong ParseSeed(string seed) =>
        ulong.TryParse(seed, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw new DamagedObjectException(VaultKeys.Identity, $"'{seed}' is not a page seed");
}

/// <summary>Another process writes to the vault. Trying again would be a contest that nobody wins, so this writer ends for good.</summary>
sealed class TakenOverException(string message) : SalvorException(
    FailureKind.Locked,
    message,
    "Only one writer may serve a vault: stop the other one, or give this source its own name or destination.");
