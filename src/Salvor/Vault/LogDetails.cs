using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>Why a log object exists. The value is part of the format.</summary>
public enum LogKind : byte
{
    /// <summary>Transactions, each its own restore point, with nothing missing between them and what came before.</summary>
    Commits = 1,

    /// <summary>Completes the image of a snapshot to the first restore point of a branch.</summary>
    Base = 2,

    /// <summary>
    /// The difference between the last captured state and a later one: what was committed in between cannot be told apart.
    /// </summary>
    Resync = 3,

    /// <summary>Nothing but a number that writers before this epoch can no longer take: see <see cref="Fences"/>.</summary>
    Fence = 4,

    /// <summary>A fence after which nothing follows: the history goes on in another branch.</summary>
    End = 5,
}

/// <summary>Where in the write-ahead log a change-set ends, so that a later start can prove that nothing is missing.</summary>
/// <param name="Salt1">The generation of the log, first half.</param>
/// <param name="Salt2">The generation of the log, second half.</param>
/// <param name="Frame">The last captured frame, from 1; 0 where none of this generation was.</param>
/// <param name="Checksum1">The cumulative checksum at that frame, first half.</param>
/// <param name="Checksum2">The cumulative checksum at that frame, second half.</param>
public readonly record struct WalCursor(uint Salt1, uint Salt2, uint Frame, uint Checksum1, uint Checksum2);

/// <summary>One transaction: a restore point.</summary>
/// <param name="RawTimeMicros">The wall clock when the commit was seen.</param>
/// <param name="TimeMicros">The same, made strictly increasing and free of clock jumps.</param>
/// <param name="PageCount">The size of the database after it, in pages.</param>
/// <param name="Checksum">The whole-database checksum after it.</param>
/// <param name="Pages">How many rows of the page table belong to it.</param>
public readonly record struct CommitEntry(long RawTimeMicros, long TimeMicros, uint PageCount, ulong Checksum, uint Pages);

/// <summary>One stored version of a page.</summary>
public readonly record struct PageEntry(uint Number, ulong Hash);

/// <summary>How far apart the restore points of a log object are. The value is part of the format.</summary>
public enum Granularity : byte
{
    /// <summary>Every commit is there.</summary>
    Commits = 0,

    /// <summary>What was dropped lies in the same minute as the point after it, in UTC; and so on.</summary>
    Minutes = 1,

    Hours = 2,
    Days = 3,

    /// <summary>More than a day.</summary>
    Longer = 4,
}

/// <summary>A commit of a compacted object before which transactions cannot be told apart: it was, or contains, a resync.</summary>
/// <param name="Commit">The index of the commit; never the first, whose kind is that of the object.</param>
/// <param name="Reason">For people: why.</param>
public readonly record struct LogBreak(uint Commit, string Reason);

/// <summary>An earlier part of a compacted object: the number in its key, and the hash of its details.</summary>
public readonly record struct LogPart(uint Number, Hash256 DetailsHash);

/// <summary>What a log object says about itself; its last frame. <c>docs/format.md</c> has the layout.</summary>
public sealed record LogDetails
{
    const int CommitBytes = 32;
    const int PageBytes = 12;
    const int BreakBytes = 6;
    const int PartBytes = 4 + Hash256.SizeBytes;

    public required LogKind Kind { get; init; }

    /// <summary>Whether this is the last, or only, part of its change-set. Parts without a last one are leftovers.</summary>
    public required bool Final { get; init; }

    public required uint PageSize { get; init; }

    /// <summary>The number of the change-set's first part; the object's own number where it is the only one.</summary>
    public required ulong FirstPart { get; init; }

    public required ulong ChecksumBefore { get; init; }

    public required ulong ChecksumAfter { get; init; }

    public required WalCursor Cursor { get; init; }

    /// <summary>The inode of the database file.</summary>
    public required ulong Inode { get; init; }

    /// <summary>When that inode was made, in nanoseconds since 1970; 0 where the file system does not say.</summary>
    public required long InodeBirth { get; init; }

    /// <summary>For people: why a resync or a new branch was needed. Empty for commits.</summary>
    public required string Reason { get; init; }

    /// <summary>For a base: the hash of the details of the snapshot that it completes.</summary>
    public required Hash256 Snapshot { get; init; }

    /// <summary>SHA-256 of the content of each frame but this.</summary>
    public required IReadOnlyList<Hash256> FrameHashes { get; init; }

    public required IReadOnlyList<CommitEntry> Commits { get; init; }

    /// <summary>Page versions in the order of their commits; a later one replaces an earlier one of the same page.</summary>
    public required IReadOnlyList<PageEntry> Pages { get; init; }

    /// <summary>For a compacted object the first number that it covers; else 0.</summary>
    public ulong FirstNumber { get; init; }

    /// <summary>How far apart the restore points are.</summary>
    public Granularity Granularity { get; init; }

