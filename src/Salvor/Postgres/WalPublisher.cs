using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Postgres;

/// <summary>
/// Brings what is durable in a spool into a vault: of an open block the pieces that are new, of a complete one all of it as one object.
/// What is in the vault leaves the spool. One pass at a time.
/// </summary>
/// <param name="vault">The vault. Branches of timelines that are new in it are made before their log.</param>
/// <param name="spool">Where the log comes from.</param>
/// <param name="time">The clock.</param>
public sealed class WalPublisher(VaultAccess vault, WalSpool spool, TimeProvider time)
{
    readonly Dictionary<uint, Line> lines = [];

    /// <summary>The bytes of the log that were published.</summary>
    public long PublishedBytes { get; private set; }

    /// <summary>Up to where a timeline is in the vault; <see cref="Lsn.None"/> where nothing was published of it.</summary>
    public Lsn PublishedOf(uint timeline) => lines.GetValueOrDefault(timeline)?.Published ?? Lsn.None;

    /// <summary>One pass over all timelines, the oldest first. Returns whether anything was new.</summary>
    public async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        var any = false;
        var timelines = spool.Segments.GroupBy(item => item.Segment.Timeline).ToList();
        foreach (var timeline in timelines)
        {
            foreach (var range in Joined(timeline))
            {
                any |= await PublishAsync(timeline.Key, range, cancellationToken);
            }

            var published = PublishedOf(timeline.Key);
            var isOver = timeline.Key != timelines[^1].Key;
            spool.Remove(timeline.Key, isOver ? published : NeededFrom(published), isOver);
        }

        return any;
    }

    /// <summary>
    /// Up to where segments may go. The open block becomes one object, and the record that leads into its first segment begins in the one
    /// before, which stays too.
    /// </summary>
    Lsn NeededFrom(Lsn published) => new(Math.Max(WalRange.BlockOf(published).First.Floor(spool.Shape.SegmentBytes).Value, 1) - 1);

    /// <summary>What of a timeline is there without a gap.</summary>
    static List<WalRange> Joined(IEnumerable<SpoolSegment> segments)
    {
        var ranges = new List<WalRange>();
        foreach (var range in segments.Select(item => item.Range).Where(range => !range.IsEmpty))
        {
            if (ranges.Count > 0 && ranges[^1].End == range.First)
            {
                ranges[^1] = ranges[^1] with { End = range.End };
            }
            else
            {
                ranges.Add(range);
            }
        }

        return ranges;
    }

    async Task<bool> PublishAsync(uint timeline, WalRange range, CancellationToken cancellationToken)
    {
        if (lines.GetValueOrDefault(timeline) is not { } line || line.Published < range.First)
        {
            lines[timeline] = line = await BeginAsync(timeline, range, cancellationToken);
        }

        var now = time.GetUtcNow();
        var any = false;
        while (line.Published < range.End)
        {
            var block = WalRange.BlockOf(line.Published);
            var isWhole = block.End <= range.End && range.First <= block.First;
            var part = isWhole ? block : block.Within(range with { First = line.Published });
            var bytes = new byte[part.Length];
            spool.Read(timeline, part, bytes);
            await line.Writer.StoreAsync(
                part.First, bytes, isWhole ? line.BlockSince ?? line.Since : line.Since, now, cancellationToken);
            PublishedBytes += part.End - line.Published;
            (line.Published, any) = (part.End, true);
            line.BlockSince = part.End == block.End ? null : line.BlockSince ?? line.Since;
        }

        line.Since = now;
        return any;
    }

    /// <summary>Goes on where the vault ends. The records before that are read, so that none is missed at the seam.</summary>
    async Task<Line> BeginAsync(uint timeline, WalRange range, CancellationToken cancellationToken)
    {
        var branch = await WalBranches.EnsureAsync(
            vault, spool.Shape.SystemId, spool.HistoryOf(timeline), time, cancellationToken);
        var has = (await WalCatalog.LoadAsync(vault, cancellationToken)).CoverOwn(branch, range);
        var published = has.Count == 0 ? range.First : has[^1].Range.End;
        var writer = new WalWriter(vault, branch, timeline, spool.Shape);
        for (var at = range.First; at < published;)
        {
            var part = WalRange.BlockOf(at).Within(range with { First = at, End = published });
            var bytes = new byte[part.Length];
            spool.Read(timeline, part, bytes);
            writer.Skip(at, bytes);
            at = part.End;
        }

        return new Line(writer) { Published = published, Since = time.GetUtcNow() };
    }

    sealed class Line(WalWriter writer)
    {
        public WalWriter Writer { get; } = writer;

        public Lsn Published { get; set; }

        /// <summary>When the last pass was: what is new came after it.</summary>
        public DateTimeOffset Since { get; set; }

        /// <summary>The same of the first piece of the open block.</summary>
        public DateTimeOffset? BlockSince { get; set; }
    }
}
