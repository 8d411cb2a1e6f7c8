using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;

namespace Salvor.Tests.Vault.Compaction;

public sealed class LadderTests
{
    const int QuickSeeds = 300;

    static readonly DateTimeOffset Now = new(2026, 8, 20, 10, 30, 0, TimeSpan.Zero);
    static readonly HashSet<Position> None = [];

    [Fact]
    public void Each_rung_keeps_the_last_point_of_its_minute_hour_or_day()
    {
        LadderPoint[] points =
        [
            At(1, "2025-08-20T10:29:59Z"),
            At(2, "2026-06-01T23:00:00Z"), At(3, "2026-06-01T23:59:59Z"),
            At(4, "2026-08-01T09:00:01Z"), At(5, "2026-08-01T09:59:59Z"), At(6, "2026-08-01T10:00:00Z"),
            At(7, "2026-08-15T09:00:01Z"), At(8, "2026-08-15T09:00:59Z"), At(9, "2026-08-15T09:01:00Z"),
            At(10, "2026-08-20T09:00:01Z"), At(11, "2026-08-20T09:00:02Z"),
        ];

        var verdicts = LadderVerdicts.Find(Ladder.Default, points, None, Now);

        Assert.Equal(
            [
                KeptBecause.Nothing, KeptBecause.Nothing, KeptBecause.Days, KeptBecause.Nothing, KeptBecause.Hours, KeptBecause.Hours,
                KeptBecause.Nothing, KeptBecause.Minutes, KeptBecause.Minutes, KeptBecause.Commits, KeptBecause.Commits,
            ],
            verdicts.Select(verdict => verdict.Because));
    }

    [Fact]
    public void The_newest_point_and_named_ones_stay_whatever_their_age()
    {
        LadderPoint[] points = [At(1, "2020-01-01T00:00:00Z"), At(2, "2020-01-01T00:00:01Z"), At(3, "2020-01-01T00:00:02Z")];

        var verdicts = LadderVerdicts.Find(Ladder.Default, points, new HashSet<Position> { new(2) }, Now);

        Assert.Equal([KeptBecause.Nothing, KeptBecause.Named, KeptBecause.Newest], verdicts.Select(verdict => verdict.Because));
    }

    [Fact]
    public void A_rung_that_is_left_out_is_skipped()
    {
        var ladder = new Ladder(TimeSpan.FromHours(1), null, null, TimeSpan.FromDays(10));

        var verdicts = LadderVerdicts.Find(
            ladder, [At(1, "2026-08-19T09:00:00Z"), At(2, "2026-08-19T20:00:00Z"), At(3, "2026-08-20T10:29:00Z")], None, Now);

        Assert.Equal([KeptBecause.Nothing, KeptBecause.Days, KeptBecause.Commits], verdicts.Select(verdict => verdict.Because));
    }

    /// <summary>Applied at any moments, with commits in between, it ends where one application at the last moment would.</summary>
    [Fact]
    public async Task Applying_it_often_loses_nothing_that_applying_it_once_would_keep() => await Seeds.ForEachAsync(QuickSeeds, seed =>
    {
        var random = new Random(seed);
        var ladder = RandomLadder(random);
        List<LadderPoint> all = [], left = [];
        var now = Now;
        for (var step = random.Next(1, 12); step > 0; step--)
        {
            for (var commits = random.Next(40); commits > 0; commits--)
            {
                now += random.Next(4) switch
                {
                    0 => TimeSpan.FromSeconds(random.Next(120)),
                    1 => TimeSpan.FromMinutes(random.Next(200)),
                    2 => TimeSpan.FromHours(random.Next(30)),
                    _ => TimeSpan.FromMilliseconds(random.Next(1, 2000)),
                };
                var point = new LadderPoint(new Position((ulong)all.Count + 1), Micros.Of(now));
                all.Add(point);
                left.Add(point);
            }

            now += TimeSpan.FromHours(random.Next(500) * random.NextDouble());
            left = Apply(ladder, left, now);
            Assert.Equal(left, Apply(ladder, left, now));
            Assert.Equal(Apply(ladder, all, now), left);
        }

        return Task.CompletedTask;
    });

