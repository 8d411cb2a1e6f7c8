using Salvor.Storage;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Vault.Trees;

/// <summary>
/// The content of a tree of chunks from front to end, with jumps forward: read in blocks of many chunks, each checked against its name,
/// and the next block while the caller uses one. Not thread-safe.
/// </summary>
sealed class ContentStream : IAsyncDisposable
{
    const int PacksInFlight = 2;

    /// <summary>Of which only the list of places is kept.</summary>
    const int SparsePacksKept = 8;

    /// <summary>Of files of a few bytes a block would have so many that what is known of them takes more than they do.</summary>
    const int BlockChunksMax = 8192;

    readonly int blockBytes;
    readonly RecentPacks recent;
    readonly ChunkReader chunks;
    readonly ChunkCursor cursor;
    Block block = new(0, [], 0);
    Task<Block>? next;

    /// <param name="vault">Where it is.</param>
    /// <param name="top">The top of its tree.</param>
    /// <param name="blockBytes">How much is read at once; a power of two. There are two such blocks.</param>
    /// <param name="met">Told of each node that is met, on any thread.</param>
    /// <param name="isSparse">Whether little of it is wanted.</param>
    public ContentStream(VaultAccess vault, ChunkNode top, int blockBytes, Action<ChunkEntry>? met = null, bool isSparse = false)
    {
        recent = isSparse ? new RecentPacks(SparsePacksKept, isSparse: true) : new RecentPacks(PacksInFlight);
        // The last chunk still fits into a buffer of that size.
        this.blockBytes = blockBytes - ContentChunker.BytesMax;
        chunks = new ChunkReader(vault, recent);
        cursor = new ChunkCursor(chunks, top) { Met = met };
    }

    /// <summary>Some content in a rented buffer.</summary>
    readonly record struct Block(ulong Start, byte[] Bytes, int Length)
    {
        public ulong End => Start + (ulong)Length;

        public void Release()
        {
            if (Bytes.Length > 0)
            {
                Buffers.Return(Bytes);
            }
        }
    }

    /// <summary>The length of all content.</summary>
    public ulong Length => cursor.Length;

    /// <summary>Bytes fetched so far, for progress.</summary>
    public long FetchedBytes => chunks.FetchedBytes;

    /// <summary>
    /// Some content from a byte on, at least one byte; empty at the end. The byte lies not before those that were returned last. Valid up
    /// to the next call.
    /// </summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="until">No content from here on is wanted, as far as the caller knows.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(ulong offset, ulong until, CancellationToken cancellationToken)
    {
        while (offset >= block.End)
        {
            if (offset >= Length)
            {
                return default;
            }

            if (next is not null)
            {
                Take(await next);
                next = null;
            }

            if (offset >= block.End)
            {
                Take(await LoadAsync(offset, until, cancellationToken));
            }

            next = block.End < Math.Min(until, Length) ? LoadAsync(block.End, until, cancellationToken) : null;
        }

        var from = (int)(offset - block.Start);
        return block.Bytes.AsMemory(from, (int)Math.Min((ulong)(block.Length - from), until - offset));
    }

    public async ValueTask DisposeAsync()
    {
        if (next is not null)
        {
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (next.IsCompletedSuccessfully)
            {
                next.Result.Release();
            }
        }

        Take(default);
        recent.Dispose();
        await cursor.DisposeAsync();
    }

    void Take(Block taken)
    {
        block.Release();
        block = taken with { Bytes = taken.Bytes ?? [] };
    }

    async Task<Block> LoadAsync(ulong offset, ulong until, CancellationToken cancellationToken)
    {
        await Task.Yield();
        var wanted = new List<WantedChunk>();
        var (start, length) = (0UL, 0UL);
        for (var at = offset; at < until && await cursor.SeekAsync(at, cancellationToken); at = start + length)
        {
            // From the middle on it ends where another pack begins, so that the next block has much of that one.
            if (length >= (ulong)blockBytes || wanted.Count == BlockChunksMax
                || (length >= (ulong)blockBytes / 2 && cursor.Current.Pack != wanted[^1].Pack))
            {
                break;
            }

            if (wanted.Count == 0)
            {
                start = cursor.Start;
            }

            wanted.Add(new WantedChunk(cursor.Current.Name, cursor.Current.Pack, (uint)cursor.Current.Length, length));
            length += cursor.Current.Length;
        }

        var bytes = Buffers.Rent((int)length);
        await chunks.ReadAsync(
            wanted, PacksInFlight,
            (_, frame, found) =>
            {
                foreach (var (place, chunk) in found)
                {
                    frame.Slice((int)place.Offset, (int)place.Length).CopyTo(bytes.AsSpan((int)chunk.Id));
                }
            },
            cancellationToken);
        return new Block(start, bytes, (int)length);
    }
}
