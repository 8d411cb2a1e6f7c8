using System.Text;
using Salvor.Vault.Format;

namespace Salvor.Vault.Wal;

/// <summary>A commit, by the end of its record and its time in microseconds since 1970 UTC.</summary>
public readonly record struct WalPoint(Lsn End, long TimeMicros);

/// <summary>A named restore point.</summary>
public readonly record struct WalName(string Name, WalPoint Point);

/// <summary>
/// What can be recovered to within a range of the log, without reading that. What counts are records that end in the range; one that
/// begins before the range may not be among them, where the writer had nothing from before it.
/// </summary>
/// <param name="Commits">How many commits there are.</param>
/// <param name="First">The first of them; default where there is none.</param>
/// <param name="Last">The last of them.</param>
/// <param name="Names">In the order of the log.</param>
public sealed record WalIndex(ulong Commits, WalPoint First, WalPoint Last, IReadOnlyList<WalName> Names)
{
    /// <summary>Of a range in which nothing ends.</summary>
    public static readonly WalIndex Empty = new(0, default, default, []);

    /// <summary>Of the events that end in a range, among these.</summary>
    public static WalIndex Of(IEnumerable<WalEvent> events, WalRange range)
    {
        var own = events.Where(item => range.First < item.End && item.End <= range.End).ToList();
        var commits = own.Where(item => item.IsCommit).Select(PointOf).ToList();
        return new WalIndex(
            (ulong)commits.Count, commits.FirstOrDefault(), commits.LastOrDefault(),
            [.. own.Where(item => item.Kind == WalEventKind.RestorePoint).Select(item => new WalName(item.Name, PointOf(item)))]);
    }

    /// <summary>Of a range, from those of its parts in order.</summary>
    public static WalIndex Join(IReadOnlyList<WalIndex> parts)
    {
        var some = parts.Where(part => part.Commits > 0).ToList();
        return new WalIndex(
            some.Aggregate(0UL, (sum, part) => sum + part.Commits), some.FirstOrDefault()?.First ?? default,
            some.LastOrDefault()?.Last ?? default, [.. parts.SelectMany(part => part.Names)]);
    }

    static WalPoint PointOf(WalEvent item) => new(item.End, item.TimeMicros);
}

/// <summary>The details of an object of the log. Laid out in <c>docs/format.md</c>.</summary>
/// <param name="FrameHashes">Of the content of each frame but the details.</param>
public sealed record WalDetails(WalShape Shape, uint Timeline, IReadOnlyList<Hash256> FrameHashes, WalIndex Index)
{
    const byte Layout = 1;

    /// <summary>PostgreSQL takes no longer name.</summary>
    const int NameBytesMax = 63;

    /// <summary>A name of no bytes, and its point.</summary>
    const int NameBytesMin = sizeof(ushort) + sizeof(ulong) + sizeof(long);

    internal ReadOnlyMemory<byte> ToBytes()
    {
        var fields = new FieldWriter();
        fields.U8(Layout);
        fields.U64(Shape.SystemId);
        fields.U32(Timeline);
        fields.U32(Shape.SegmentBytes);
        fields.U32(Shape.PageBytes);
        fields.Hashes(FrameHashes);
        fields.U64(Index.Commits);
        Write(fields, Index.First);
        Write(fields, Index.Last);
        fields.U32((uint)Index.Names.Count);
        foreach (var (name, point) in Index.Names)
        {
            fields.Text(name);
            Write(fields, point);
        }

        return fields.Written;
    }

    internal static WalDetails Read(string key, ReadOnlySpan<byte> bytes)
    {
        var fields = new FieldReader(key, bytes);
        if (fields.U8() is not Layout and var layout)
        {
            throw new DamagedObjectException(key, $"its details have layout {layout}, which this program does not know");
        }

        var systemId = fields.U64();
        var timeline = fields.U32();
        var shape = new WalShape(systemId, fields.U32(), fields.U32());
        var hashes = fields.Hashes();
        var (commits, first, last) = (fields.U64(), ReadPoint(ref fields), ReadPoint(ref fields));
        var names = new WalName[fields.Count(NameBytesMin)];
        for (var i = 0; i < names.Length; i++)
        {
            names[i] = new WalName(fields.Text(), ReadPoint(ref fields));
        }

        fields.ExpectEnd();
        return shape.IsPossible && timeline > 0
            ? new WalDetails(shape, timeline, hashes, new WalIndex(commits, first, last, names))
            : throw new DamagedObjectException(key, "it is of no timeline, or of sizes that no server has");
    }

    /// <summary>What is wrong with the index of a range; null where nothing is.</summary>
    internal string? ProblemIn(WalRange range)
    {
        var (first, last) = (Index.First, Index.Last);
        var isEmpty = Index.Commits == 0;
        if (isEmpty
            ? first != default || last != default
            : !Ends(first) || !Ends(last) || first.End > last.End || Index.Commits > (ulong)range.Length
                || (Index.Commits == 1) != (first.End == last.End))
        {
            return "its first and last commit do not fit its range";
        }

        var before = range.First;
        foreach (var (name, point) in Index.Names)
        {
            if (!Ends(point) || point.End <= before || Encoding.UTF8.GetByteCount(name) > NameBytesMax)
            {
                return "its named restore points do not fit its range";
            }

            before = point.End;
        }

        return null;

        bool Ends(WalPoint point) => range.First < point.End && point.End <= range.End && Micros.IsTime(point.TimeMicros);
    }

    static void Write(FieldWriter fields, WalPoint point)
    {
        fields.U64(point.End.Value);
        fields.I64(point.TimeMicros);
    }

    static WalPoint ReadPoint(ref FieldReader fields) => new(new Lsn(fields.U64()), fields.I64());
}
