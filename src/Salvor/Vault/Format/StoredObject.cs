using System.Buffers.Binary;
using Salvor.Storage;

namespace Salvor.Vault.Format;

/// <summary>
/// An object being read from a vault. Small objects are fetched whole, of large ones only the ends and then the frames that are asked
/// for. Nothing is believed before it is checked: sizes before allocating, checksums before use.
/// </summary>
public sealed class StoredObject : IDisposable
{
    /// <summary>
    /// Nearly all objects but packs are below this: what is fetched of them before anything is known, in place of a question for their
    /// size.
    /// </summary>
    const int SmallBytes = 16 << 10;

    /// <summary>Objects up to this size are fetched in one call.</summary>
    const int WholeBytesMax = 256 << 10;

    /// <summary>What is fetched of the end of a large object: footer, index and most details fit.</summary>
    const int TailBytes = 64 << 10;

    readonly IObjectStore store;
    readonly string storeKey;
    readonly byte[] buffer;
    readonly long bufferOffset;
    readonly int bufferLength;
    readonly byte[] head;
    readonly VaultSecrets secrets;

    StoredObject(
        IObjectStore store, string storeKey, string key, byte[] buffer, long bufferOffset, int bufferLength, byte[] head,
        VaultSecrets secrets)
    {
        (this.store, this.storeKey, Key, this.secrets) = (store, storeKey, key, secrets);
        (this.buffer, this.bufferOffset, this.bufferLength, this.head) = (buffer, bufferOffset, bufferLength, head);
        Header = ObjectHeader.Read(key, head);
    }

    /// <summary>The key inside the vault, for messages.</summary>
    public string Key { get; }

    public ObjectHeader Header { get; }

    /// <summary>How many bytes are stored.</summary>
    public long SizeBytes { get; private set; }

    /// <summary>Whether all of it was fetched.</summary>
    internal bool IsWhole => bufferOffset == 0;

    /// <summary>
    /// Opens the same object at another destination, for a frame that turns out to be damaged in this one; null where none has it.
    /// </summary>
    internal Func<SalvorException, CancellationToken, Task<StoredObject?>>? OtherCopy { get; set; }

    /// <summary>Whether this copy is of no use: damaged, missing, not readable, or of a version that a flipped bit made.</summary>
    internal static bool IsBad(SalvorException e) => e is DamagedObjectException or StorageException or NewerFormatException;

    /// <summary>All frames; the last holds the details.</summary>
    public IReadOnlyList<FrameInfo> Frames { get; private set; } = [];

    /// <summary>
    /// Opens an object. Throws <see cref="DamagedObjectException"/> where header, index or footer are wrong.
    /// </summary>
    /// <param name="secrets">Those of the vault. What is in the clear in every vault needs none.</param>
    /// <param name="whole">Fetch all of it now, because all frames will be read.</param>
    public static async Task<StoredObject> OpenAsync(
        IObjectStore store, string prefix, string key, ObjectKind kind, VaultSecrets secrets, bool whole,
        CancellationToken cancellationToken)
    {
        var storeKey = prefix + key;
        var start = kind == ObjectKind.Pack ? default : await ReadStartAsync(store, storeKey, key, cancellationToken);
        if (start.All is { } all)
        {
            return await OpenAsync(store, storeKey, key, kind, secrets, all, head: null, cancellationToken);
        }

        // Of a pack mostly the frames are wanted, of others what their ends say.
        var endBytes = whole ? ObjectWriter.ObjectBytesMax : kind == ObjectKind.Pack ? TailBytes : WholeBytesMax;
        var end = await ReadEndAsync(store, storeKey, key, endBytes, cancellationToken);
        if (end.Length < end.SizeBytes && end.SizeBytes <= WholeBytesMax)
        {
            end = await CompleteAsync(store, storeKey, key, end, cancellationToken);
        }

        return await OpenAsync(store, storeKey, key, kind, secrets, end, start.Head, cancellationToken);
    }

    static async Task<ObjectEnd> ReadEndAsync(
        IObjectStore store, string storeKey, string key, int lengthMax, CancellationToken cancellationToken)
    {
        var end = await FindAsync(store, key, async () => await store.ReadEndAsync(storeKey, lengthMax, cancellationToken))
            ?? throw Missing(store, key);
        try
        {
            ExpectSize(key, end.SizeBytes);
            return end.Length == Math.Min(end.SizeBytes, lengthMax) ? end : throw Ended(key);
        }
        catch
        {
            Buffers.Return(end.Buffer);
            throw;
        }
    }

    /// <summary>Fetches what is before the end of a small object.</summary>
    static async Task<ObjectEnd> CompleteAsync(
        IObjectStore store, string storeKey, string key, ObjectEnd end, CancellationToken cancellationToken)
    {
        var (buffer, size) = (Buffers.Rent((int)end.SizeBytes), (int)end.SizeBytes);
        try
        {
            end.Buffer.AsSpan(0, end.Length).CopyTo(buffer.AsSpan(size - end.Length));
            await FillAsync(store, storeKey, key, 0, buffer.AsMemory(0, size - end.Length), cancellationToken);
            return new ObjectEnd(buffer, size, size);
        }
        catch
        {
            Buffers.Return(buffer);
            throw;
        }
        finally
        {
            Buffers.Return(end.Buffer);
        }
    }

