using System.Diagnostics;
using Salvor.Platform;

namespace Salvor.Tests.Platform;

public sealed class ProcessIdentityTests
{
    static readonly ProcessIdentity Here = ProcessIdentity.Current();

    [Fact]
    public void A_running_process_is_not_dead() => Assert.False(Here.IsProvablyDead());

    [Fact]
    public void A_process_of_another_host_is_not_provably_dead() =>
        Assert.False((Here with { Host = "another", StartTicks = 1 }).IsProvablyDead());

    [Fact]
    public void A_process_of_an_earlier_boot_is_dead() =>
        Assert.True((Here with { Host = "db1", BootId = "earlier" }).IsProvablyDead(Here with { Host = "db1" }));

    [Fact]
    public void A_name_that_every_fresh_machine_has_proves_nothing() =>
        Assert.False(
            (Here with { Host = "localhost", BootId = "another" }).IsProvablyDead(Here with { Host = "localhost" }));

    [Fact]
    public void A_process_whose_id_was_given_to_another_is_dead() =>
        Assert.True((Here with { StartTicks = Here.StartTicks + 1 }).IsProvablyDead());

    [Fact]
    public void A_process_in_another_container_is_not_provably_dead() =>
        Assert.False((Here with { PidNamespace = 1, StartTicks = 1 }).IsProvablyDead());

    [Fact]
    public void A_killed_process_is_dead()
    {
        using var process = Process.Start("sleep", "60");
        var identity = Here with { Pid = process.Id, StartTicks = Assert.NotNull(ProcessStat.TryRead(process.Id)).StartTicks };
        Assert.False(identity.IsProvablyDead());

        process.Kill();
        process.WaitForExit();

        Assert.True(identity.IsProvablyDead());
    }

    [Fact]
    public void A_process_that_only_waits_to_be_asked_how_it_ended_is_dead() =>
        Assert.True(Assert.NotNull(ProcessStat.TryParse(Line("app", 'Z', threads: 1, start: 5))).IsFinished);

    [Fact]
    public void A_leader_that_ended_before_its_threads_is_not_finished() =>
        Assert.False(Assert.NotNull(ProcessStat.TryParse(Line("app", 'Z', threads: 2, start: 5))).IsFinished);

    [Fact]
    public void The_name_of_a_program_does_not_confuse_the_reader() =>
        Assert.Equal(new ProcessStat('S', 3, 99), ProcessStat.TryParse(Line("a) Z 1 (b", 'S', threads: 3, start: 99)));

    [Fact]
    public void A_line_that_is_cut_off_is_not_read() => Assert.Null(ProcessStat.TryParse("12 (app) S 1 2 3"));

    static string Line(string name, char state, int threads, long start) =>
        $"12 ({name}) {state} 1 12 12 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 {threads} 0 {start} 1000 10";
}
