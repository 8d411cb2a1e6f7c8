using System.Text.Json;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>What is run before and after backups and restores, and what it is told.</summary>
public sealed class HookTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public HookTests()
    {
        Directory.CreateDirectory(_rig["vaults"]);
        File.WriteAllText(_rig["app/a.txt"], "one");
    }

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task Hooks_are_run_around_backups_and_restores_and_are_told_the_outcome()
    {
        string[] names = ["before_backup", "after_backup", "before_restore", "after_restore"];
        Configure(string.Join(", ", names.Select(name => $"{name}: [sh, -c, {Record}]")));

        var backup = await _rig.ConfiguredAsync("backup", "tree");
        var restore = await _rig.ConfiguredAsync("restore", "tree", "--output", _rig["out"]);
        var occupied = await _rig.ConfiguredAsync("restore", "tree", "--output", _rig["out"]);

        Assert.True(backup.ExitCode == 0, $"{backup}");
        Assert.True(restore.ExitCode == 0, $"{restore}");
        Assert.Equal(2, occupied.ExitCode);
        Assert.Equal(
            [
                "before_backup tree - - - -",
                "after_backup tree success 1 - -",
                $"before_restore tree - - {_rig["out"]} -",
                $"after_restore tree success - {_rig["out"]} -",
                $"before_restore tree - - {_rig["out"]} -",
                $"after_restore tree failure - {_rig["out"]} {_rig["out"]} is not empty",
            ],
            File.ReadAllLines(_rig["hooks"]));
    }

    [Fact]
    public async Task A_hook_before_a_backup_that_fails_stops_it_and_its_output_is_shown()
    {
        Configure($"before_backup: [sh, -c, \"echo cannot stop; exit 4\"], after_backup: [sh, -c, {Record}]");

        var backup = await _rig.ConfiguredAsync("backup", "tree");

        CliRig.AssertError(
            backup, 1, "the before_backup hook of tree ended with exit code 4: cannot stop",
            "No backup is made until it ends well: run 'sh' by itself to see why.");
        Assert.False(Directory.Exists(_rig["vaults/tree"]));
        Assert.Equal(
            ["after_backup tree failure - - the before_backup hook of tree ended with exit code 4: cannot stop"],
            File.ReadAllLines(_rig["hooks"]));
    }

    [Fact]
    public async Task A_hook_that_takes_too_long_is_stopped_with_all_that_it_started()
    {
        Configure($"before_backup: [sh, -c, \"echo $$$$ > {_rig["pid"]}; sleep 1000 & wait\"], timeout: 1s");

        var backup = await _rig.ConfiguredAsync("backup", "tree");

        CliRig.AssertError(
            backup, 124, "the before_backup hook of tree did not end within 1s, and was stopped",
            "No backup is made until it ends well: run 'sh' by itself to see why.");
        var pid = File.ReadAllText(_rig["pid"]).Trim();
        await Eventually.HoldsAsync(
            () => Directory.GetDirectories("/proc").Where(IsProcess).All(folder => GroupOf(folder) != pid),
            () => $"somebody of group {pid} is there");
    }

    [Fact]
    public async Task A_hook_after_a_backup_that_alone_fails_fails_the_command_and_not_the_backup()
    {
        Configure("after_backup: [\"false\"]");

        var backup = await _rig.ConfiguredAsync("backup", "tree");
        var listed = await _rig.ConfiguredAsync("list");
        var status = await _rig.ConfiguredAsync("status", "--check");

        CliRig.AssertError(
            backup, 1, "the after_backup hook of tree ended with exit code 1",
            "The backup is made; run 'false' by itself to see why.");
        Assert.Contains("backup 1 ", listed.Stdout, StringComparison.Ordinal);
        Assert.Contains("the after_backup hook of tree ended with exit code 1", status.Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_hook_after_a_backup_that_fails_hides_no_worse_news()
    {
        File.WriteAllText(_rig["offsite"], "no directory");
        File.WriteAllText(
            _rig["salvor.yaml"],
            """
            destinations:
              local: { type: file, path: ./vaults }
              offsite: { type: file, path: ./offsite, required: true }
            sources:
              tree: { type: files, paths: [./app], to: [local, offsite], hooks: { after_backup: ["false"] } }

            """);

        var backup = await _rig.ConfiguredAsync("backup", "tree");
        var status = await _rig.ConfiguredAsync("status", "--check");
        var history = await _rig.ConfiguredAsync("history", "tree", "--json");

        Assert.Equal(4, backup.ExitCode);
        Assert.Contains("Backup ID: 1\n", backup.Stdout, StringComparison.Ordinal);
        Assert.Contains(
            "salvor: the after_backup hook of tree ended with exit code 1\nhint: The backup is made; run 'false' by itself to see why.\n",
            backup.Stderr, StringComparison.Ordinal);
        Assert.Contains("salvor: backup 1 of tree is not at offsite, which is required: ", backup.Stderr, StringComparison.Ordinal);
        Assert.Matches("it is not at offsite, which is required: .*; the after_backup hook of tree ended with exit code 1", status.Stderr);
        var run = Assert.Single(JsonElement.Parse(history.Stdout).GetProperty("runs").EnumerateArray());
        Assert.Equal("failed", run.GetProperty("outcome").GetString());
        Assert.Equal(1, run.GetProperty("backup_id").GetInt32());
        Assert.Matches("^it is not at offsite, .*; the after_backup hook of tree ended", run.GetProperty("error").GetString());
    }

    [Fact]
    public async Task A_hook_after_a_backup_that_fails_decides_over_what_could_not_be_read_which_is_named_too()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root can become somebody who may read less");
        Configure("after_backup: [\"false\"]");
        File.WriteAllText(_rig["app/secret"], "x");
        File.SetUnixFileMode(_rig["app/secret"], UnixFileMode.UserRead);
        await ChildProcess.RunAsync("chmod", ["a+rwx", _rig.Folder, _rig["app"], _rig["vaults"]]);
        string[] nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];

        var partial = await ChildProcess.RunAsync(
            "setpriv", [.. nobody, .. SalvorProcess.CommandLine, "backup", "--config", _rig["salvor.yaml"]]);

        Assert.Equal(1, partial.ExitCode);
        Assert.Contains("salvor: the after_backup hook of tree ended with exit code 1\n", partial.Stderr, StringComparison.Ordinal);
        Assert.Contains($"warning: {_rig["app/secret"]}: permission denied\n", partial.Stderr, StringComparison.Ordinal);
        Assert.Contains("salvor: backup 1 of tree lacks 1 name(s) that could not be read", partial.Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_hook_may_leave_something_running()
    {
        Configure($"before_backup: [sh, -c, \"sleep 1000 & echo $! > {_rig["pid"]}\"]");

        var backup = await _rig.ConfiguredAsync("backup", "tree");

        Assert.True(backup.ExitCode == 0, $"{backup}");
        var left = int.Parse(File.ReadAllText(_rig["pid"]), System.Globalization.CultureInfo.InvariantCulture);
        using var process = System.Diagnostics.Process.GetProcessById(left);
        process.Kill();
    }

    [Fact]
    public async Task A_database_runs_hooks_when_somebody_asks_for_a_backup_or_a_restore()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(
            $"app: {{ type: sqlite, path: ./app/app.db, to: [local], "
                + $"hooks: {{ before_backup: [sh, -c, {Record}], after_backup: [sh, -c, {Record}], "
                + $"after_restore: [sh, -c, {Record}] }} }}");

        var backup = await _rig.ConfiguredAsync("backup", "app");
        var restore = await _rig.ConfiguredAsync("restore", "app", "--output", _rig["out.db"]);

        Assert.True(backup.ExitCode == 0, $"{backup}");
        Assert.True(restore.ExitCode == 0, $"{restore}");
        Assert.Equal(
            ["before_backup app - - - -", "after_backup app success 1 - -", $"after_restore app success - {_rig["out.db"]} -"],
            File.ReadAllLines(_rig["hooks"]));
    }

    /// <summary>Writes down what it is told.</summary>
    string Record =>
        "\"echo $SALVOR_HOOK $SALVOR_SOURCE $${SALVOR_OUTCOME:--} $${SALVOR_BACKUP_ID:--} $${SALVOR_TARGET:--} $${SALVOR_ERROR:--} "
            + $">> {_rig["hooks"]}\"";

    void Configure(string hooks) =>
        _rig.Configure($"tree: {{ type: files, paths: [./app], to: [local], hooks: {{ {hooks} }} }}");

    static bool IsProcess(string folder) => Path.GetFileName(folder).All(char.IsAsciiDigit);

    static string GroupOf(string folder)
    {
        try
        {
            var stat = File.ReadAllText(Path.Combine(folder, "stat"));
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] == "Z" ? "" : fields[2];
        }
        catch (IOException)
        {
            return "";
        }
    }
}
