using Salvor.Vault;

namespace Salvor.Sqlite.Capture;

/// <summary>
/// The difference between the last captured state and a later one, as one change-set that may be larger than memory: its pages wait in
/// spools. Owns the spools.
/// </summary>
sealed class Resync : IDisposable
{
    readonly uint pageSize;
    readonly IReadOnlyList<PageSpool> spools;
    readonly List<(uint Page, ulong Hash, PageSpool? Spool, int Slot)> pages;

    Resync(uint pageSize, IReadOnlyList<PageSpool> spools, List<(uint Page, ulong Hash, PageSpool? Spool, int Slot)> pages)
    {
        (this.pageSize, this.spools, this.pages) = (pageSize, spools, pages);
    }

    /// <summary>Makes an empty part.</summary>
    public required Func<ulong, ChangeSetBuilder> Begin { get; init; }

    public required ulong ChecksumBefore { get; init; }

    public required CommitEntry Commit { get; init; }

    public required WalCursor Cursor { get; init; }

    /// <summary>How many pages differ.</summary>
    public int PageCount => pages.Count;

    /// <summary>
    /// Compares and applies: the table becomes that of the new state. Later spools replace earlier ones; pages that the database has and
    /// that are in no spool and not in the table are zeros.
    /// </summary>
    /// <param name="filePages">How many pages the database file had when it was scanned.</param>
    public static Resync Make(
        PageTable table, PageHasher hasher, uint pageSize, uint pageCount, uint filePages, WalCursor cursor,
        (long RawMicros, long OrderedMicros) time, Func<ulong, ChangeSetBuilder> begin, params IReadOnlyList<PageSpool> spools)
    {
        var before = table.Checksum;
        var unchanged = table.PageCount == pageCount;
        table.Resize(pageCount);
        var latest = new SortedDictionary<uint, (ulong Hash, PageSpool? Spool, int Slot)>();
        var zeros = new byte[pageSize];
        for (var page = filePages + 1; page <= pageCount; page++)
        {
            latest[page] = (hasher.Hash(page, zeros), null, 0);
        }

        foreach (var spool in spools)
        {
            foreach (var (page, (slot, hash)) in spool.Pages)
            {
                latest[page] = (hash, spool, slot);
            }
        }

        var lockPage = DatabasePages.LockBytePage(pageSize);
        var pages = new List<(uint, ulong, PageSpool?, int)>();
        foreach (var (page, (hash, spool, slot)) in latest)
        {
            if (page <= pageCount && page != lockPage && table[page] != hash)
            {
                table.Set(page, hash);
                pages.Add((page, hash, spool, slot));
            }
        }

        return new Resync(pageSize, spools, pages)
        {
            Begin = begin,
            IsEmpty = unchanged && pages.Count == 0,
            ChecksumBefore = before,
            Commit = new CommitEntry(time.RawMicros, time.OrderedMicros, pageCount, table.Checksum, 0),
            Cursor = cursor,
        };
    }

    /// <summary>Whether nothing differs.</summary>
    public bool IsEmpty { get; private init; }

    /// <summary>
    /// The parts, each small enough for one object, made while they are taken. The caller disposes each.
    /// </summary>
    public IEnumerable<ChangeSetBuilder> Parts(int partBytes)
    {
        var part = Begin(ChecksumBefore);
        var content = new byte[pageSize];
        foreach (var (page, hash, spool, slot) in pages)
        {
            if (part.ContentBytes >= partBytes)
            {
                part.Final = false;
                yield return part;
                part = Begin(ChecksumBefore);
            }

            content.AsSpan().Clear();
            spool?.Read(slot, content);
            part.AddPage(page, hash, content);
        }

        part.Cursor = Cursor;
        part.AddCommit(Commit.RawTimeMicros, Commit.TimeMicros, Commit.PageCount, Commit.Checksum);
        yield return part;
    }

    public void Dispose()
    {
        foreach (var spool in spools)
        {
            spool.Dispose();
        }
    }
}
