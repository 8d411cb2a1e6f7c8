using System.Security.Cryptography;
using System.Text;
using Salvor.Platform;
using Salvor.Storage;
using Salvor.Vault.Format;

namespace Salvor.Vault.Keys;

/// <summary>A key slot that was read.</summary>
/// <param name="Number">The number in its key.</param>
/// <param name="VaultId">The vault whose data key it holds.</param>
/// <param name="Record">What it says.</param>
public sealed record KeySlot(ulong Number, Guid VaultId, KeySlotRecord Record);

/// <summary>
/// The key slots of a vault: its data key, wrapped once for each secret that opens it. They lie in the vault, so that any copy of it is
/// complete. All but the last may be removed; nothing else in a vault changes when they do.
/// </summary>
public sealed class KeySlots
{
    /// <summary>More slots than people need would only make us spin.</summary>
    public const int CountMax = 32;

    readonly IObjectStore store;
    readonly string prefix;
    readonly string location;

    internal KeySlots(IObjectStore store, string prefix, string location) =>
        (this.store, this.prefix, this.location) = (store, prefix, location);

    /// <summary>The slots in order. One that is damaged is told and left out: another may still open the vault.</summary>
    /// <param name="damaged">Called for each slot that cannot be read.</param>
    public async Task<IReadOnlyList<KeySlot>> ListAsync(Action<DamagedObjectException> damaged, CancellationToken cancellationToken)
    {
        var slots = new List<KeySlot>();
        foreach (var number in await NumbersAsync(cancellationToken))
        {
            try
            {
                slots.Add(await ReadAsync(number, cancellationToken));
            }
            catch (DamagedObjectException e)
            {
                damaged(e);
            }
        }

        return slots;
    }

