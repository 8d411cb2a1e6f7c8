using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text.Json.Serialization.Metadata;
using Salvor.Storage;
using Salvor.Vault.Copies;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;

namespace Salvor.Vault;

/// <summary>One vault at one destination: reads and makes its objects, and knows what it is of.</summary>
public sealed partial class VaultAccess
{
    VaultAccess(IObjectStore store, string name, Guid id, VaultIdentity identity, VaultSecrets secrets)
    {
        (Store, Name, Id, Identity, Secrets) = (store, name, id, identity, secrets);
        Hasher = new PageHasher(secrets.IsPlain ? ParseSeed(identity.PageSeed ?? "") : secrets.PageSeed);
    }

    public IObjectStore Store { get; }

    /// <summary>
    /// The same vault at other destinations, in the order in which they are asked for an object that is missing or damaged here. Each
    /// has the id of this one.
    /// </summary>
    public IReadOnlyList<VaultAccess> Copies { get; init; } = [];

    /// <summary>Told of each object that was read from another copy, and why: once per object and destination.</summary>
    public Action<VaultAccess, DamagedObjectException>? FellThrough { get; init; }

    /// <summary>The name of the source: the folder of the vault at the destination. Empty where the destination is the vault.</summary>
    public string Name { get; }

    public Guid Id { get; }

    public VaultIdentity Identity { get; }

    public PageHasher Hasher { get; }

    /// <summary>What its content is named and sealed with.</summary>
    public VaultSecrets Secrets { get; }

    /// <summary>How what is made here for it is compressed.</summary>
    public FrameCompression Compression { get; private init; } = FrameCompression.Default;

    /// <summary>Its key slots, if it is encrypted.</summary>
    public KeySlots KeySlots => new(Store, Prefix, Location);

    /// <summary>What messages call this vault.</summary>
    public string Location => LocationOf(Store, Name);

    string Prefix => PrefixOf(Name);

    /// <summary>Opens a plain vault that exists, or null. An encrypted one is refused for want of a key.</summary>
    public static Task<VaultAccess?> FindAsync(IObjectStore store, string name, CancellationToken cancellationToken) =>
        FindAsync(store, name, keys: null, cancellationToken);

    /// <summary>Opens a vault that exists, or null.</summary>
    /// <param name="keys">What opens it; null where it is expected to be plain. A vault that is not as expected is refused.</param>
    public static async Task<VaultAccess?> FindAsync(IObjectStore store, string name, Keyring? keys, CancellationToken cancellationToken)
    {
        if (await FindIdentityAsync(store, name, cancellationToken) is not var (id, identity))
        {
            return null;
        }

        var secrets = await UnlockAsync(store, name, id, identity, keys, cancellationToken);
        return new VaultAccess(store, name, id, identity, secrets);
    }

    /// <summary>
    /// The copy of this vault at another destination, or null where there is none. It needs no key slots: what opened this one opens it.
    /// Where another vault is there, opens that.
    /// </summary>
    public async Task<VaultAccess?> FindCopyAsync(IObjectStore store, Keyring? keys, CancellationToken cancellationToken)
    {
        return await IdAtAsync(store, cancellationToken) is not { } id ? null
            : id == Id ? At(store)
            : await FindAsync(store, Name, keys, cancellationToken);
    }

    /// <summary>The id of the vault of this name at another destination, or null where there is none.</summary>
    internal async Task<Guid?> IdAtAsync(IObjectStore store, CancellationToken cancellationToken) =>
        (await FindIdentityAsync(store, Name, cancellationToken))?.Id;

