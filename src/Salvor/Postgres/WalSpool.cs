using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Wal;

namespace Salvor.Postgres;

/// <summary>A file of the spool.</summary>
/// <param name="Segment">Which segment it is.</param>
/// <param name="End">Up to where it is durable and whole: less than the segment for the open one.</param>
public readonly record struct SpoolSegment(WalSegment Segment, Lsn End)
{
    /// <summary>What of the log it has.</summary>
    public WalRange Range => Segment.Range with { End = End };
}

/// <summary>
/// The log on the local disk, between the server that sent it and the vault that gets it: a file for each segment, as PostgreSQL names
/// them; the open one ends in <c>.partial</c>. One process has it at a time. One thread writes; what is durable may be read by another.
/// </summary>
public sealed class WalSpool : IDisposable
{
    static readonly string Version = typeof(WalSpool).Assembly.GetName().Version?.ToString(3) ?? "0";

    readonly Lock gate = new();
    readonly SortedDictionary<(uint Timeline, ulong Number), SpoolSegment> segments = [];
    readonly string folder;
    readonly LockFile held;
    SafeFileHandle? open;
    WalSegment current;

    WalSpool(string folder, WalShape shape, LockFile held) => (this.folder, Shape, this.held) = (folder, shape, held);

    public WalShape Shape { get; }

    /// <summary>Up to where the log was written; it is durable up to <see cref="Flushed"/>.</summary>
    public Lsn Written { get; private set; }

    /// <summary>Up to where the log is durable: what a server may be told.</summary>
    public Lsn Flushed { get; private set; }

    /// <summary>What there is, by timeline and address.</summary>
    public IReadOnlyList<SpoolSegment> Segments
    {
        get
        {
            lock (gate)
            {
                return [.. segments.Values];
            }
        }
    }

    /// <summary>How much of the disk it takes, in bytes.</summary>
    public long SizeBytes => Segments.Sum(item => item.Range.Length);

    /// <summary>
    /// Opens a spool, making it where it is absent. Of an open segment that a crash left counts what is whole to the last record: what
    /// follows may be torn, and the server sends it again. Throws <see cref="FailureKind.Locked"/> where another process has it.
    /// </summary>
    public static WalSpool Open(string folder, WalShape shape)
    {
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var held = LockFile.Acquire(
            Path.Combine(folder, "lock"), LockHolder.Current(TimeProvider.System.GetUtcNow(), socket: null, Version, "follow"));
        var spool = new WalSpool(folder, shape, held);
        try
        {
            spool.ReadFolder();
            return spool;
        }
        catch
        {
            spool.Dispose();
            throw;
        }
    }

    void ReadFolder()
    {
        // In their order: the open segment is read behind the one before it.
        foreach (var path in Directory.GetFiles(folder).Order(StringComparer.Ordinal))
        {
            if (TryParse(path, Shape.SegmentBytes, out var segment, out var isPartial)
                && (isPartial || new FileInfo(path).Length == Shape.SegmentBytes))
            {
                var end = isPartial ? WholeEnd(path, segment) : segment.Range.End;
                segments.TryAdd((segment.Timeline, segment.Number), new SpoolSegment(segment, end));
            }
        }
    }

    static bool TryParse(string path, uint segmentBytes, out WalSegment segment, out bool isPartial)
    {
        var name = Path.GetFileName(path);
        isPartial = name.EndsWith(WalSegment.Partial, StringComparison.Ordinal);
        return WalSegment.TryParse(isPartial ? name[..^WalSegment.Partial.Length] : name, segmentBytes, out segment);
    }

    /// <summary>What an earlier run left; null where there is nothing.</summary>
    public static WalSpool? Find(string folder)
    {
        // The smallest size takes the names of all.
        var paths = Directory.Exists(folder) ? Directory.GetFiles(folder) : [];
        foreach (var path in paths.Where(path => TryParse(path, WalShape.SegmentBytesMin, out _, out _)))
        {
            if (ShapeOf(path) is { } shape)
            {
                return Open(folder, shape);
            }
        }

        return null;
    }

