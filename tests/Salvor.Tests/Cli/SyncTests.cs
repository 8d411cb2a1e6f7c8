using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

public sealed class SyncTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task What_was_committed_before_it_is_in_the_vault_after_it()
    {
        await _rig.CreateDatabaseAsync();
        await _rig.ReplicateAsync();
        await _rig.CommitAsync(2);

        var result = await _rig.ExpectAsync(0, "sync", _rig.Database);

        Assert.Equal("app: everything committed before the call is durable, up to position 2\n", result.Stdout);
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "x.db");
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["x.db"]));
    }

    [Fact]
    public async Task Without_a_daemon_it_does_the_work_itself()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        var first = await _rig.ConfiguredAsync("sync", "app");
        await _rig.CommitAsync(2);
        var second = await _rig.ConfiguredAsync("sync", "app");

        Assert.Equal("app: everything committed before the call is durable, up to position 1\n", first.Stdout);
        Assert.Equal("app: everything committed before the call is durable, up to position 2\n", second.Stdout);
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "x.db");
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["x.db"]));
    }

    [Fact]
    public async Task A_path_that_nobody_serves_is_told()
    {
        await _rig.CreateDatabaseAsync();

        CliRig.AssertError(
            await _rig.RunAsync("sync", _rig.Database),
            1,
            $"nothing replicates {_rig.Database} now",
            $"Start 'salvor replicate {_rig.Database} DEST' or 'salvor daemon', then try again.");
    }

    [Fact]
    public async Task A_source_that_is_not_there_is_told()
    {
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        CliRig.AssertError(
            await _rig.ConfiguredAsync("sync", "app"),
            3,
            $"source app is not being captured: database {_rig.Database} does not exist",
            "It will be picked up as soon as an app creates it.");
    }

    [Fact]
    public async Task While_the_destination_is_away_it_says_what_it_waits_for_and_ends_when_that_is_back()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        await _rig.DaemonAsync("app", "healthy");
        Directory.Move(_rig["vaults"], _rig["away"]);
        await _rig.CommitAsync(2);

        var sync = _rig.Start("sync", "app", "--config", _rig["salvor.yaml"]);
        await SaysAsync(sync, "salvor: waiting: destination local does not work: ");

        Assert.Contains(_rig["vaults"], sync.Stderr, StringComparison.Ordinal);
        Assert.Matches(@"\(for (\d+m)?\d+s\)\nhint: \w", sync.Stderr);
        Directory.Move(_rig["away"], _rig["vaults"]);
        var result = await sync.ExitAsync();
        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.Equal("app: everything committed before the call is durable, up to position 2\n", result.Stdout);
    }

    [Fact]
    public async Task Without_a_daemon_too_it_says_that_nobody_answers_at_the_destination()
    {
        await _rig.CreateDatabaseAsync();
        File.WriteAllText(
            _rig["salvor.yaml"],
            $$"""
            destinations:
              nas: { type: sftp, host: 127.0.0.1, port: 1, path: /srv }
            sources:
              app: { type: sqlite, path: {{_rig.Database}}, to: [nas] }

            """);

        var sync = _rig.Start("sync", "app", "--config", _rig["salvor.yaml"]);
        await SaysAsync(sync, "salvor: waiting: destination nas does not work: ");

        Assert.Contains("127.0.0.1", sync.Stderr, StringComparison.Ordinal);
        Assert.Equal(1, sync.Stderr.Split("waiting:").Length - 1);
        await CliRig.StopAsync(sync, Signal.Interrupt, exitCode: 130);
    }

    static Task SaysAsync(ChildProcess process, string words) => Eventually.HoldsAsync(
        () => process.Stderr.Contains(words, StringComparison.Ordinal), () => process.Stderr, Eventually.StartMax);

    [Fact]
    public async Task The_time_that_was_given_is_kept()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync();
        replicate.Send(Signal.Stop);
        try
        {
            CliRig.AssertError(
                await _rig.RunAsync("sync", _rig.Database, "--timeout", "200ms"),
                124,
                "not everything was durable after 200ms",
                "Run 'salvor status' to see what the source waits for.");
        }
        finally
        {
            replicate.Send(Signal.Continue);
        }
    }
}