    /// <summary>
    /// What a vault says of itself: in the clear, and where it was overwritten, what it said before. Null where there is none.
    /// </summary>
    static async Task<(Guid Id, VaultIdentity Identity)?> FindIdentityAsync(
        IObjectStore store, string name, CancellationToken cancellationToken)
    {
        try
        {
            return await Versions.FirstGoodAsync(store, PrefixOf(name) + VaultKeys.Identity, ReadAsync, cancellationToken);
        }
        catch (DamagedObjectException e) when (e.IsMissing)
        {
            return null;
        }

        async Task<(Guid, VaultIdentity)> ReadAsync(IObjectStore from)
        {
            using var stored = await StoredObject.OpenAsync(
                from, PrefixOf(name), VaultKeys.Identity, ObjectKind.Vault, VaultSecrets.Plain, whole: true, cancellationToken);
            var details = await stored.ReadDetailsAsync(cancellationToken);
            return (stored.Header.VaultId, VaultJson.Read(VaultKeys.Identity, details, VaultJson.Default.VaultIdentity));
        }
    }

    /// <summary>Opens the plain vault of a source, making it where it is absent.</summary>
    public static Task<VaultAccess> OpenOrCreateAsync(
        IObjectStore store, string name, string kind, string path, TimeProvider time, CancellationToken cancellationToken) =>
        OpenOrCreateAsync(store, name, kind, path, keys: null, time, cancellationToken);

