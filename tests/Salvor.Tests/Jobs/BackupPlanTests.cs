using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Sqlite.Snapshots;
using Salvor.Text;

namespace Salvor.Tests.Jobs;

public sealed class BackupPlanTests
{
    static readonly DateTimeOffset Now = InstantText.Parse("2026-11-29T10:07:00Z");

    [Theory]
    [InlineData(true, "2026-11-29T10:07:00Z")]
    [InlineData(false, "2026-11-30T02:30:00Z")]
    public void What_was_never_made_is_due_at_once_or_at_its_next_time(bool catchesUp, string due)
    {
        var plan = BackupPlan.Make(Daily(catchesUp), mark: null, last: null, Now);

        Assert.Equal(new BackupPlan(InstantText.Parse(due), RunTrigger.Schedule, null), plan);
    }

    [Fact]
    public void What_is_not_due_yet_waits()
    {
        var plan = BackupPlan.Make(Daily(), Made("2026-11-29T02:30:09Z"), last: null, Now);

        Assert.Equal(new BackupPlan(InstantText.Parse("2026-11-30T02:30:00Z"), RunTrigger.Schedule, null), plan);
    }

    [Theory]
    [InlineData("30 2 * * *", "2026-11-30T02:30:00Z")]
    [InlineData("every 15m", "2026-11-29T10:22:00Z")]
    public void What_a_clock_that_was_ahead_noted_is_not_waited_for(string schedule, string due)
    {
        var plan = BackupPlan.Make(Of(schedule), Made("2030-01-01T00:00:00Z"), last: null, Now);

        Assert.Equal(new BackupPlan(InstantText.Parse(due), RunTrigger.Schedule, null), plan);
    }

    [Fact]
    public void However_many_were_missed_one_run_makes_up_for_them()
    {
        var plan = BackupPlan.Make(Daily(), Made("2026-11-25T02:30:09Z"), last: null, Now);

        Assert.Equal((Now, RunTrigger.CatchUp), (plan.Due, plan.Trigger));
        Assert.Equal(
            (RunOutcome.Missed, 4, "2026-11-26T02:30:00Z", "2026-11-29T02:30:00Z"),
            (plan.Missed!.Outcome, plan.Missed.Missed, InstantText.Format(plan.Missed.StartedAt), InstantText.Format(plan.Missed.EndedAt)));
    }

    [Fact]
    public void Without_catching_up_they_are_missed_and_the_next_time_counts()
    {
        var plan = BackupPlan.Make(Daily(catchesUp: false), Made("2026-11-25T02:30:09Z"), last: null, Now);

        Assert.Equal(
            ("2026-11-30T02:30:00Z", RunTrigger.Schedule, 4), (InstantText.Format(plan.Due), plan.Trigger, plan.Missed!.Missed));
    }

    [Fact]
    public void What_is_in_the_history_is_not_missed_again()
    {
        var known = BackupPlan.Make(Daily(), Made("2026-11-25T02:30:09Z"), last: null, Now.AddDays(-1)).Missed;

        Assert.Equal(3, known!.Missed);
        Assert.Equal(1, BackupPlan.Make(Daily(), Made("2026-11-25T02:30:09Z"), known, Now).Missed!.Missed);
        var failed = known with { Missed = 0, Outcome = RunOutcome.Failed, EndedAt = Now };
        var plan = BackupPlan.Make(Daily(), Made("2026-11-25T02:30:09Z"), failed, Now);
        Assert.Equal((Now, null), (plan.Due, plan.Missed));
    }

    [Fact]
    public void A_daemon_that_starts_as_a_run_is_due_makes_it_in_time()
    {
        var plan = BackupPlan.Make(Every(), Made("2026-11-29T09:51:20Z"), last: null, Now);

        Assert.Equal((RunTrigger.Schedule, null), (plan.Trigger, plan.Missed));
    }

    [Fact]
    public void A_night_in_which_the_clocks_are_changed_has_one_run()
    {
        Assert.True(Timetable.TryParse("30 2 * * *", TimeZoneInfo.FindSystemTimeZoneById("Europe/Berlin"), out var times));
        var schedule = new ScheduleConfig("app", times);

        var spring = BackupPlan.Make(schedule, Made("2027-03-27T01:30:00Z"), null, InstantText.Parse("2027-03-29T12:00:00Z")).Missed!;
        var autumn = BackupPlan.Make(schedule, Made("2027-10-30T00:30:00Z"), null, InstantText.Parse("2027-11-01T12:00:00Z")).Missed!;

        Assert.Equal((2, "2027-03-28T01:00:00Z"), (spring.Missed, InstantText.Format(spring.StartedAt)));
        Assert.Equal((2, "2027-10-31T00:30:00Z"), (autumn.Missed, InstantText.Format(autumn.StartedAt)));
    }

    [Fact]
    public void Jitter_delays_each_run_by_less_than_it_and_the_same_for_all_who_ask()
    {
        var plain = Daily();
        var first = plain.Times.NextAfter(Now);
        var delays = Enumerable.Range(0, 50).Select(n => new ScheduleConfig($"app{n}", plain.Times) { Jitter = TimeSpan.FromMinutes(5) })
            .Select(schedule => schedule.NextAfter(Now) - first).ToList();

        Assert.All(delays, delay => Assert.InRange(delay, TimeSpan.Zero, TimeSpan.FromMinutes(5)));
        Assert.True(delays.Distinct().Count() > 25, "all are delayed alike");
        var one = plain with { Jitter = TimeSpan.FromMinutes(5) };
        Assert.Equal(one.NextAfter(Now), (plain with { Jitter = TimeSpan.FromMinutes(5) }).NextAfter(Now.AddHours(1)));
    }

    [Theory]
    [InlineData("every 15m", "1h15m")]
    [InlineData("30 2 * * *", "1d2h")]
    [InlineData("0 3 * * 0", "7d14h")]
    public void How_old_a_backup_may_be_follows_from_its_schedule(string text, string expected)
    {
        Assert.True(Timetable.TryParse(text, TimeZoneInfo.Utc, out var times));
        Assert.Equal(DurationText.Parse(expected), new ScheduleConfig("app", times).AgeMax());
    }

    static ScheduleConfig Daily(bool catchesUp = true) => Of("30 2 * * *") with { CatchesUp = catchesUp };

    static ScheduleConfig Every() => Of("every 15m");

    static ScheduleConfig Of(string text) =>
        Timetable.TryParse(text, TimeZoneInfo.Utc, out var times) ? new("app", times) : throw new ArgumentException(text, nameof(text));

    static BackupMark Made(string at) => new() { VaultId = Guid.Empty, LastSuccessAt = InstantText.Parse(at) };
}
