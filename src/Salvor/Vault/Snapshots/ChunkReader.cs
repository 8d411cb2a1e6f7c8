using System.Buffers;
using Salvor.Storage;
using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>A chunk to be read.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Pack">The pack in which it was last seen.</param>
/// <param name="Length">Its length; 0 where the caller does not know it.</param>
/// <param name="Id">What the caller knows it by.</param>
readonly record struct WantedChunk(Hash256 Name, Hash256 Pack, uint Length, ulong Id);

/// <summary>
/// Takes a frame and those of its chunks that were wanted, each checked against its name. Called from several threads at once where several
/// packs are read at once.
/// </summary>
delegate void FrameHandler(string packKey, ReadOnlySpan<byte> frame, IReadOnlyList<(ChunkPlace Place, WantedChunk Chunk)> chunks);

/// <summary>
/// Reads chunks: each pack once, each frame once, whole packs where much of them is wanted. What is not where it was last seen, or is
/// damaged there, is looked for where the pack's chunks were moved to.
/// </summary>
/// <param name="vault">Where they are.</param>
/// <param name="recent">Keeps what was fetched whole for the next call; null where each is by itself. The caller disposes of it.</param>
sealed class ChunkReader(VaultAccess vault, RecentPacks? recent = null)
{
    /// <summary>From here on a pack is fetched in one call.</summary>
    const long WholeBytesMin = 4 << 20;

    /// <summary>What a chunk of unknown length counts for that.</summary>
    const long UnknownLengthBytes = 16 << 10;

    /// <summary>Frames of one pack that are fetched one by one: each is a round trip, and takes up to 2 MiB of memory.</summary>
    const int FramesInFlight = 8;

    readonly Lock gate = new();
    Task<PackMoves>? moves;
    long fetchedBytes;

    /// <summary>Bytes fetched so far, for progress.</summary>
    public long FetchedBytes => Interlocked.Read(ref fetchedBytes);

    /// <summary>
    /// Hands over every chunk, in no particular order. Throws <see cref="DamagedObjectException"/> for the first that is nowhere.
    /// </summary>
    public async Task ReadAsync(
        IReadOnlyList<WantedChunk> wanted, int packsInFlight, FrameHandler handler, CancellationToken cancellationToken)
    {
        var packs = wanted.GroupBy(chunk => chunk.Pack);
        if (packsInFlight == 1)
        {
            foreach (var pack in packs)
            {
                await ReadPackAsync(pack.Key, [.. pack], framesInFlight: 1, handler, cancellationToken);
            }
        }
        else
        {
            var options = new ParallelOptions { MaxDegreeOfParallelism = packsInFlight, CancellationToken = cancellationToken };
            await Parallel.ForEachAsync(
                packs, options, async (pack, cancel) => await ReadPackAsync(pack.Key, [.. pack], FramesInFlight, handler, cancel));
        }
    }

    async Task ReadPackAsync(
        Hash256 pack, List<WantedChunk> wanted, int framesInFlight, FrameHandler handler, CancellationToken cancellationToken)
    {
        var (left, failure) = await TryReadPackAsync(pack, wanted, framesInFlight, handler, cancellationToken);
        if (failure is null)
        {
            return;
        }

        foreach (var other in (await MovesAsync(cancellationToken)).Of(pack))
        {
            (left, var still) = await TryReadPackAsync(other, left, framesInFlight, handler, cancellationToken);
            if (still is null)
            {
                return;
            }
        }

        throw failure;
    }

    /// <summary>Hands over what is in a pack. The rest, and why the first of it was not found; null where all were.</summary>
    async Task<(List<WantedChunk> Left, DamagedObjectException? Failure)> TryReadPackAsync(
        Hash256 pack, List<WantedChunk> wanted, int framesInFlight, FrameHandler handler, CancellationToken cancellationToken)
    {
        var key = VaultKeys.Pack(pack);
        var isKept = false;
        OpenPack? opened = null;
        try
        {
            opened = recent?.Find(pack);
            isKept = opened is not null;
            if (opened is null)
            {
                var bytes = wanted.Sum(chunk => chunk.Length == 0 ? UnknownLengthBytes : chunk.Length);
                var isSparse = recent is { IsSparse: true };
                var isWhole = !isSparse && (recent?.Ask(pack, bytes) ?? bytes) >= WholeBytesMin;
                opened = await OpenAsync(pack, key, isWhole, cancellationToken);
                isKept = recent is not null && (isWhole || isSparse);
                if (isKept)
                {
                    recent!.Add(opened);
                }
            }

            var (found, left, failure) = Locate(key, opened.Places, wanted);
            var frames = found.GroupBy(item => item.Place.Frame).ToList();
            var failures = new DamagedObjectException?[frames.Count];
            await InFlight.ForEachAsync(
                frames.Count,
                async i => failures[i] =
                    await TryReadFrameAsync(opened, frames[i].Key, [.. frames[i]], left, handler, cancellationToken),
                cancellationToken,
                opened.Stored.IsWhole ? 1 : framesInFlight);
            return (left, failures.LastOrDefault(item => item is not null) ?? failure);
        }
        catch (DamagedObjectException e) when (opened is null || e.Key == key)
        {
            return (wanted, e);
        }
        finally
        {
            if (isKept)
            {
                recent!.Release(opened!);
            }
            else
            {
                opened?.Stored.Dispose();
            }
        }
    }

