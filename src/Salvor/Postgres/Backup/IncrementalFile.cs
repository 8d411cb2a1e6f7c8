using System.Buffers.Binary;
using Salvor.Vault.Trees;

namespace Salvor.Postgres.Backup;

/// <summary>
/// Makes a whole relation of what a server sends of it in an incremental backup, and of the same relation in the backup before. What comes
/// is a header, the numbers of the pages that follow, and the pages; of all others below the length up to which the file was not truncated,
/// the old ones count, and what neither has is zeros. Chunks of which nothing was sent stay by their names, and nothing of them is read.
/// </summary>
sealed class IncrementalFile
{
    const uint Magic = 0xD3AE1F0D;
    const int FixedBytes = 3 * sizeof(uint);
    const int KeptAtOnce = 1024;

    readonly string text;
    readonly long sentBytes;
    readonly ParentBackup parent;
    readonly ParentFile old;
    readonly ContentWriter content;
    readonly ChunkSpill spill;
    readonly int pageBytes;
    readonly int perChunk;
    readonly byte[] chunk = new byte[ContentChunker.DatabaseBytes];

    byte[] header = new byte[FixedBytes];
    int headerBytes = FixedBytes;
    int headerUsed;
    int[] sent = [];
    int oldPages;
    int pages;
    int keepable;

    /// <summary>The chunk that is made next, and which of its pages came.</summary>
    int next;
    uint have;

    /// <summary>The page that comes now, and how much of it came.</summary>
    int page;
    int pageUsed;

    /// <param name="path">Of the relation.</param>
    /// <param name="sentBytes">How much the server sends of it.</param>
    /// <param name="parent">The backup before.</param>
    /// <param name="content">Stores what is new.</param>
    /// <param name="spill">Takes the names of its chunks.</param>
    public IncrementalFile(string path, long sentBytes, ParentBackup parent, ContentWriter content, ChunkSpill spill)
    {
        text = BackupItem.TextOf(path);
        (this.sentBytes, this.parent, this.content, this.spill) = (sentBytes, parent, content, spill);
        old = parent.Find(path) ?? throw BackupErrors.Wrong($"{text} is sent in part, and the backup before it has none of it");
        pageBytes = parent.Pages.BlockBytes;
        perChunk = ContentChunker.DatabaseBytes / pageBytes;
        if (sentBytes < FixedBytes)
        {
            throw Wrong($"has {sentBytes} bytes");
        }
    }

    /// <summary>How long it is, known when all came.</summary>
    public long SizeBytes => (long)pages * pageBytes;

    /// <summary>Its CRC32C, where it is what it was.</summary>
    public uint? Crc => sent.Length == 0 && SizeBytes == old.SizeBytes ? old.Crc : null;

