using System.Buffers;
using System.Buffers.Binary;

namespace Salvor.Vault.Format;

/// <summary>A row of an object's frame index.</summary>
public readonly record struct FrameInfo(uint Offset, uint StoredBytes, uint ContentBytes, Codec Codec, uint Crc)
{
    public const int SizeBytes = 20;

    public void Write(Span<byte> target)
    {
        target[..SizeBytes].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(target, Offset);
        BinaryPrimitives.WriteUInt32LittleEndian(target[4..], StoredBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(target[8..], ContentBytes);
        target[12] = (byte)Codec;
        BinaryPrimitives.WriteUInt32LittleEndian(target[16..], Crc);
    }

    public static FrameInfo Read(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]),
        (Codec)bytes[12],
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[16..]));
}

/// <summary>
/// A frame as it is stored: made once per source, the same bytes at every destination. Owns a rented buffer; <see cref="Release"/> it.
/// </summary>
sealed class SealedFrame
{
    /// <summary>The content of a frame is at most this long, so that a reader of one page never decompresses much more.</summary>
    public const int ContentBytesMax = 1 << 20;

    readonly byte[] buffer;
    readonly int storedBytes;

    SealedFrame(byte[] buffer, int storedBytes, int contentBytes, Codec codec)
    {
        this.buffer = buffer;
        this.storedBytes = storedBytes;
        ContentBytes = contentBytes;
        Codec = codec;
        Crc = Checksum.Crc32C(Stored);
    }

    public ReadOnlySpan<byte> Stored => buffer.AsSpan(0, storedBytes);

    public int ContentBytes { get; }

    public Codec Codec { get; }

    public uint Crc { get; }

    public static SealedFrame Seal(ReadOnlySpan<byte> content, FrameCompression compression)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Compression.Bound(content.Length));
        if (Compression.Compress(compression, content, buffer) is { } size)
        {
            return new SealedFrame(buffer, size, content.Length, compression.Codec);
        }

        content.CopyTo(buffer);
        return new SealedFrame(buffer, content.Length, content.Length, Codec.None);
    }

    public void Release() => ArrayPool<byte>.Shared.Return(buffer);
}
