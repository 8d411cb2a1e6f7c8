using System.Buffers;
using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>Takes verified content and its place in the database file. Called from several threads at once.</summary>
public delegate void ContentHandler(long offset, ReadOnlySpan<byte> content);

/// <summary>
/// Reads a snapshot: packs in parallel, each chunk checked against its name before anyone sees it. Memory is bounded by the packs in
/// flight and a few chunk lists, whatever the size of the database.
/// </summary>
public sealed class SnapshotReader : IDisposable
{
    const int ListsCached = 32;

    readonly VaultAccess vault;
    readonly string key;
    readonly SemaphoreSlim listLock = new(1);
    readonly Dictionary<int, ChunkList> listCache = [];
    readonly Dictionary<Hash256, (int Pack, ChunkPlace Place)> listPlaces = [];

    SnapshotReader(VaultAccess vault, string key, ObjectHeader header, SnapshotDetails details, Hash256 detailsHash)
    {
        (this.vault, this.key, Header, Details, DetailsHash) = (vault, key, header, details, detailsHash);
    }

    public ObjectHeader Header { get; }

    public SnapshotDetails Details { get; }

    /// <summary>What the base in the log refers to.</summary>
    public Hash256 DetailsHash { get; }

    /// <summary>Bytes fetched so far, for progress.</summary>
    public long FetchedBytes => Interlocked.Read(ref fetchedBytes);

    long fetchedBytes;

    public static async Task<SnapshotReader> OpenAsync(VaultAccess vault, SnapshotRef snapshot, CancellationToken cancellationToken)
    {
        var key = VaultKeys.Snapshot(snapshot.Branch, snapshot.Position);
        using var stored = await vault.OpenAsync(
            key, ObjectKind.Snapshot, whole: true, cancellationToken,
            header => header.Branch == snapshot.Branch && header.PositionLast == snapshot.Position.Value
                ? null
                : $"it is the snapshot of position {header.PositionLast}");
        var bytes = await stored.ReadDetailsAsync(cancellationToken);
        var reader = new SnapshotReader(vault, key, stored.Header, SnapshotDetails.Read(key, bytes), Hash256.Of(bytes));
        await reader.LocateListsAsync(cancellationToken);
        return reader;
    }

    /// <summary>The page hashes of the list with this index, in page order.</summary>
    public async Task<IReadOnlyList<ulong>> ReadPageHashesAsync(int list, CancellationToken cancellationToken) =>
        (await ReadListAsync(list, cancellationToken)).PageHashes;

    /// <summary>Reads all content, in no particular order, with this many packs in flight.</summary>
    public async Task ReadAsync(int packsInFlight, ContentHandler handler, CancellationToken cancellationToken)
    {
        var options = new ParallelOptions { MaxDegreeOfParallelism = packsInFlight, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, Details.Runs.Count, options, async (run, cancel) => await ReadRunAsync(run, handler, cancel));
    }

    public void Dispose() => listLock.Dispose();

    /// <summary>
    /// Checks without reading any content that each chunk is in the pack that the root says, and that the page hashes add up to the
    /// checksum. Tells of each damage: the key of a pack or of the snapshot, and what is wrong with it.
    /// </summary>
    internal async Task CheckAsync(Action<string, string> found, CancellationToken cancellationToken)
    {
        for (var run = 0; run < Details.Runs.Count; run++)
        {
            try
            {
                using var pack = await OpenPackAsync(run, whole: false, cancellationToken);
                await LocateAsync(run, pack, cancellationToken);
            }
            catch (DamagedObjectException e)
            {
                found(e.Key, e.What);
            }
            catch (NewerFormatException e)
            {
                found(e.Key, e.Message);
            }
        }

        try
        {
            await ExpectChecksumAsync(cancellationToken);
        }
        catch (DamagedObjectException e)
        {
            found(e.Key, e.What);
        }
    }

    async Task ExpectChecksumAsync(CancellationToken cancellationToken)
    {
        var (page, sum) = (0u, 0UL);
        var lockPage = DatabasePages.LockBytePage(Details.PageSize);
        for (var list = 0; list < Details.Lists.Count; list++)
        {
            foreach (var hash in await ReadPageHashesAsync(list, cancellationToken))
            {
                sum ^= ++page == lockPage || page > Details.PageCount ? 0 : hash;
            }
        }

        if (sum != Details.Checksum)
        {
            throw new DamagedObjectException(key, "its page hashes do not add up to its checksum");
        }
    }

    Task<StoredObject> OpenPackAsync(int run, bool whole, CancellationToken cancellationToken) => vault.OpenAsync(
        VaultKeys.Pack(Details.Packs[(int)Details.Runs[run].Pack]), ObjectKind.Pack, whole, cancellationToken);

    async Task ReadRunAsync(int run, ContentHandler handler, CancellationToken cancellationToken)
    {
        using var pack = await OpenPackAsync(run, whole: true, cancellationToken);
        var wanted = await LocateAsync(run, pack, cancellationToken);
        Interlocked.Add(ref fetchedBytes, pack.Frames.Sum(frame => (long)frame.StoredBytes));
        foreach (var frame in wanted.GroupBy(item => item.Place.Frame))
        {
            await ReadFrameAsync(pack, frame.Key, [.. frame], handler, cancellationToken);
        }
    }