    /// <summary>The positions of the commits, ascending; empty where they are dense, from the first position of the header on.</summary>
    public IReadOnlyList<ulong> Positions { get; init; } = [];

    /// <summary>Where, after the first commit, something is missing between restore points that no ladder dropped.</summary>
    public IReadOnlyList<LogBreak> Breaks { get; init; } = [];

    /// <summary>The earlier parts of a compacted object, in order: their pages come before those of this one.</summary>
    public IReadOnlyList<LogPart> Parts { get; init; } = [];

    /// <summary>Whether this covers several numbers.</summary>
    public bool IsCompacted => FirstNumber != 0;

    /// <summary>How many pages a full frame holds.</summary>
    public int PagesPerFrame => SealedFrame.ContentBytesMax / (int)PageSize;

    internal ReadOnlyMemory<byte> ToBytes()
    {
        var writer = new FieldWriter();
        writer.U8((byte)Kind);
        writer.U8(Final ? (byte)1 : (byte)0);
        writer.U32(PageSize);
        writer.U64(FirstPart);
        writer.U64(ChecksumBefore);
        writer.U64(ChecksumAfter);
        writer.U32(Cursor.Salt1);
        writer.U32(Cursor.Salt2);
        writer.U32(Cursor.Frame);
        writer.U32(Cursor.Checksum1);
        writer.U32(Cursor.Checksum2);
        writer.U64(Inode);
        writer.I64(InodeBirth);
        writer.Text(Reason);
        writer.Hash(Snapshot);
        writer.Hashes(FrameHashes);
        writer.U32((uint)Commits.Count);
        foreach (var commit in Commits)
        {
            writer.I64(commit.RawTimeMicros);
            writer.I64(commit.TimeMicros);
            writer.U32(commit.PageCount);
            writer.U64(commit.Checksum);
            writer.U32(commit.Pages);
        }

        writer.U32((uint)Pages.Count);
        foreach (var page in Pages)
        {
            writer.U32(page.Number);
            writer.U64(page.Hash);
        }

        writer.U64(FirstNumber);
        writer.U8((byte)Granularity);
        writer.U32((uint)Positions.Count);
        foreach (var position in Positions)
        {
            writer.U64(position);
        }

        writer.U32((uint)Breaks.Count);
        foreach (var item in Breaks)
        {
            writer.U32(item.Commit);
            writer.Text(item.Reason);
        }

        writer.U32((uint)Parts.Count);
        foreach (var part in Parts)
        {
            writer.U32(part.Number);
            writer.Hash(part.DetailsHash);
        }

        return writer.Written;
    }

    internal static LogDetails Read(string key, ReadOnlySpan<byte> bytes)
    {
        var reader = new FieldReader(key, bytes);
        var details = new LogDetails
        {
            Kind = (LogKind)reader.U8(),
            Final = reader.U8() != 0,
            PageSize = reader.U32(),
            FirstPart = reader.U64(),
            ChecksumBefore = reader.U64(),
            ChecksumAfter = reader.U64(),
            Cursor = new WalCursor(reader.U32(), reader.U32(), reader.U32(), reader.U32(), reader.U32()),
            Inode = reader.U64(),
            InodeBirth = reader.I64(),
            Reason = reader.Text(),
            Snapshot = reader.Hash(),
            FrameHashes = reader.Hashes(),
            Commits = ReadCommits(ref reader),
            Pages = ReadPages(ref reader),
            FirstNumber = reader.U64(),
            Granularity = (Granularity)reader.U8(),
            Positions = ReadPositions(ref reader),
            Breaks = ReadBreaks(ref reader),
            Parts = ReadParts(ref reader),
        };
        reader.ExpectEnd();
        details.Check(key);
        return details;
    }

    static CommitEntry[] ReadCommits(ref FieldReader reader)
    {
        var commits = new CommitEntry[reader.Count(CommitBytes)];
        for (var i = 0; i < commits.Length; i++)
        {
            commits[i] = new CommitEntry(reader.I64(), reader.I64(), reader.U32(), reader.U64(), reader.U32());
        }

        return commits;
    }

    static PageEntry[] ReadPages(ref FieldReader reader)
    {
        var pages = new PageEntry[reader.Count(PageBytes)];
        for (var i = 0; i < pages.Length; i++)
        {
            pages[i] = new PageEntry(reader.U32(), reader.U64());
        }

        return pages;
    }

    static ulong[] ReadPositions(ref FieldReader reader)
    {
        var positions = new ulong[reader.Count(sizeof(ulong))];
        for (var i = 0; i < positions.Length; i++)
        {
            positions[i] = reader.U64();
        }

        return positions;
    }

    static LogBreak[] ReadBreaks(ref FieldReader reader)
    {
        var breaks = new LogBreak[reader.Count(BreakBytes)];
        for (var i = 0; i < breaks.Length; i++)
        {
            breaks[i] = new LogBreak(reader.U32(), reader.Text());
        }

        return breaks;
    }

