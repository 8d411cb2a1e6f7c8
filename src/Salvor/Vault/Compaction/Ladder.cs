namespace Salvor.Vault.Compaction;

/// <summary>Minutes, hours and days in UTC, as the ladder counts them.</summary>
static class LadderUnits
{
    const long MinuteMicros = 60_000_000;

    /// <summary>The number of the minute, hour or day of a time since 1970.</summary>
    public static long IndexOf(long micros, Granularity unit)
    {
        var length = unit switch
        {
            Granularity.Minutes => MinuteMicros,
            Granularity.Hours => 60 * MinuteMicros,
            _ => 24 * 60 * MinuteMicros,
        };
        return (long)Math.Floor((decimal)micros / length);
    }

    public static bool Same(long a, long b, Granularity unit) => IndexOf(a, unit) == IndexOf(b, unit);
}

/// <summary>
/// How fine restore points stay as they age. Each rung says up to which age; null where a rung is left out, and the ages grow from rung to
/// rung. What is older than the last rung has expired.
/// </summary>
public sealed record Ladder(TimeSpan? Commits, TimeSpan? Minutes, TimeSpan? Hours, TimeSpan? Days)
{
    /// <summary>Every commit for a day, one point a minute for a week, one an hour for 30 days, one a day for a year.</summary>
    public static readonly Ladder Default =
        new(TimeSpan.FromDays(1), TimeSpan.FromDays(7), TimeSpan.FromDays(30), TimeSpan.FromDays(365));

    /// <summary>The same up to an age. What is older has expired.</summary>
    public Ladder CutAt(TimeSpan age)
    {
        var reached = TimeSpan.Zero;
        return new(Up(Commits), Up(Minutes), Up(Hours), Up(Days));

        // Each rung reaches further than the finer ones, and what begins beyond the age is left out.
        TimeSpan? Up(TimeSpan? rung)
        {
            if (rung is not { } until || reached >= age)
            {
                return null;
            }

            reached = until < age ? until : age;
            return reached;
        }
    }

    /// <summary>How fine points of an age are; null where they have expired.</summary>
    public Granularity? RungOf(TimeSpan age) =>
        age <= Commits ? Granularity.Commits
        : age <= Minutes ? Granularity.Minutes
        : age <= Hours ? Granularity.Hours
        : age <= Days ? Granularity.Days
        : null;
}

/// <summary>A restore point, as the ladder sees it.</summary>
public readonly record struct LadderPoint(Position Position, long TimeMicros);

/// <summary>Why a restore point stays.</summary>
public enum KeptBecause
{
    /// <summary>It does not.</summary>
    Nothing,

    /// <summary>It is young enough for every commit.</summary>
    Commits,

    /// <summary>It is the last of its minute.</summary>
    Minutes,

    /// <summary>It is the last of its hour.</summary>
    Hours,

    /// <summary>It is the last of its day.</summary>
    Days,

    /// <summary>It is the newest of all.</summary>
    Newest,

    /// <summary>It was named: the newest proven one, or where a branch begins.</summary>
    Named,
}

/// <summary>What becomes of a restore point.</summary>
public readonly record struct LadderVerdict(LadderPoint Point, KeptBecause Because)
{
    public bool IsKept => Because != KeptBecause.Nothing;
}

/// <summary>
/// Applies a ladder to the restore points of a branch. The last of a day is the last of its hour and its minute, so a point that a later
/// look wants is never dropped by an earlier one, and applying it twice changes nothing.
/// </summary>
public static class LadderVerdicts
{
    /// <param name="ladder">How fine.</param>
    /// <param name="points">All points of the branch, oldest first.</param>
    /// <param name="named">Positions that stay whatever their age: the newest proven one, and those where branches begin.</param>
    /// <param name="now">The time.</param>
    public static IReadOnlyList<LadderVerdict> Find(
        Ladder ladder, IReadOnlyList<LadderPoint> points, IReadOnlySet<Position> named, DateTimeOffset now)
    {
        var verdicts = new LadderVerdict[points.Count];
        for (var i = 0; i < points.Count; i++)
        {
            long? next = i + 1 < points.Count ? points[i + 1].TimeMicros : null;
            var rung = ladder.RungOf(now - Micros.ToTime(points[i].TimeMicros));
            var because = rung switch
            {
                Granularity.Commits => KeptBecause.Commits,
                { } unit when next is null || !LadderUnits.Same(points[i].TimeMicros, next.Value, unit) => Name(unit),
                _ when next is null => KeptBecause.Newest,
                _ when named.Contains(points[i].Position) => KeptBecause.Named,
                _ => KeptBecause.Nothing,
            };
            verdicts[i] = new LadderVerdict(points[i], because);
        }

        return verdicts;
    }

    static KeptBecause Name(Granularity unit) => unit switch
    {
        Granularity.Minutes => KeptBecause.Minutes,
        Granularity.Hours => KeptBecause.Hours,
        _ => KeptBecause.Days,
    };
}
