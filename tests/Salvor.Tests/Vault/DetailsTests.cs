using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Tests.Vault;

public sealed class DetailsTests
{
    static readonly LogDetails Log = new()
    {
        Kind = LogKind.Resync,
        Final = true,
        PageSize = 65536,
        FirstPart = 2,
        ChecksumBefore = 3,
        ChecksumAfter = 4,
        Cursor = new WalCursor(5, 6, 7, 8, 9),
        Inode = 10,
        InodeBirth = -11,
        Reason = "nobody watched, für Stunden",
        Snapshot = Hash256.Of([12]),
        FrameHashes = [Hash256.Of([13]), Hash256.Of([14])],
        Commits = [new(15, 16, 17, 18, 0), new(19, 20, 21, 22, 17)],
        Pages = [.. Enumerable.Range(1, 17).Select(page => new PageEntry((uint)page, (ulong)page))],
    };

    static readonly SnapshotDetails Snapshot = new()
    {
        PageSize = 512,
        PageCount = 1000,
        Checksum = 2,
        IsImage = true,
        Top = Leaf,
    };

    /// <summary>1000 pages of 512 bytes: 31 chunks of 16 KiB and one of 8 pages.</summary>
    static ChunkNode Leaf => new()
    {
        Level = 0,
        Entries = [.. Enumerable.Range(0, 32).Select(i => Entry(i, i < 31 ? 16384UL : 4096))],
        PageHashes = [.. Enumerable.Range(1, 1000).Select(page => (ulong)page)],
    };

    static ChunkEntry Entry(int i, ulong length) => new(Hash256.Of([(byte)i]), length, Hash256.Of([(byte)(i % 2), 1]));

    [Fact]
    public void The_details_of_a_log_object_are_read_as_they_were_written()
    {
        var bytes = Log.ToBytes();

        Assert.Equivalent(Log, LogDetails.Read("key", bytes.Span), strict: true);
        Assert.Equal(bytes.ToArray(), LogDetails.Read("key", bytes.Span).ToBytes().ToArray());
    }

    [Fact]
    public void The_details_of_a_part_have_no_commits()
    {
        var part = Log with { Final = false, Commits = [] };

        Assert.Equivalent(part, LogDetails.Read("key", part.ToBytes().Span), strict: true);
    }

    public static TheoryData<string, object> BadLogs => new()
    {
        { "it has the unknown log kind 0", Log with { Kind = 0 } },
        { "it has the unknown log kind 6", Log with { Kind = (LogKind)6 } },
        { "it is a fence, and holds more than that", Log with { Kind = LogKind.Fence } },
        { "it is a fence, and holds more than that", Log with { Kind = LogKind.End, Final = false, Commits = [] } },
        { "1000 is not a page size", Log with { PageSize = 1000 } },
        { "it has 17 pages in 1 frames", Log with { FrameHashes = [default] } },
        { "it has 17 pages in 3 frames", Log with { FrameHashes = [default, default, default] } },
        { "its commits do not account for its pages", Log with { Commits = [] } },
        { "its commits do not account for its pages", Log with { Final = false } },
        { "its commits do not account for its pages", Log with { Commits = [new(0, 0, 1, 0, 16)] } },
        { "the times of its commits are out of order", Log with { Commits = [new(0, 2, 1, 0, 17), new(0, 1, 1, 0, 0)] } },
        { "the times of its commits are out of order", Log with { Commits = [new(0, long.MaxValue, 1, 0, 17)] } },
        { "the times of its commits are out of order", Log with { Commits = [new(long.MinValue, 0, 1, 0, 17)] } },
        { "it holds page 0, which is never stored", Log with { Pages = [.. Log.Pages.Skip(1), new(0, 0)] } },
        { "it holds page 16385, which is never stored", Log with { Pages = [.. Log.Pages.Skip(1), new(16385, 0)] } },
    };

    [Theory]
    [MemberData(nameof(BadLogs))]
    public void Details_that_contradict_themselves_are_refused(string expected, object details) =>
        AssertDamaged(expected, ((LogDetails)details).ToBytes(), bytes => LogDetails.Read("key", bytes.Span));

    [Fact]
    public void The_details_of_a_snapshot_are_read_as_they_were_written()
    {
        var bytes = Snapshot.ToBytes();

        Assert.Equivalent(Snapshot, SnapshotDetails.Read("key", bytes.Span), strict: true);
        Assert.Equal(bytes.ToArray(), SnapshotDetails.Read("key", bytes.Span).ToBytes().ToArray());
    }

    [Theory]
    [InlineData(512, 1, 1, 512)]
    [InlineData(512, 32, 1, 16384)]
    [InlineData(512, 33, 2, 512)]
    [InlineData(16384, 3, 3, 16384)]
    [InlineData(65536, 3, 3, 65536)]
    public void Chunks_are_16_KiB_or_one_page(uint pageSize, uint pageCount, uint chunks, long lastLength)
    {
        var details = Snapshot with { PageSize = pageSize, PageCount = pageCount };

        Assert.Equal(chunks, details.ChunkCount);
        Assert.Equal(lastLength, details.LengthOf(chunks - 1));
    }