    [Fact]
    public void Only_what_has_left_the_finer_rung_as_a_whole_is_rewritten_in_runs_of_an_hour_a_day_and_a_month()
    {
        // Every ten minutes two commits, an object each; for 50 days.
        var entries = new List<LadderEntry>();
        var first = Now - TimeSpan.FromDays(50);
        for (var i = 0; i < 50 * 24 * 6; i++)
        {
            var time = first + (TimeSpan.FromMinutes(10) * i);
            var (a, b) = ((ulong)(2 * i) + 1, (ulong)(2 * i) + 2);
            entries.Add(new LadderEntry(
                LogEntry.Of((ulong)i + 1, 1000), [new(new(a), Micros.Of(time)), new(new(b), Micros.Of(time.AddSeconds(1)))]));
        }

        var runs = LadderPlan.Find(Ladder.Default, entries, None, Now);

        var times = entries.ToDictionary(entry => entry.Entry, entry => Micros.ToTime(entry.Points[^1].TimeMicros));
        Assert.All(runs, run =>
        {
            var (from, to) = (times[run.Entries[0]], times[run.Entries[^1]]);
            var age = Now - to;
            Assert.True(age > TimeSpan.FromDays(1), $"{to} is younger than a day");
            Assert.True(to - from <= (age > TimeSpan.FromDays(30) ? TimeSpan.FromDays(30)
                : age > TimeSpan.FromDays(7) ? TimeSpan.FromDays(1) : TimeSpan.FromHours(1)), $"{from} to {to} is too long");
        });
        Assert.Equal(runs.Sum(run => run.Entries.Count), runs.SelectMany(run => run.Entries).Distinct().Count());

        // Carried out, it has nothing more to do, and follows the ladder but for the last points of objects.
        var rewritten = Carry(entries, runs);
        Assert.Empty(LadderPlan.Find(Ladder.Default, rewritten, None, Now));
        Assert.InRange(rewritten.Sum(entry => entry.Points.Count), 0, (1 * 288) + (6 * 144) + (24 * 24) + 20 + 400);
    }

    [Fact]
    public void What_has_expired_is_rewritten_only_where_a_point_of_it_stays_all_the_same()
    {
        LadderEntry[] entries =
        [
            Object(1, "2024-03-01T00:00:00Z"), Object(2, "2024-03-02T00:00:00Z"), Object(3, "2024-03-03T00:00:00Z"),
            Object(4, "2024-08-01T00:00:00Z"), Object(5, "2024-08-02T00:00:00Z"), Object(6, "2026-08-20T10:00:00Z"),
        ];

        var run = Assert.Single(LadderPlan.Find(Ladder.Default, entries, new HashSet<Position> { new(3) }, Now));

        Assert.Equal([1UL, 2, 3], run.Entries.Select(entry => entry.First));
        Assert.Equal([new Position(3)], run.Kept!);
        Assert.Empty(LadderPlan.Find(Ladder.Default, entries, None, Now));
    }

    static LadderEntry Object(ulong number, string time) => new(LogEntry.Of(number, 1000), [At(number, time)]);

    static List<LadderEntry> Carry(List<LadderEntry> entries, IReadOnlyList<CompactionRun> runs)
    {
        var after = new List<LadderEntry>();
        var byFirst = runs.ToDictionary(run => run.Entries[0]);
        for (var i = 0; i < entries.Count; i++)
        {
            if (byFirst.TryGetValue(entries[i].Entry, out var run))
            {
                var sources = entries.GetRange(i, run.Entries.Count);
                var points = sources.SelectMany(entry => entry.Points).ToList();
                after.Add(new LadderEntry(
                    new LogEntry(run.Entries[0].First, run.Entries[^1].Last, 1000),
                    [.. points.Where(point => run.Kept!.Contains(point.Position) || point == points[^1])]));
                i += run.Entries.Count - 1;
            }
            else
            {
                after.Add(entries[i]);
            }
        }

        return after;
    }

    static List<LadderPoint> Apply(Ladder ladder, List<LadderPoint> points, DateTimeOffset now) =>
        [.. LadderVerdicts.Find(ladder, points, None, now).Where(verdict => verdict.IsKept).Select(verdict => verdict.Point)];

    static Ladder RandomLadder(Random random)
    {
        var age = TimeSpan.Zero;
        TimeSpan? Rung() => random.Next(4) == 0 ? null : age += TimeSpan.FromHours(random.Next(1, 200) * random.NextDouble());
        return new Ladder(Rung(), Rung(), Rung(), Rung());
    }

    static LadderPoint At(ulong position, string time) =>
        new(new Position(position), Micros.Of(DateTimeOffset.Parse(time, System.Globalization.CultureInfo.InvariantCulture)));
}
