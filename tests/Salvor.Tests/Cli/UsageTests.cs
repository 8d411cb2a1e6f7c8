using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

public sealed class UsageTests
{
    static readonly string[] Verbs =
        ["daemon", "replicate", "sync", "restore", "list", "find", "dump", "diff", "stats", "status", "history", "demo", "version"];

    [Theory]
    [InlineData(
        "",
        "no command is given",
        "Run 'salvor --help' to see them: "
            + "init, daemon, replicate, sync, backup, restore, list, find, dump, diff, stats, status, history, verify, drill, runbook, "
            + "wal-push, wal-get, repair, prune, usage, doctor, bench, "
            + "lock, break-lock, key, notify, schedule, completions, config, demo and version.")]
    [InlineData("replicat", "unknown command 'replicat'", "Did you mean \"replicate\"? Run 'salvor --help' to see all.")]
    [InlineData("--jsn", "unknown option '--jsn'", "Did you mean \"--json\"? Run 'salvor --help' to see all.")]
    [InlineData(
        "restore --ouput x", "unknown option '--ouput'", "Did you mean \"--output\"? Run 'salvor restore --help' to see all.")]
    [InlineData("restore --in-plac", "unknown option '--in-plac'", "Did you mean \"--in-place\"? Run 'salvor restore --help' to see all.")]
    [InlineData("restore a b", "'salvor restore' takes no 'b'", "Run 'salvor restore --help' to see what it takes.")]
    [InlineData("replicate", "'salvor replicate' needs DB and DEST", "Run 'salvor replicate --help' to see what it takes.")]
    [InlineData("replicate a", "'salvor replicate' needs DEST", "Run 'salvor replicate --help' to see what it takes.")]
    [InlineData(
        "restore --branch x",
        "'--branch' is \"x\", and takes a whole number from 1 to 999999",
        "Run 'salvor restore --help' to see what it takes.")]
    [InlineData(
        "demo --seconds 0",
        "'--seconds' is \"0\", and takes a whole number from 1 to 600",
        "Run 'salvor demo --help' to see what it takes.")]
    [InlineData(
        "list --progress maybe",
        "'--progress' is \"maybe\", and takes auto, always and never",
        "Run 'salvor list --help' to see what it takes.")]
    [InlineData(
        "sync a --timeout 5",
        "\"5\" is not a duration",
        "Write a whole number and a unit, for example 250ms, 10m, 36h, 7d, 1y or 1h30m.")]
    [InlineData(
        "restore --from / --timestamp 1 --position 2", "'--timestamp' and '--position' exclude each other", "Give one of them.")]
    public async Task What_is_wrong_with_a_command_line_is_named(string line, string message, string hint) =>
        CliRig.AssertError(await SalvorProcess.RunAsync(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)), 2, message, hint);

    [Fact]
    public async Task Help_describes_every_verb_under_its_own_name()
    {
        var root = await SalvorProcess.RunAsync("--help");

        Assert.Equal(0, root.ExitCode);
        Assert.Contains("Exit codes:", root.Stdout, StringComparison.Ordinal);
        Assert.DoesNotContain("demo-writer", root.Stdout, StringComparison.Ordinal);
        foreach (var verb in Verbs)
        {
            var result = await SalvorProcess.RunAsync(verb, "--help");
            Assert.True(result.ExitCode == 0, $"{result}");
            Assert.Contains($"  salvor {verb} ", result.Stdout, StringComparison.Ordinal);
            Assert.Contains($"  {verb} ", root.Stdout, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Without_a_configuration_the_hint_shows_one()
    {
        var result = await SalvorProcess.RunAsync("list", "app");

        Assert.Equal(2, result.ExitCode);
        Assert.StartsWith(
            "salvor: no configuration: neither --config nor $SALVOR_CONFIG names a file", result.Stderr, StringComparison.Ordinal);
        Assert.Contains(
            "\nhint: Create /etc/salvor/salvor.yaml, or name another file with --config:", result.Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Version_tells_the_formats_and_libraries()
    {
        var result = await SalvorProcess.RunAsync("version");

        Assert.Equal(0, result.ExitCode);
        Assert.Matches(@"^salvor \d+\.\d+\.\d+\nvault format: v1 \(read and write\)\nsqlite: 3\.", result.Stdout);
    }
}
