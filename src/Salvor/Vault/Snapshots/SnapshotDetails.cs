using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>Chunks from this one on, until the next run begins, are in this pack.</summary>
public readonly record struct ChunkRun(uint FirstChunk, uint Pack);

/// <summary>
/// The root of a snapshot: its size, and the names of the chunk lists that make it up. <c>docs/format.md</c> has the layout.
/// </summary>
public sealed record SnapshotDetails
{
    /// <summary>Chunks of a database are this long, or one page where pages are longer.</summary>
    public const int ChunkBytesMin = 16 << 10;

    /// <summary>How many chunks a full list names.</summary>
    public const int ChunksPerList = 256;

    public required uint PageSize { get; init; }

    public required uint PageCount { get; init; }

    /// <summary>The XOR of the page hashes.</summary>
    public required ulong Checksum { get; init; }

    /// <summary>
    /// Whether the content is an image that was read while writers went on, which is no restore point until the base that follows it in
    /// the log is applied.
    /// </summary>
    public required bool IsImage { get; init; }

    /// <summary>The packs that hold the chunks.</summary>
    public required IReadOnlyList<Hash256> Packs { get; init; }

    public required IReadOnlyList<ChunkRun> Runs { get; init; }

    /// <summary>The packs that hold the lists.</summary>
    public required IReadOnlyList<Hash256> ListPacks { get; init; }

    /// <summary>The names of the lists, in order.</summary>
    public required IReadOnlyList<Hash256> Lists { get; init; }

    public int ChunkBytes => Math.Max(ChunkBytesMin, (int)PageSize);

    public long SizeBytes => (long)PageCount * PageSize;

    public uint ChunkCount => (uint)((SizeBytes + ChunkBytes - 1) / ChunkBytes);

    /// <summary>The length of a chunk: only the last may be shorter.</summary>
    public long LengthOf(uint chunk) => Math.Min(ChunkBytes, SizeBytes - ((long)chunk * ChunkBytes));

    internal ReadOnlyMemory<byte> ToBytes()
    {
        var writer = new FieldWriter();
        writer.U32(PageSize);
        writer.U32(PageCount);
        writer.U64(Checksum);
        writer.U8(IsImage ? (byte)1 : (byte)0);
        writer.Hashes(Packs);
        writer.U32((uint)Runs.Count);
        foreach (var run in Runs)
        {
            writer.U32(run.FirstChunk);
            writer.U32(run.Pack);
        }

        writer.Hashes(ListPacks);
        writer.Hashes(Lists);
        return writer.Written;
    }

    internal static SnapshotDetails Read(string key, ReadOnlySpan<byte> bytes)
    {
        var reader = new FieldReader(key, bytes);
        var details = new SnapshotDetails
        {
            PageSize = reader.U32(),
            PageCount = reader.U32(),
            Checksum = reader.U64(),
            IsImage = reader.U8() != 0,
            Packs = reader.Hashes(),
            Runs = ReadRuns(ref reader),
            ListPacks = reader.Hashes(),
            Lists = reader.Hashes(),
        };
        reader.ExpectEnd();
        details.Check(key);
        return details;
    }

    static ChunkRun[] ReadRuns(ref FieldReader reader)
    {
        var runs = new ChunkRun[reader.Count(8)];
        for (var i = 0; i < runs.Length; i++)
        {
            runs[i] = new ChunkRun(reader.U32(), reader.U32());
        }

        return runs;
    }

    void Check(string key)
    {
        if (!DatabasePages.IsPageSize(PageSize))
        {
            throw new DamagedObjectException(key, $"{PageSize} is not a page size");
        }

        if (Lists.Count != (ChunkCount + ChunksPerList - 1) / ChunksPerList)
        {
            throw new DamagedObjectException(key, $"it has {Lists.Count} chunk lists for {ChunkCount} chunks");
        }

        var previous = -1L;
        foreach (var run in Runs)
        {
            var inOrder = previous < 0 ? run.FirstChunk == 0 : run.FirstChunk > previous;
            if (!inOrder || run.FirstChunk >= ChunkCount || run.Pack >= Packs.Count)
            {
                throw new DamagedObjectException(key, "its runs of chunks are out of order");
            }

            previous = run.FirstChunk;
        }

        if (ChunkCount > 0 && Runs.Count == 0)
        {
            throw new DamagedObjectException(key, "it does not say where its chunks are");
        }
    }
}

/// <summary>Where a chunk is inside its pack.</summary>
readonly record struct ChunkPlace(Hash256 Name, ushort Frame, uint Offset, uint Length)
{
    public const int SizeBytes = Hash256.SizeBytes + 2 + 4 + 4;

    public static ReadOnlyMemory<byte> Write(IReadOnlyList<ChunkPlace> places)
    {
        var writer = new FieldWriter();
        writer.U32((uint)places.Count);
        foreach (var place in places)
        {
            writer.Hash(place.Name);
            writer.U16(place.Frame);
            writer.U32(place.Offset);
            writer.U32(place.Length);
        }

        return writer.Written;
    }

    /// <summary>The chunk table of a pack, checked against its frames.</summary>
    public static Dictionary<Hash256, ChunkPlace> Read(StoredObject pack, ReadOnlySpan<byte> details)
    {
        var reader = new FieldReader(pack.Key, details);
        var places = new Dictionary<Hash256, ChunkPlace>();
        for (var count = reader.Count(SizeBytes); count > 0; count--)
        {
            var place = new ChunkPlace(reader.Hash(), reader.U16(), reader.U32(), reader.U32());
            if (place.Frame >= pack.Frames.Count - 1 || (ulong)place.Offset + place.Length > pack.Frames[place.Frame].ContentBytes)
            {
                throw new DamagedObjectException(pack.Key, $"chunk {place.Name} lies outside its frames");
            }

            places[place.Name] = place;
        }

        reader.ExpectEnd();
        return places;
    }
}

/// <summary>A list of consecutive chunks of a database, with the hash of each page in them.</summary>
readonly record struct ChunkList(Hash256[] Chunks, ulong[] PageHashes)
{
    public byte[] ToBytes()
    {
        var writer = new FieldWriter();
        writer.U32((uint)Chunks.Length);
        foreach (var chunk in Chunks)
        {
            writer.Hash(chunk);
        }

        writer.U32((uint)PageHashes.Length);
        foreach (var hash in PageHashes)
        {
            writer.U64(hash);
        }

        return writer.Written.ToArray();
    }

    public static ChunkList Read(string key, ReadOnlySpan<byte> bytes)
    {
        var reader = new FieldReader(key, bytes);
        var chunks = new Hash256[reader.Count(Hash256.SizeBytes)];
        for (var i = 0; i < chunks.Length; i++)
        {
            chunks[i] = reader.Hash();
        }

        var hashes = new ulong[reader.Count(sizeof(ulong))];
        for (var i = 0; i < hashes.Length; i++)
        {
            hashes[i] = reader.U64();
        }

        reader.ExpectEnd();
        return new ChunkList(chunks, hashes);
    }
}
