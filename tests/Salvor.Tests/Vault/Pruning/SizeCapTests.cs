using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Pruning;

namespace Salvor.Tests.Vault.Pruning;

/// <summary>A vault of 240 log objects of 1,000 bytes, one an hour, each with one restore point; a snapshot every 24.</summary>
public sealed class SizeCapTests
{
    const int Objects = 240;
    static readonly DateTimeOffset Now = new(2026, 8, 31, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Below_the_limit_nothing_goes_for_it()
    {
        var plan = Plan(View(), 240_000);

        Assert.Empty(plan.Condemned);
        Assert.Null(plan.Cut);
        Assert.Equal(0, plan.ExcessBytes);
    }

    [Fact]
    public void The_oldest_restore_points_go_and_no_more_than_must()
    {
        var plan = Plan(View(), 100_000);

        // Until 144 is the first that stays, the log from an older snapshot on is needed.
        Assert.Equal([new PrunedRange(1, 1, 143)], Joined(plan));
        Assert.Equal(143_000, plan.CondemnedBytes);
        Assert.Equal(0, plan.ExcessBytes);
        Assert.Equal((TimeOf(143) + TimeSpan.FromHours(0.5), false), (plan.Cut!.Before, plan.Cut.TakesWanted));
        Assert.Equal(
            [("1-143", SizeCut.Reason), ("144-240", "every commit")],
            plan.Lines.Where(line => line.Subject.Contains("restore point", StringComparison.Ordinal))
                .Select(line => (line.Subject.Split(' ')[5], line.Reason)));
    }

    [Fact]
    public void The_newest_point_and_the_proven_one_stay_whatever_the_limit_is()
    {
        var plan = Plan(View() with { Proven = (1, new Position(50)) }, 4_000);

        Assert.Equal([new PrunedRange(1, 1, 48), new PrunedRange(1, 51, 239)], Joined(plan));
        Assert.Equal(0, plan.ExcessBytes);
    }

    [Fact]
    public void Nothing_goes_that_is_newer_than_what_is_proven()
    {
        var plan = Plan(View(), new PrunePolicy(Years) { BytesMax = 100_000, Before = TimeOf(150) });
        var none = Plan(View(), new PrunePolicy(Years) { BytesMax = 100_000, Before = TimeOf(100) });

        Assert.Equal([new PrunedRange(1, 1, 143)], Joined(plan));
        Assert.Empty(none.Condemned);
        Assert.Equal(44_000, none.ExcessBytes);
    }

    [Fact]
    public void Where_nothing_that_may_go_is_enough_nothing_goes_for_the_limit()
    {
        var plan = Plan(View() with { Proven = (1, new Position(50)) }, 2_500);

        Assert.Empty(plan.Condemned);
        Assert.Null(plan.Cut);
        Assert.Equal(500, plan.ExcessBytes);
        Assert.All(plan.Lines, line => Assert.True(line.IsKept));
    }

    [Fact]
    public void Backups_that_somebody_wanted_go_last_and_the_newest_never()
    {
        var view = View() with
        {
            Backups =
            [
                Backup(1, 30), Backup(2, 60) with { Label = "gold" }, Backup(3, 90) with { RetentionDays = 30 }, Backup(4, 240),
            ],
        };

        Assert.Equal([false, true, true, true], Kept(Plan(view, 40_000)));
        Assert.False(Plan(view, 40_000).Cut!.TakesWanted);
        Assert.Equal([false, false, false, true], Kept(Plan(view, 2_000)));
        Assert.True(Plan(view, 2_000).Cut!.TakesWanted);

        static IEnumerable<bool> Kept(PrunePlan plan) =>
            plan.Lines.Where(line => line.Subject.StartsWith("backup ", StringComparison.Ordinal)).Select(line => line.IsKept);
    }

    [Fact]
    public void A_ladder_that_is_cut_reaches_no_further_than_the_cut()
    {
        var (day, week) = (TimeSpan.FromDays(1), TimeSpan.FromDays(7));
        var ladder = new Ladder(day, null, week, TimeSpan.FromDays(30));

        Assert.Equal(new Ladder(day, null, TimeSpan.FromDays(3), null), ladder.CutAt(TimeSpan.FromDays(3)));
        Assert.Equal(new Ladder(day, null, week, TimeSpan.FromDays(8)), ladder.CutAt(TimeSpan.FromDays(8)));
        Assert.Equal(new Ladder(day, null, null, null), ladder.CutAt(day));
        Assert.Equal(new Ladder(null, null, null, null), ladder.CutAt(TimeSpan.FromHours(-1)));
        Assert.Equal(ladder, ladder.CutAt(TimeSpan.FromDays(31)));
    }

    static Ladder Years { get; } = new(TimeSpan.FromDays(1000), null, null, null);

    static PrunePlan Plan(PruneView view, long bytesMax) => Plan(view, new PrunePolicy(Years) { BytesMax = bytesMax });

    static PrunePlan Plan(PruneView view, PrunePolicy policy) => PrunePlan.Find(view, policy, Now);

    /// <summary>Half past each hour.</summary>
    static DateTimeOffset TimeOf(int number) => Now - TimeSpan.FromHours(Objects - number + 0.5);

    static PruneView View()
    {
        var numbers = Enumerable.Range(1, Objects).ToList();
        var branch = new PruneBranch(
            1,
            [
                .. numbers.Select(i => new PruneObject(
                    LogEntry.Of((ulong)i, 1000), [new LadderPoint(new Position((ulong)i), Micros.Of(TimeOf(i)))], [])),
            ],
            [.. numbers.Where(i => i % 24 == 0).Select(i => new PruneSnapshot(new Position((ulong)i), (ulong)i, Micros.Of(TimeOf(i)), 0))],
            new HashSet<Position>(), IsBroken: false);
        return new PruneView([branch], [], null) { StoredBytes = Objects * 1000 };
    }

    static List<PrunedRange> Joined(PrunePlan plan)
    {
        var joined = new List<PrunedRange>();
        foreach (var range in plan.Pruned)
        {
            if (joined.Count > 0 && joined[^1].Last + 1 == range.First)
            {
                joined[^1] = joined[^1] with { Last = range.Last };
            }
            else
            {
                joined.Add(range);
            }
        }

        return joined;
    }

    static BackupRecord Backup(ulong id, int number) => new()
    {
        Id = id,
        Branch = 1,
        Position = (ulong)number,
        Time = TimeOf(number),
        Label = "",
        Mode = "full",
        CreatedAt = TimeOf(number),
        Host = "h",
        SizeBytes = 1,
        Checksum = "",
        AddedBytes = 0,
    };
}
