using System.Buffers;
using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>A snapshot that was stored.</summary>
/// <param name="DetailsHash">What the base in the log refers to.</param>
public sealed record StoredSnapshot(SnapshotDetails Details, Hash256 DetailsHash, long StoredBytes);

/// <summary>
/// Makes a snapshot from the chunks of a database in order, new ones or those of an earlier snapshot: packs, the tree and at last the
/// root. Hashing and compressing run on all processors, a few runs ahead; memory is bounded by those.
/// </summary>
public sealed class SnapshotWriter : IAsyncDisposable
{
    /// <summary>New content is handed over in runs of at most this length; each becomes one frame.</summary>
    public const int RunBytes = SealedFrame.ContentBytesMax;

    readonly VaultAccess vault;
    readonly uint epoch;
    readonly uint pageSize;
    readonly int chunkBytes;
    readonly PackStore store;
    readonly PackWriter packs;
    readonly ChunkTreeWriter tree;
    readonly Queue<Task<(SealedRun Run, IReadOnlyList<PendingEntry> Entries)>> sealing = new();

    public SnapshotWriter(VaultAccess vault, uint epoch, uint pageSize)
    {
        (this.vault, this.epoch, this.pageSize) = (vault, epoch, pageSize);
        chunkBytes = SnapshotDetails.ChunkBytesOf(pageSize);
        store = new PackStore(vault);
        packs = new PackWriter(store);
        tree = new ChunkTreeWriter(store);
    }

    /// <summary>Bytes stored so far.</summary>
    public long StoredBytes => packs.StoredBytes + tree.StoredBytes;

    /// <summary>How many runs are hashed and compressed at once, before the next has to wait.</summary>
    public int RunsInFlight { get; init; } = Environment.ProcessorCount;

    /// <summary>
    /// Takes the next chunks as one run. <paramref name="content"/> is a rented buffer that goes back to its pool here;
    /// <paramref name="pageHashes"/> has one hash per page in it.
    /// </summary>
    public Task AddAsync(byte[] content, int length, ulong[] pageHashes, CancellationToken cancellationToken)
    {
        var entries = new List<PendingEntry>();
        var pagesPerChunk = chunkBytes / (int)pageSize;
        for (var offset = 0; offset < length; offset += chunkBytes)
        {
            var first = entries.Count * pagesPerChunk;
            var hashes = pageHashes.AsSpan(first, Math.Min(pagesPerChunk, pageHashes.Length - first));
            entries.Add(Reserve((uint)Math.Min(chunkBytes, length - offset), hashes));
        }

        return SealAsync(content, length, entries, cancellationToken);
    }

    /// <summary>Adds the next chunk, whose content comes later by <see cref="SealAsync"/>.</summary>
    internal PendingEntry Reserve(uint length, ReadOnlySpan<ulong> pageHashes)
    {
        var entry = new PendingEntry { Length = length };
        tree.AddChunk(entry, pageHashes);
        return entry;
    }

    /// <summary>Adds the next chunk, which is one of an earlier snapshot.</summary>
    internal void Keep(ChunkEntry chunk, ReadOnlySpan<ulong> pageHashes) => Keep(PendingEntry.Of(chunk), pageHashes);

    /// <summary>Adds the next chunk, which is the same as one that was added before.</summary>
    internal void Keep(PendingEntry chunk, ReadOnlySpan<ulong> pageHashes) => tree.AddChunk(chunk, pageHashes);

    /// <summary>A node of an earlier snapshot, some of whose chunks may have changed: if none did, it is not stored again.</summary>
    internal void Know(ChunkEntry node) => tree.AddStored(node);

    /// <summary>Adds the next chunks, which are all those of a node of an earlier snapshot.</summary>
    internal void KeepNode(int level, ChunkEntry node) => tree.AddNode(level, node);

