using System.Text.RegularExpressions;
using Salvor.Jobs;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

public sealed partial class StatusTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task What_is_served_is_told_with_its_position()
    {
        await _rig.CreateDatabaseAsync();
        await _rig.ReplicateAsync();
        var result = await _rig.ExpectAsync(0, "status", _rig.Database, "--check");
        for (var i = 0; i < 40 && !result.Stdout.Contains("position 1 ", StringComparison.Ordinal); i++)
        {
            // What changes within a second is written together.
            await Task.Delay(100, TestContext.Current.CancellationToken);
            result = await _rig.ExpectAsync(0, "status", _rig.Database, "--check");
        }

        Assert.Matches(
            $@"^app  healthy  pid \d+\n  {_rig.Database} (→|->) {_rig["vaults"]}\n"
                + @"  position 1 of \S+Z, branch 1, lag 0 s\n(  backed up .*\n)?$",
            result.Stdout);
    }

    [Fact]
    public async Task A_killed_daemon_is_found_out()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db"), CliRig.Source("missing", "./app/missing.db"));
        var daemon = await _rig.DaemonAsync("missing", "waiting");
        await _rig.StateAsync("app", "healthy");
        Assert.Equal(0, (await _rig.ConfiguredAsync("status", "--check")).ExitCode);

        await daemon.KillAsync();

        var result = await _rig.ConfiguredAsync("status", "--check", "--quiet");
        CliRig.AssertError(
            result,
            8,
            "nothing serves app and missing",
            "Start 'salvor daemon' or 'salvor replicate DB DEST', and look at its log for why it ended.");
        Assert.Equal("", result.Stdout);
    }

    [Fact]
    public async Task A_frozen_daemon_does_not_count_as_alive()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync();
        replicate.Send(Signal.Stop);
        var result = await _rig.RunAsync("status", _rig.Database, "--check");
        for (var i = 0; result.ExitCode == 0 && i < 50; i++)
        {
            // A signal takes effect when its process gets its turn.
            await Task.Delay(20, TestContext.Current.CancellationToken);
            result = await _rig.RunAsync("status", _rig.Database, "--check");
        }

        var pid = Pid().Match(result.Stdout).Groups[1].Value;
        Assert.StartsWith($"app  stale  pid {pid}\n", result.Stdout, StringComparison.Ordinal);
        CliRig.AssertError(
            result,
            8,
            $"pid {pid}, which serves app, does not respond",
            $"Let it go on with 'kill -CONT {pid}', or end it with 'kill -KILL {pid}' and start it again: what was committed meanwhile is "
                + "caught up with.");
        replicate.Send(Signal.Continue);
        await _rig.ExpectAsync(0, "status", _rig.Database, "--check");
    }

    [Fact]
    public void A_process_that_does_not_touch_its_socket_for_long_does_not_respond()
    {
        var (socket, now) = (_rig["x.sock"], DateTimeOffset.UtcNow);
        Assert.True(Heartbeat.IsSeen(Environment.ProcessId, socket, now));
        File.WriteAllText(socket, "");

        Heartbeat.Beat(socket, now);

        Assert.True(Heartbeat.IsSeen(Environment.ProcessId, socket, now + TimeSpan.FromSeconds(89)));
        Assert.False(Heartbeat.IsSeen(Environment.ProcessId, socket, now + TimeSpan.FromSeconds(91)));
    }

    [Fact]
    public async Task What_was_stopped_still_has_its_position()
    {
        await _rig.CreateDatabaseAsync();
        await CliRig.StopAsync(await _rig.ReplicateAsync());

        var result = await _rig.ExpectAsync(0, "status", _rig.Database);

        Assert.Matches(@"^app  stopped\n  .*\n  position 1 of \S+Z, branch 1\n(  backed up .*\n)?$", result.Stdout);
    }

    [Fact]
    public async Task What_never_ran_is_told_with_what_is_in_its_way()
    {
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        var result = await _rig.ConfiguredAsync("status");

        Assert.Equal(
            $"app  unprotected\n  {_rig.Database}: never replicated from here; database {_rig.Database} does not exist\n", result.Stdout);
    }

    [GeneratedRegex(@"pid (\d+)")]
    private static partial Regex Pid();
}
