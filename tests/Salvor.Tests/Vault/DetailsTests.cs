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
        Packs = [Hash256.Of([1]), Hash256.Of([2])],
        Runs = [new(0, 1), new(7, 0)],
        ListPacks = [Hash256.Of([3])],
        Lists = [Hash256.Of([4])],
    };

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
        { "it has 1 chunk lists for 257 chunks", Snapshot with { PageCount = (256 * 32) + 1 } },
        { "it has 1 chunk lists for 134217728 chunks", Snapshot with { PageCount = uint.MaxValue } },
        { "it has 1 chunk lists for 0 chunks", Snapshot with { PageCount = 0 } },
        { "it does not say where its chunks are", Snapshot with { Runs = [] } },
        { "its runs of chunks are out of order", Snapshot with { Runs = [new(1, 0)] } },
        { "its runs of chunks are out of order", Snapshot with { Runs = [new(0, 0), new(0, 1)] } },
        { "its runs of chunks are out of order", Snapshot with { Runs = [new(0, 0), new(32, 1)] } },
        { "its runs of chunks are out of order", Snapshot with { Runs = [new(0, 2)] } },
    };

    [Theory]
    [MemberData(nameof(BadSnapshots))]
    public void A_root_that_contradicts_itself_is_refused(string expected, object details) =>
        AssertDamaged(expected, ((SnapshotDetails)details).ToBytes(), bytes => SnapshotDetails.Read("key", bytes.Span));

    [Fact]
    public void An_empty_database_has_no_chunks()
    {
        var empty = Snapshot with { PageCount = 0, Runs = [], Lists = [] };

        Assert.Equivalent(empty, SnapshotDetails.Read("key", empty.ToBytes().Span), strict: true);
    }

    [Fact]
    public void A_chunk_list_is_read_as_it_was_written()
    {
        var list = new ChunkList([Hash256.Of([1]), Hash256.Of([2])], [3, 4, 5]);

        Assert.Equivalent(list, ChunkList.Read("key", list.ToBytes()), strict: true);
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
        byte[] bytes = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];

        AssertDamaged("a list claims 4294967295 items and holds room for 0", bytes, item => ChunkList.Read("key", item.Span));
    }

    static void AssertDamaged(string expected, ReadOnlyMemory<byte> bytes, Action<ReadOnlyMemory<byte>> read) =>
        Assert.Equal($"object key is damaged: {expected}", Assert.Throws<DamagedObjectException>(() => read(bytes)).Message);
}
