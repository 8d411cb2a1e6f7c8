using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Salvor.Vault.Format;

/// <summary>Writes the fields of an object's details one after the other, little-endian.</summary>
sealed class FieldWriter
{
    readonly ArrayBufferWriter<byte> buffer = new(1024);

    public ReadOnlyMemory<byte> Written => buffer.WrittenMemory;

    public void U8(byte value) => Take(1)[0] = value;

    public void U16(ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Take(2), value);

    public void U32(uint value) => BinaryPrimitives.WriteUInt32LittleEndian(Take(4), value);

    public void U64(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Take(8), value);

    public void I64(long value) => BinaryPrimitives.WriteInt64LittleEndian(Take(8), value);

    public void Hash(Hash256 value) => value.CopyTo(Take(Hash256.SizeBytes));

    /// <summary>A count, and as many hashes.</summary>
    public void Hashes(IReadOnlyList<Hash256> values)
    {
        U32((uint)values.Count);
        foreach (var value in values)
        {
            Hash(value);
        }
    }

    public void Text(string value)
    {
        var length = Encoding.UTF8.GetByteCount(value);
        Invariant.Check(length <= ushort.MaxValue);
        U16((ushort)length);
        Encoding.UTF8.GetBytes(value, Take(length));
    }

    /// <summary>A count of two bytes, and as many bytes: a name or the target of a link.</summary>
    public void Bytes(ReadOnlySpan<byte> value)
    {
        Invariant.Check(value.Length <= ushort.MaxValue);
        U16((ushort)value.Length);
        value.CopyTo(Take(value.Length));
    }

    /// <summary>A count of four bytes, and as many bytes.</summary>
    public void Blob(ReadOnlySpan<byte> value)
    {
        U32((uint)value.Length);
        value.CopyTo(Take(value.Length));
    }

    /// <summary>Forgets all that was written, and keeps the room.</summary>
    public void Clear() => buffer.ResetWrittenCount();

    Span<byte> Take(int count)
    {
        var span = buffer.GetSpan(count)[..count];
        buffer.Advance(count);
        return span;
    }
}

/// <summary>
/// Reads what <see cref="FieldWriter"/> wrote. The bytes come from a vault, so every length is checked against what is left before
/// anything is allocated; a field that does not fit is a <see cref="DamagedObjectException"/>.
/// </summary>
ref struct FieldReader(string key, ReadOnlySpan<byte> bytes)
{
    ReadOnlySpan<byte> rest = bytes;

    public readonly bool AtEnd => rest.IsEmpty;

    public byte U8() => Take(1)[0];

    public ushort U16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));

    public uint U32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public ulong U64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    public long I64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    public Hash256 Hash() => new(Take(Hash256.SizeBytes));

    /// <summary>A count, and as many hashes.</summary>
    public Hash256[] Hashes()
    {
        var hashes = new Hash256[Count(Hash256.SizeBytes)];
        for (var i = 0; i < hashes.Length; i++)
        {
            hashes[i] = Hash();
        }

        return hashes;
    }

    public string Text() => Encoding.UTF8.GetString(Take(U16()));

    /// <summary>A count of two bytes, and as many bytes.</summary>
    public byte[] Bytes() => Take(U16()).ToArray();

    /// <summary>A count of four bytes, and as many bytes.</summary>
    public byte[] Blob() => Take(Count(1)).ToArray();

    /// <summary>A count of items, each at least <paramref name="itemSizeBytes"/> long, that must all be present.</summary>
    public int Count(int itemSizeBytes)
    {
        var count = U32();
        if (count > (uint)(rest.Length / itemSizeBytes))
        {
            throw new DamagedObjectException(key, $"a list claims {count} items and holds room for {rest.Length / itemSizeBytes}");
        }

        return (int)count;
    }

    public readonly void ExpectEnd()
    {
        if (!AtEnd)
        {
            throw new DamagedObjectException(key, $"{rest.Length} bytes follow its last field");
        }
    }

    ReadOnlySpan<byte> Take(int count)
    {
        if (count > rest.Length)
        {
            throw new DamagedObjectException(key, "its details end early");
        }

        var taken = rest[..count];
        rest = rest[count..];
        return taken;
    }
}