    async Task<OpenPack> OpenAsync(Hash256 pack, string key, bool isWhole, CancellationToken cancellationToken)
    {
        if (isWhole || recent is { IsSparse: true })
        {
            recent?.MakeRoom();
        }

        var stored = await vault.OpenAsync(key, ObjectKind.Pack, isWhole, cancellationToken);
        try
        {
            var places = ChunkPlace.Read(stored, await stored.ReadDetailsAsync(cancellationToken));
            Interlocked.Add(ref fetchedBytes, stored.IsWhole ? stored.SizeBytes : 0);
            return new OpenPack(pack, stored, places);
        }
        catch
        {
            stored.Dispose();
            throw;
        }
    }

    static (List<(ChunkPlace Place, WantedChunk Chunk)> Found, List<WantedChunk> Left, DamagedObjectException? Failure) Locate(
        string key, Dictionary<Hash256, ChunkPlace> places, List<WantedChunk> wanted)
    {
        var found = new List<(ChunkPlace Place, WantedChunk Chunk)>(wanted.Count);
        var left = new List<WantedChunk>();
        DamagedObjectException? failure = null;
        foreach (var chunk in wanted)
        {
            if (places.TryGetValue(chunk.Name, out var place) && (chunk.Length == 0 || chunk.Length == place.Length))
            {
                found.Add((place, chunk));
                continue;
            }

            left.Add(chunk);
            failure ??= new DamagedObjectException(key, place.Length == 0
                ? $"chunk {chunk.Name} is not in it"
                : $"chunk {chunk.Name} has {place.Length} bytes in place of {chunk.Length}");
        }

        return (found, left, failure);
    }

    async Task<DamagedObjectException?> TryReadFrameAsync(
        OpenPack opened, int frame, List<(ChunkPlace Place, WantedChunk Chunk)> wanted, List<WantedChunk> left, FrameHandler handler,
        CancellationToken cancellationToken)
    {
        var pack = opened.Stored;
        var length = (int)pack.Frames[frame].ContentBytes;
        var content = recent?.FindFrame(opened.Name, frame);
        byte[]? rented = null;
        try
        {
            if (content is null)
            {
                var isKept = recent is { IsSparse: true };
                content = isKept ? new byte[length] : rented = ArrayPool<byte>.Shared.Rent(length);
                await pack.ReadFrameAsync(frame, content.AsMemory(0, length), cancellationToken);
                Interlocked.Add(ref fetchedBytes, pack.IsWhole ? 0 : pack.Frames[frame].StoredBytes);
                if (isKept)
                {
                    recent!.KeepFrame(opened.Name, frame, content);
                }
            }

            var good = wanted.Where(item => IsItself(content, item.Place)).ToList();
            handler(pack.Key, content.AsSpan(0, length), good);
            if (good.Count == wanted.Count)
            {
                return null;
            }

            var bad = wanted.Except(good).ToList();
            Leave(left, bad);
            return new DamagedObjectException(pack.Key, $"chunk {bad[0].Place.Name} does not match its name");
        }
        catch (DamagedObjectException e) when (e.Key == pack.Key)
        {
            Leave(left, wanted);
            return e;
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    static void Leave(List<WantedChunk> left, IEnumerable<(ChunkPlace Place, WantedChunk Chunk)> chunks)
    {
        lock (left)
        {
            left.AddRange(chunks.Select(item => item.Chunk));
        }
    }

    bool IsItself(byte[] frame, ChunkPlace place) =>
        vault.Secrets.NameOf(frame.AsSpan((int)place.Offset, (int)place.Length)) == place.Name;

    /// <summary>Read when something is missing for the first time; most readers never need them.</summary>
    Task<PackMoves> MovesAsync(CancellationToken cancellationToken)
    {
        lock (gate)
        {
            return moves is null or { IsFaulted: true } or { IsCanceled: true }
                ? moves = PackMoves.LoadAsync(vault, cancellationToken)
                : moves;
        }
    }
}
