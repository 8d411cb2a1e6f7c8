using Salvor.Jobs.Notify;

namespace Salvor.Tests.Jobs.Notify;

public sealed class ProblemWatchTests
{
    static readonly ProblemWatch Watch = new(TimeSpan.FromMinutes(1), TimeSpan.FromHours(24));

    readonly List<string> told = [];
    WatchMemory memory = new();
    DateTimeOffset now = Messages.At;

    [Fact]
    public void A_problem_that_lasts_is_told_once_and_its_end_once()
    {
        Look(0, "backing_off");
        Assert.Empty(told);
        Look(60, "backing_off");
        Look(60, "backing_off");
        Look(30);
        Look(59);
        Assert.Equal(["Failure app backs off"], told);
        Look(1);
        Look(600);

        Assert.Equal(["Failure app backs off", "Recovery app is well again (backing off)"], told);
    }

    [Fact]
    public void A_blip_is_not_told()
    {
        Look(0, "backing_off");
        Look(30);
        Look(100);
        Look(100);

        Assert.Empty(told);
        Assert.Empty(memory.Open);
    }

    [Fact]
    public void What_comes_and_goes_faster_than_it_may_last_is_told_once()
    {
        for (var i = 0; i < 20; i++)
        {
            Look(20, "failing");
            Look(20);
        }

        Assert.Equal(["Failure app is not captured"], told);
    }

    [Fact]
    public void While_it_lasts_it_is_told_again_once_a_day()
    {
        Look(0, "lag");
        Look(60, "lag");
        Look(23 * 3600, "lag");
        Look(3600, "lag");
        Look(3600, "lag");

        Assert.Equal(["Stale app lags", "Stale app still lags"], told);
    }

    [Fact]
    public void A_restart_tells_nothing_again()
    {
        Look(0, "backing_off");
        Look(60, "backing_off");
        var text = System.Text.Json.JsonSerializer.Serialize(memory, NotifyJson.Default.WatchMemory);
        memory = System.Text.Json.JsonSerializer.Deserialize(text, NotifyJson.Default.WatchMemory)!;
        Look(60, "backing_off");
        Look(60);
        Look(60);

        Assert.Equal(["Failure app backs off", "Recovery app is well again (backing off)"], told);
    }

    [Fact]
    public void A_source_that_only_begins_is_not_well_again()
    {
        Look(0, "backing_off");
        Look(60, "backing_off");
        for (var i = 0; i < 5; i++)
        {
            LookAt(60, isJudged: false);
        }

        Assert.Equal(["Failure app backs off"], told);
    }

    [Fact]
    public void A_clock_that_was_set_back_silences_nothing()
    {
        now = now.AddYears(1);
        Look(0, "backing_off");
        now = now.AddYears(-1);
        Look(0, "backing_off");
        Look(60, "backing_off");

        Assert.Equal(["Failure app backs off"], told);
    }

    [Fact]
    public void Two_destinations_are_two_problems_and_many_sources_are_one_message()
    {
        var events = Enumerable.Range(1, 40).Select(i => new WatchEvent(
            NotifyKind.Failure, NotifyKind.Failure, "backing_off", $"s{i}", "offsite", "backs off", $"s{i} backs off", "Mend it.", now));
        var single = NotifyDigest.Of([.. events.Take(3)], now, "run", ["line"]);
        var one = Assert.Single(NotifyDigest.Of([.. events], now, "run", ["line"]));

        Assert.Equal(3, single.Count);
        Assert.Equal("[ALERT] salvor: 40 sources (s1, .. s40): backs off", NotifyText.Subject(one, null));
        Assert.EndsWith("\ns30 backs off\nand 10 more", one.Text, StringComparison.Ordinal);
        Assert.Equal(("offsite", "Mend it."), (one.Destination, one.Hint));
    }

    void Look(int seconds, params string[] problems) => LookAt(seconds, isJudged: true, problems);

    void LookAt(int seconds, bool isJudged, params string[] problems)
    {
        now += TimeSpan.FromSeconds(seconds);
        var result = Watch.Look(
            memory,
            [.. problems.Select(problem => new NotifyProblem(
                problem == "lag" ? NotifyKind.Stale : NotifyKind.Failure, problem, "app", "offsite", $"app: {problem}", "Mend it."))],
            _ => isJudged, _ => true, now);
        memory = result.Memory;
        told.AddRange(result.Told.Select(item => $"{item.Kind} {item.Source} {item.What}"));
    }
}
