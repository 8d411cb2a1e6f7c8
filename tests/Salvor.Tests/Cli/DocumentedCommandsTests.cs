using System.Text.RegularExpressions;
using Salvor.Tests.EndToEnd;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Cli;

/// <summary>What <c>docs/cli.md</c> says is what happens.</summary>
[Collection(EndToEndTests.Name)]
public sealed partial class DocumentedCommandsTests : IDisposable
{
    const string Page = "docs/cli.md";
    static readonly TimeSpan BlockMax = TimeSpan.FromSeconds(60);

    readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task Every_example_runs_one_after_the_other()
    {
        var salvor = Path.Combine(_scratch.Subdirectory("bin"), "salvor");
        var program = Path.Combine(AppContext.BaseDirectory, "Salvor.Cli.dll");
        await File.WriteAllTextAsync(salvor, $"#!/bin/sh\nexec dotnet '{program}' \"$@\"\n");
        File.SetUnixFileMode(salvor, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var folder = _scratch.Subdirectory("examples");
        var blocks = Block().Matches(Checkout.Read(Page)).Select(match => match.Groups["text"].Value).ToList();
        Assert.InRange(blocks.Count, 8, 100);

        foreach (var block in blocks)
        {
            await using var shell = ChildProcess.Start(
                "env", [$"PATH={Path.GetDirectoryName(salvor)}:{Environment.GetEnvironmentVariable("PATH")}", "sh", "-euc", block], folder);
            var result = await shell.ExitAsync(BlockMax);
            Assert.True(result.ExitCode == 0, $"{block}\n{result}");
        }
    }

    [Fact]
    public async Task Every_option_that_help_shows_is_described()
    {
        var page = Checkout.Read(Page);
        foreach (var verb in new[] { "daemon", "demo", "list", "replicate", "restore", "status", "sync", "version" })
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