    static LogPart[] ReadParts(ref FieldReader reader)
    {
        var parts = new LogPart[reader.Count(PartBytes)];
        for (var i = 0; i < parts.Length; i++)
        {
            parts[i] = new LogPart(reader.U32(), reader.Hash());
        }

        return parts;
    }

    void Check(string key)
    {
        if (Kind is < LogKind.Commits or > LogKind.End)
        {
            throw new DamagedObjectException(key, $"it has the unknown log kind {(int)Kind}");
        }

        if (Kind >= LogKind.Fence && (Final || Pages.Count > 0))
        {
            throw new DamagedObjectException(key, "it is a fence, and holds more than that");
        }

        if (!DatabasePages.IsPageSize(PageSize))
        {
            throw new DamagedObjectException(key, $"{PageSize} is not a page size");
        }

        var frames = (Pages.Count + PagesPerFrame - 1) / PagesPerFrame;
        if (frames != FrameHashes.Count)
        {
            throw new DamagedObjectException(key, $"it has {Pages.Count} pages in {FrameHashes.Count} frames");
        }

        // The pages of a compacted object may begin in its parts: whoever reads those counts them.
        var pages = Commits.Sum(commit => (long)commit.Pages);
        if (Final ? Commits.Count == 0 || (Parts.Count == 0 ? pages != Pages.Count : pages < Pages.Count) : Commits.Count != 0)
        {
            throw new DamagedObjectException(key, "its commits do not account for its pages");
        }

        CheckCompacted(key);

        CheckTimes(key);
        foreach (var page in Pages)
        {
            if (page.Number == 0 || page.Number == DatabasePages.LockBytePage(PageSize))
            {
                throw new DamagedObjectException(key, $"it holds page {page.Number}, which is never stored");
            }
        }
    }

    /// <summary>What only a compacted object may have, and the order that it must have.</summary>
    void CheckCompacted(string key)
    {
        if (!IsCompacted && (Positions.Count > 0 || Breaks.Count > 0 || Parts.Count > 0 || Granularity != Granularity.Commits))
        {
            throw new DamagedObjectException(key, "it has what only a compacted object has");
        }

        if (IsCompacted && FirstPart != FirstNumber)
        {
            throw new DamagedObjectException(key, $"it begins with number {FirstNumber}, and its first part is {FirstPart}");
        }

        if (Granularity > Granularity.Longer)
        {
            throw new DamagedObjectException(key, $"it has the unknown granularity {(int)Granularity}");
        }

        if (Positions.Count > 0
            && (Positions.Count != Commits.Count || !Positions.Zip(Positions.Skip(1)).All(two => two.First < two.Second)))
        {
            throw new DamagedObjectException(key, "the positions of its commits are out of order");
        }

        if (Breaks.Any(item => item.Commit == 0 || item.Commit >= Commits.Count)
            || !Breaks.Zip(Breaks.Skip(1)).All(two => two.First.Commit < two.Second.Commit)
            || Parts.Any(item => item.Number == 0)
            || !Parts.Zip(Parts.Skip(1)).All(two => two.First.Number < two.Second.Number))
        {
            throw new DamagedObjectException(key, "its breaks or parts are out of order");
        }
    }

    void CheckTimes(string key)
    {
        var time = long.MinValue;
        foreach (var commit in Commits)
        {
            if (commit.TimeMicros < time || !Micros.IsTime(commit.TimeMicros) || !Micros.IsTime(commit.RawTimeMicros))
            {
                throw new DamagedObjectException(key, "the times of its commits are out of order");
            }

            time = commit.TimeMicros;
        }
    }
}

/// <summary>
/// What a listing says of a log object without reading its details; it stands in the header, and the details must agree.
/// </summary>
/// <param name="Kind">Why the object, or the first of those that it was made of, exists; 0 in objects that are no log.</param>
/// <param name="Final">Whether a change-set ends in it.</param>
/// <param name="HasBreaks">Whether something is missing between its restore points that no ladder dropped.</param>
/// <param name="Granularity">How far apart its restore points are.</param>
/// <param name="Points">How many restore points it has.</param>
public readonly record struct LogSummary(LogKind Kind, bool Final, bool HasBreaks, Granularity Granularity, uint Points)
{
    public static LogSummary Of(LogDetails details) =>
        new(details.Kind, details.Final, details.Breaks.Count > 0, details.Granularity, (uint)details.Commits.Count);
}

/// <summary>Facts about the pages of a SQLite database file: https://www.sqlite.org/fileformat2.html.</summary>
public static class DatabasePages
{
    /// <summary>The byte at which SQLite takes its locks. The page that holds it is never used.</summary>
    const uint LockByte = 0x40000000;

    public static bool IsPageSize(uint size) => size is >= 512 and <= 65536 && (size & (size - 1)) == 0;

    /// <summary>The page that only holds the lock bytes, and no content. It exists only in files above 1 GiB.</summary>
    public static uint LockBytePage(uint pageSize) => (LockByte / pageSize) + 1;
}
