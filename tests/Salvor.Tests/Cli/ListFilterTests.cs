using System.Text.Json;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>The backups that somebody wants to see, as they want to see them.</summary>
public sealed class ListFilterTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ListFilterTests()
    {
        Directory.CreateDirectory(_rig["vaults"]);
        File.WriteAllText(_rig["app/a.txt"], "one");
        _rig.Configure("tree: { type: files, paths: [./app], to: [local] }");
    }

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_line_for_each_backup_has_what_the_template_says()
    {
        await BackUpAsync(3);

        var all = await ListAsync("--format", "{id:>3} {label:<8}|{size} {size_bytes} {type}");
        var last = await ListAsync("--format", "{id}", "--last", "2");

        Assert.Equal("  3 third   |3 B 3 incremental\n  2 second  |3 B 3 incremental\n  1 first   |3 B 3 incremental\n", all);
        Assert.Equal("3\n2\n", last);
    }

    [Fact]
    public async Task The_newest_backups_and_those_of_a_time_can_be_asked_for()
    {
        await BackUpAsync(3);
        var times = JsonElement.Parse(await ListAsync("--json")).GetProperty("backups").EnumerateArray()
            .Select(item => item.GetProperty("timestamp").GetString()!).ToList();

        Assert.Matches(@"^tree at \S+\n  backup 3 .*\n  backup 2 .*\n$", await ListAsync("--last", "2"));
        Assert.Equal("2\n1\n", await ListAsync("--format", "{id}", "--until", times[1]));
        Assert.Equal("3\n2\n", await ListAsync("--format", "{id}", "--since", times[1]));
        Assert.Equal("2\n", await ListAsync("--format", "{id}", "--since", times[1], "--until", times[1]));
        Assert.Equal("", await ListAsync("--format", "{id}", "--since", "2999-01-01T00:00:00Z"));
    }

    [Fact]
    public async Task Spans_of_a_database_are_those_of_the_time()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync();
        await _rig.ExpectAsync(0, "sync", _rig.Database);
        await CliRig.StopAsync(replicate);

        async Task<int> SpansAsync(params string[] options) => JsonElement.Parse(
            (await _rig.ExpectAsync(0, ["list", "--from", "vaults/app", "--json", .. options])).Stdout)
            .GetProperty("spans").GetArrayLength();
        Assert.Equal(
            (1, 0, 0, 1, 0),
            (await SpansAsync(), await SpansAsync("--since", "2999-01-01"), await SpansAsync("--until", "1999-01-01"),
                await SpansAsync("--until", "2999-01-01"), await SpansAsync("--last", "1")));
    }

    [Fact]
    public async Task What_no_backup_has_is_refused_with_what_it_may_have()
    {
        var field = await _rig.ConfiguredAsync("list", "--format", "{id} {tme}");
        var count = await _rig.ConfiguredAsync("list", "--last", "0");

        Assert.Equal((2, 2), (field.ExitCode, count.ExitCode));
        Assert.Contains(
            "'--format' has {tme}, which no backup has: it may have id, time, created, type, label, size, added, size_bytes, added_bytes, "
                + "branch and position", field.Stderr, StringComparison.Ordinal);
        Assert.Contains("'--last' is \"0\", and takes a whole number from 1 to 1000000", count.Stderr, StringComparison.Ordinal);
    }

    async Task BackUpAsync(int count)
    {
        foreach (var label in ((string[])["first", "second", "third"]).Take(count))
        {
            var made = await _rig.ConfiguredAsync("backup", "--label", label);
            Assert.True(made.ExitCode == 0, $"{made}");
        }
    }

    async Task<string> ListAsync(params string[] options)
    {
        var listed = await _rig.ConfiguredAsync(["list", "tree", .. options]);
        Assert.True(listed.ExitCode == 0, $"{listed}");
        return listed.Stdout;
    }
}
