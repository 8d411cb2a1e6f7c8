using System.Text.RegularExpressions;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Cli;

/// <summary>What <c>docs/cli.md</c> and the README say is what happens.</summary>
public sealed partial class DocumentedCommandsTests : IDisposable
{
    const string Page = "docs/cli.md";
    static readonly TimeSpan BlockMax = TimeSpan.FromSeconds(60);

    readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public Task Every_example_runs_one_after_the_other() => RunBlocksAsync(Page, blocksMin: 8, skip: 0);

    /// <summary>The first block of the README starts the demo, which has its own test, and this very run.</summary>
    [Fact]
    public Task The_first_five_minutes_of_the_readme_run_as_written() => RunBlocksAsync("README.md", blocksMin: 1, skip: 1);

    [Fact]
    public Task What_operations_says_of_volumes_runs_as_written() => RunBlocksAsync("docs/operations.md", blocksMin: 1, skip: 0);

    async Task RunBlocksAsync(string page, int blocksMin, int skip)
    {
        var folder = _scratch.Subdirectory("examples");
        var salvor = Path.Combine(folder, "salvor");
        var program = Path.Combine(AppContext.BaseDirectory, "Salvor.Cli.dll");
        await File.WriteAllTextAsync(salvor, $"#!/bin/sh\nexec dotnet '{program}' \"$@\"\n");
        File.SetUnixFileMode(salvor, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var blocks = Block().Matches(Checkout.Read(page)).Select(match => match.Groups["text"].Value).Skip(skip).ToList();
        Assert.InRange(blocks.Count, blocksMin, 100);

        foreach (var block in blocks)
        {
            await using var shell = ChildProcess.Start(
                "env", [$"PATH={folder}:{Environment.GetEnvironmentVariable("PATH")}", "sh", "-euc", block], folder);
            var result = await shell.ExitAsync(BlockMax);
            Assert.True(result.ExitCode == 0, $"{block}\n{result}");
        }
    }

    [Fact]
    public async Task Every_option_that_help_shows_is_described()
    {
        var page = Checkout.Read(Page);
        string[] verbs =
        [
            "backup", "break-lock", "completions", "config", "daemon", "demo", "diff", "doctor", "drill", "dump", "find", "history", "init",
            "key", "list", "lock", "notify", "prune", "repair", "replicate", "restore", "runbook", "schedule", "stats", "status", "sync",
            "usage", "verify", "version", "wal-get", "wal-push",
        ];
        foreach (var verb in verbs)
        {
            Assert.Contains($"\n## {verb}\n", page, StringComparison.Ordinal);
            var help = (await SalvorProcess.RunAsync(verb, "--help")).Stdout;
            foreach (var option in Option().Matches(help).Select(match => match.Value).Except(["--source-name", "--source", "--target"]))
            {
                Assert.True(page.Contains(option, StringComparison.Ordinal), $"{Page} does not describe {option} of {verb}");
            }
        }
    }

    [GeneratedRegex(@"^```sh\n(?<text>[\s\S]*?)^```", RegexOptions.Multiline)]
    private static partial Regex Block();

    [GeneratedRegex(@"(?<=^  [^A-Z]*)--[a-z-]+", RegexOptions.Multiline)]
    private static partial Regex Option();
}