    /// <summary>
    /// Opens the vault of a source, making it where it is absent: encrypted where there are keys. Refuses one that belongs to another kind
    /// or path.
    /// </summary>
    public static async Task<VaultAccess> OpenOrCreateAsync(
        IObjectStore store, string name, string kind, string path, Keyring? keys, TimeProvider time, CancellationToken cancellationToken)
    {
        var vault = await FindAsync(store, name, keys, cancellationToken);
        if (vault is null)
        {
            if (await store.SizeAsync(VaultKeys.Identity, cancellationToken) is not null)
            {
                throw new SalvorException(
                    FailureKind.Usage,
                    $"{store.Location} is a vault itself, and vaults do not lie in each other",
                    "Name the place above it, in which each source has a folder.");
            }

            var identity = new VaultIdentity { Source = name, Kind = kind, Path = path, CreatedAt = time.GetUtcNow() };
            await PutIdentityAsync(store, name, identity, keys, time, cancellationToken);

            // Whoever won a race to make it, the stored one counts.
            vault = await FindAsync(store, name, keys, cancellationToken)
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

    /// <summary>Throws where this vault is encrypted and nobody has its key elsewhere.</summary>
    public async Task ExpectSavedKeyAsync(Keyring? keys, TimeProvider time, CancellationToken cancellationToken)
    {
        if (Secrets.IsPlain || await KeySlots.IsExportedAsync(cancellationToken))
        {
            return;
        }

        if (keys is not { IsSaved: true })
        {
            throw new KeyNotSavedException(Identity.Source, Location);
        }

        await KeySlots.NoteExportedAsync(Id, waived: true, time, cancellationToken);
    }

    /// <summary>Notes that the key of this vault is elsewhere too: from now on a writer need not wait.</summary>
    public Task NoteExportedAsync(TimeProvider time, CancellationToken cancellationToken) =>
        KeySlots.NoteExportedAsync(Id, waived: false, time, cancellationToken);

    /// <summary>Stores an object of this vault; true where the key was free.</summary>
    internal async Task<bool> PutAsync(string key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        await Store.PutAsync(Prefix + key, bytes, cancellationToken) == PutResult.Created;

    /// <summary>The same vault at another destination, whatever is there.</summary>
    internal VaultAccess At(IObjectStore store) => new(store, Name, Id, Identity, Secrets) { Compression = Compression };

    /// <summary>This vault, for what is to be compressed in this way.</summary>
    public VaultAccess With(FrameCompression compression) => new(Store, Name, Id, Identity, Secrets)
    {
        Compression = compression, Copies = Copies, FellThrough = FellThrough,
    };

    /// <summary>This vault at its destination alone, as it is there now: neither copies nor what was overwritten are asked.</summary>
    internal VaultAccess Alone() => new(Store, Name, Id, Identity, Secrets) { Compression = Compression, isAlone = true };

    /// <summary>Begins an object of it.</summary>
    internal ObjectWriter NewObject(int expectedBytes = 16 << 10) => new(Secrets, Compression, expectedBytes);

    /// <summary>The key of an object at the destination.</summary>
    internal string KeyOf(string key) => Prefix + key;

    /// <summary>Puts the good bytes of an object over the damaged ones.</summary>
    internal Task ReplaceAsync(string key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        Store.ReplaceAsync(Prefix + key, bytes, cancellationToken);

    /// <summary>This vault with its copies. Those of another vault are left out, because nothing of them belongs here.</summary>
    public VaultAccess With(IEnumerable<VaultAccess> copies, Action<VaultAccess, DamagedObjectException>? fellThrough)
    {
        var told = new ConcurrentDictionary<(string, string), bool>();
        return new VaultAccess(Store, Name, Id, Identity, Secrets)
        {
            Compression = Compression,
            Copies = [.. copies.Where(copy => copy.Id == Id)],
            FellThrough = (bad, why) =>
            {
                if (told.TryAdd((bad.Location, why.Key), true))
                {
                    fellThrough?.Invoke(bad, why);
                }
            },
        };
    }

    /// <summary>All bytes of an object at this destination, or null where it has none.</summary>
    internal Task<byte[]?> GetAsync(string key, CancellationToken cancellationToken) =>
        Store.GetAsync(Prefix + key, ObjectWriter.ObjectBytesMax, cancellationToken);

    internal Task DeleteAsync(string key, CancellationToken cancellationToken) => Store.DeleteAsync(Prefix + key, cancellationToken);

    /// <summary>Deletes an object; false where the destination does not allow it, by its permissions or by a lock.</summary>
    internal async Task<bool> TryDeleteAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            await DeleteAsync(key, cancellationToken);
            return true;
        }
        catch (StorageException e) when (e.Failure == StorageFailure.Denied)
        {
            return false;
        }
    }

    /// <summary>
    /// For a key that turned out to be taken. An earlier attempt was stored although its answer was lost: then the object is ours to the
    /// byte, and nothing is left to do. Otherwise another writer is at work.
    /// </summary>
    internal async Task ExpectOwnAsync(string key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (await HoldsAsync(key, bytes, cancellationToken))
        {
            return;
        }

        throw await TakenOverAsync(key, cancellationToken);
    }

    /// <summary>Somebody else added this object: the error that says who.</summary>
    internal async Task<TakenOverException> TakenOverAsync(string key, CancellationToken cancellationToken)
    {
        var holder = await new WriterClaims(this).NewestAsync(cancellationToken);
        return new TakenOverException(
            $"another writer added {key} to vault {Location}"
                + (holder is null ? "" : $"; the newest claim is of pid {holder.Pid} on host {holder.Host}"));
    }

    /// <summary>Whether an object is there and is this one to the byte.</summary>
    internal async Task<bool> HoldsAsync(string key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        // In one call: a longer one shows by the byte more.
        var buffer = Buffers.Rent(bytes.Length + 1);
        try
        {
            var read = await Store.ReadAsync(Prefix + key, 0, buffer.AsMemory(0, bytes.Length + 1), cancellationToken);
            return buffer.AsSpan(0, read).SequenceEqual(bytes.Span);
        }
        catch (StorageException e) when (e.Failure == StorageFailure.NotFound)
        {
            return false;
        }
        finally
        {
            Buffers.Return(buffer);
        }
    }

    /// <summary>Reads the details of an object whose details are JSON.</summary>
    internal async Task<T> ReadRecordAsync<T>(
        string key, ObjectKind kind, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using var stored = await OpenAsync(
            key, kind, whole: true, cancellationToken,
            header => kind == ObjectKind.Claim || header.Number == VaultKeys.NumberOf(key)
                ? null
                : $"it is {kind} object {header.Number}, put in this place");
        return VaultJson.Read(key, await stored.ReadDetailsAsync(cancellationToken), type);
    }

    /// <summary>Keys inside the vault, in order, with those that only a copy has.</summary>
    internal IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
        Copies.Count == 0
            ? ListHereAsync(prefix, after, cancellationToken)
            : CopyListing.UnionAsync(
                [ListHereAsync(prefix, after, cancellationToken),
                    .. Copies.Select(copy => CopyListing.WhileReachableAsync(copy.ListHereAsync(prefix, after, cancellationToken)))]);

    /// <summary>Keys inside the vault at this destination, in order.</summary>
    internal async IAsyncEnumerable<ObjectInfo> ListHereAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var start = Prefix.Length;
        await foreach (var row in Store.ListAsync(Prefix + prefix, after is null ? null : Prefix + after, cancellationToken))
        {
            yield return row with { Key = row.Key[start..] };
        }
    }

    string? Misplaced(ObjectHeader header, Func<ObjectHeader, string?>? misplaced) =>
        header.VaultId != Id ? $"it belongs to vault {header.VaultId}, not to {Id}" : misplaced?.Invoke(header);

    static async Task<VaultSecrets> UnlockAsync(
        IObjectStore store, string name, Guid id, VaultIdentity identity, Keyring? keys, CancellationToken cancellationToken)
    {
        var location = LocationOf(store, name);
        if (identity.Encryption is not { } encryption)
        {
            return keys is null
                ? VaultSecrets.Plain
                : throw KeyException.Plain(location, (await keys.SecretAsync(cancellationToken)).Origin);
        }

        if (encryption.Cipher != VaultEncryption.Aes256Gcm)
        {
            throw new DamagedObjectException(VaultKeys.Identity, "it names a cipher that this program does not know");
        }

        return keys is null
            ? throw KeyException.Missing(location)
            : await keys.OpenAsync(new KeySlots(store, PrefixOf(name), location), id, identity, location, cancellationToken);
    }

    static async Task PutIdentityAsync(
        IObjectStore store, string name, VaultIdentity identity, Keyring? keys, TimeProvider time, CancellationToken cancellationToken)
    {
        var id = new Guid(RandomNumberGenerator.GetBytes(16));
        if (keys is null)
        {
            identity = identity with { PageSeed = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8)) };
        }
        else
        {
            var slots = new KeySlots(store, PrefixOf(name), LocationOf(store, name));
            (id, var dataKey) = await keys.BeginAsync(slots, LocationOf(store, name), time, cancellationToken);
            identity = identity.EncryptedBy(VaultSecrets.Of(id, dataKey));
        }