    /// <summary>Adds a slot in which this secret wraps the data key. Returns its number.</summary>
    internal async Task<ulong> AddAsync(
        Guid vaultId, ReadOnlyMemory<byte> dataKey, VaultSecret secret, string label, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var numbers = await NumbersAsync(cancellationToken);
        if (numbers.Count >= CountMax)
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"vault {location} has {numbers.Count} key slots, and that is the most it may have",
                "Remove one that nobody uses with 'salvor key remove'.");
        }

        for (var number = (numbers.Count == 0 ? 0 : numbers[^1]) + 1; ; number++)
        {
            var record = Wrap(vaultId, number, dataKey.Span, secret, label, time.GetUtcNow(), DerivationOf(secret));
            if (await PutAsync(vaultId, number, record, cancellationToken))
            {
                return number;
            }
        }
    }

    /// <summary>Adds the slot that a vault begins with; false where there is one.</summary>
    internal Task<bool> AddFirstAsync(
        Guid vaultId, ReadOnlyMemory<byte> dataKey, VaultSecret secret, TimeProvider time, CancellationToken cancellationToken) =>
        PutAsync(
            vaultId, 1, Wrap(vaultId, 1, dataKey.Span, secret, "first", time.GetUtcNow(), DerivationOf(secret)), cancellationToken);

    /// <summary>Makes a slot with this number, unless there is one.</summary>
    internal async Task<bool> PutAsync(Guid vaultId, ulong number, KeySlotRecord record, CancellationToken cancellationToken)
    {
        using var writer = new ObjectWriter(VaultSecrets.Plain, FrameCompression.Default);
        var header = new ObjectHeader { Kind = ObjectKind.Key, VaultId = vaultId, Number = number };
        var (bytes, _) = writer.Finish(header, VaultJson.Write(record, KeyJson.Default.KeySlotRecord));
        var key = prefix + VaultKeys.KeySlot(number);

        // What is there may be ours: the answer to an earlier attempt was lost.
        return await store.PutAsync(key, bytes, cancellationToken) == PutResult.Created
            || (await store.GetAsync(key, ObjectWriter.ObjectBytesMax, cancellationToken)).AsSpan().SequenceEqual(bytes.Span);
    }

    /// <summary>Removes a slot for good. The last one is refused: then only an export would open the vault.</summary>
    public async Task RemoveAsync(ulong number, CancellationToken cancellationToken)
    {
        var numbers = await NumbersAsync(cancellationToken);
        if (!numbers.Contains(number))
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"vault {location} has no key slot {number}",
                numbers.Count == 0 ? "It has none at all; 'salvor key import' adds one." : $"It has {string.Join(", ", numbers)}.");
        }

        if (numbers.Count == 1)
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"key slot {number} is the last one of vault {location}",
                "Add another with 'salvor key add' first: without any, only an exported key opens the vault.");
        }

        await store.DeleteAsync(prefix + VaultKeys.KeySlot(number), cancellationToken);
    }

    /// <summary>Notes that the key is elsewhere too, so that a writer may begin.</summary>
    internal async Task NoteExportedAsync(Guid vaultId, bool waived, TimeProvider time, CancellationToken cancellationToken)
    {
        var record = new KeyExportedRecord { At = time.GetUtcNow(), Host = ProcessIdentity.Current().Host, Waived = waived };
        using var writer = new ObjectWriter(VaultSecrets.Plain, FrameCompression.Default);
        var header = new ObjectHeader { Kind = ObjectKind.Key, VaultId = vaultId };
        var (bytes, _) = writer.Finish(header, VaultJson.Write(record, KeyJson.Default.KeyExportedRecord));
        await store.PutAsync(prefix + VaultKeys.KeyExported, bytes, cancellationToken);
    }

    /// <summary>Whether somebody exported the key, or said that it is safe.</summary>
    public async Task<bool> IsExportedAsync(CancellationToken cancellationToken) =>
        await store.SizeAsync(prefix + VaultKeys.KeyExported, cancellationToken) is not null;

    /// <summary>Who exported the key or said that it is safe, and when; null where nobody did.</summary>
    internal async Task<KeyExportedRecord?> FindExportedAsync(CancellationToken cancellationToken)
    {
        if (!await IsExportedAsync(cancellationToken))
        {
            return null;
        }

        using var stored = await StoredObject.OpenAsync(
            store, prefix, VaultKeys.KeyExported, ObjectKind.Key, VaultSecrets.Plain, whole: true, cancellationToken);
        return VaultJson.Read(
            VaultKeys.KeyExported, await stored.ReadDetailsAsync(cancellationToken), KeyJson.Default.KeyExportedRecord);
    }

    internal static KeySlotRecord Wrap(
        Guid vaultId, ulong number, ReadOnlySpan<byte> dataKey, VaultSecret secret, string label, DateTimeOffset now, KeyDerivation kdf)
    {
        var record = new KeySlotRecord { Kind = secret.Kind, Label = label, CreatedAt = now, Kdf = kdf, Wrapped = "" };
        var wrapped = new byte[VaultSecrets.DataKeyBytes + VaultSecrets.TagBytes];

        // The derived key is used this once, because its salt is random: so the nonce may be zero.
        using var cipher = new AesGcm(kdf.Derive(secret.Bytes, VaultKeys.KeySlot(number)), VaultSecrets.TagBytes);
        cipher.Encrypt(
            stackalloc byte[12], dataKey, wrapped.AsSpan(0, dataKey.Length), wrapped.AsSpan(dataKey.Length),
            Bound(vaultId, number, record));
        return record with { Wrapped = Convert.ToHexStringLower(wrapped) };
    }

    static KeyDerivation DerivationOf(VaultSecret secret) =>
        secret.Kind == "passphrase" ? KeyDerivation.ForPassphrase() : KeyDerivation.ForKeyFile();

    /// <summary>Nobody can open the vault with a passphrase or a key file any more; its content is whole.</summary>
    internal static SalvorException AllMissing(string location) => new(
        FailureKind.Integrity,
        $"vault {location} has lost all its key slots",
        "Open it with an exported key: 'salvor key import EXPORT --from VAULT' makes a slot again.");

    /// <summary>The data key, or null where the secret does not fit.</summary>
    internal static byte[]? TryUnwrap(KeySlot slot, VaultSecret secret)
    {
        var wrapped = new byte[VaultSecrets.DataKeyBytes + VaultSecrets.TagBytes];
        if (slot.Record.Wrapped.Length != 2 * wrapped.Length
            || Convert.FromHexString(slot.Record.Wrapped, wrapped, out _, out _) != System.Buffers.OperationStatus.Done)
        {
            throw new DamagedObjectException(VaultKeys.KeySlot(slot.Number), "its wrapped key is not 48 bytes in hexadecimal");
        }

        var dataKey = new byte[VaultSecrets.DataKeyBytes];
        using var cipher = new AesGcm(slot.Record.Kdf.Derive(secret.Bytes, VaultKeys.KeySlot(slot.Number)), VaultSecrets.TagBytes);
        try
        {
            cipher.Decrypt(
                stackalloc byte[12], wrapped.AsSpan(0, dataKey.Length), wrapped.AsSpan(dataKey.Length), dataKey,
                Bound(slot.VaultId, slot.Number, slot.Record));
            return dataKey;
        }
        catch (AuthenticationTagMismatchException)
        {
            return null;
        }
    }

    /// <summary>A wrapped key opens only in its own slot of its own vault, with what the slot says of itself.</summary>
    static byte[] Bound(Guid vaultId, ulong number, KeySlotRecord record) =>
        Encoding.UTF8.GetBytes($"salvor key slot|{vaultId}|{number}|{record.Kind}|{record.Kdf.Describe()}|{record.Label}");

    Task<KeySlot> ReadAsync(ulong number, CancellationToken cancellationToken) => Versions.FirstGoodAsync(
        store, prefix + VaultKeys.KeySlot(number), from => ReadAsync(from, number, cancellationToken), cancellationToken);

    async Task<KeySlot> ReadAsync(IObjectStore from, ulong number, CancellationToken cancellationToken)
    {
        var key = VaultKeys.KeySlot(number);
        using var stored = await StoredObject.OpenAsync(
            from, prefix, key, ObjectKind.Key, VaultSecrets.Plain, whole: true, cancellationToken);
        if (stored.Header.Number != number)
        {
            throw new DamagedObjectException(key, $"it is key slot {stored.Header.Number}, put in this place");
        }

        var record = VaultJson.Read(key, await stored.ReadDetailsAsync(cancellationToken), KeyJson.Default.KeySlotRecord);
        return new KeySlot(number, stored.Header.VaultId, record);
    }

    async Task<IReadOnlyList<ulong>> NumbersAsync(CancellationToken cancellationToken)
    {
        var numbers = new List<ulong>();
        await foreach (var row in store.ListAsync(prefix + VaultKeys.KeySlots, after: null, cancellationToken))
        {
            var key = row.Key[prefix.Length..];
            if (key == VaultKeys.KeyExported)
            {
                continue;
            }

            numbers.Add(VaultKeys.NumberOf(key));
            if (numbers.Count > CountMax)
            {
                throw new SalvorException(
                    FailureKind.Integrity,
                    $"vault {location} has more than {CountMax} key slots, which no vault has",
                    "Somebody else may write to this destination: delete the files below keys/ that are not yours.");
            }
        }

        return numbers;
    }
}
