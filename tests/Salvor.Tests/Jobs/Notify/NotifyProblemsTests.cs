using Salvor.Jobs.Config;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Health;
using Salvor.Jobs.Notify;
using Salvor.Tests.Jobs.Config;
using Salvor.Tests.Jobs.Health;

namespace Salvor.Tests.Jobs.Notify;

public sealed class NotifyProblemsTests : IDisposable
{
    static readonly SqliteSourceConfig Daily = ConfigTesting.ParseSource(
        "{ type: sqlite, path: /data/app.db, to: [local], drill: { every: daily } }");

    readonly HealthRig rig = new();

    public void Dispose() => rig.Dispose();

    [Fact]
    public void A_source_that_fares_well_has_none()
    {
        rig.WriteHealthy();
        rig.Drill(rig.Now.AddHours(-1), DrillResult.Pass);

        Assert.Empty(Problems(firstSeen: rig.Now.AddDays(-9)));
    }

    [Fact]
    public void What_never_happened_is_late_only_when_there_was_time_for_it()
    {
        rig.Hold();
        rig.Write(HealthRig.Record(rig.Now));
        rig.Write(HealthRig.BackedUp(rig.Now.AddHours(-1)));

        Assert.Empty(Problems(firstSeen: rig.Now.AddHours(-1)));
        Assert.Equal(["missed: verify_missed", "missed: drill_missed"], Problems(firstSeen: rig.Now.AddHours(-37)));
    }

    [Fact]
    public void A_verification_that_did_not_run_is_missed_and_not_also_too_old()
    {
        rig.WriteHealthy();
        rig.Drill(rig.Now.AddHours(-1), DrillResult.Pass);
        rig.Write(HealthRig.Verified(rig.Now.AddHours(-37)));

        var problem = Assert.Single(NotifyProblems.Of(rig.Read() with { Config = Daily }, rig.Now.AddDays(-9)));
        Assert.Equal(
            (NotifyKind.Missed, "app was verified last at 2026-07-30T21:30:00Z; it is to be every 1d"), (problem.Kind, problem.Text));
        Assert.Contains("salvor verify app --deep", problem.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void One_that_the_daemon_does_not_do_is_too_old_and_not_missed()
    {
        rig.WriteHealthy();
        rig.Write(HealthRig.Verified(rig.Now.AddHours(-37)));

        var problem = Assert.Single(NotifyProblems.Of(rig.Read(), rig.Now.AddDays(-9)));
        Assert.Equal((NotifyKind.Stale, "verify_age"), (problem.Kind, problem.Problem));
    }

    [Fact]
    public void What_failed_last_is_a_failure_until_it_went_well()
    {
        rig.WriteHealthy();
        rig.Write(HealthRig.Verified(rig.Now, ok: false));
        rig.Write(HealthRig.BackedUp(rig.Now.AddHours(-1)).FailedAt(rig.Now, "no room"));
        rig.Drill(rig.Now, DrillResult.Fail);

        Assert.Equal(
            ["failure: verify_failed", "failure: backup_failed", "failure: drill_failed"], Problems(firstSeen: rig.Now.AddDays(-1)));
    }

    [Fact]
    public void A_lag_names_its_destination()
    {
        rig.Hold();
        rig.Write(HealthRig.Record(rig.Now) with { State = "backing_off", Detail = "it is full", WaitingSince = rig.Now.AddHours(-1) });
        rig.Write(HealthRig.Verified(rig.Now));
        rig.Write(HealthRig.BackedUp(rig.Now));
        rig.Drill(rig.Now, DrillResult.Pass);

        Assert.Equal(
            [("backing_off", "local"), ("lag", "local")],
            NotifyProblems.Of(rig.Read() with { Config = Daily }, rig.Now).Select(problem => (problem.Problem, problem.Destination)));
    }

    [Fact]
    public void Each_kind_has_words_of_its_own()
    {
        foreach (var state in Enum.GetValues<HealthState>().Select(HealthJudge.NameOf))
        {
            Assert.DoesNotContain('_', NotifyProblems.What(state));
        }
    }

    string[] Problems(DateTimeOffset firstSeen) =>
        [.. NotifyProblems.Of(rig.Read() with { Config = Daily }, firstSeen)
            .Select(problem => $"{NotifyText.NameOf(problem.Kind)}: {problem.Problem}")];
}
