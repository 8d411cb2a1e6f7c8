using System.Buffers;
using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>A snapshot that was stored.</summary>
/// <param name="DetailsHash">What the base in the log refers to.</param>
public sealed record StoredSnapshot(SnapshotDetails Details, Hash256 DetailsHash, long StoredBytes);

/// <summary>
/// Makes a snapshot from the pages of a database in order: chunks, packs, chunk lists and at last the root. Hashing and compressing run on
/// all processors, a few runs ahead; memory is bounded by those.
/// </summary>
public sealed class SnapshotWriter : IAsyncDisposable
{
    /// <summary>Content is handed over in runs of this length; each becomes one frame.</summary>
    public const int RunBytes = SealedFrame.ContentBytesMax;

    readonly VaultAccess vault;
    readonly uint epoch;
    readonly uint pageSize;
    readonly int chunkBytes;
    readonly PackWriter chunkPacks;
    readonly PackWriter listPacks;
    readonly Queue<Task<(SealedRun Run, ulong[] PageHashes)>> sealing = new();
    readonly List<ChunkRun> runs = [];
    readonly List<Hash256> lists = [];
    readonly List<Hash256> listChunks = [];
    readonly List<ulong> listHashes = [];
    uint chunkCount;

    public SnapshotWriter(VaultAccess vault, uint epoch, uint pageSize)
    {
        (this.vault, this.epoch, this.pageSize) = (vault, epoch, pageSize);
        chunkBytes = Math.Max(SnapshotDetails.ChunkBytesMin, (int)pageSize);
        chunkPacks = new PackWriter(vault);
        listPacks = new PackWriter(vault);
    }

    /// <summary>Bytes stored so far.</summary>
    public long StoredBytes => chunkPacks.StoredBytes + listPacks.StoredBytes;

    /// <summary>
    /// Takes the next run. <paramref name="content"/> is a rented buffer that goes back to its pool here; <paramref name="pageHashes"/>
    /// has one hash per page in it.
    /// </summary>
    public async Task AddAsync(byte[] content, int length, ulong[] pageHashes, CancellationToken cancellationToken)
    {
        if (sealing.Count > Environment.ProcessorCount)
        {
            await CollectAsync(cancellationToken);
        }

        sealing.Enqueue(SealAsync(content, length, pageHashes));
    }

    /// <summary>Stores the rest and the root. The snapshot exists when this returns, and not before.</summary>
    public async Task<StoredSnapshot> FinishAsync(
        ObjectHeader header, uint pageCount, ulong checksum, bool isImage, CancellationToken cancellationToken)
    {
        while (sealing.Count > 0)
        {
            await CollectAsync(cancellationToken);
        }

        await CloseListAsync(cancellationToken);
        await chunkPacks.FinishAsync(cancellationToken);
        await listPacks.FinishAsync(cancellationToken);
        var details = new SnapshotDetails
        {
            PageSize = pageSize,
            PageCount = pageCount,
            Checksum = checksum,
            IsImage = isImage,
            Packs = chunkPacks.Packs,
            Runs = runs,
            ListPacks = listPacks.Packs,
            Lists = lists,
        };
        var bytes = details.ToBytes();
        using var writer = new ObjectWriter(vault.Secrets);
        var (stored, _) = writer.Finish(
            header with { Kind = ObjectKind.Snapshot, VaultId = vault.Id, Epoch = epoch }, bytes.Span);
        var key = VaultKeys.Snapshot(header.Branch, new Position(header.PositionLast));
        if (!await vault.PutAsync(key, stored, cancellationToken))
        {
            await vault.ExpectOwnAsync(key, stored, cancellationToken);
        }

        return new StoredSnapshot(details, vault.Secrets.NameOf(bytes.Span), StoredBytes + stored.Length);
    }

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

        await chunkPacks.DisposeAsync();
        await listPacks.DisposeAsync();
    }

    /// <summary>Leaves the caller by yielding: to another processor, or into the queue of a test that has one thread.</summary>
    async Task<(SealedRun Run, ulong[] PageHashes)> SealAsync(byte[] content, int length, ulong[] pageHashes)
    {
        await Task.Yield();
        var run = SealedRun.Seal(vault.Secrets, content.AsSpan(0, length), chunkBytes);
        ArrayPool<byte>.Shared.Return(content);
        return (run, pageHashes);
    }

    async Task CollectAsync(CancellationToken cancellationToken)
    {
        var (run, pageHashes) = await sealing.Dequeue();
        var names = run.Chunks;
        var pack = await chunkPacks.AddAsync(run, cancellationToken);
        if (runs.Count == 0 || runs[^1].Pack != pack)
        {
            runs.Add(new ChunkRun(chunkCount, pack));
        }

        var pagesPerChunk = chunkBytes / (int)pageSize;
        for (var i = 0; i < names.Length; i++)
        {
            listChunks.Add(names[i].Name);
            var first = i * pagesPerChunk;
            listHashes.AddRange(pageHashes.AsSpan(first, Math.Min(pagesPerChunk, pageHashes.Length - first)));
            chunkCount++;
            if (listChunks.Count == SnapshotDetails.ChunksPerList)
            {
                await CloseListAsync(cancellationToken);
            }
        }
    }

    async Task CloseListAsync(CancellationToken cancellationToken)
    {
        if (listChunks.Count == 0)
        {
            return;
        }

        var content = new ChunkList([.. listChunks], [.. listHashes]).ToBytes();
        var run = SealedRun.Seal(vault.Secrets, content, content.Length);
        lists.Add(run.Chunks[0].Name);
        await listPacks.AddAsync(run, cancellationToken);
        listChunks.Clear();
        listHashes.Clear();
    }
}
