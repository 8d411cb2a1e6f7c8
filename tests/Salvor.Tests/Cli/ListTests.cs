using System.Text.Json;
using System.Text.RegularExpressions;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;

namespace Salvor.Tests.Cli;

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

    [Fact]
    public async Task How_fine_a_span_is_comes_from_its_points()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync();
        foreach (var row in (int[])[2, 3, 4])
        {
            await _rig.CommitAsync(row);
            await _rig.ExpectAsync(0, "sync", _rig.Database);
        }

        await CliRig.StopAsync(replicate);
        await ThinAsync(kept: 1);

        var printed = (await _rig.ExpectAsync(0, "list", "--from", "vaults")).Stdout;
        var refused = await _rig.ExpectAsync(6, "restore", "--from", "vaults", "--position", "2", "--output", "2.db");
        var json = JsonElement.Parse((await _rig.ExpectAsync(0, "list", "--from", "vaults", "--json")).Stdout);

        Assert.Matches(
            @"positions 1(–|-)3  the last of each (minute|hour|day)  branch 1\n.+positions 4(–|-)4  every commit  branch 1\n", printed);
        Assert.Contains("position 2 on branch 1 is no restore point any more: those kept around it are 1 and 3", refused.Stderr);
        Assert.Equal(
            ["commits"], json.GetProperty("spans").EnumerateArray().Skip(1).Select(span => span.GetProperty("granularity").GetString()));
        Assert.Contains(json.GetProperty("spans")[0].GetProperty("granularity").GetString(), (string[])["minutes", "hours", "days"]);
    }

    /// <summary>Makes one object of all but the last, with this position and its end, and removes what it was made of.</summary>
    async Task ThinAsync(ulong kept)
    {
        var store = new FileStore(_rig["vaults"]);
        var catalog = await VaultReading.OpenAsync(store);
        IReadOnlyList<LogEntry> entries = [.. catalog.Logs(1).Chain.SkipLast(1)];
        var run = new CompactionRun(entries, new HashSet<Position> { new(kept) });
        await new Compactor(catalog).RunAsync(1, run, default);
        foreach (var entry in entries)
        {
            await store.DeleteAsync("app/" + VaultKeys.Log(1, entry), default);
        }
    }

    [GeneratedRegex(@"\d{4}-\S+Z")]
    private static partial Regex Time();
}
