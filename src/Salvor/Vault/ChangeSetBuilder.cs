using System.Buffers;
using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>
/// Transactions that are being collected into one log object. Pages go straight into frames of up to 1 MiB; buffers are rented and grow,
/// so that thousands of databases with a few pages each stay small. Not thread-safe; <see cref="Dispose"/> returns the buffers.
/// </summary>
public sealed class ChangeSetBuilder(LogKind kind, uint pageSize, ulong checksumBefore) : IDisposable
{
    readonly int frameBytesMax = SealedFrame.ContentBytesMax / (int)pageSize * (int)pageSize;
    readonly List<(byte[] Buffer, int Length)> frames = [];
    readonly List<CommitEntry> commits = [];
    readonly List<PageEntry> pages = [];
    int pagesCommitted;

    public LogKind Kind { get; } = kind;

    public uint PageSize { get; } = pageSize;

    public ulong ChecksumBefore { get; } = checksumBefore;

    /// <summary>False for a part of a transaction that a later change-set ends.</summary>
    public bool Final { get; set; } = true;

    public WalCursor Cursor { get; set; }

    public ulong Inode { get; init; }

    public long InodeBirth { get; init; }

    public string Reason { get; init; } = "";

    public Hash256 Snapshot { get; init; }

    public IReadOnlyList<CommitEntry> Commits => commits;

    public IReadOnlyList<PageEntry> Pages => pages;

    public long ContentBytes => (long)pages.Count * PageSize;

    public bool IsEmpty => commits.Count == 0 && pages.Count == 0;

    internal int FrameCount => frames.Count;

    public void AddPage(uint number, ulong hash, ReadOnlySpan<byte> content)
    {
        Invariant.Check(content.Length == PageSize && number != DatabasePages.LockBytePage(PageSize));
        pages.Add(new PageEntry(number, hash));
        if (frames.Count == 0 || frames[^1].Length == frameBytesMax)
        {
            frames.Add((ArrayPool<byte>.Shared.Rent(Math.Max(4 * (int)PageSize, 16 << 10)), 0));
        }

        var (buffer, length) = frames[^1];
        if (length + content.Length > buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Min(2 * buffer.Length, frameBytesMax));
            buffer.AsSpan(0, length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(buffer);
            buffer = larger;
        }

        content.CopyTo(buffer.AsSpan(length));
        frames[^1] = (buffer, length + content.Length);
    }

    /// <summary>Ends a transaction: the pages added since the last one are its pages.</summary>
    public void AddCommit(long rawTimeMicros, long timeMicros, uint pageCount, ulong checksum)
    {
        commits.Add(new CommitEntry(rawTimeMicros, timeMicros, pageCount, checksum, (uint)(pages.Count - pagesCommitted)));
        pagesCommitted = pages.Count;
    }

    /// <summary>Moves the pages of the transaction that has not ended yet to another change-set, and returns that.</summary>
    public ChangeSetBuilder SplitOpen(ChangeSetBuilder next)
    {
        for (var i = pagesCommitted; i < pages.Count; i++)
        {
            var (buffer, _) = frames[(int)((long)i * PageSize / frameBytesMax)];
            var content = buffer.AsSpan((int)((long)i * PageSize % frameBytesMax), (int)PageSize);
            next.AddPage(pages[i].Number, pages[i].Hash, content);
        }

        pages.RemoveRange(pagesCommitted, pages.Count - pagesCommitted);
        var bytes = (long)pagesCommitted * PageSize;
        while (frames.Count > 0 && (frames.Count - 1L) * frameBytesMax >= bytes)
        {
            ArrayPool<byte>.Shared.Return(frames[^1].Buffer);
            frames.RemoveAt(frames.Count - 1);
        }

        if (frames.Count > 0)
        {
            frames[^1] = (frames[^1].Buffer, (int)(bytes - ((frames.Count - 1L) * frameBytesMax)));
        }

        return next;
    }

    internal ReadOnlySpan<byte> FrameContent(int index) => frames[index].Buffer.AsSpan(0, frames[index].Length);

    public void Dispose()
    {
        foreach (var (buffer, _) in frames)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        frames.Clear();
    }
}
