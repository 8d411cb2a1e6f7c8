using Salvor.Vault;

namespace Salvor.Tests.Vault;

public sealed class ChangeSetBuilderTests
{
    public static TheoryData<uint> PageSizes => [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];

    [Theory]
    [MemberData(nameof(PageSizes))]
    public void Pages_fill_frames_of_a_mebibyte(uint pageSize)
    {
        var pagesPerFrame = (1 << 20) / (int)pageSize;
        using var builder = Build(pageSize, pagesPerFrame + 1);

        Assert.Equal(2, builder.FrameCount);
        Assert.Equal(1 << 20, builder.FrameContent(0).Length);
        Assert.Equal(Page(pageSize, 1), builder.FrameContent(0)[..(int)pageSize].ToArray());
        Assert.Equal(Page(pageSize, (uint)pagesPerFrame), builder.FrameContent(0)[^(int)pageSize..].ToArray());
        Assert.Equal(Page(pageSize, (uint)pagesPerFrame + 1), builder.FrameContent(1).ToArray());
        Assert.Equal((pagesPerFrame + 1L) * pageSize, builder.ContentBytes);
    }

    [Fact]
    public void A_commit_counts_the_pages_since_the_last_one()
    {
        using var builder = Build(512, 3);
        builder.AddCommit(10, 11, 3, 12);
        Add(builder, 1);
        builder.AddCommit(20, 21, 3, 22);
        builder.AddCommit(30, 31, 2, 32);

        Assert.Equal([new(10, 11, 3, 12, 3), new(20, 21, 3, 22, 1), new CommitEntry(30, 31, 2, 32, 0)], builder.Commits);
    }

    /// <summary>Around the ends of frames is where a split can go wrong.</summary>
    [Theory]
    [InlineData(512, 0, 1)]
    [InlineData(512, 1, 0)]
    [InlineData(512, 2047, 2)]
    [InlineData(512, 2048, 1)]
    [InlineData(512, 2049, 4096)]
    [InlineData(4096, 3, 700)]
    [InlineData(65536, 16, 16)]
    [InlineData(65536, 15, 2)]
    [InlineData(65536, 17, 40)]
    public void A_split_moves_the_open_transaction_and_nothing_else(uint pageSize, int committed, int open)
    {
        using var builder = Build(pageSize, committed);
        builder.AddCommit(1, 2, 3, 4);
        for (var page = 1; page <= open; page++)
        {
            Add(builder, (uint)(committed + page));
        }

        using var next = builder.SplitOpen(new ChangeSetBuilder(LogKind.Commits, pageSize, checksumBefore: 4));

        Assert.Equal(Enumerable.Range(1, committed).Select(page => (uint)page), builder.Pages.Select(page => page.Number));
        Assert.Equal(Enumerable.Range(committed + 1, open).Select(page => (uint)page), next.Pages.Select(page => page.Number));
        AssertContent(builder);
        AssertContent(next);
        Assert.Empty(next.Commits);

        // Both go on as if nothing had happened.
        Add(builder, 9999);
        Add(next, 9998);
        next.AddCommit(5, 6, 7, 8);
        AssertContent(builder);
        AssertContent(next);
        Assert.Equal((uint)open + 1, next.Commits.Single().Pages);
    }

    [Theory]
    [MemberData(nameof(PageSizes))]
    public void The_lock_byte_page_is_never_stored(uint pageSize)
    {
        using var builder = new ChangeSetBuilder(LogKind.Commits, pageSize, 0);
        var lockPage = DatabasePages.LockBytePage(pageSize);

        Assert.Equal(0x40000000L, (lockPage - 1L) * pageSize);
        Assert.Throws<InvalidOperationException>(() => Add(builder, lockPage));
        Add(builder, lockPage - 1);
        Add(builder, lockPage + 1);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(256, false)]
    [InlineData(512, true)]
    [InlineData(513, false)]
    [InlineData(65536, true)]
    [InlineData(131072, false)]
    public void Page_sizes_are_powers_of_two(uint size, bool expected) => Assert.Equal(expected, DatabasePages.IsPageSize(size));

    static ChangeSetBuilder Build(uint pageSize, int pages)
    {
        var builder = new ChangeSetBuilder(LogKind.Commits, pageSize, checksumBefore: 0);
        for (var page = 1u; page <= pages; page++)
        {
            Add(builder, page);
        }

        return builder;
    }

    static void Add(ChangeSetBuilder builder, uint page) => builder.AddPage(page, hash: page * 3UL, Page(builder.PageSize, page));

    static byte[] Page(uint size, uint page)
    {
        var content = new byte[size];
        BitConverter.TryWriteBytes(content, page);
        content[^1] = (byte)page;
        return content;
    }

    static void AssertContent(ChangeSetBuilder builder)
    {
        var content = Enumerable.Range(0, builder.FrameCount).SelectMany(frame => builder.FrameContent(frame).ToArray()).ToArray();
        Assert.Equal(content.Length, builder.ContentBytes);
        Assert.Equal((content.Length + (1 << 20) - 1) >> 20, builder.FrameCount);
        foreach (var (index, page) in builder.Pages.Index())
        {
            Assert.Equal(page.Number * 3UL, page.Hash);
            Assert.Equal(page.Number, BitConverter.ToUInt32(content, index * (int)builder.PageSize));
            Assert.Equal((byte)page.Number, content[((index + 1) * (int)builder.PageSize) - 1]);
        }
    }
}
