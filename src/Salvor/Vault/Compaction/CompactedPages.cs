using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Vault.Compaction;

/// <summary>A version of a page that goes into a compacted object, and where it is now.</summary>
readonly record struct SourcePage(uint Number, int Source, int Row, ulong Hash);

/// <summary>A log object that pages are taken from.</summary>
sealed record SourceObject(string Key, Hash256 Proof, IReadOnlyList<Hash256> FrameHashes);

/// <summary>A run of log objects has more pages or commits than one compacted object may.</summary>
sealed class RunTooLargeException() : Exception("the run does not fit into one object");

/// <summary>
/// Gathers what a compacted object will hold, from the details of its sources: the commits that are kept and, for each, the newest version
/// of every page that it or a dropped one before it wrote. About 40 MiB at most.
/// </summary>
sealed class CompactedPages(uint pageSize, Func<Position, bool> keeps, Position last) : IReplayTarget
{
    const int PagesMax = 1 << 19;
    const int CommitsMax = 1 << 17;

    readonly Dictionary<uint, SourcePage> window = [];
    readonly List<long> dropped = [];
    string? windowBreak;
    uint pageMax;
    string? openKey;
    int commitIndex;

    public uint PageSize { get; } = pageSize;

    /// <summary>What was before the first commit is not known here; whoever restores checks the growth.</summary>
    public uint PageCount { get; private set; } = uint.MaxValue;

    public List<SourceObject> Sources { get; } = [];

    /// <summary>The pages, in the order of the commits.</summary>
    public List<SourcePage> Pages { get; } = [];

    public List<CommitEntry> Commits { get; } = [];

    public List<ulong> Positions { get; } = [];

    public List<LogBreak> Breaks { get; } = [];

    public LogKind Kind { get; private set; } = LogKind.Commits;

    public string Reason { get; private set; } = "";

    /// <summary>For a base: the image that it completes.</summary>
    public Hash256 Snapshot { get; private set; }

    public Granularity Granularity { get; private set; }

    /// <summary>When the first commit was, kept or not.</summary>
    public long? TimeFirstMicros { get; private set; }

    public ulong ChecksumBefore { get; private set; }

    /// <summary>The last object that was read, for what a writer continues from.</summary>
    public LogDetails? Last { get; private set; }

    public void AddPage(LogObject log, int index)
    {
        if (Sources.Count == 0 || Sources[^1].Key != log.Key)
        {
            Sources.Add(new SourceObject(log.Key, log.Proof, log.Details.FrameHashes));
        }

        var page = log.Details.Pages[index];
        window[page.Number] = new SourcePage(page.Number, Sources.Count - 1, index, page.Hash);
        pageMax = Math.Max(pageMax, page.Number);
        if (window.Count + Pages.Count > PagesMax)
        {
            throw new RunTooLargeException();
        }
    }

    public void AddCommit(LogObject log, CommitEntry commit)
    {
        commitIndex = openKey == log.Key ? commitIndex + 1 : 0;
        openKey = log.Key;
        if (TimeFirstMicros is null)
        {
            (TimeFirstMicros, ChecksumBefore) = (log.Header.TimeFirstMicros, log.Details.ChecksumBefore);
        }

        (PageCount, Last) = (commit.PageCount, log.Details);
        NoteKind(log.Details);
        for (var page = commit.PageCount + 1; page <= pageMax; page++)
        {
            window.Remove(page);
        }

        pageMax = Math.Min(pageMax, commit.PageCount);
        if (log.Details.Granularity > Granularity)
        {
            Granularity = log.Details.Granularity;
        }

        var position = log.PositionOf(commitIndex);
        if (position == last || keeps(position))
        {
            Keep(position, commit);
        }
        else
        {
            dropped.Add(commit.TimeMicros);
        }
    }

    /// <summary>The first commit says why the object exists; a later resync is a break before the commit that has it.</summary>
    void NoteKind(LogDetails details)
    {
        if (commitIndex == 0 && details.Kind == LogKind.Base)
        {
            (Kind, Reason, Snapshot) = (LogKind.Base, details.Reason, details.Snapshot);
        }
        else if (commitIndex == 0 && details.Kind == LogKind.Resync)
        {
            windowBreak ??= details.Reason;
        }
        else
        {
            foreach (var item in details.Breaks)
            {
                windowBreak ??= item.Commit == commitIndex ? item.Reason : null;
            }
        }
    }

    void Keep(Position position, CommitEntry commit)
    {
        if (windowBreak is not null && Commits.Count > 0)
        {
            Breaks.Add(new LogBreak((uint)Commits.Count, windowBreak));
        }
        else if (windowBreak is not null && Kind == LogKind.Commits)
        {
            (Kind, Reason) = (LogKind.Resync, windowBreak);
        }

        foreach (var time in dropped)
        {
            var distance = DistanceOf(time, commit.TimeMicros);
            Granularity = distance > Granularity ? distance : Granularity;
        }

        var first = Pages.Count;
        Pages.AddRange(window.Values);
        Pages.Sort(first, window.Count, Comparer<SourcePage>.Create(
            static (a, b) => a.Source != b.Source ? a.Source.CompareTo(b.Source) : a.Row.CompareTo(b.Row)));
        Commits.Add(commit with { Pages = (uint)window.Count });
        Positions.Add(position.Value);
        if (Commits.Count > CommitsMax)
        {
            throw new RunTooLargeException();
        }

        window.Clear();
        dropped.Clear();
        (windowBreak, pageMax) = (null, 0);
    }

    /// <summary>How coarse a history is in which something of one time is represented by something of another.</summary>
    static Granularity DistanceOf(long dropped, long kept) =>
        LadderUnits.Same(dropped, kept, Granularity.Minutes) ? Granularity.Minutes
        : LadderUnits.Same(dropped, kept, Granularity.Hours) ? Granularity.Hours
        : LadderUnits.Same(dropped, kept, Granularity.Days) ? Granularity.Days
        : Granularity.Longer;
}
