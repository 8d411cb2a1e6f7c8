using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Salvor.Vault.Format;

/// <summary>A SHA-256 hash: the name of a chunk, a link of the lineage, the proof of an object.</summary>
public readonly record struct Hash256
{
    public const int SizeBytes = 32;

    /// <summary>All zero: "none".</summary>
    public static readonly Hash256 Zero;

    readonly ulong a, b, c, d;

    public Hash256(ReadOnlySpan<byte> bytes)
    {
        Invariant.Check(bytes.Length == SizeBytes);
        a = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        b = BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]);
        c = BinaryPrimitives.ReadUInt64LittleEndian(bytes[16..]);
        d = BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]);
    }

    public static Hash256 Of(ReadOnlySpan<byte> content)
    {
        Span<byte> hash = stackalloc byte[SizeBytes];
        SHA256.HashData(content, hash);
        return new Hash256(hash);
    }

    public void CopyTo(Span<byte> target)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(target, a);
        BinaryPrimitives.WriteUInt64LittleEndian(target[8..], b);
        BinaryPrimitives.WriteUInt64LittleEndian(target[16..], c);
        BinaryPrimitives.WriteUInt64LittleEndian(target[24..], d);
    }

    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[SizeBytes];
        CopyTo(bytes);
        return Convert.ToHexStringLower(bytes);
    }

    public static bool TryParse(ReadOnlySpan<char> hex, out Hash256 hash)
    {
        Span<byte> bytes = stackalloc byte[SizeBytes];
        if (hex.Length != 2 * SizeBytes
            || Convert.FromHexString(hex, bytes, out _, out var written) != System.Buffers.OperationStatus.Done
            || written != SizeBytes)
        {
            hash = default;
            return false;
        }

        hash = new Hash256(bytes);
        return true;
    }

    /// <summary>The bytes are uniform already, so a quarter of them is as good a hash code as all.</summary>
    public override int GetHashCode() => (int)a;
}
