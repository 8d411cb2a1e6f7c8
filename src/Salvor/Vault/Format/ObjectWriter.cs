using Salvor.Storage;
using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Salvor.Vault.Format;

/// <summary>
/// Puts an object together: header | frames | details frame | frame index | footer. The bytes are in a rented buffer that lives until
/// <see cref="Dispose"/>.
/// </summary>
/// <param name="secrets">Of the vault, for a kind that it seals; else <see cref="VaultSecrets.Plain"/>.</param>
/// <param name="compression">Of the details.</param>
/// <param name="expectedBytes">How large the object may become.</param>
sealed class ObjectWriter(VaultSecrets secrets, FrameCompression compression, int expectedBytes = 16 << 10) : IDisposable
{
    /// <summary>frame count (4) | CRC-32C of the index (4) | SHA-256 of all that comes before it (32) | end mark (8).</summary>
    public const int FooterBytes = 48;

    /// <summary>Larger objects are refused by readers, so a writer never makes one.</summary>
    public const int ObjectBytesMax = 16 << 20;

    readonly List<FrameInfo> frames = [];
    byte[] buffer = Buffers.Rent(expectedBytes);
    int length = ObjectHeader.SizeBytes;

    public static ReadOnlySpan<byte> EndMark => "SLVEND\r\n"u8;

    public int FrameCount => frames.Count;

    public int LengthBytes => length;

    public void Add(SealedFrame frame)
    {
        var stored = frame.Stored;
        var storedBytes = stored.Length + (secrets.IsPlain ? 0 : VaultSecrets.TagBytes);
        frames.Add(new FrameInfo((uint)length, (uint)storedBytes, (uint)frame.ContentBytes, frame.Codec, frame.Crc));
        stored.CopyTo(Take(storedBytes));
    }

    /// <summary>Adds the details and closes the object. Returns its bytes and its hash.</summary>
    public (ReadOnlyMemory<byte> Bytes, Hash256 Hash) Finish(ObjectHeader header, ReadOnlySpan<byte> details)
    {
        var frame = SealedFrame.Seal(details, compression);
        Add(frame);
        frame.Release();

        if (secrets.IsPlain)
        {
            header.Write(buffer);
        }
        else
        {
            SealFrames(header);
        }

        var index = Take(frames.Count * FrameInfo.SizeBytes);
        for (var i = 0; i < frames.Count; i++)
        {
            frames[i].Write(index[(i * FrameInfo.SizeBytes)..]);
        }

        var indexCrc = Checksum.Crc32C(index);
        BinaryPrimitives.WriteUInt32LittleEndian(Take(4), (uint)frames.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(Take(4), indexCrc);
        var hash = Hash256.Of(buffer.AsSpan(0, length));
        hash.CopyTo(Take(Hash256.SizeBytes));
        EndMark.CopyTo(Take(8));
        Invariant.Check(length <= ObjectBytesMax);
        return (buffer.AsMemory(0, length), hash);
    }

    public void Dispose() => Buffers.Return(buffer);

    /// <summary>Only now all is known that each frame is bound to: the header and how many frames there are.</summary>
    void SealFrames(ObjectHeader header)
    {
        (header with { Salt = Hash256.Zero }).Write(buffer);
        (header with { Salt = SaltOfAll() }).Write(buffer);
        using var seal = secrets.SealOf(buffer, (uint)frames.Count);
        for (var i = 0; i < frames.Count; i++)
        {
            var frame = frames[i];
            var stored = buffer.AsSpan((int)frame.Offset, (int)frame.StoredBytes);
            seal.Seal((uint)i, frame.Codec, frame.ContentBytes, stored);
            frames[i] = frame with { Crc = Checksum.Crc32C(stored) };
        }
    }

    /// <summary>Covers the header, what the index will say of each frame, and what each holds before it is sealed.</summary>
    Hash256 SaltOfAll()
    {
        using var salt = secrets.BeginSalt();
        salt.AppendData(buffer.AsSpan(0, ObjectHeader.SealedBytes));
        Span<byte> row = stackalloc byte[FrameInfo.SizeBytes];
        foreach (var frame in frames)
        {
            (frame with { Crc = 0 }).Write(row);
            salt.AppendData(row);
            salt.AppendData(buffer.AsSpan((int)frame.Offset, (int)frame.StoredBytes - VaultSecrets.TagBytes));
        }

        return new Hash256(salt.GetHashAndReset());
    }

    Span<byte> Take(int count)
    {
        if (length + count > buffer.Length)
        {
            var larger = Buffers.Rent(Math.Max(2 * buffer.Length, length + count));
            buffer.AsSpan(0, length).CopyTo(larger);
            Buffers.Return(buffer);
            buffer = larger;
        }

        var span = buffer.AsSpan(length, count);
        length += count;
        return span;
    }
}
