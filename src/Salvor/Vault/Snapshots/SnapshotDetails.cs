using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>
/// The root of a snapshot of a database: its shape, and the top of the tree of its chunks. <c>docs/format.md</c> has the layout.
/// </summary>
public sealed record SnapshotDetails
{
    /// <summary>Chunks of a database are this long, or one page where pages are longer.</summary>
    public const int ChunkBytesMin = 16 << 10;

    public required uint PageSize { get; init; }

    public required uint PageCount { get; init; }

    /// <summary>The XOR of the page hashes.</summary>
    public required ulong Checksum { get; init; }

    /// <summary>
    /// Whether the content is an image that was read while writers went on, which is no restore point until the base that follows it in
    /// the log is applied.
    /// </summary>
    public required bool IsImage { get; init; }

    /// <summary>The top of the tree of chunks.</summary>
    public required ChunkNode Top { get; init; }

    /// <summary>The length of each chunk but the last.</summary>
    public int ChunkBytes => ChunkBytesOf(PageSize);

    public long SizeBytes => (long)PageCount * PageSize;

    public uint ChunkCount => (uint)((SizeBytes + ChunkBytes - 1) / ChunkBytes);

    /// <summary>The length of a chunk of a database with pages of this size.</summary>
    public static int ChunkBytesOf(uint pageSize) => Math.Max(ChunkBytesMin, (int)pageSize);

    /// <summary>The length of a chunk: only the last may be shorter.</summary>
    public uint LengthOf(uint chunk) => (uint)Math.Min(ChunkBytes, SizeBytes - ((long)chunk * ChunkBytes));

    internal ReadOnlyMemory<byte> ToBytes()
    {
        var writer = new FieldWriter();
        writer.U32(PageSize);
        writer.U32(PageCount);
        writer.U64(Checksum);
        writer.U8(IsImage ? (byte)1 : (byte)0);
        Top.Write(writer);
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
            Top = ChunkNode.Read(key, ref reader),
        };
        reader.ExpectEnd();
        details.Check(key);
        return details;
    }

    /// <summary>
    /// The tree of a database has one shape for each size: chunks of equal length in full leaves. So a page is found by arithmetic, and
    /// unchanged parts of two snapshots are the same nodes.
    /// </summary>
    /// <param name="key">The object that a message names.</param>
    /// <param name="start">The first byte of the database that the leaf covers.</param>
    /// <param name="leaf">A leaf of this tree.</param>
    internal void ExpectShape(string key, ulong start, ChunkNode leaf)
    {
        var first = (uint)(start / (uint)ChunkBytes);
        if (start % ((ulong)ChunkNode.EntriesMax * (uint)ChunkBytes) != 0
            || leaf.Entries.Count != Math.Min(ChunkNode.EntriesMax, ChunkCount - first))
        {
            throw new DamagedObjectException(key, $"a leaf of its tree covers {leaf.Entries.Count} chunks from byte {start} on");
        }

        for (var i = 0; i < leaf.Entries.Count; i++)
        {
            if (leaf.Entries[i].Length != LengthOf(first + (uint)i))
            {
                throw new DamagedObjectException(
                    key, $"its chunk {first + (uint)i} has {leaf.Entries[i].Length} bytes in place of {LengthOf(first + (uint)i)}");
            }
        }

        if ((ulong)leaf.PageHashes.Length * PageSize != leaf.Length)
        {
            throw new DamagedObjectException(key, $"a leaf of its tree has {leaf.PageHashes.Length} page hashes for {leaf.Length} bytes");
        }
    }

    void Check(string key)
    {
        if (!DatabasePages.IsPageSize(PageSize))
        {
            throw new DamagedObjectException(key, $"{PageSize} is not a page size");
        }

        if (Top.Length != (ulong)SizeBytes)
        {
            throw new DamagedObjectException(key, $"its tree covers {Top.Length} bytes, and its database has {SizeBytes}");
        }

        if (Top.Level == 0)
        {
            ExpectShape(key, 0, Top);
        }
    }
}