    /// <summary>In one call all of a small object, or the header of a larger one.</summary>
    static async Task<(ObjectEnd? All, byte[]? Head)> ReadStartAsync(
        IObjectStore store, string storeKey, string key, CancellationToken cancellationToken)
    {
        var buffer = Buffers.Rent(SmallBytes);
        var isTaken = false;
        try
        {
            var read = await ReadAsync(store, storeKey, key, 0, buffer.AsMemory(0, SmallBytes), cancellationToken);
            if (read == SmallBytes)
            {
                return (null, buffer[..ObjectHeader.SizeBytes]);
            }

            ExpectSize(key, read);
            isTaken = true;
            return (new ObjectEnd(buffer, read, read), null);
        }
        finally
        {
            if (!isTaken)
            {
                Buffers.Return(buffer);
            }
        }
    }

    /// <summary>Opens what was fetched; its buffer is returned where that fails.</summary>
    /// <param name="head">Its header, where that was fetched by itself.</param>
    static async Task<StoredObject> OpenAsync(
        IObjectStore store, string storeKey, string key, ObjectKind kind, VaultSecrets secrets, ObjectEnd fetched, byte[]? head,
        CancellationToken cancellationToken)
    {
        try
        {
            head = fetched.IsWhole ? fetched.Buffer[..ObjectHeader.SizeBytes] : head;
            if (head is null)
            {
                head = new byte[ObjectHeader.SizeBytes];
                await FillAsync(store, storeKey, key, 0, head, cancellationToken);
            }

            var opened = new StoredObject(
                store, storeKey, key, fetched.Buffer, fetched.SizeBytes - fetched.Length, fetched.Length, head,
                kind.IsSealed() ? secrets : VaultSecrets.Plain);
            if (opened.Header.Kind != kind)
            {
                throw new DamagedObjectException(key, $"it is a {opened.Header.Kind} object where a {kind} object belongs");
            }

            await opened.ReadIndexAsync(fetched.SizeBytes, cancellationToken);
            return opened;
        }
        catch
        {
            Buffers.Return(fetched.Buffer);
            throw;
        }
    }

    static void ExpectSize(string key, long size)
    {
        if (size is < ObjectHeader.SizeBytes + ObjectWriter.FooterBytes or > ObjectWriter.ObjectBytesMax)
        {
            throw new DamagedObjectException(key, $"it has {size} bytes, which no object has");
        }
    }

    /// <summary>The details: what the kind of object has to say about its frames.</summary>
    public Task<byte[]> ReadDetailsAsync(CancellationToken cancellationToken) => ReadFrameAsync(Frames.Count - 1, cancellationToken);

    public async Task<byte[]> ReadFrameAsync(int index, CancellationToken cancellationToken)
    {
        var content = new byte[Frames[index].ContentBytes];
        await ReadFrameAsync(index, content, cancellationToken);
        return content;
    }

    /// <summary>Reads and checks one frame into a buffer of exactly its content's size.</summary>
    public async ValueTask ReadFrameAsync(int index, Memory<byte> content, CancellationToken cancellationToken)
    {
        try
        {
            await ReadOwnFrameAsync(index, content, cancellationToken);
        }
        catch (SalvorException e) when (OtherCopy is not null && IsBad(e))
        {
            using var other = await OtherCopy(e, cancellationToken);
            if (other is null || other.Header != Header || !other.Frames.SequenceEqual(Frames))
            {
                throw;
            }

            await other.ReadFrameAsync(index, content, cancellationToken);
        }
    }

    async ValueTask ReadOwnFrameAsync(int index, Memory<byte> content, CancellationToken cancellationToken)
    {
        var frame = Frames[index];
        var start = frame.Offset - bufferOffset;
        if (start >= 0)
        {
            Decode(index, buffer.AsSpan((int)start, (int)frame.StoredBytes), content.Span);
            return;
        }

        var rented = Buffers.Rent((int)frame.StoredBytes);
        try
        {
            var stored = rented.AsMemory(0, (int)frame.StoredBytes);
            await FillAsync(store, storeKey, Key, frame.Offset, stored, cancellationToken);
            Decode(index, stored.Span, content.Span);
        }
        finally
        {
            Buffers.Return(rented);
        }
    }

    /// <summary>The hash in the footer; of a pack its name.</summary>
    internal Hash256 FooterHash => new(buffer.AsSpan(bufferLength - 8 - Hash256.SizeBytes, Hash256.SizeBytes));

    /// <summary>Whether the bytes as a whole match the footer's hash. Only for an object that was opened whole.</summary>
    public bool MatchesItsHash()
    {
        Invariant.Check(bufferOffset == 0);
        var hashAt = bufferLength - 8 - Hash256.SizeBytes;
        return Hash256.Of(buffer.AsSpan(0, hashAt)) == new Hash256(buffer.AsSpan(hashAt, Hash256.SizeBytes));
    }

    public void Dispose() => Buffers.Return(buffer);

