using Salvor.Jobs.Clusters;
using Salvor.Jobs.Health;
using Salvor.Platform;

namespace Salvor.Tests.Jobs.Health;

/// <summary>A follower that no longer does anything is never taken for one that is well.</summary>
public sealed class FollowJudgeTests
{
    static readonly DateTimeOffset Now = TimeProvider.System.GetUtcNow();

    [Fact]
    public void One_that_writes_what_it_does_is_well() => Assert.Equal(HealthState.Healthy, Judge(Record()).State);

    [Fact]
    public void One_that_runs_and_has_written_nothing_for_long_is_stale()
    {
        var verdict = Judge(Record() with { UpdatedAt = Now.AddMinutes(-2) });

        Assert.Equal(HealthState.Stale, verdict.State);
        Assert.StartsWith($"pid {Environment.ProcessId} has written nothing of pg since ", verdict.Detail, StringComparison.Ordinal);
        Assert.Equal("Look at its log, and whether the disk with its state is full ('df -h') or hangs.", verdict.Hint);
    }

    [Theory]
    [InlineData(true, "stored")]
    [InlineData(false, "received")]
    public void Log_that_waits_for_long_without_a_failure_is_a_problem_too(bool isConnected, string what)
    {
        var record = Record() with { Connected = isConnected, WaitingSince = Now.AddMinutes(-6) };

        var verdict = Judge(record);

        Assert.Equal(HealthState.BackingOff, verdict.State);
        Assert.StartsWith("log of pg has waited since ", verdict.Detail, StringComparison.Ordinal);
        Assert.EndsWith($" to be {what}", verdict.Detail, StringComparison.Ordinal);
        Assert.Equal("Look whether the server and the first destination answer, and restart the daemon where they do.", verdict.Hint);
        Assert.NotEqual(HealthState.BackingOff, Judge(record with { WaitingSince = Now.AddMinutes(-4) }).State);
    }

    static Verdict Judge(FollowRecord record) => FollowJudge.Judge("pg", record, isBackedUp: true, isHeld: false, new ProcessSigns(Now));

    static FollowRecord Record()
    {
        var here = ProcessIdentity.Current();
        return new FollowRecord
        {
            Server = "db", Slot = "salvor_pg", Connected = true, Timeline = 1, Pid = here.Pid, Host = here.Host, BootId = here.BootId,
            StartTicks = here.StartTicks, UpdatedAt = Now,
        };
    }
}
