using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>Salvor is killed while a command runs for it. The command goes with it, and the next run needs no help.</summary>
public sealed class CommandKillTests : IAsyncDisposable
{
    const int Kills = 4;
    const int MegaBytes = 24;

    readonly CliRig _rig = new();
    readonly Random _random = new(TestSeed.Take());

    public CommandKillTests()
    {
        Directory.CreateDirectory(_rig["vaults"]);
        var data = new byte[MegaBytes << 20];
        _random.NextBytes(data);
        File.WriteAllBytes(_rig["data"], data);

        // Two processes, and one that ignores what it is asked: only a group that is killed as a whole is gone.
        File.WriteAllText(
            _rig["dump.sh"],
            $"""
            echo $$ >> {_rig["pids"]}
            (trap '' TERM; echo $(sh -c 'echo $PPID') >> {_rig["pids"]}; exec sleep 1000) > /dev/null 2>&1 &
            split -b 1M --filter='cat; sleep 0.05' {_rig["data"]}
            kill -KILL $!
            """);
        _rig.Configure($"db: {{ type: command, command: [sh, {_rig["dump.sh"]}], to: [local] }}");
    }

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_backup_killed_at_any_moment_leaves_no_backup_and_no_command_behind()
    {
        for (var kill = 0; kill < Kills; kill++)
        {
            var process = _rig.Start("backup", "--config", "salvor.yaml");
            var growth = _random.Next(MegaBytes << 20);
            await Eventually.HoldsAsync(
                () => process.HasExited || StoredBytes() > growth || (growth < 1 << 20 && File.Exists(_rig["pids"])),
                () => process.Stderr, Eventually.StartMax);
            process.Send(Signal.Kill);
            await process.ExitAsync();
            await ExpectNobodyAsync();
            var listed = await _rig.ConfiguredAsync("list");
            Assert.DoesNotContain("backup ", listed.Stdout, StringComparison.Ordinal);
            File.Delete(_rig["pids"]);
        }

        var made = await _rig.ConfiguredAsync("backup", "--verify");
        var restored = await _rig.ConfiguredAsync("restore", "--output", _rig["out"]);
        var verified = await _rig.ConfiguredAsync("verify");

        Assert.True(made.ExitCode == 0, $"{made}");
        Assert.True(restored.ExitCode == 0, $"{restored}");
        Assert.True(verified.ExitCode == 0, $"{verified}");
        Assert.Equal(File.ReadAllBytes(_rig["data"]), File.ReadAllBytes(_rig["out"]));
    }

    [Fact]
    public async Task A_restore_killed_at_any_moment_leaves_no_file_and_no_command_behind()
    {
        var made = await _rig.ConfiguredAsync("backup");
        Assert.True(made.ExitCode == 0, $"{made}");
        File.Delete(_rig["pids"]);
        for (var kill = 0; kill < Kills; kill++)
        {
            var process = _rig.Start("restore", "--config", "salvor.yaml", "--output", "out");
            await Eventually.HoldsAsync(
                () => process.HasExited || Directory.GetFiles(_rig.Folder, ".out.restoring-*").Length > 0,
                () => process.Stderr, Eventually.StartMax);
            await Task.Delay(_random.Next(100), TestContext.Current.CancellationToken);
            process.Send(Signal.Kill);
            var ended = await process.ExitAsync();
            Assert.True(ended.ExitCode == 0 || !File.Exists(_rig["out"]) || IsWhole(), $"{ended}");
            File.Delete(_rig["out"]);
        }

        var piped = _rig.Start(
            "restore", "--config", "salvor.yaml", "--pipe", "--", "sh", "-c", $"echo $$ > {_rig["pids"]}; read -r x; sleep 1000");
        await Eventually.HoldsAsync(
            () => File.Exists(_rig["pids"]) && new FileInfo(_rig["pids"]).Length > 0, () => piped.Stderr, Eventually.StartMax);
        piped.Send(Signal.Kill);
        await piped.ExitAsync();
        await ExpectNobodyAsync();

        var restored = await _rig.ConfiguredAsync("restore", "--output", _rig["out"]);
        Assert.True(restored.ExitCode == 0, $"{restored}");
        Assert.True(IsWhole());
        Assert.Empty(Directory.GetFiles(_rig.Folder, ".out.restoring-*"));
    }

    [Fact]
    public async Task A_backup_that_is_stopped_takes_its_command_with_it()
    {
        var process = _rig.Start("backup", "--config", "salvor.yaml");
        await Eventually.HoldsAsync(() => StoredBytes() > 1 << 20, () => process.Stderr, Eventually.StartMax);

        await CliRig.StopAsync(process, Signal.Terminate, exitCode: 130);

        await ExpectNobodyAsync();
    }

    bool IsWhole() => File.ReadAllBytes(_rig["out"]).AsSpan().SequenceEqual(File.ReadAllBytes(_rig["data"]));

    long StoredBytes() => Directory.Exists(_rig["vaults/db/packs"])
        ? new DirectoryInfo(_rig["vaults/db/packs"]).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length)
        : 0;

    /// <summary>Waits until no process is there that the command wrote down.</summary>
    Task ExpectNobodyAsync() => Eventually.HoldsAsync(
        () => !File.Exists(_rig["pids"]) || File.ReadAllLines(_rig["pids"]).All(pid => !IsThere(pid)),
        () => $"still there: {File.ReadAllText(_rig["pids"])}", Eventually.StartMax);

    static bool IsThere(string pid)
    {
        try
        {
            // A process that was killed and that nobody has asked about yet is over.
            return !File.ReadAllText($"/proc/{pid.Trim()}/stat").Contains(") Z ", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }
}