    /// <summary>Where in its pack each chunk of a run is.</summary>
    async Task<List<(ChunkPlace Place, uint Chunk)>> LocateAsync(int run, StoredObject pack, CancellationToken cancellationToken)
    {
        var first = Details.Runs[run].FirstChunk;
        var end = run + 1 < Details.Runs.Count ? Details.Runs[run + 1].FirstChunk : Details.ChunkCount;
        var packKey = pack.Key;
        var places = ChunkPlace.Read(pack, await pack.ReadDetailsAsync(cancellationToken));
        var wanted = new List<(ChunkPlace Place, uint Chunk)>((int)(end - first));
        for (var chunk = first; chunk < end; chunk++)
        {
            var name = await ChunkNameAsync(chunk, cancellationToken);
            wanted.Add(places.TryGetValue(name, out var place)
                ? (place, chunk)
                : throw new DamagedObjectException(packKey, $"chunk {name} of {key} is not in it"));
            if (place.Length != Details.LengthOf(chunk))
            {
                throw new DamagedObjectException(
                    packKey, $"chunk {name} of {key} has {place.Length} bytes in place of {Details.LengthOf(chunk)}");
            }
        }

        return wanted;
    }

    async Task ReadFrameAsync(
        StoredObject pack, int frame, (ChunkPlace Place, uint Chunk)[] wanted, ContentHandler handler, CancellationToken cancellationToken)
    {
        var length = (int)pack.Frames[frame].ContentBytes;
        var rented = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            await pack.ReadFrameAsync(frame, rented.AsMemory(0, length), cancellationToken);
            foreach (var (place, chunk) in wanted)
            {
                if (Hash256.Of(rented.AsSpan((int)place.Offset, (int)place.Length)) != place.Name)
                {
                    throw new DamagedObjectException(pack.Key, $"chunk {place.Name} does not match its name");
                }
            }

            HandOver(rented, wanted, handler);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>Neighbours in the frame are nearly always neighbours in the file: they are handed over as one piece.</summary>
    void HandOver(byte[] content, (ChunkPlace Place, uint Chunk)[] wanted, ContentHandler handler)
    {
        for (var i = 0; i < wanted.Length;)
        {
            var start = (int)wanted[i].Place.Offset;
            var end = start + (int)wanted[i].Place.Length;
            var next = i + 1;
            while (next < wanted.Length && wanted[next].Chunk == wanted[next - 1].Chunk + 1 && wanted[next].Place.Offset == end)
            {
                end += (int)wanted[next++].Place.Length;
            }

            handler((long)wanted[i].Chunk * Details.ChunkBytes, content.AsSpan(start, end - start));
            i = next;
        }
    }

    async ValueTask<Hash256> ChunkNameAsync(uint chunk, CancellationToken cancellationToken)
    {
        var list = await ReadListAsync((int)(chunk / SnapshotDetails.ChunksPerList), cancellationToken);
        var index = (int)(chunk % SnapshotDetails.ChunksPerList);
        return index < list.Chunks.Length
            ? list.Chunks[index]
            : throw new DamagedObjectException(key, $"chunk {chunk} is missing from its list");
    }

    async ValueTask<ChunkList> ReadListAsync(int index, CancellationToken cancellationToken)
    {
        await listLock.WaitAsync(cancellationToken);
        try
        {
            if (listCache.TryGetValue(index, out var cached))
            {
                return cached;
            }

            if (listCache.Count >= ListsCached)
            {
                listCache.Remove(listCache.Keys.Min());
            }

            return listCache[index] = await FetchListAsync(Details.Lists[index], cancellationToken);
        }
        finally
        {
            listLock.Release();
        }
    }

    async Task<ChunkList> FetchListAsync(Hash256 name, CancellationToken cancellationToken)
    {
        if (!listPlaces.TryGetValue(name, out var found))
        {
            throw new DamagedObjectException(key, $"its chunk list {name} is in none of its packs");
        }

        var packKey = VaultKeys.Pack(Details.ListPacks[found.Pack]);
        using var pack = await vault.OpenAsync(packKey, ObjectKind.Pack, whole: false, cancellationToken);
        var frame = await pack.ReadFrameAsync(found.Place.Frame, cancellationToken);
        var content = frame.AsSpan((int)found.Place.Offset, (int)found.Place.Length);
        return Hash256.Of(content) == name
            ? ChunkList.Read(packKey, content)
            : throw new DamagedObjectException(packKey, $"chunk list {name} does not match its name");
    }

    async Task LocateListsAsync(CancellationToken cancellationToken)
    {
        for (var i = 0; i < Details.ListPacks.Count; i++)
        {
            using var pack = await vault.OpenAsync(
                VaultKeys.Pack(Details.ListPacks[i]), ObjectKind.Pack, whole: false, cancellationToken);
            foreach (var place in ChunkPlace.Read(pack, await pack.ReadDetailsAsync(cancellationToken)).Values)
            {
                listPlaces[place.Name] = (i, place);
            }
        }
    }
}
