using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Health;
using Salvor.Sqlite;

namespace Salvor.Tests.Jobs.Health;

/// <summary>What counts as wrong, read from real files with this process as the daemon.</summary>
public sealed class HealthCheckTests : IDisposable
{
    static readonly HealthLimits Shipped = new();

    readonly HealthRig rig = new();

    public void Dispose() => rig.Dispose();

    [Fact]
    public void One_that_is_served_backed_up_and_verified_has_no_problem()
    {
        rig.WriteHealthy();

        Assert.Empty(rig.Problems(Shipped));
        Assert.Equal(TimeSpan.Zero, rig.Read().Lag);
    }

    [Fact]
    public void Lag_is_of_now_and_not_of_when_it_was_written()
    {
        rig.WriteHealthy();
        rig.Write(HealthRig.Record(rig.Now) with { LagSeconds = 0.01, WaitingSince = rig.Now });

        rig.Time.Advance(TimeSpan.FromMinutes(11));

        Assert.Equal(TimeSpan.FromMinutes(11), rig.Read().Lag);
        Assert.Equal(["lag"], rig.Problems(Shipped));
    }

    [Fact]
    public void A_bare_check_asks_for_life_alone()
    {
        rig.WriteHealthy();
        rig.Write(HealthRig.Record(rig.Now) with { WaitingSince = rig.Now.AddDays(-9) });
        rig.Write(HealthRig.Verified(rig.Now, ok: false));
        rig.Write(HealthRig.BackedUp(rig.Now.AddDays(-90)));

        Assert.Empty(rig.Problems());
        Assert.Equal(["lag", "backup_age", "verify_failed"], rig.Problems(Shipped));
    }

    [Fact]
    public void An_idle_source_has_no_lag_however_long_ago_it_was_written_to()
    {
        rig.WriteHealthy();

        rig.Time.Advance(TimeSpan.FromDays(20));

        Assert.Equal(TimeSpan.Zero, rig.Read().Lag);
    }

    [Fact]
    public void What_is_committed_to_a_source_that_nobody_serves_lags_from_the_last_sign_of_life()
    {
        rig.WriteHealthy();
        rig.LetGo();
        rig.Write(HealthRig.Record(rig.Now) with { StartTicks = 1 });

        rig.Time.Advance(TimeSpan.FromHours(2));

        Assert.Equal(TimeSpan.FromHours(2), rig.Read().Lag);
        Assert.Equal(["stopped", "lag"], rig.Problems(new HealthLimits { BackupAge = null }));
    }

    [Fact]
    public void A_source_that_is_paused_lags_from_the_pause()
    {
        rig.WriteHealthy();
        rig.Write(HealthRig.Record(rig.Now) with { State = "paused", UncapturedSince = rig.Now.AddMinutes(-30) });

        Assert.Equal(TimeSpan.FromMinutes(30), rig.Read().Lag);
        Assert.Equal(["paused"], rig.Problems());
    }

    [Theory]
    [InlineData("behind")]
    [InlineData("backing_off")]
    [InlineData("failing")]
    [InlineData("paused")]
    [InlineData("awaiting_export")]
    public void Each_state_that_does_not_protect_is_a_problem_by_its_name(string state)
    {
        rig.WriteHealthy();
        rig.Write(HealthRig.Record(rig.Now) with { State = state });

        Assert.Equal([state], rig.Problems());
    }

    [Fact]
    public void A_copy_that_backs_off_is_a_problem_and_a_copy_that_is_behind_lags()
    {
        rig.WriteHealthy();
        var copy = new CopyStatus("s3://b", Required: false, rig.Now.AddMinutes(-20), "the bucket is away", "Look.") { Name = "offsite" };
        rig.Write(HealthRig.Record(rig.Now) with { Copies = [copy] });

        Assert.Equal(["backing_off", "lag"], rig.Problems(Shipped));
        var health = rig.Read();
        Assert.Equal(TimeSpan.FromMinutes(20), health.Destinations[1].BackingOff);
        Assert.Equal(TimeSpan.Zero, health.Lag);
        Assert.Equal(
            "the copy of app at offsite backs off: the bucket is away; app lags 20m at offsite; at most 10m is allowed",
            HealthCheck.Failure([.. HealthCheck.Problems(health, Shipped)])!.Message);
    }

