using System.Buffers.Binary;
using Salvor.Vault.Format;

namespace Salvor.Vault.Trees;

/// <summary>Writes the entries of a tree one after the other, cut into chunks like any content.</summary>
sealed class ListingWriter(ContentWriter content, ContentChunker chunker)
{
    const int BufferBytes = 1 << 20;

    readonly FieldWriter fields = new();
    byte[] buffer = new byte[BufferBytes];
    int used;

    /// <summary>Adds the next entry.</summary>
    public async ValueTask AddAsync(TreeEntry entry, CancellationToken cancellationToken)
    {
        fields.Clear();
        entry.Write(fields);
        var needed = used + sizeof(uint) + fields.Written.Length;
        if (needed > buffer.Length)
        {
            await FlushAsync(isEnd: false, cancellationToken);
            Array.Resize(ref buffer, Math.Max(buffer.Length, used + sizeof(uint) + fields.Written.Length));
        }

        BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(used), (uint)fields.Written.Length);
        fields.Written.CopyTo(buffer.AsMemory(used + sizeof(uint)));
        used += sizeof(uint) + fields.Written.Length;
    }

    /// <summary>Stores what is left.</summary>
    public Task FinishAsync(CancellationToken cancellationToken) => FlushAsync(isEnd: true, cancellationToken);

    async Task FlushAsync(bool isEnd, CancellationToken cancellationToken)
    {
        var start = 0;
        while (used - start >= ContentChunker.BytesMax || (isEnd && start < used))
        {
            var length = chunker.Cut(buffer.AsSpan(start, used - start));
            await content.AddAsync(buffer.AsMemory(start, length), cancellationToken);
            start += length;
        }

        buffer.AsSpan(start, used - start).CopyTo(buffer);
        used -= start;
    }
}

/// <summary>Reads the entries of a tree in their order, and knows where the content of each begins.</summary>
/// <param name="key">The snapshot, for messages.</param>
/// <param name="content">The listing.</param>
sealed class ListingReader(string key, ContentStream content) : IAsyncDisposable
{
    ulong offset;
    ReadOnlyMemory<byte> ready;
    byte[] joined = [];

    /// <summary>The directories that were begun and not ended, outermost first.</summary>
    readonly List<byte[]> above = [];

    /// <summary>The name before, in the directory that the reader is in; empty where it is the first.</summary>
    byte[] previous = [];
    int pathBytes;

    /// <summary>Where the content of the entry that was read last begins.</summary>
    public ulong ContentOffset { get; private set; }

    /// <summary>Where the content of the next one begins: at the end the length of all content.</summary>
    public ulong ContentEnd { get; private set; }

    /// <summary>What was read so far, counted.</summary>
    public TreeTotals Totals { get; private set; }

    /// <summary>The next entry; null at the end, when all directories are ended.</summary>
    public async ValueTask<TreeEntry?> ReadAsync(CancellationToken cancellationToken)
    {
        if (!await TryTakeAsync(sizeof(uint), cancellationToken))
        {
            return above.Count == 0 ? null : throw new DamagedObjectException(key, "its listing ends within a directory");
        }

        var length = BinaryPrimitives.ReadUInt32LittleEndian(joined);
        if (length is 0 or > TreeEntry.BytesMax || !await TryTakeAsync((int)length, cancellationToken))
        {
            throw new DamagedObjectException(key, $"its listing has an entry of {length} bytes");
        }

        var entry = TreeEntry.Read(key, joined.AsSpan(0, (int)length));
        Place(entry);
        Totals = Totals.With(entry);
        ContentOffset = ContentEnd;
        ContentEnd += (ulong)entry.ContentBytes;
        return ContentEnd >= ContentOffset
            ? entry
            : throw new DamagedObjectException(key, "its listing has more content than can be counted");
    }

    public ValueTask DisposeAsync() => content.DisposeAsync();

    /// <summary>Throws where an entry cannot follow the one before it: so no two have one path.</summary>
    void Place(TreeEntry entry)
    {
        if (entry.Kind == TreeEntryKind.End)
        {
            previous = above.Count > 0
                ? above[^1]
                : throw new DamagedObjectException(key, "its listing ends a directory that it did not begin");
            above.RemoveAt(above.Count - 1);
            pathBytes -= previous.Length + 1;
            return;
        }

        if (entry.Name.AsSpan().SequenceCompareTo(previous) <= 0)
        {
            throw new DamagedObjectException(key, "its listing has names that do not ascend");
        }

        if (pathBytes + entry.Name.Length + 1 > TreeEntry.PathBytesMax)
        {
            throw new DamagedObjectException(key, $"its listing has a path of more than {TreeEntry.PathBytesMax} bytes");
        }

        previous = entry.Name;
        if (entry.Kind == TreeEntryKind.Directory)
        {
            above.Add(entry.Name);
            (pathBytes, previous) = (pathBytes + entry.Name.Length + 1, []);
        }
    }

    /// <summary>Puts so many bytes into <see cref="joined"/>; false where none are left.</summary>
    async ValueTask<bool> TryTakeAsync(int count, CancellationToken cancellationToken)
    {
        if (joined.Length < count)
        {
            joined = new byte[Math.Max(count, 1024)];
        }

        for (var taken = 0; taken < count;)
        {
            if (ready.IsEmpty && (ready = await content.ReadAsync(offset, content.Length, cancellationToken)).IsEmpty)
            {
                return taken == 0 ? false : throw new DamagedObjectException(key, "its listing ends within an entry");
            }

            var part = Math.Min(count - taken, ready.Length);
            ready.Span[..part].CopyTo(joined.AsSpan(taken));
            (ready, offset, taken) = (ready[part..], offset + (ulong)part, taken + part);
        }

        return true;
    }
}
