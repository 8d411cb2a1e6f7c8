using Salvor.Jobs;
using Salvor.Jobs.Health;
using Salvor.Platform;

namespace Salvor.Tests.Jobs.Health;

/// <summary>What is believed of a status file. A false "healthy" is the worst that this program can say.</summary>
public sealed class HealthJudgeTests
{
    static readonly DateTimeOffset Now = new(2026, 8, 31, 12, 0, 0, TimeSpan.Zero);
    static readonly ProcessIdentity Here = new("web1", "boot-2", 100, 5000);
    static readonly LockHolder Holder = new("web1", "boot-2", 77, 4000, Now.AddHours(-1), null, "1");

    [Fact]
    public void What_a_living_holder_wrote_is_believed() => Assert.Equal((HealthState.Healthy, 77), Judge(Held()));

    [Theory]
    [InlineData("starting", HealthState.Starting)]
    [InlineData("waiting", HealthState.Waiting)]
    [InlineData("copying", HealthState.Copying)]
    [InlineData("awaiting_export", HealthState.AwaitingExport)]
    [InlineData("behind", HealthState.Behind)]
    [InlineData("backing_off", HealthState.BackingOff)]
    [InlineData("failing", HealthState.Failing)]
    [InlineData("paused", HealthState.Paused)]
    [InlineData("8", HealthState.Unknown)]
    [InlineData("splendid", HealthState.Unknown)]
    public void Every_state_is_one_of_its_own(string said, HealthState expected) =>
        Assert.Equal((expected, 77), Judge(Held() with { Last = Record() with { State = said } }));

    [Fact]
    public void What_an_earlier_process_wrote_says_nothing_of_the_one_that_has_just_started()
    {
        var evidence = Held() with { Last = Record() with { Pid = 76 } };
        Assert.Equal((HealthState.Stale, 77), Judge(evidence));
        Assert.Equal((HealthState.Starting, 77), Judge(evidence with { Holder = Holder with { Since = Now.AddMinutes(-4) } }));
    }

    [Theory]
    [InlineData(77, "boot-1", 4000)]
    [InlineData(77, "boot-2", 3999)]
    public void A_process_id_that_was_given_again_is_another_process(int pid, string boot, long startTicks) => Assert.NotEqual(
        HealthState.Healthy,
        Judge(Held() with { Last = Record() with { Pid = pid, BootId = boot, StartTicks = startTicks } }).State);

    [Fact]
    public void One_that_does_not_respond_is_stale_whatever_it_wrote()
    {
        var verdict = HealthJudge.Judge(Held() with { Responds = false });

        Assert.Equal(HealthState.Stale, verdict.State);
        Assert.Equal("pid 77, which serves app, does not respond", verdict.Detail);
    }

    [Fact]
    public void Without_a_holder_the_dead_are_stopped_and_the_living_that_wait_are_believed()
    {
        var waiting = Held() with { Holder = null, Last = Record() with { State = "waiting" } };
        Assert.Equal((HealthState.Waiting, 77), Judge(waiting));
        Assert.Equal((HealthState.Stopped, null), Judge(waiting with { IsDead = true }));
        Assert.Equal((HealthState.Stale, 77), Judge(waiting with { Responds = false }));
        Assert.Equal((HealthState.Stopped, null), Judge(waiting with { Last = Record() with { State = "stopped" } }));
    }

    [Fact]
    public void A_file_from_before_the_machine_was_started_is_of_the_dead_though_its_process_id_lives()
    {
        var verdict = HealthJudge.Judge(Held() with { Holder = null, Last = Record() with { BootId = "boot-1" } });

        Assert.Equal(HealthState.Stopped, verdict.State);
        Assert.Equal("the machine was started again since pid 77 served it", verdict.Detail);
    }

    [Fact]
    public void A_file_from_another_host_is_believed_of_nobody_here()
    {
        var verdict = HealthJudge.Judge(Held() with { Holder = null, Last = Record() with { Host = "db7" } });

        Assert.Equal(HealthState.Unknown, verdict.State);
        Assert.Equal("the status of app was written on host db7, and nothing holds its lock here", verdict.Detail);
        Assert.Equal("Check it on that host; if the daemon moved to this one (web1), start it here.", verdict.Hint);
    }

    [Theory]
    [InlineData("", 4000)]
    [InlineData("boot-2", 0)]
    public void A_file_that_does_not_say_which_process_wrote_it_is_not_believed(string boot, long startTicks) => Assert.Equal(
        HealthState.Unknown,
        Judge(Held() with { Holder = null, Last = Record() with { BootId = boot, StartTicks = startTicks } }).State);

    [Fact]
    public void A_file_from_the_future_is_not_believed_but_for_two_clocks_that_differ_a_little()
    {
        Assert.Equal(HealthState.Healthy, Judge(Held() with { Last = Record() with { UpdatedAt = Now.AddMinutes(5) } }).State);
        var verdict = HealthJudge.Judge(Held() with { Last = Record() with { UpdatedAt = Now.AddMinutes(6) } });

        Assert.Equal(HealthState.Unknown, verdict.State);
        Assert.Equal("the status of app is from 2026-08-31T12:06:00Z, which is ahead of the clock", verdict.Detail);
    }

    [Fact]
    public void One_that_was_never_served_is_unprotected() =>
        Assert.Equal((HealthState.Unprotected, null), Judge(Held() with { Holder = null, Last = null }));

    static (HealthState State, int? Pid) Judge(Evidence evidence) =>
        HealthJudge.Judge(evidence) is var verdict ? (verdict.State, verdict.Pid) : default;

    static Evidence Held() => new()
    {
        Name = "app", Path = "/data/app.db", Holder = Holder, Last = Record(), IsDead = false, Responds = true, Here = Here, Now = Now,
    };

    static StatusRecord Record() => HealthRig.Record(Now) with { Pid = 77, Host = "web1", BootId = "boot-2", StartTicks = 4000 };
}
