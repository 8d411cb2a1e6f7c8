using System.Buffers.Binary;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Tests.Support;

/// <summary>
/// Someone who may write to a destination and knows the format: takes objects apart, changes them and seals them again, with checksums
/// and links that fit.
/// </summary>
static class Forge
{
    const int VersionOffset = 8;
    const int KindOffset = 12;
    const int HeaderCrcOffset = ObjectHeader.SizeBytes - 4;

    public static ObjectKind KindOf(ReadOnlySpan<byte> bytes) => (ObjectKind)bytes[KindOffset];

    public static async Task<(ObjectHeader Header, byte[] Details)> OpenAsync(IObjectStore store, string key)
    {
        using var stored = await OpenStoredAsync(store, key);
        return (stored.Header, await stored.ReadDetailsAsync(default));
    }

    public static async Task<byte[]> ResealAsync(
        IObjectStore store, string key, Func<ObjectHeader, ObjectHeader>? changeHeader = null, Func<byte[], byte[]>? changeDetails = null,
        bool relink = true)
    {
        using var stored = await OpenStoredAsync(store, key);
        using var writer = new ObjectWriter(VaultSecrets.Plain, FrameCompression.Default);
        for (var i = 0; i < stored.Frames.Count - 1; i++)
        {
            var frame = SealedFrame.Seal(await stored.ReadFrameAsync(i, default), FrameCompression.Default);
            writer.Add(frame);
            frame.Release();
        }

        var details = await stored.ReadDetailsAsync(default);
        details = changeDetails?.Invoke(details) ?? details;
        var header = changeHeader?.Invoke(stored.Header) ?? stored.Header;
        if (relink && header.Kind == ObjectKind.Log)
        {
            header = header with { LineageAfter = Lineage.Next(VaultSecrets.Plain, header.LineageBefore, header, details) };
        }

        return writer.Finish(header, details).Bytes.ToArray();
    }

    /// <summary>The object as a later version of the format would begin.</summary>
    public static byte[] WithVersion(byte[] bytes, ushort version) => Change(bytes, copy =>
    {
        BinaryPrimitives.WriteUInt16LittleEndian(copy.AsSpan(VersionOffset), version);
        BinaryPrimitives.WriteUInt32LittleEndian(copy.AsSpan(HeaderCrcOffset), Checksum.Crc32C(copy.AsSpan(0, HeaderCrcOffset)));
    });

    public static byte[] WithFrameCount(byte[] bytes, uint count) => Change(bytes, copy =>
        BinaryPrimitives.WriteUInt32LittleEndian(copy.AsSpan(copy.Length - ObjectWriter.FooterBytes), count));

    /// <summary>The object with another row in its frame index, whose checksum fits.</summary>
    public static byte[] WithFrame(byte[] bytes, int row, Func<FrameInfo, FrameInfo> change) => Change(bytes, copy =>
    {
        var footer = copy.Length - ObjectWriter.FooterBytes;
        var indexBytes = FrameCount(bytes) * FrameInfo.SizeBytes;
        var index = copy.AsSpan(footer - indexBytes, indexBytes);
        change(FrameInfo.Read(index[(row * FrameInfo.SizeBytes)..])).Write(index[(row * FrameInfo.SizeBytes)..]);
        BinaryPrimitives.WriteUInt32LittleEndian(copy.AsSpan(footer + 4), Checksum.Crc32C(index));
    });

    public static int FrameCount(byte[] bytes) =>
        (int)BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(bytes.Length - ObjectWriter.FooterBytes));

    /// <summary>The rows of the frame index.</summary>
    public static IReadOnlyList<FrameInfo> Frames(byte[] bytes)
    {
        var (count, end) = (FrameCount(bytes), bytes.Length - ObjectWriter.FooterBytes);
        return [.. Enumerable.Range(0, count).Select(row => FrameInfo.Read(bytes.AsSpan(end - ((count - row) * FrameInfo.SizeBytes))))];
    }

    public static byte[] Change(byte[] bytes, Action<byte[]> change)
    {
        byte[] copy = [.. bytes];
        change(copy);
        return copy;
    }

    static async Task<StoredObject> OpenStoredAsync(IObjectStore store, string key)
    {
        var start = new byte[ObjectHeader.SizeBytes];
        await store.ReadAsync(key, 0, start, default);
        return await StoredObject.OpenAsync(store, "", key, KindOf(start), VaultSecrets.Plain, whole: true, default);
    }
}
