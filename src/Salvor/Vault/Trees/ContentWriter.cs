using System.Buffers;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Vault.Trees;

/// <summary>
/// Makes a stream of chunks of what is added, one chunk after the other: those that are known are named, and the others sealed together in
/// runs of 1 MiB, so that small chunks compress as well as large ones. Compressing runs on other processors, a few runs ahead; memory is
/// bounded by those.
/// </summary>
sealed class ContentWriter : IAsyncDisposable
{
    /// <summary>So many chunks of which none is new are kept in memory, before their nodes are stored.</summary>
    const int KnownChunksMax = 4096;

    readonly VaultAccess vault;
    readonly KnownChunks known;
    readonly PackStore store;
    readonly PackWriter packs;
    readonly ChunkTreeWriter tree;
    readonly Queue<(Task<SealedRun> Sealing, PackedRun Run)> sealing = new();
    readonly List<(Hash256 Name, int Offset, int Length)> chunks = [];
    byte[] run = [];
    int runBytes;
    PackedRun current = new();
    PendingPack kept = new();
    int currentNumber;
    int knownChunks;

    public ContentWriter(VaultAccess vault, PackStore store, KnownChunks known)
    {
        (this.vault, this.store, this.known) = (vault, store, known);
        packs = new PackWriter(store);
        tree = new ChunkTreeWriter(store) { CutsByName = true };
    }

    /// <summary>How many runs are compressed at once, before the next has to wait.</summary>
    public int RunsInFlight { get; init; } = Environment.ProcessorCount;

    /// <summary>Bytes stored so far.</summary>
    public long StoredBytes => packs.StoredBytes + tree.StoredBytes;

    /// <summary>Nodes of the tree that wait in memory.</summary>
    internal int WaitingNodes => tree.WaitingNodes;

    /// <summary>Bytes of content so far that were not known, before they are compressed.</summary>
    public long NewBytes { get; private set; }

    /// <summary>Adds the next chunk.</summary>
    public async ValueTask AddAsync(ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        Repeat(await StoreAsync(content, cancellationToken));

    /// <summary>Stores a chunk, unless it is known, and returns what stands for it: it may be added, also several times.</summary>
    public async ValueTask<PendingEntry> StoreAsync(ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var name = vault.Secrets.NameOf(content.Span);
        var entry = new PendingEntry { Length = (ulong)content.Length, Name = name };
        if (await known.FindAsync(name, cancellationToken) is { } there)
        {
            there.Tell(entry);
            if (++knownChunks == KnownChunksMax)
            {
                // No run is collected meanwhile, which would do it.
                knownChunks = 0;
                await tree.StoreReadyAsync(cancellationToken);
            }
        }
        else
        {
            if (runBytes + content.Length > SealedFrame.ContentBytesMax)
            {
                await SealAsync(cancellationToken);
            }

            Put(name, content.Span);
            current.Tell(entry);
        }

        return entry;
    }

    /// <inheritdoc cref="KnownChunks.PackOfAsync"/>
    public ValueTask<Hash256?> PackOfAsync(Hash256 name, CancellationToken cancellationToken) =>
        known.PackOfAsync(name, cancellationToken);

    /// <summary>Adds what was stored, or added before.</summary>
    public void Repeat(PendingEntry entry) => tree.AddChunk(entry, []);

    /// <summary>
    /// Adds chunks of an earlier snapshot, and returns what stands for them. Null, with nothing added, where one must be stored again: the
    /// pack that it was in is gone or damaged, and no other has it.
    /// </summary>
    public async ValueTask<IReadOnlyList<PendingEntry>?> TryKeepAsync(
        IReadOnlyList<ChunkEntry> chunks, CancellationToken cancellationToken)
    {
        var entries = new List<PendingEntry>(chunks.Count);
        foreach (var chunk in chunks)
        {
            if (known.IsSound(chunk.Pack))
            {
                store.Use(chunk.Pack);
                kept = kept.Name == chunk.Pack ? kept : new PendingPack { Name = chunk.Pack };
                entries.Add(new PendingEntry { Length = chunk.Length, Name = chunk.Name, Pack = kept });
            }
            else if (await known.FindAsync(chunk.Name, cancellationToken) is { } elsewhere)
            {
                var entry = new PendingEntry { Length = chunk.Length, Name = chunk.Name };
                elsewhere.Tell(entry);
                entries.Add(entry);
            }
            else
            {
                return null;
            }
        }

        entries.ForEach(Repeat);

        // Where nothing is new no run is ever collected: without this, all of the tree would wait in memory for its end.
        await tree.StoreReadyAsync(cancellationToken);
        return entries;
    }

    /// <summary>A node of an earlier snapshot: if it comes out as it was, it is not stored again.</summary>
    public void Know(ChunkEntry node)
    {
        if (known.IsSound(node.Pack))
        {
            store.Use(node.Pack);
            tree.AddStored(node);
        }
    }

    /// <summary>Stores the rest, and returns the top of the tree.</summary>
    public async Task<ChunkNode> FinishAsync(CancellationToken cancellationToken)
    {
        await SealAsync(cancellationToken);
        while (sealing.Count > 0)
        {
            await CollectAsync(cancellationToken);
        }

        await packs.FinishAsync(cancellationToken);
        return await tree.FinishAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        while (sealing.TryDequeue(out var item))
        {
            // A failed or cancelled run has nothing to release; one that was sealed has a buffer to give back.
            await ((Task)item.Sealing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (item.Sealing.IsCompletedSuccessfully)
            {
                item.Sealing.Result.Frame.Release();
            }
        }

        if (run.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(run);
        }

        await packs.DisposeAsync();
        await tree.DisposeAsync();
    }

    void Put(Hash256 name, ReadOnlySpan<byte> content)
    {
        if (runBytes == 0)
        {
            run = ArrayPool<byte>.Shared.Rent(SealedFrame.ContentBytesMax);
            current = new PackedRun();
            currentNumber = known.Add(current);
        }

        content.CopyTo(run.AsSpan(runBytes));
        chunks.Add((name, runBytes, content.Length));
        known.Add(name, currentNumber);
        runBytes += content.Length;
        NewBytes += content.Length;
    }

    async Task SealAsync(CancellationToken cancellationToken)
    {
        if (runBytes == 0)
        {
            return;
        }

        if (sealing.Count > RunsInFlight)
        {
            await CollectAsync(cancellationToken);
        }

        sealing.Enqueue((SealLaterAsync(run, runBytes, [.. chunks]), current));
        (run, runBytes) = ([], 0);
        chunks.Clear();
    }

    /// <summary>Leaves the caller by yielding: to another processor, or into the queue of a test that has one thread.</summary>
    async Task<SealedRun> SealLaterAsync(byte[] content, int length, (Hash256 Name, int Offset, int Length)[] parts)
    {
        await Task.Yield();
        var made = SealedRun.Seal(vault, content.AsSpan(0, length), parts);
        ArrayPool<byte>.Shared.Return(content);
        return made;
    }

    async Task CollectAsync(CancellationToken cancellationToken)
    {
        var (task, packed) = sealing.Dequeue();
        packed.Put(await packs.AddAsync(await task, cancellationToken));
        await tree.StoreReadyAsync(cancellationToken);
    }
}