    [Fact]
    public void A_copy_that_is_being_filled_up_and_to_be_told_of_is_a_ticket()
    {
        rig.WriteHealthy();
        var copy = new CopyStatus("s3://b", Required: false, null, "", "") { Name = "offsite", Lack = "nothing there can be restored" };
        rig.Write(HealthRig.Record(rig.Now) with { Copies = [copy] });

        var problem = Assert.Single(HealthCheck.Problems(rig.Read(), HealthLimits.None));
        Assert.Equal(
            ("incomplete", Severity.Ticket, "the copy of app at offsite is incomplete: nothing there can be restored"),
            (problem.Kind, problem.Severity, problem.Message));
    }

    [Fact]
    public void A_failed_verification_never_makes_an_old_one_young()
    {
        rig.WriteHealthy();
        rig.Write(HealthRig.Verified(rig.Now.AddHours(-30)));
        rig.Write(HealthRig.Verified(rig.Now, ok: false));
        Assert.Equal(rig.Now.AddHours(-30), rig.Read().VerifiedAt);
        Assert.Equal(["verify_failed"], rig.Problems(Shipped));

        rig.Write(HealthRig.Verified(rig.Now, kind: "quick"));
        rig.Write(HealthRig.Verified(rig.Now, kind: "sample"));
        Assert.Equal(["verify_failed"], rig.Problems(Shipped));

        rig.Write(HealthRig.Verified(rig.Now) with { EveryObject = false });
        Assert.Equal(["verify_failed"], rig.Problems(Shipped));

        rig.Write(HealthRig.Verified(rig.Now));
        Assert.Empty(rig.Problems(Shipped));
    }

    [Fact]
    public void What_never_happened_or_happens_later_is_too_old()
    {
        rig.Hold();
        rig.Write(HealthRig.Record(rig.Now));
        Assert.Equal(["backup_age", "verify_age"], rig.Problems(Shipped));
        Assert.Equal(
            "app was never backed up; at most 26h is allowed; app was never verified; at most 36h is allowed", Message());

        rig.Write(HealthRig.BackedUp(rig.Now.AddDays(1)));
        rig.Write(HealthRig.Verified(rig.Now.AddDays(1)));
        Assert.Equal(["backup_age", "verify_age"], rig.Problems(Shipped));
        Assert.Contains("app was verified at 2026-08-02T10:30:00Z, which is ahead of the clock", Message(), StringComparison.Ordinal);

        rig.Write(HealthRig.BackedUp(rig.Now.AddHours(-27)));
        rig.Write(HealthRig.Verified(rig.Now.AddHours(-37)));
        Assert.Equal(
            "app was backed up 1d3h ago; at most 26h is allowed; app was verified 1d13h ago; at most 36h is allowed", Message());

        string Message() => HealthCheck.Failure([.. HealthCheck.Problems(rig.Read(), Shipped)])!.Message;
    }

    [Fact]
    public void A_drill_is_asked_for_once_there_was_one_or_the_configuration_wants_one()
    {
        rig.WriteHealthy();
        Assert.Empty(rig.Problems(Shipped));
        Assert.Equal(["drill_age"], rig.Problems(Shipped with { NeedsDrill = true }));

        rig.Drill(rig.Now.AddDays(-30), DrillResult.Pass);
        rig.Drill(rig.Now, DrillResult.Fail);
        Assert.Empty(rig.Problems(Shipped));

        rig.Time.Advance(TimeSpan.FromDays(6));
        rig.Write(HealthRig.Verified(rig.Now));
        rig.Write(HealthRig.BackedUp(rig.Now));
        Assert.Equal(["drill_age"], rig.Problems(Shipped));
    }

    [Fact]
    public void A_status_that_is_half_written_is_not_healthy()
    {
        rig.WriteHealthy();
        var text = File.ReadAllText(rig.StatusPath);
        File.WriteAllText(rig.StatusPath, text[..(text.Length / 2)]);

        var health = rig.Read();

        Assert.Equal(HealthState.Unknown, health.State);
        Assert.Equal($"status file {rig.StatusPath} is damaged or half written", health.Detail);
        Assert.Equal(["unknown"], rig.Problems());
    }

    [Fact]
    public void Many_problems_are_one_error_that_ends_somewhere()
    {
        var problems = Enumerable.Range(1, 9)
            .Select(i => new HealthProblem(i < 3 ? "stopped" : "paused", $"s{i}", Severity.Page, $"s{i} is paused", $"Look at s{i}."));

        var failure = HealthCheck.Failure([.. problems])!;

        Assert.Equal("nothing serves s1 and s2; s3 is paused; s4 is paused; s5 is paused; s6 is paused; and 3 more", failure.Message);
        Assert.Equal((FailureKind.Unhealthy, "Look at s1."), (failure.Kind, failure.Hint));
        Assert.Null(HealthCheck.Failure([]));
    }
}
