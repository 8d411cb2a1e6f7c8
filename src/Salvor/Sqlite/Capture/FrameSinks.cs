using Salvor.Sqlite.Wal;
using Salvor.Vault;

namespace Salvor.Sqlite.Capture;

/// <summary>What a sink asks of the log while it takes frames: at a commit, everything up to that commit is captured.</summary>
interface ICapturedLog
{
    /// <summary>Where the captured part ends.</summary>
    WalCursor Cursor { get; }

    /// <summary>The content that a reader at the captured position finds in these pages.</summary>
    void ReadPages(IReadOnlySet<uint> pages, Action<uint, ReadOnlySpan<byte>> found);
}

/// <summary>While the database file is being scanned: keeps the latest version of each page that the log has.</summary>
sealed class OverlaySink(PageHasher hasher, PageSpool spool) : IFrameSink
{
    /// <summary>The size after the last commit, in pages; 0 before the first.</summary>
    public uint PageCount { get; private set; }

    public void AddPage(uint page, ReadOnlySpan<byte> content) => spool.Set(page, hasher.Hash(page, content), content);

    public void AddCommit(uint pageCount) => PageCount = pageCount;
}

/// <summary>
/// In normal operation: collects transactions into change-sets, keeps the table of page hashes at the last captured commit, and seals a
/// change-set when the batch is due or large.
/// </summary>
sealed class LiveSink(
    PageTable table, PageHasher hasher, uint pageSize, int partBytes, OrderedClock clock, ICapturedLog capture,
    Func<LogKind, ulong, ChangeSetBuilder> begin, Action<ChangeSetBuilder> seal) : IFrameSink
{
    ChangeSetBuilder? builder;
    bool inTransaction;

    /// <summary>The transactions that wait to be sealed.</summary>
    public int WaitingCommits => builder?.Commits.Count ?? 0;

    /// <summary>Whether the table is at the end of a transaction.</summary>
    public bool IsAtCommit => !inTransaction;

    /// <summary>When the first of them was seen.</summary>
    public long OldestMicros => builder is { Commits.Count: > 0 } waiting ? waiting.Commits[0].RawTimeMicros : 0;

    public void AddPage(uint page, ReadOnlySpan<byte> content)
    {
        inTransaction = true;
        var hash = hasher.Hash(page, content);
        Builder().AddPage(page, hash, content);
        table.Set(page, hash);
        if (Builder().ContentBytes >= partBytes)
        {
            CutOpenTransaction();
        }
    }

    public void AddCommit(uint pageCount)
    {
        FillGrowth(pageCount);
        table.Resize(pageCount);
        var (raw, ordered) = clock.Next();
        var current = Builder();
        current.AddCommit(raw, ordered, pageCount, table.Checksum);
        current.Cursor = capture.Cursor;
        inTransaction = false;
        if (current.ContentBytes >= partBytes / 2)
        {
            Seal();
        }
    }

    /// <summary>Hands the waiting transactions to the publisher.</summary>
    public void Seal()
    {
        if (builder is { Commits.Count: > 0 } full)
        {
            // Pages of a transaction that has not ended yet stay behind: they belong to the next change-set.
            builder = inTransaction ? full.SplitOpen(begin(LogKind.Commits, full.Commits[^1].Checksum)) : null;
            seal(full);
        }
    }

    ChangeSetBuilder Builder() => builder ??= begin(LogKind.Commits, table.Checksum);

    /// <summary>A transaction too large for one object becomes parts that count only together with the last one.</summary>
    void CutOpenTransaction()
    {
        Seal();
        if (builder is { } part && part.ContentBytes >= partBytes)
        {
            part.Final = false;
            builder = begin(LogKind.Commits, part.ChecksumBefore);
            seal(part);
        }
    }

    /// <summary>
    /// A database can grow by pages that were never written, neither to the log nor to the file: free pages of the same transaction. They
    /// are stored as a reader would see them, so that a restored file is the same to the byte.
    /// </summary>
    void FillGrowth(uint pageCount)
    {
        HashSet<uint>? absent = null;
        for (var page = table.PageCountBefore + 1; page <= pageCount; page++)
        {
            if (table[page] == 0 && page != DatabasePages.LockBytePage(pageSize))
            {
                (absent ??= []).Add(page);
            }
        }

        if (absent is not null)
        {
            capture.ReadPages(absent, (page, content) =>
            {
                var hash = hasher.Hash(page, content);
                Builder().AddPage(page, hash, content);
                table.Set(page, hash);
                if (Builder().ContentBytes >= partBytes)
                {
                    CutOpenTransaction();
                }
            });
        }
    }
}
