using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>What a node of a chunk tree says about one chunk, or about one node below it.</summary>
/// <param name="Name">The hash of the content of the chunk or node.</param>
/// <param name="Length">How many bytes of the source it covers; at least 1.</param>
/// <param name="Pack">
/// The pack that held it when the node was written. A hint: it may have moved since, see <see cref="PackMoves"/>.
/// </param>
public readonly record struct ChunkEntry(Hash256 Name, ulong Length, Hash256 Pack);

/// <summary>
/// A node of a chunk tree. A leaf (level 0) lists consecutive chunks, a node above it consecutive nodes of the level below. A node is
/// stored as a chunk and named by its content, so snapshots share what did not change. <c>docs/format.md</c> has the layout.
/// </summary>
public sealed record ChunkNode
{
    /// <summary>How many entries a full node has.</summary>
    public const int EntriesMax = 256;

    /// <summary>A chunk lies in one frame.</summary>
    public const int ChunkBytesMax = SealedFrame.ContentBytesMax;

    /// <summary>256 to the power of this, times the longest chunk, is more than 64 bits can count.</summary>
    const int LevelMax = 5;

    const int LeafEntryBytes = Hash256.SizeBytes + 4 + 2;
    const int InnerEntryBytes = Hash256.SizeBytes + 8 + 2;

    /// <summary>The tree of no content.</summary>
    public static readonly ChunkNode Empty = new() { Level = 0, Entries = [], PageHashes = [] };

    /// <summary>0 for a leaf.</summary>
    public required int Level { get; init; }

    /// <summary>In the order of the content; at most <see cref="EntriesMax"/>.</summary>
    public required IReadOnlyList<ChunkEntry> Entries
    {
        get;
        init
        {
            field = value;
            Length = 0;
            for (var i = 0; i < value.Count; i++)
            {
                Length += value[i].Length;
            }
        }
    }

    /// <summary>In a leaf of a source that has pages: the hash of each page in it. Else empty.</summary>
    public required ulong[] PageHashes { get; init; }

    /// <summary>How many bytes of the source the node covers. Counted once: whoever walks a tree asks at each chunk.</summary>
    public ulong Length { get; private init; }

    internal void Write(FieldWriter writer)
    {
        var packs = Entries.Select(entry => entry.Pack).Distinct().ToList();
        var indexes = packs.Index().ToDictionary(item => item.Item, item => (ushort)item.Index);
        writer.U8((byte)Level);
        writer.Hashes(packs);
        writer.U32((uint)Entries.Count);
        foreach (var entry in Entries)
        {
            writer.Hash(entry.Name);
            if (Level == 0)
            {
                writer.U32((uint)entry.Length);
            }
            else
            {
                writer.U64(entry.Length);
            }

            writer.U16(indexes[entry.Pack]);
        }

        if (Level == 0)
        {
            writer.U32((uint)PageHashes.Length);
            foreach (var hash in PageHashes)
            {
                writer.U64(hash);
            }
        }
    }

    internal byte[] ToBytes()
    {
        var writer = new FieldWriter();
        Write(writer);
        return writer.Written.ToArray();
    }

    /// <summary>Reads a node that is stored as a chunk.</summary>
    internal static ChunkNode Read(string key, ReadOnlySpan<byte> bytes)
    {
        var reader = new FieldReader(key, bytes);
        var node = Read(key, ref reader);
        reader.ExpectEnd();
        return node;
    }

    /// <summary>Reads a node that is part of something else.</summary>
    internal static ChunkNode Read(string key, ref FieldReader reader)
    {
        var level = reader.U8();
        if (level > LevelMax)
        {
            throw new DamagedObjectException(key, $"it has a node of level {level}, and no tree is that high");
        }

        var packs = reader.Hashes();
        var count = reader.Count(level == 0 ? LeafEntryBytes : InnerEntryBytes);
        if (count > EntriesMax)
        {
            throw new DamagedObjectException(key, $"it has a node of {count} entries");
        }

        var entries = new ChunkEntry[count];
        var total = 0UL;
        for (var i = 0; i < count; i++)
        {
            var name = reader.Hash();
            var length = level == 0 ? reader.U32() : reader.U64();
            var pack = reader.U16();
            if (length == 0 || (level == 0 && length > ChunkBytesMax) || total + length < total || pack >= packs.Length)
            {
                throw new DamagedObjectException(key, $"entry {i} of its node has an impossible length or pack");
            }

            total += length;
            entries[i] = new ChunkEntry(name, length, packs[pack]);
        }

        var hashes = new ulong[level == 0 ? reader.Count(sizeof(ulong)) : 0];
        for (var i = 0; i < hashes.Length; i++)
        {
            hashes[i] = reader.U64();
        }

        return new ChunkNode { Level = level, Entries = entries, PageHashes = hashes };
    }
}