    static WalShape? ShapeOf(string path)
    {
        try
        {
            var start = new byte[WalShape.LongHeaderBytes];
            using var file = File.OpenRead(path);
            return WalShape.TryRead(start.AsSpan(0, file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)));
        }
        catch (FileNotFoundException)
        {
            // Whoever has the folder published it meanwhile.
            return null;
        }
    }

    /// <summary>Keeps a history file, durably.</summary>
    public void Keep(TimelineHistory history) =>
        DurableFile.Replace(Path.Combine(folder, $"{history.Timeline:X8}.history"), history.Bytes.Span);

    /// <summary>The history of a timeline, of which the spool has log.</summary>
    public TimelineHistory HistoryOf(uint timeline)
    {
        var path = Path.Combine(folder, $"{timeline:X8}.history");
        return timeline == 1 ? TimelineHistory.Read(1, default)
            : File.Exists(path) ? TimelineHistory.Read(timeline, File.ReadAllBytes(path))
            : NewerHistories().Where(history => history.Parents.Any(parent => parent.Timeline == timeline))
                .Select(history => history.OfParent(history.Parents.TakeWhile(parent => parent.Timeline != timeline).Count()))
                .FirstOrDefault()
                ?? throw new SalvorException(
                    FailureKind.Integrity, $"{path} is missing, and log of that timeline is there",
                    "The server has it in pg_wal, and sends it when it is connected to again.");
    }

    IEnumerable<TimelineHistory> NewerHistories() => Directory.GetFiles(folder)
        .Select(path => (path, WalSegment.TimelineOfHistory(Path.GetFileName(path)))).Where(item => item.Item2 > 0)
        .Select(item => TimelineHistory.Read(item.Item2, File.ReadAllBytes(item.path)));

    /// <summary>Goes on at the beginning of a segment: after a start, and where a timeline or a gap ended.</summary>
    public void Begin(uint timeline, Lsn start)
    {
        Close();
        Invariant.Check(start.Value % Shape.SegmentBytes == 0);
        current = WalSegment.Of(timeline, start, Shape.SegmentBytes);
        Written = Flushed = start;
    }

    /// <summary>
    /// Writes what follows. What is there already must be the same. Throws <see cref="WalConflictException"/> where it is not, and where
    /// the disk does not take it.
    /// </summary>
    public void Write(Lsn at, ReadOnlySpan<byte> bytes)
    {
        Invariant.Check(at == Written);
        try
        {
            while (!bytes.IsEmpty)
            {
                var part = bytes[..(int)Math.Min(bytes.Length, current.Range.End - Written)];
                WriteInSegment(part);
                Written += part.Length;
                bytes = bytes[part.Length..];
                if (Written == current.Range.End)
                {
                    Complete();
                }
            }
        }
        catch (Exception e) when (e is IOException or PosixException or UnauthorizedAccessException)
        {
            throw new SalvorException(
                FailureKind.SourceUnreadable, $"the log cannot be kept in {folder}: {e.Message}",
                "Nothing of it is confirmed to the server, which keeps it. Make room on that disk, or name another one.", e);
        }
    }

    /// <summary>After a gap the log begins at a segment of which nothing is there yet.</summary>
    public void NoteGap(uint timeline, Lsn from)
    {
        var segment = WalSegment.Of(timeline, from, Shape.SegmentBytes);
        lock (gate)
        {
            segments.TryAdd((timeline, segment.Number), new SpoolSegment(segment, from));
        }
    }

    /// <summary>Makes durable what was written.</summary>
    public void Flush()
    {
        if (Flushed == Written)
        {
            return;
        }

        // Where the segment was complete before, nothing is open.
        if (open is not null)
        {
            DurableFile.FlushFile(open, PartialOf(current));
        }

        Note(Written);
    }

    /// <summary>Reads what is durable.</summary>
    public void Read(uint timeline, WalRange range, Span<byte> target)
    {
        for (var at = range.First; at < range.End;)
        {
            var segment = WalSegment.Of(timeline, at, Shape.SegmentBytes);
            var part = segment.Range.Within(range with { First = at });
            using var file = OpenForReading(segment);
            var into = target.Slice((int)(at - range.First), (int)part.Length);
            if (RandomAccess.Read(file, into, at - segment.Range.First) != into.Length)
            {
                throw new SalvorException(
                    FailureKind.Integrity, $"{Path.Combine(folder, segment.Name)} is shorter than it was",
                    "Look at that disk. What the vault lacks of it, the server has as long as its slot keeps it.");
            }

            at = part.End;
        }
    }

    /// <summary>Removes the segments of a timeline that end at or before an address.</summary>
    /// <param name="isOver">The timeline has no more: its open segment goes too, where it ends there.</param>
    public void Remove(uint timeline, Lsn before, bool isOver)
    {
        foreach (var item in Segments.Where(item => item.Segment.Timeline == timeline && item.End <= before))
        {
            var isComplete = item.End == item.Segment.Range.End;
            if (isComplete || (isOver && item.Segment != current))
            {
                File.Delete(isComplete ? PathOf(item.Segment) : PartialOf(item.Segment));
                lock (gate)
                {
                    segments.Remove((timeline, item.Segment.Number));
                }
            }
        }
    }

    public void Dispose()
    {
        Close();
        held.Dispose();
    }

    void Close()
    {
        open?.Dispose();
        open = null;
    }

    void WriteInSegment(ReadOnlySpan<byte> part)
    {
        var offset = Written - current.Range.First;
        var known = KnownEnd();
        if (known == current.Range.End)
        {
            // It was complete before a restart.
            CompareWith(PathOf(current), part, offset);
            return;
        }

        open ??= OpenPartial();
        if (known > Written)
        {
            CompareWith(PartialOf(current), part[..(int)Math.Min(part.Length, known - Written)], offset);
        }

        RandomAccess.Write(open, part, offset);
    }

    SafeFileHandle OpenPartial()
    {
        var path = PartialOf(current);
        var isNew = !File.Exists(path);
        var file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        if (isNew)
        {
            // What is confirmed of it must have a name too.
            DurableFile.FlushDirectory(folder);
        }

        return file;
    }

    /// <summary>Up to where the current segment was there already, or is durable.</summary>
    Lsn KnownEnd()
    {
        lock (gate)
        {
            return segments.GetValueOrDefault((current.Timeline, current.Number)).End;
        }
    }

    void CompareWith(string path, ReadOnlySpan<byte> part, long offset)
    {
        var there = new byte[part.Length];
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        RandomAccess.Read(file, there, offset);
        var same = part.CommonPrefixLength(there);
        if (same < part.Length)
        {
            throw new WalConflictException(path, current.Timeline, Written + same);
        }
    }

    /// <summary>The open segment has all its bytes: it gets its name, durably.</summary>
    void Complete()
    {
        if (open is not null)
        {
            DurableFile.FlushFile(open, PartialOf(current));
            Close();
            Posix.Rename(PartialOf(current), PathOf(current));
            DurableFile.FlushDirectory(folder);
        }

        Note(Written);
        current = current with { Number = current.Number + 1 };
    }

    void Note(Lsn end)
    {
        lock (gate)
        {
            var known = segments.GetValueOrDefault((current.Timeline, current.Number)).End;
            segments[(current.Timeline, current.Number)] = new SpoolSegment(current, Lsn.Max(known, end));
        }

        Flushed = end;
    }

    SafeFileHandle OpenForReading(WalSegment segment)
    {
        try
        {
            return File.OpenHandle(PartialOf(segment), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (FileNotFoundException)
        {
            return File.OpenHandle(PathOf(segment), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
    }

    string PathOf(WalSegment segment) => Path.Combine(folder, segment.Name);

    string PartialOf(WalSegment segment) => PathOf(segment) + WalSegment.Partial;

    /// <summary>
    /// Up to where an open segment has whole records. The end of a record that began in the segment before is known to be whole only with
    /// its beginning; without that nothing of the segment counts.
    /// </summary>
    Lsn WholeEnd(string path, WalSegment segment)
    {
        var before = segment with { Number = segment.Number - 1 };
        var hasBefore = segments.TryGetValue((before.Timeline, before.Number), out var known) && known.End == before.Range.End;
        var first = hasBefore ? before.Range.First : segment.Range.First;
        var records = new WalRecords(Shape, segment.Timeline, first, _ => { });
        if (hasBefore)
        {
            AddAll(records, PathOf(before));
        }

        var length = AddAll(records, path);
        return records.CheckedFrom > segment.Range.First
            ? segment.Range.First
            : Lsn.Max(segment.Range.First, Lsn.Min(records.WholeEnd, segment.Range.First + length));
    }

    static long AddAll(WalRecords records, string path)
    {
        var buffer = new byte[1 << 20];
        using var file = File.OpenRead(path);
        for (int count; (count = file.Read(buffer)) > 0;)
        {
            records.Add(buffer.AsSpan(0, count));
        }

        return file.Length;
    }
}
