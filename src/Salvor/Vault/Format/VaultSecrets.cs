using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Salvor.Vault.Format;

/// <summary>
/// What a vault knows and its destination does not. In an encrypted vault everything that is computed from content is keyed, and frames
/// are sealed; in a plain one the same calls are plain hashes. <c>docs/format.md</c> has how each key is derived.
/// </summary>
public sealed class VaultSecrets
{
    /// <summary>The data key: random, one for each source, and all others follow from it.</summary>
    public const int DataKeyBytes = 32;

    /// <summary>What sealing adds to each frame.</summary>
    public const int TagBytes = 16;

    const int NonceBytes = 12;
    const int AssociatedBytes = ObjectHeader.SealedBytes + 4 + 4 + 1 + 4;

    readonly Guid vaultId;
    readonly byte[]? dataKey;
    readonly byte[] names = [];
    readonly byte[] links = [];
    readonly byte[] salts = [];
    readonly byte[] identity = [];

    VaultSecrets(Guid vaultId, byte[]? dataKey)
    {
        (this.vaultId, this.dataKey) = (vaultId, dataKey);
        if (dataKey is not null)
        {
            (names, links) = (Derive("salvor names", 32), Derive("salvor lineage", 32));
            (salts, identity) = (Derive("salvor salts", 32), Derive("salvor identity", 32));
            PageSeed = BinaryPrimitives.ReadUInt64LittleEndian(Derive("salvor page seed", 8));
        }
    }

    /// <summary>Of a vault that is not encrypted, and of the objects that are in the clear in every vault.</summary>
    public static VaultSecrets Plain { get; } = new(Guid.Empty, null);

    public bool IsPlain => dataKey is null;

    /// <summary>The seed of the page hashes of an encrypted vault.</summary>
    public ulong PageSeed { get; }

    /// <summary>The data key itself, for those who wrap or export it.</summary>
    internal ReadOnlySpan<byte> DataKey => dataKey;

    /// <summary>The secrets of an encrypted vault.</summary>
    public static VaultSecrets Of(Guid vaultId, ReadOnlySpan<byte> dataKey)
    {
        Invariant.Check(dataKey.Length == DataKeyBytes);
        return new VaultSecrets(vaultId, dataKey.ToArray());
    }

    /// <summary>The name of a chunk, and the hash of a frame or of details: SHA-256, or HMAC-SHA-256 with a key of its own.</summary>
    public Hash256 NameOf(ReadOnlySpan<byte> content) => IsPlain ? Hash256.Of(content) : Keyed(names, content);

    /// <summary>A link of the lineage.</summary>
    public Hash256 LinkOf(ReadOnlySpan<byte> link) => IsPlain ? Hash256.Of(link) : Keyed(links, link);

    /// <summary>Proves that what an identity says was said by somebody who had the data key.</summary>
    public Hash256 CheckOf(ReadOnlySpan<byte> identityFields) => Keyed(identity, identityFields);

    /// <summary>
    /// The salt of an object that is about to be sealed: a keyed hash of all that it will hold. So no two different objects ever share a
    /// key, whatever a machine forgot when it was rolled back, and whoever seals the same object again makes the same bytes.
    /// </summary>
    internal IncrementalHash BeginSalt() => IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, salts);

    /// <summary>Seals and opens the frames of the object whose first bytes these are.</summary>
    internal FrameSeal SealOf(ReadOnlySpan<byte> header, uint frameCount)
    {
        Invariant.Check(!IsPlain);
        var salt = header.Slice(ObjectHeader.SaltOffset, Hash256.SizeBytes).ToArray();
        var key = HKDF.DeriveKey(HashAlgorithmName.SHA256, dataKey!, DataKeyBytes, salt, Info("salvor object"));
        return new FrameSeal(key, header[..ObjectHeader.SealedBytes].ToArray(), frameCount);
    }

    static Hash256 Keyed(byte[] key, ReadOnlySpan<byte> content)
    {
        Span<byte> hash = stackalloc byte[Hash256.SizeBytes];
        HMACSHA256.HashData(key, content, hash);
        return new Hash256(hash);
    }

    byte[] Derive(string purpose, int length) => HKDF.DeriveKey(HashAlgorithmName.SHA256, dataKey!, length, salt: [], Info(purpose));

    /// <summary>The purpose, a vertical bar, and the vault: no key is ever used for two things or in two vaults.</summary>
    byte[] Info(string purpose)
    {
        var length = Encoding.ASCII.GetByteCount(purpose);
        var info = new byte[length + 1 + 16];
        Encoding.ASCII.GetBytes(purpose, info);
        info[length] = (byte)'|';
        vaultId.TryWriteBytes(info.AsSpan(length + 1), bigEndian: true, out _);
        return info;
    }

    /// <summary>
    /// AES-256-GCM for the frames of one object. A frame is bound to the object's header, its place in it and what its row of the index
    /// says, so it cannot be moved, cut, exchanged or replayed.
    /// </summary>
    internal sealed class FrameSeal(byte[] key, byte[] header, uint frameCount) : IDisposable
    {
        readonly AesGcm cipher = new(key, TagBytes);

        /// <summary>Seals a frame in place; the room for the tag is at its end.</summary>
        public void Seal(uint index, Codec codec, uint contentBytes, Span<byte> stored)
        {
            Span<byte> nonce = stackalloc byte[NonceBytes], associated = stackalloc byte[AssociatedBytes];
            Describe(index, codec, contentBytes, nonce, associated);
            var content = stored[..^TagBytes];
            cipher.Encrypt(nonce, content, content, stored[^TagBytes..], associated);
        }

        /// <summary>Opens a frame; false where it is not what was sealed in this place.</summary>
        public bool TryOpen(uint index, Codec codec, uint contentBytes, ReadOnlySpan<byte> stored, Span<byte> opened)
        {
            Span<byte> nonce = stackalloc byte[NonceBytes], associated = stackalloc byte[AssociatedBytes];
            Describe(index, codec, contentBytes, nonce, associated);
            try
            {
                cipher.Decrypt(nonce, stored[..^TagBytes], stored[^TagBytes..], opened, associated);
                return true;
            }
            catch (AuthenticationTagMismatchException)
            {
                return false;
            }
        }

        public void Dispose() => cipher.Dispose();

        void Describe(uint index, Codec codec, uint contentBytes, Span<byte> nonce, Span<byte> associated)
        {
            nonce.Clear();
            BinaryPrimitives.WriteUInt32LittleEndian(nonce, index);
            header.CopyTo(associated);
            var rest = associated[header.Length..];
            BinaryPrimitives.WriteUInt32LittleEndian(rest, index);
            BinaryPrimitives.WriteUInt32LittleEndian(rest[4..], frameCount);
            rest[8] = (byte)codec;
            BinaryPrimitives.WriteUInt32LittleEndian(rest[9..], contentBytes);
        }
    }
}
