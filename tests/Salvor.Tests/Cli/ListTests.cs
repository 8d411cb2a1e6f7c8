using System.Text.RegularExpressions;
using Salvor.Tests.EndToEnd;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

[Collection(EndToEndTests.Name)]
public sealed partial class ListTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task Every_time_that_is_printed_can_be_restored_to()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync();
        await _rig.CommitAsync(2);
        await _rig.ExpectAsync(0, "sync", _rig.Database);
        await CliRig.StopAsync(replicate);

        var printed = (await _rig.ExpectAsync(0, "list", "--from", "vaults", "--verbose")).Stdout;

        Assert.Matches(
            $@"^app \({_rig.Database}\) at {_rig["vaults/app"]}\n  \S+Z (→|->) \S+Z  positions 1(–|-)2  every commit  branch 1\n"
                + @"complete as of \S+Z\nbranch 1\n  log objects: 2, snapshots at: 0\n$",
            printed);
        var times = Time().Matches(printed).Select(match => match.Value).ToList();
        Assert.Equal(3, times.Count);
        foreach (var (index, time) in times.Index())
        {
            await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--timestamp", time, "--output", $"{index}.db");
        }

        Assert.Equal(
            ["1", "1 2", "1 2"],
            [await CliRig.RowsAsync(_rig["0.db"]), await CliRig.RowsAsync(_rig["1.db"]), await CliRig.RowsAsync(_rig["2.db"])]);
    }

    [GeneratedRegex(@"\d{4}-\S+Z")]
    private static partial Regex Time();
}
