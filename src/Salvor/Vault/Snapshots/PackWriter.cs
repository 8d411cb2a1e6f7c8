using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>A run of chunks, sealed into one frame.</summary>
sealed record SealedRun(SealedFrame Frame, (Hash256 Name, int Offset, int Length)[] Chunks)
{
    /// <summary>Cuts the content into chunks, names them and seals them together.</summary>
    public static SealedRun Seal(VaultAccess vault, ReadOnlySpan<byte> content, int chunkBytes)
    {
        var chunks = new (Hash256, int, int)[(content.Length + chunkBytes - 1) / chunkBytes];
        for (var i = 0; i < chunks.Length; i++)
        {
            var offset = i * chunkBytes;
            var length = Math.Min(chunkBytes, content.Length - offset);
            chunks[i] = (vault.Secrets.NameOf(content.Slice(offset, length)), offset, length);
        }

        return new SealedRun(SealedFrame.Seal(content, vault.Compression), chunks);
    }

    /// <summary>Seals chunks that were cut and named before.</summary>
    public static SealedRun Seal(
        VaultAccess vault, ReadOnlySpan<byte> content, IEnumerable<(Hash256 Name, int Offset, int Length)> chunks) =>
        new(SealedFrame.Seal(content, vault.Compression), [.. chunks]);
}

/// <summary>A pack that chunks are in. It has a name once it is complete, because its name is its hash.</summary>
sealed class PendingPack
{
    public Hash256? Name { get; set; }
}

/// <summary>
/// Collects sealed runs into packs and stores each pack when it is full, while the next one is being filled. A pack's key is the hash of
/// the object, so storing it twice is harmless.
/// </summary>
sealed class PackWriter(PackStore store) : IAsyncDisposable
{
    /// <summary>A pack is full when another frame and the chunk table might not fit below the size that readers accept.</summary>
    const int FullBytes = ObjectWriter.ObjectBytesMax - (3 * SealedFrame.ContentBytesMax);

    const int PlacesMax = 16384;

    /// <summary>Stored while the next is filled. One alone would leave a far destination idle during each round trip.</summary>
    const int StoresInFlight = 2;

    readonly List<ChunkPlace> places = [];
    PendingPack pack = new();
    ObjectWriter writer = store.Vault.NewObject();
    readonly Queue<Task> storing = [];

    /// <summary>Bytes stored so far.</summary>
    public long StoredBytes { get; private set; }

    /// <summary>Adds a run and releases its frame. Returns the pack that it is in.</summary>
    public async Task<PendingPack> AddAsync(SealedRun run, CancellationToken cancellationToken)
    {
        var filled = pack;
        foreach (var (name, offset, length) in run.Chunks)
        {
            places.Add(new ChunkPlace(name, (ushort)writer.FrameCount, (uint)offset, (uint)length));
        }

        writer.Add(run.Frame);
        run.Frame.Release();
        if (writer.LengthBytes >= FullBytes || places.Count >= PlacesMax)
        {
            await CloseAsync(cancellationToken);
        }

        return filled;
    }

    /// <summary>Stores what is left. After this every pack is durable and has its name.</summary>
    public async Task FinishAsync(CancellationToken cancellationToken)
    {
        if (writer.FrameCount > 0)
        {
            await CloseAsync(cancellationToken);
        }

        while (storing.Count > 0)
        {
            await storing.Peek();
            _ = storing.Dequeue();
        }
    }

    public async ValueTask DisposeAsync()
    {
        while (storing.TryDequeue(out var task))
        {
            await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        writer.Dispose();
    }

    async Task CloseAsync(CancellationToken cancellationToken)
    {
        if (storing.Count == StoresInFlight)
        {
            await storing.Peek();
            _ = storing.Dequeue();
        }

        var full = writer;

        var header = await store.HeaderAsync(cancellationToken);
        var (bytes, hash) = full.Finish(header, ChunkPlace.Write(places).Span);
        (pack.Name, pack) = (hash, new PendingPack());
        places.Clear();
        writer = store.Vault.NewObject(ObjectWriter.ObjectBytesMax);
        StoredBytes += bytes.Length;
        storing.Enqueue(StoreAsync(full, hash, bytes, cancellationToken));
    }

    async Task StoreAsync(ObjectWriter full, Hash256 name, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        using (full)
        {
            await store.PutAsync(name, bytes, cancellationToken);
        }
    }
}