    /// <summary>Takes more of what is sent.</summary>
    public async ValueTask AddAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
        {
            if (headerUsed < headerBytes)
            {
                bytes = bytes[TakeHeader(bytes.Span)..];
                continue;
            }

            if (pageUsed == 0)
            {
                await AdvanceAsync(sent[page] / perChunk, cancellationToken);
            }

            var place = sent[page] % perChunk;
            var length = Math.Min(bytes.Length, pageBytes - pageUsed);
            bytes[..length].CopyTo(chunk.AsMemory((place * pageBytes) + pageUsed));
            (bytes, pageUsed) = (bytes[length..], pageUsed + length);
            if (pageUsed == pageBytes)
            {
                have |= 1u << place;
                (page, pageUsed) = (page + 1, 0);
            }
        }
    }

    /// <summary>All came: stores the rest.</summary>
    public ValueTask EndAsync(CancellationToken cancellationToken) => AdvanceAsync(ChunksOf(pages), cancellationToken);

    int TakeHeader(ReadOnlySpan<byte> bytes)
    {
        var length = Math.Min(bytes.Length, headerBytes - headerUsed);

        // Behind the numbers it is filled up to the length of a page.
        if (headerUsed < header.Length)
        {
            length = Math.Min(length, header.Length - headerUsed);
            bytes[..length].CopyTo(header.AsSpan(headerUsed));
        }

        headerUsed += length;
        if (headerUsed == FixedBytes && header.Length == FixedBytes)
        {
            ReadCounts();
        }

        if (headerUsed == headerBytes)
        {
            ReadNumbers();
        }

        return length;
    }

    void ReadCounts()
    {
        var (magic, count, kept) = (Number(0), Number(1), Number(2));
        if (magic != Magic)
        {
            throw Wrong($"begins with {magic:x8}");
        }

        var numbers = FixedBytes + (count * (long)sizeof(uint));
        var filled = count == 0 ? numbers : (numbers + pageBytes - 1) / pageBytes * pageBytes;
        if (count > parent.Pages.SegmentBlocks || kept > parent.Pages.SegmentBlocks || filled + (count * (long)pageBytes) != sentBytes)
        {
            throw Wrong($"has {count} pages in {sentBytes} bytes, and is truncated to {kept} pages");
        }

        headerBytes = (int)filled;
        Array.Resize(ref header, (int)numbers);
        oldPages = (int)Math.Min(kept, old.SizeBytes / pageBytes);
        pages = (int)kept;
    }

    void ReadNumbers()
    {
        sent = new int[(header.Length - FixedBytes) / sizeof(uint)];
        for (var i = 0; i < sent.Length; i++)
        {
            var number = Number(3 + i);
            sent[i] = number < parent.Pages.SegmentBlocks && (i == 0 || number > sent[i - 1])
                ? (int)number
                : throw Wrong($"has page {number}{(i == 0 ? "" : $" behind page {sent[i - 1]}")}");
        }

        header = [];
        pages = Math.Max(pages, sent.Length == 0 ? 0 : sent[^1] + 1);

        // The last one may be shorter, and stays where the file ends as it ended.
        keepable = oldPages == pages && SizeBytes == old.SizeBytes ? ChunksOf(pages) : oldPages / perChunk;
    }

    uint Number(int index) => BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(index * sizeof(uint)));

    int ChunksOf(int count) => (int)(((long)count + perChunk - 1) / perChunk);

    /// <summary>Goes on up to a chunk, of which a page comes.</summary>
    async ValueTask AdvanceAsync(int until, CancellationToken cancellationToken)
    {
        while (next < until)
        {
            if (have == 0 && next < keepable)
            {
                var count = Math.Min(Math.Min(until, keepable) - next, KeptAtOnce);
                parent.Chunks(old, next, count).ForEach(kept => spill.Add(kept.Name, kept.Length));
                next += count;
            }
            else
            {
                await MakeAsync(cancellationToken);
                (next, have) = (next + 1, 0);
            }
        }
    }

    async ValueTask MakeAsync(CancellationToken cancellationToken)
    {
        var first = next * perChunk;
        var count = Math.Min(perChunk, pages - first);
        var before = ReadOnlyMemory<byte>.Empty;
        for (var i = 0; i < count; i++)
        {
            if ((have & (1u << i)) != 0)
            {
                continue;
            }

            var at = i * pageBytes;
            if (first + i >= oldPages)
            {
                chunk.AsSpan(at, pageBytes).Clear();
                continue;
            }

            if (before.IsEmpty)
            {
                before = await parent.Content.ReadAsync(old.FirstChunk + next, WantedSoon(), cancellationToken);
            }

            before.Slice(at, pageBytes).CopyTo(chunk.AsMemory(at));
        }

        spill.Add(await content.StoreAsync(chunk.AsMemory(0, count * pageBytes), cancellationToken));
    }

    /// <summary>The chunks from here on of which some pages come, and others are old.</summary>
    IEnumerable<long> WantedSoon()
    {
        var at = Array.BinarySearch(sent, next * perChunk);
        at = at < 0 ? ~at : at;
        while (at < sent.Length && sent[at] < oldPages)
        {
            var wanted = sent[at] / perChunk;
            var first = at;
            while (at < sent.Length && sent[at] < oldPages && sent[at] / perChunk == wanted)
            {
                at++;
            }

            if (at - first < Math.Min(perChunk, oldPages - (wanted * perChunk)))
            {
                yield return old.FirstChunk + wanted;
            }
        }
    }

    SalvorException Wrong(string what) => BackupErrors.Wrong($"what is sent of {text} {what}");
}