    public static TheoryData<string, object> BadSnapshots => new()
    {
        { "768 is not a page size", Snapshot with { PageSize = 768 } },
        { "its tree covers 512000 bytes, and its database has 512512", Snapshot with { PageCount = 1001 } },
        { "its tree covers 512000 bytes, and its database has 2199023255040", Snapshot with { PageCount = uint.MaxValue } },
        { "its tree covers 512000 bytes, and its database has 0", Snapshot with { PageCount = 0 } },
        { "a leaf of its tree covers 32 chunks from byte 0 on", Snapshot with { PageSize = 32768, Top = Resized(32768 * 1000) } },
        { "its chunk 0 has 8192 bytes in place of 16384", Snapshot with { Top = Swapped(0, 8192, 1, 24576) } },
        { "a leaf of its tree has 999 page hashes for 512000 bytes", Snapshot with { Top = Leaf with { PageHashes = new ulong[999] } } },
        { "it has a node of level 6, and no tree is that high", Snapshot with { Top = Leaf with { Level = 6, PageHashes = [] } } },
        { "it has a node of 257 entries", Snapshot with { Top = Leaf with { Entries = [.. new ChunkEntry[257]] } } },
        { "entry 3 of its node has an impossible length or pack", Snapshot with { Top = Swapped(3, 0, 4, 1) } },
        { "entry 3 of its node has an impossible length or pack", Snapshot with { Top = Swapped(3, (1 << 20) + 1, 4, 1) } },
        {
            "entry 3 of its node has an impossible length or pack",
            Snapshot with { Top = Swapped(3, ulong.MaxValue - 1, 4, 2) with { Level = 1, PageHashes = [] } }
        },
    };

    [Theory]
    [MemberData(nameof(BadSnapshots))]
    public void A_root_that_contradicts_itself_is_refused(string expected, object details) =>
        AssertDamaged(expected, ((SnapshotDetails)details).ToBytes(), bytes => SnapshotDetails.Read("key", bytes.Span));

    [Fact]
    public void An_empty_database_has_no_chunks()
    {
        var empty = Snapshot with { PageCount = 0, Top = ChunkNode.Empty };

        Assert.Equivalent(empty, SnapshotDetails.Read("key", empty.ToBytes().Span), strict: true);
    }

    [Fact]
    public void A_node_is_read_as_it_was_written()
    {
        var inner = new ChunkNode { Level = 2, Entries = [Entry(1, 1UL << 40), Entry(2, 1), Entry(3, 7)], PageHashes = [] };
        var stream = new ChunkNode { Level = 0, Entries = [Entry(1, 17), Entry(2, 1 << 20)], PageHashes = [] };

        foreach (var node in (ChunkNode[])[Leaf, inner, stream, ChunkNode.Empty])
        {
            Assert.Equivalent(node, ChunkNode.Read("key", node.ToBytes()), strict: true);
        }

        Assert.Equal((1UL << 40) + 8, inner.Length);
    }

    [Fact]
    public void Details_cut_anywhere_are_refused()
    {
        foreach (var bytes in (ReadOnlyMemory<byte>[])[Log.ToBytes(), Snapshot.ToBytes()])
        {
            for (var length = 0; length < bytes.Length; length++)
            {
                var cut = bytes[..length];
                Assert.Throws<DamagedObjectException>(() => LogDetails.Read("key", cut.Span));
                Assert.Throws<DamagedObjectException>(() => SnapshotDetails.Read("key", cut.Span));
            }
        }
    }

    [Fact]
    public void A_list_that_claims_more_than_there_is_room_for_is_refused_before_anything_is_allocated()
    {
        byte[] packs = [0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
        byte[] entries = [0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
        byte[] hashes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];

        foreach (var bytes in (byte[][])[packs, entries, hashes])
        {
            AssertDamaged("a list claims 4294967295 items and holds room for 0", bytes, item => ChunkNode.Read("key", item.Span));
        }
    }

    [Fact]
    public Task A_node_of_any_bytes_is_read_or_refused() => Seeds.ForEachAsync(300, seed =>
    {
        var random = new Random(seed);
        var inner = new ChunkNode { Level = 1, Entries = [.. Leaf.Entries.Take(random.Next(1, 9))], PageHashes = [] };
        var bytes = (random.Next(2) == 0 ? inner : Leaf).ToBytes();
        for (var i = random.Next(1, 6); i > 0; i--)
        {
            bytes[random.Next(random.Next(2) == 0 ? 16 : bytes.Length)] = (byte)random.Next(256);
        }

        try
        {
            var node = ChunkNode.Read("key", bytes.AsSpan(0, random.Next(3) == 0 ? random.Next(bytes.Length) : bytes.Length));
            Assert.InRange(node.Entries.Count, 0, ChunkNode.EntriesMax);
            Assert.Equal(node.Length, node.Entries.Aggregate(0UL, (sum, entry) => checked(sum + entry.Length)));
        }
        catch (DamagedObjectException e)
        {
            Assert.Equal("key", e.Key);
        }

        return Task.CompletedTask;
    });

    static ChunkNode Resized(ulong length) => Leaf with
    {
        Level = 0, Entries = [.. Enumerable.Range(0, 32).Select(i => Entry(i, length / 32))],
    };

    static ChunkNode Swapped(int first, ulong firstLength, int second, ulong secondLength)
    {
        var entries = Leaf.Entries.ToArray();
        entries[first] = entries[first] with { Length = firstLength };
        entries[second] = entries[second] with { Length = secondLength };
        return Leaf with { Entries = entries };
    }

    static void AssertDamaged(string expected, ReadOnlyMemory<byte> bytes, Action<ReadOnlyMemory<byte>> read) =>
        Assert.Equal($"object key is damaged: {expected}", Assert.Throws<DamagedObjectException>(() => read(bytes)).Message);
}
