namespace Salvor.Vault.Compaction;

/// <summary>A log object with its restore points, oldest first; none for a part.</summary>
public sealed record LadderEntry(LogEntry Entry, IReadOnlyList<LadderPoint> Points);

/// <summary>Log objects to rewrite as one, and the positions that it keeps besides its last.</summary>
public sealed record CompactionRun(IReadOnlyList<LogEntry> Entries, IReadOnlySet<Position>? Kept);

/// <summary>Which objects of a branch to rewrite so that the log follows the ladder.</summary>
public static class LadderPlan
{
    const int DaysPerRun = 30;

    /// <summary>
    /// Larger runs are not rewritten only for the last points of their objects: a compactor may have split them for their size.
    /// </summary>
    const long JoinedBytesMax = 64 << 20;

    /// <summary>
    /// Runs of an hour where minutes are due, of a day where hours are, of about 30 days where days are; each only when all of it has
    /// left the finer rung, and only where a rewrite drops something. What has expired goes as a whole, so it is rewritten, in runs of
    /// about 30 days, only where a point stays all the same: those beside it would stay with it, and all through which they are reached.
    /// </summary>
    /// <param name="ladder">How fine.</param>
    /// <param name="entries">The objects of the branch that nothing coarser covers, in order, each change-set complete.</param>
    /// <param name="named">As for <see cref="LadderVerdicts"/>.</param>
    /// <param name="now">The time.</param>
    public static IReadOnlyList<CompactionRun> Find(
        Ladder ladder, IReadOnlyList<LadderEntry> entries, IReadOnlySet<Position> named, DateTimeOffset now)
    {
        var points = entries.SelectMany(entry => entry.Points).ToList();
        var kept = LadderVerdicts.Find(ladder, points, named, now)
            .Where(verdict => verdict.IsKept).Select(verdict => verdict.Point.Position).ToHashSet();
        var runs = new List<CompactionRun>();
        var run = new List<LadderEntry>();
        (Granularity Unit, long Index)? open = null;
        var lead = new List<LadderEntry>();
        foreach (var entry in entries)
        {
            // Parts, and what is left over of some, go with the change-set that ends after them.
            lead.Add(entry);
            if (entry.Points.Count == 0)
            {
                continue;
            }

            var place = PlaceOf(ladder, entry, now);
            if (place != open)
            {
                CloseRun();
            }

            open = place;
            if (place is not null)
            {
                run.AddRange(lead);
            }

            lead.Clear();
        }

        CloseRun();
        return runs;

        void CloseRun()
        {
            if (open?.Unit != Granularity.Longer || run.Any(entry => entry.Points.Any(point => named.Contains(point.Position))))
            {
                Close(runs, run, kept);
            }

            run.Clear();
        }
    }

    /// <summary>The run that an object belongs to; null where it is to stay as it is, for now or for ever.</summary>
    static (Granularity Unit, long Index)? PlaceOf(Ladder ladder, LadderEntry entry, DateTimeOffset now)
    {
        var micros = entry.Points[^1].TimeMicros;
        foreach (var unit in (Granularity[])[Granularity.Days, Granularity.Hours, Granularity.Minutes])
        {
            var (above, days) = unit switch
            {
                Granularity.Days => (Granularity.Days, DaysPerRun),
                Granularity.Hours => (Granularity.Days, 1),
                _ => (Granularity.Hours, 1),
            };
            var index = Floor(LadderUnits.IndexOf(micros, above), days);

            // The run is due when its youngest point could be: the last moment of the hour, day or month.
            var end = EndOf(index, above, days);
            if (ladder.RungOf(now - Micros.ToTime(micros)) is { } rung && rung >= unit && ladder.RungOf(now - end) >= unit)
            {
                return (unit, index);
            }
        }

        return ladder.RungOf(now - Micros.ToTime(micros)) is null
            ? (Granularity.Longer, Floor(LadderUnits.IndexOf(micros, Granularity.Days), DaysPerRun))
            : null;
    }

    static long Floor(long value, int unit) => (long)Math.Floor((decimal)value / unit);

    static DateTimeOffset EndOf(long index, Granularity above, int days) => DateTimeOffset.UnixEpoch
        + ((above == Granularity.Days ? TimeSpan.FromDays(days) : TimeSpan.FromHours(days)) * (index + 1));

    /// <summary>The last point of an object is always kept, so it is worth a rewrite only where more than these can go.</summary>
    static void Close(List<CompactionRun> runs, List<LadderEntry> run, HashSet<Position> kept)
    {
        var whole = run.Where(entry => entry.Points.Count > 0).ToList();
        var goes = whole.Any(entry => entry.Points.SkipLast(1).Any(point => !kept.Contains(point.Position)));
        var joins = whole.SkipLast(1).Any(entry => !kept.Contains(entry.Points[^1].Position))
            && run.Sum(entry => entry.Entry.StoredBytes) <= JoinedBytesMax;
        if ((goes || joins))
        {
            runs.Add(new CompactionRun(
                [.. run.Select(entry => entry.Entry)],
                run.SelectMany(entry => entry.Points).Select(point => point.Position).Where(kept.Contains).ToHashSet()));
        }
    }
}