    static async Task FillAsync(
        IObjectStore store, string storeKey, string key, long offset, Memory<byte> target, CancellationToken cancellationToken)
    {
        if (await ReadAsync(store, storeKey, key, offset, target, cancellationToken) != target.Length)
        {
            throw Ended(key);
        }
    }

    static Task<int> ReadAsync(
        IObjectStore store, string storeKey, string key, long offset, Memory<byte> target, CancellationToken cancellationToken) =>
        FindAsync(store, key, () => store.ReadAsync(storeKey, offset, target, cancellationToken));

    static async Task<T> FindAsync<T>(IObjectStore store, string key, Func<Task<T>> read)
    {
        try
        {
            return await read();
        }
        catch (StorageException e) when (e.Failure == StorageFailure.NotFound)
        {
            throw Missing(store, key);
        }
    }

    static DamagedObjectException Missing(IObjectStore store, string key) =>
        new(key, $"it is missing from {store.Location}") { IsMissing = true };

    static DamagedObjectException Ended(string key) => new(key, "it ended while it was read");

    async Task ReadIndexAsync(long size, CancellationToken cancellationToken)
    {
        SizeBytes = size;
        var footer = buffer.AsSpan(bufferLength - ObjectWriter.FooterBytes, ObjectWriter.FooterBytes);
        if (!footer[40..].SequenceEqual(ObjectWriter.EndMark))
        {
            throw new DamagedObjectException(Key, "its end is missing");
        }

        var count = BinaryPrimitives.ReadUInt32LittleEndian(footer);
        var crc = BinaryPrimitives.ReadUInt32LittleEndian(footer[4..]);
        var indexEnd = size - ObjectWriter.FooterBytes;
        if (count == 0 || count > (indexEnd - ObjectHeader.SizeBytes) / FrameInfo.SizeBytes)
        {
            throw new DamagedObjectException(Key, $"its footer claims {count} frames");
        }

        var indexStart = indexEnd - (count * FrameInfo.SizeBytes);
        byte[]? fetched = null;
        if (indexStart < bufferOffset)
        {
            fetched = new byte[indexEnd - indexStart];
            await FillAsync(store, storeKey, Key, indexStart, fetched, cancellationToken);
        }

        Frames = ParseIndex(fetched ?? buffer.AsSpan((int)(indexStart - bufferOffset), (int)(indexEnd - indexStart)), crc, indexStart);
    }

    FrameInfo[] ParseIndex(ReadOnlySpan<byte> index, uint crc, long indexStart)
    {
        if (Checksum.Crc32C(index) != crc)
        {
            throw new DamagedObjectException(Key, "its frame index does not match its checksum");
        }

        var frames = new FrameInfo[index.Length / FrameInfo.SizeBytes];
        long end = ObjectHeader.SizeBytes;
        for (var i = 0; i < frames.Length; i++)
        {
            var frame = FrameInfo.Read(index[(i * FrameInfo.SizeBytes)..]);

            // Only the details may be longer than a data frame, because they list what is in all of those.
            var contentMax = i == frames.Length - 1 ? ObjectWriter.ObjectBytesMax : SealedFrame.ContentBytesMax;
            if (frame.Offset != end || frame.Offset + (long)frame.StoredBytes > indexStart || frame.ContentBytes > contentMax)
            {
                throw new DamagedObjectException(Key, $"frame {i} has an impossible place or size");
            }

            end += frame.StoredBytes;
            frames[i] = frame;
        }

        return frames;
    }

    void Decode(int index, ReadOnlySpan<byte> stored, Span<byte> content)
    {
        var frame = Frames[index];
        if (Checksum.Crc32C(stored) != frame.Crc)
        {
            throw new DamagedObjectException(Key, $"frame {index} does not match its checksum");
        }

        if (secrets.IsPlain)
        {
            Decompress(index, frame, stored, content);
        }
        else
        {
            DecodeSealed(index, frame, stored, content);
        }
    }

    void DecodeSealed(int index, FrameInfo frame, ReadOnlySpan<byte> stored, Span<byte> content)
    {
        var length = stored.Length - VaultSecrets.TagBytes;
        if (length < 0)
        {
            throw new DamagedObjectException(Key, $"frame {index} is not sealed, and its vault is encrypted");
        }

        var rented = Buffers.Rent(length);
        try
        {
            // A cipher of its own for each call: frames are read from several threads.
            using var seal = secrets.SealOf(head, (uint)Frames.Count);
            if (!seal.TryOpen((uint)index, frame.Codec, frame.ContentBytes, stored, rented.AsSpan(0, length)))
            {
                throw new DamagedObjectException(Key, $"frame {index} was not sealed in this place with the key of this vault");
            }

            Decompress(index, frame, rented.AsSpan(0, length), content);
        }
        finally
        {
            Buffers.Return(rented);
        }
    }

    void Decompress(int index, FrameInfo frame, ReadOnlySpan<byte> compressed, Span<byte> content)
    {
        if (!Compression.Decompress(frame.Codec, compressed, content))
        {
            throw new DamagedObjectException(Key, $"frame {index} cannot be decompressed with codec {frame.Codec}");
        }
    }
}