        using var writer = new ObjectWriter(VaultSecrets.Plain, FrameCompression.Default);
        var (bytes, _) = writer.Finish(
            new ObjectHeader { Kind = ObjectKind.Vault, VaultId = id }, VaultJson.Write(identity, VaultJson.Default.VaultIdentity));
        await store.PutAsync(PrefixOf(name) + VaultKeys.Identity, bytes, cancellationToken);
    }

    /// <summary>What messages call the vault of this name at a destination; the options of a URL stay at its end.</summary>
    public static string LocationOf(IObjectStore store, string name) => LocationOf(store.Location, name);

    /// <summary>The same, of a destination at a location.</summary>
    public static string LocationOf(string location, string name)
    {
        var options = location.Contains("://", StringComparison.Ordinal) ? location.IndexOf('?', StringComparison.Ordinal) : -1;
        return name.Length == 0 ? location
            : options < 0 ? $"{location}/{name}"
            : $"{location[..options]}/{name}{location[options..]}";
    }

    static string PrefixOf(string name) => name.Length == 0 ? "" : name + "/";

    static ulong ParseSeed(string seed) =>
        ulong.TryParse(seed, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) && seed.Length == 16
            ? value
            : throw new DamagedObjectException(VaultKeys.Identity, $"'{seed}' is not a page seed");
}

/// <summary>Another process writes to the vault. Trying again would be a contest that nobody wins, so this writer ends for good.</summary>
sealed class TakenOverException(string message) : SalvorException(
    FailureKind.Locked,
    message,
    "Only one writer may serve a vault: stop the other one, or give this source its own name or destination.");
