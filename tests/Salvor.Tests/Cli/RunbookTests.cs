using System.Text.RegularExpressions;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>What is printed for the worst day works on that day.</summary>
public sealed partial class RunbookTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Theory]
    [InlineData("restore")]
    [InlineData("server-loss")]
    public async Task Every_command_runs_in_its_order_when_the_source_is_lost(string scenario)
    {
        await BackUpAsync("app: { type: sqlite, path: ./app/app.db, to: [local] }");
        var page = await PageAsync("--scenario", scenario);
        Directory.Delete(_rig["app"], recursive: true);
        if (scenario == "restore")
        {
            Directory.CreateDirectory(_rig["app"]);
        }

        var result = await _rig.ShellAsync("set -eu\n" + string.Join('\n', Block().Matches(page).Select(match => match.Groups[1].Value)));

        Assert.True(result.ExitCode == 0, $"{page}\n{result}");
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig.Database));
        Assert.Equal(
            ["Assess", "Provision", "Restore", "Verify", "Resume"], Heading().Matches(page).Select(match => match.Groups[1].Value));
    }

    [Fact]
    public async Task Each_scenario_has_the_real_names_and_says_what_to_change()
    {
        _rig.WriteSecret("app.key", new string('k', 64));
        _rig.Configure(
            "app: { type: sqlite, path: ./app/app.db, to: [local], encryption: { key_file: ./app.key }, "
                + "drill: { checks: [ { sql: SELECT count(*) FROM t } ] } }");

        foreach (var scenario in (string[])["restore", "server-loss", "corruption", "ransomware"])
        {
            var page = await PageAsync("--scenario", scenario, "--service", "web.service", "--service", "worker.service");
            Assert.Contains($"| Destination local | {_rig["vaults"]} |", page, StringComparison.Ordinal);
            Assert.Contains($"--output {_rig["app/restored/app-candidate.db"]} ", page, StringComparison.Ordinal);
            Assert.Contains("`salvor doctor app --config ", page, StringComparison.Ordinal);
            Assert.Contains($"key file {_rig["app.key"]}", page, StringComparison.Ordinal);
            Assert.Contains("systemctl start web.service\nsystemctl start worker.service\n", page, StringComparison.Ordinal);
            Assert.Contains("- `sql: SELECT count(*) FROM t`\n", page, StringComparison.Ordinal);
            Assert.DoesNotContain("kkkk", page, StringComparison.Ordinal);
            Assert.Equal(
                scenario is "server-loss" or "ransomware",
                page.Contains("`salvor key rotate app`", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task A_bare_machine_restores_with_the_kit_and_the_key_alone()
    {
        _rig.WriteSecret("app.key", new string('k', 64));
        await BackUpAsync(
            "app: { type: sqlite, path: ./app/app.db, to: [local], encryption: { key_file: ./app.key, key_saved: true }, "
                + "drill: { checks: [ { command: \"curl -H hidden-token http://127.0.0.1:1/\" } ] } }");
        Assert.Equal(0, (await _rig.ConfiguredAsync("key", "export", _rig["exported.key"])).ExitCode);
        var made = await _rig.ConfiguredAsync("runbook", "--kit", "kit.tar.gz");
        Assert.True(made.ExitCode == 0, $"{made}");
        Directory.Delete(_rig["app"], recursive: true);
        File.Delete(_rig["app.key"]);
        File.Delete(_rig["salvor.yaml"]);
        Directory.CreateDirectory(_rig["bare"]);

        await _rig.ExpectAsync(
            0, "restore", "app", "--config", "kit.tar.gz", "--key-file", "exported.key", "--output", _rig["bare/app.db"]);

        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["bare/app.db"]));
        var content = await _rig.ShellAsync("tar xzOf kit.tar.gz");
        Assert.Equal(0, content.ExitCode);
        Assert.Contains("# Recovery kit", content.Stdout, StringComparison.Ordinal);
        Assert.Contains($"--config {_rig["salvor.yaml"]}", content.Stdout, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden-token", content.Stdout, StringComparison.Ordinal);
        Assert.DoesNotContain("kkkk", content.Stdout, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("restore")]
    [InlineData("server-loss")]
    public async Task Of_files_every_command_runs_and_owners_are_a_step(string scenario)
    {
        _rig.Configure("tree: { type: files, paths: [./app], to: [local], drill: { checks: [ { exists: /srv/a } ] } }");
        File.WriteAllText(_rig["app/a"], "one");
        Assert.Equal(0, (await _rig.ConfiguredAsync("backup")).ExitCode);
        var page = (await _rig.ConfiguredAsync("runbook", "tree", "--scenario", scenario)).Stdout;
        File.WriteAllText(_rig["app/a"], "spoilt");
        if (scenario == "server-loss")
        {
            Directory.Delete(_rig["app"], recursive: true);
        }

        var result = await _rig.ShellAsync("set -eu\n" + string.Join('\n', Block().Matches(page).Select(match => match.Groups[1].Value)));

        Assert.True(result.ExitCode == 0, $"{page}\n{result}");
        Assert.Equal("one", File.ReadAllText(_rig["app/a"]));
        Assert.Equal(scenario == "restore", File.Exists(_rig["app.before-recovery/a"]));
        Assert.Contains("5. Owners. Only root can give files away", page, StringComparison.Ordinal);
        Assert.Contains($"{Environment.UserName}:", result.Stdout, StringComparison.Ordinal);
        Assert.Contains("- `exists: /srv/a`\n", page, StringComparison.Ordinal);
        Assert.DoesNotContain("sqlite3", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bare_machine_restores_files_with_the_kit_alone()
    {
        _rig.Configure("tree: { type: files, paths: [./app], exclude: ['*.tmp'], to: [local], schedule: every 1h }");
        File.WriteAllText(_rig["app/a"], "one");
        Assert.Equal(0, (await _rig.ConfiguredAsync("backup")).ExitCode);
        var made = await _rig.ConfiguredAsync("runbook", "--kit", "kit.tar.gz");
        Assert.True(made.ExitCode == 0, $"{made}");
        Directory.Delete(_rig["app"], recursive: true);
        File.Delete(_rig["salvor.yaml"]);

        await _rig.ExpectAsync(0, "restore", "tree", "--config", "kit.tar.gz", "--output", _rig["bare"]);

        Assert.Equal("one", File.ReadAllText(_rig["bare"] + _rig["app/a"]));
        var content = await _rig.ShellAsync("tar xzOf kit.tar.gz");
        Assert.Contains($"| tree | `{_rig["app"]}` | none |", content.Stdout, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("restore")]
    [InlineData("server-loss")]
    public async Task Of_what_a_command_prints_every_command_runs_and_taking_it_back_is_a_step(string scenario)
    {
        File.WriteAllText(_rig["app/dump"], "one");
        _rig.Configure($"dump: {{ type: command, command: [cat, {_rig["app/dump"]}], to: [local] }}");
        Assert.Equal(0, (await _rig.ConfiguredAsync("backup")).ExitCode);
        var page = (await _rig.ConfiguredAsync("runbook", "dump", "--scenario", scenario)).Stdout;
        var result = await _rig.ShellAsync("set -eu\n" + string.Join('\n', Block().Matches(page).Select(match => match.Groups[1].Value)));

        Assert.True(result.ExitCode == 0, $"{page}\n{result}");
        Assert.Equal("one", File.ReadAllText(_rig["restored/dump-candidate"]));
        Assert.Contains("| What is printed by | command cat |\n", page, StringComparison.Ordinal);
        Assert.Contains($"`salvor restore dump $POINT --config {_rig["salvor.yaml"]} --pipe -- COMMAND`", page, StringComparison.Ordinal);
        Assert.DoesNotContain("database is gone", page, StringComparison.Ordinal);
        Assert.DoesNotContain("sqlite3", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bare_machine_restores_what_a_command_printed_with_the_kit_alone()
    {
        File.WriteAllText(_rig["app/dump"], "one");
        _rig.Configure(
            $"dump: {{ type: command, command: [cat, {_rig["app/dump"]}, --, {_rig["app/dump"]}], to: [local], schedule: every 1h, "
                + "environment: { PASSWORD: hidden-token } }");
        Assert.Equal(0, (await _rig.ConfiguredAsync("backup")).ExitCode);
        Assert.Equal(0, (await _rig.ConfiguredAsync("runbook", "--kit", "kit.tar.gz")).ExitCode);
        File.Delete(_rig["salvor.yaml"]);

        await _rig.ExpectAsync(0, "restore", "dump", "--config", "kit.tar.gz", "--output", _rig["back"]);

        Assert.Equal("oneone", File.ReadAllText(_rig["back"]));
        var content = await _rig.ShellAsync("tar xzOf kit.tar.gz");
        Assert.Contains("# Recovery of dump", content.Stdout, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden-token", content.Stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_no_kit_is_refused()
    {
        await File.WriteAllBytesAsync(_rig["broken.tar.gz"], [0x1f, 0x8b, 8, 0, 1, 2, 3]);

        var result = await _rig.ExpectAsync(2, "list", "--config", "broken.tar.gz");

        Assert.StartsWith("salvor: the recovery kit broken.tar.gz cannot be unpacked: ", result.Stderr, StringComparison.Ordinal);
        CliRig.AssertError(
            await KitAsync("kit.zip"), 2, $"the recovery kit {_rig["kit.zip"]} is a .tar.gz, and its name does not say so",
            $"Write '--kit {_rig["kit.zip"]}.tar.gz'.");
    }

    Task<ProcessResult> KitAsync(string name)
    {
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        return _rig.ConfiguredAsync("runbook", "--kit", name);
    }

    async Task BackUpAsync(string source)
    {
        await _rig.CreateDatabaseAsync();
        await _rig.CommitAsync(2);
        _rig.Configure(source);
        var backup = await _rig.ConfiguredAsync("backup");
        Assert.True(backup.ExitCode == 0, $"{backup}");
    }

    async Task<string> PageAsync(params string[] more)
    {
        var result = await _rig.ConfiguredAsync(["runbook", "app", .. more]);
        Assert.True(result.ExitCode == 0, $"{result}");
        return result.Stdout;
    }

    [GeneratedRegex(@"^```sh\n([\s\S]*?)^```", RegexOptions.Multiline)]
    private static partial Regex Block();

    [GeneratedRegex(@"^## (.*)$", RegexOptions.Multiline)]
    private static partial Regex Heading();
}
