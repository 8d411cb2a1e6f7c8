using System.Text.Json;
using Salvor.Cli.Demo;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>The demo says how many commits it made in its seconds.</summary>
[Collection(QuietMachine.Name)]
public sealed class DemoTests
{
    [Fact]
    public async Task The_demo_proves_what_it_restores()
    {
        var result = await SalvorProcess.RunAsync("demo", "--seconds", "2", "--json");

        Assert.True(result.ExitCode == 0, $"{result}");
        var document = JsonElement.Parse(result.Stdout);
        var commits = document.GetProperty("commits").GetInt32();
        Assert.True(document.GetProperty("proved").GetBoolean());
        Assert.InRange(commits, 2 * DemoWriter.CommitsPerSecond / 2, int.MaxValue);
        Assert.Equal(commits, document.GetProperty("restores")[1].GetProperty("commits_found").GetInt32());
        Assert.InRange(document.GetProperty("restores")[0].GetProperty("commits_found").GetInt32(), 1, commits - 1);
        Assert.InRange(document.GetProperty("lag_commits").GetInt32(), 1, commits);
        Assert.InRange(document.GetProperty("lag_p50_milliseconds").GetDouble(), 0.1, 5000);
        Assert.False(Directory.Exists(document.GetProperty("folder").GetString()));
    }

    [Fact]
    public async Task A_demo_that_is_stopped_leaves_nothing_behind()
    {
        using var scratch = new ScratchDirectory();
        await using var demo = ChildProcess.Start(
            "env",
            ["TMPDIR=" + scratch.Path, "dotnet", Path.Combine(AppContext.BaseDirectory, "Salvor.Cli.dll"), "demo", "--seconds", "60"]);
        await Eventually.HoldsAsync(() => demo.Stdout.Contains("its first full copy", StringComparison.Ordinal), () => demo.Stderr);

        demo.Send(Signal.Terminate);
        var result = await demo.ExitAsync();

        Assert.Equal(130, result.ExitCode);
        Assert.Empty(Directory.EnumerateDirectories(scratch.Path, "salvor-demo-*"));
    }

    [Fact]
    public void Each_transaction_changes_what_the_next_comparison_expects()
    {
        var before = DemoContent.Rows(100).ToList();
        var after = DemoContent.Rows(101).ToList();

        Assert.Equal(100, before.Count);
        Assert.InRange(before.Zip(after).Count(pair => pair.First != pair.Second) + after.Count - before.Count, 1, 2);
        Assert.Equal(after.Count, after.Distinct().Count());
    }
}
