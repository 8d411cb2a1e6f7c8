using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>Takes verified content and its place in the database file. Called from several threads at once.</summary>
public delegate void ContentHandler(long offset, ReadOnlySpan<byte> content);

/// <summary>
/// Reads a snapshot: packs in parallel, each chunk checked against its name before anyone sees it. Memory is bounded by the packs in
/// flight and by the nodes for one gibibyte or so, whatever the size of the database.
/// </summary>
public sealed class SnapshotReader
{
    readonly string key;
    readonly ChunkReader chunks;

    SnapshotReader(VaultAccess vault, string key, ObjectHeader header, SnapshotDetails details, Hash256 detailsHash)
    {
        (this.key, Header, Details, DetailsHash) = (key, header, details, detailsHash);
        chunks = new ChunkReader(vault);
        Tree = new ChunkTreeReader(chunks, details.Top);
    }

    public ObjectHeader Header { get; }

    public SnapshotDetails Details { get; }

    /// <summary>What the base in the log refers to.</summary>
    public Hash256 DetailsHash { get; }

    /// <summary>Bytes fetched so far, for progress.</summary>
    public long FetchedBytes => chunks.FetchedBytes;

    internal ChunkTreeReader Tree { get; }

    public static async Task<SnapshotReader> OpenAsync(VaultAccess vault, SnapshotRef snapshot, CancellationToken cancellationToken)
    {
        var key = VaultKeys.Snapshot(snapshot.Branch, snapshot.Position);
        using var stored = await vault.OpenAsync(
            key, ObjectKind.Snapshot, whole: true, cancellationToken,
            header => header.Branch == snapshot.Branch && header.PositionLast == snapshot.Position.Value
                ? null
                : $"it is the snapshot of position {header.PositionLast}");
        var bytes = await stored.ReadDetailsAsync(cancellationToken);
        return new SnapshotReader(vault, key, stored.Header, SnapshotDetails.Read(key, bytes), vault.Secrets.NameOf(bytes));
    }

    /// <summary>
    /// Hands over the page hashes in order: the number of a page, and the hashes from that one on. Of the lock-byte page 0.
    /// </summary>
    public async Task ReadPageHashesAsync(Action<uint, IReadOnlyList<ulong>> handler, CancellationToken cancellationToken)
    {
        await foreach (var leaves in Tree.LeavesAsync(packsInFlight: 1, cancellationToken))
        {
            foreach (var (start, leaf, _) in leaves)
            {
                Details.ExpectShape(key, start, leaf);
                handler((uint)(start / Details.PageSize) + 1, leaf.PageHashes);
            }
        }
    }

    /// <summary>Reads all content, in no particular order, with this many packs in flight.</summary>
    public async Task ReadAsync(int packsInFlight, ContentHandler handler, CancellationToken cancellationToken)
    {
        await foreach (var leaves in Tree.LeavesAsync(packsInFlight, cancellationToken))
        {
            var wanted = new List<WantedChunk>();
            foreach (var (start, leaf, _) in leaves)
            {
                Details.ExpectShape(key, start, leaf);
                var offset = start;
                foreach (var entry in leaf.Entries)
                {
                    wanted.Add(new WantedChunk(entry.Name, entry.Pack, (uint)entry.Length, offset));
                    offset += entry.Length;
                }
            }

            await chunks.ReadAsync(wanted, packsInFlight, (_, frame, found) => HandOver(frame, found, handler), cancellationToken);
        }
    }

    /// <summary>
    /// The leaf that holds a chunk, and the number of the chunk with which it begins.
    /// </summary>
    internal async ValueTask<(uint First, ChunkNode Leaf)> LeafOfAsync(uint chunk, CancellationToken cancellationToken)
    {
        var (start, leaf) = await Tree.FindAsync(0, (ulong)chunk * (uint)Details.ChunkBytes, cancellationToken);
        Details.ExpectShape(key, start, leaf);
        return ((uint)(start / (uint)Details.ChunkBytes), leaf);
    }

    /// <summary>Reads some chunks one pack after the other, and hands over each with its number.</summary>
    internal async Task ReadChunksAsync(
        IReadOnlyCollection<uint> numbers, Action<uint, ReadOnlyMemory<byte>> handler, CancellationToken cancellationToken)
    {
        var wanted = new List<WantedChunk>(numbers.Count);
        foreach (var chunk in numbers)
        {
            var (first, leaf) = await LeafOfAsync(chunk, cancellationToken);
            var entry = leaf.Entries[(int)(chunk - first)];
            wanted.Add(new WantedChunk(entry.Name, entry.Pack, (uint)entry.Length, chunk));
        }

        await chunks.ReadAsync(
            wanted, packsInFlight: 1,
            (_, frame, found) =>
            {
                foreach (var (place, chunk) in found)
                {
                    handler((uint)chunk.Id, frame.Slice((int)place.Offset, (int)place.Length).ToArray());
                }
            },
            cancellationToken);
    }

    /// <summary>Neighbours in the frame are nearly always neighbours in the file: they are handed over as one piece.</summary>
    static void HandOver(
        ReadOnlySpan<byte> frame, IReadOnlyList<(ChunkPlace Place, WantedChunk Chunk)> found, ContentHandler handler)
    {
        for (var i = 0; i < found.Count;)
        {
            var start = (int)found[i].Place.Offset;
            var end = start + (int)found[i].Place.Length;
            var first = found[i].Chunk.Id;
            for (i++; i < found.Count && found[i].Place.Offset == end && found[i].Chunk.Id == first + (ulong)(end - start); i++)
            {
                end += (int)found[i].Place.Length;
            }

            handler((long)first, frame[start..end]);
        }
    }
}