    /// <summary>
    /// Takes the content of reserved chunks, one after the other. <paramref name="content"/> is a rented buffer that goes back to its pool
    /// here.
    /// </summary>
    internal async Task SealAsync(byte[] content, int length, IReadOnlyList<PendingEntry> entries, CancellationToken cancellationToken)
    {
        if (entries.Count == 0)
        {
            ArrayPool<byte>.Shared.Return(content);
            return;
        }

        if (sealing.Count > RunsInFlight)
        {
            await CollectAsync(cancellationToken);
        }

        sealing.Enqueue(SealLaterAsync(content, length, entries));
    }

    /// <summary>Stores the rest and the root. The snapshot exists when this returns, and not before.</summary>
    /// <param name="tip">Where in the log it stands, and its time.</param>
    public async Task<StoredSnapshot> FinishAsync(
        LogTip tip, uint pageCount, ulong checksum, bool isImage, CancellationToken cancellationToken)
    {
        while (sealing.Count > 0)
        {
            await CollectAsync(cancellationToken);
        }

        await packs.FinishAsync(cancellationToken);
        var details = new SnapshotDetails
        {
            PageSize = pageSize,
            PageCount = pageCount,
            Checksum = checksum,
            IsImage = isImage,
            Top = await tree.FinishAsync(cancellationToken),
        };
        await store.ExpectKeptAsync(cancellationToken);
        var bytes = details.ToBytes();
        using var writer = vault.NewObject();
        var (stored, _) = writer.Finish(HeaderAt(tip), bytes.Span);
        var key = VaultKeys.Snapshot(tip.Branch, tip.Position);
        if (!await vault.PutAsync(key, stored, cancellationToken))
        {
            await vault.ExpectOwnAsync(key, stored, cancellationToken);
        }

        return new StoredSnapshot(details, vault.Secrets.NameOf(bytes.Span), StoredBytes + stored.Length);
    }

    /// <summary>A snapshot is at one position: it begins and ends there, and so does its piece of the lineage.</summary>
    ObjectHeader HeaderAt(LogTip tip) => new()
    {
        Kind = ObjectKind.Snapshot,
        VaultId = vault.Id,
        Epoch = epoch,
        Branch = tip.Branch,
        Number = tip.Number,
        PositionFirst = tip.Position.Value,
        PositionLast = tip.Position.Value,
        TimeFirstMicros = tip.TimeMicros,
        TimeLastMicros = tip.TimeMicros,
        LineageBefore = tip.Lineage,
        LineageAfter = tip.Lineage,
    };

    public async ValueTask DisposeAsync()
    {
        while (sealing.TryDequeue(out var task))
        {
            // A failed or cancelled run has nothing to release; one that was sealed has a buffer to give back.
            await ((Task)task).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (task.IsCompletedSuccessfully)
            {
                task.Result.Run.Frame.Release();
            }
        }

        await packs.DisposeAsync();
        await tree.DisposeAsync();
    }

    /// <summary>Leaves the caller by yielding: to another processor, or into the queue of a test that has one thread.</summary>
    async Task<(SealedRun Run, IReadOnlyList<PendingEntry> Entries)> SealLaterAsync(
        byte[] content, int length, IReadOnlyList<PendingEntry> entries)
    {
        await Task.Yield();
        var run = SealedRun.Seal(vault, content.AsSpan(0, length), chunkBytes);
        ArrayPool<byte>.Shared.Return(content);
        return (run, entries);
    }

    async Task CollectAsync(CancellationToken cancellationToken)
    {
        var (run, entries) = await sealing.Dequeue();
        var names = run.Chunks;
        var pack = await packs.AddAsync(run, cancellationToken);
        foreach (var (entry, chunk) in entries.Zip(names))
        {
            Invariant.Check(entry.Length == (ulong)chunk.Length);
            (entry.Name, entry.Pack) = (chunk.Name, pack);
        }

        await tree.StoreReadyAsync(cancellationToken);
    }
}
