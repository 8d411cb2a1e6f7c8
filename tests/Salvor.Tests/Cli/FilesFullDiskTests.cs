using Salvor.Tests.Files;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>A disk that fills while files are backed up to it, or restored to it.</summary>
public sealed class FilesFullDiskTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public FilesFullDiskTests()
    {
        for (var file = 0; file < 30; file++)
        {
            File.WriteAllBytes(_rig[$"app/{file:00}"], TreeRig.Bytes(file, 100_000));
        }

        Directory.CreateDirectory(_rig["vaults"]);
        Directory.CreateDirectory(_rig["small"]);
    }

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_restore_that_fills_the_disk_shows_nothing_and_goes_on_when_there_is_room()
    {
        _rig.Configure("tree: { type: files, paths: [./app], to: [local], state_dir: ./state }");
        await _rig.ConfiguredAsync("backup");
        using var mount = TemporaryMount.OfOneMebibyte(_rig["small"]);
        var known = await _rig.ConfiguredAsync("restore", "--output", _rig["small/out"]);
        var met = await _rig.ConfiguredAsync("restore", "--output", _rig["small/out"], "--include", "*");
        var visible = Directory.GetDirectories(_rig["small/out"]).Select(Path.GetFileName).ToList();
        mount.Enlarge();
        var again = await _rig.ConfiguredAsync("restore", "--output", _rig["small/out"], "--include", "*");

        Assert.Equal(1, known.ExitCode);
        Assert.Contains("not enough room in ", known.Stderr, StringComparison.Ordinal);
        Assert.Equal(1, met.ExitCode);
        Assert.Matches(
            $@"^salvor: cannot write {_rig["small/out/.salvor-restoring"]}{_rig["app"]}/\d\d: no space left on device\n"
                + $@"hint: Free space: 'df -h {_rig["small/out/.salvor-restoring"]}{_rig["app"]}' shows how much is left. "
                + "What is restored so far waits in ",
            met.Stderr);
        Assert.Equal([".salvor-restoring"], visible);
        Assert.True(again.ExitCode == 0, $"{again}");
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig["app"], _rig["small/out"] + _rig["app"]));
    }

    [Fact]
    public async Task A_backup_that_fills_the_destination_offers_nothing_and_is_whole_when_there_is_room()
    {
        _rig.Configure("tree: { type: files, paths: [./app], to: [local], state_dir: ./state }");
        using var mount = TemporaryMount.OfOneMebibyte(_rig["vaults"]);
        var full = await _rig.ConfiguredAsync("backup");
        var listed = await _rig.ConfiguredAsync("list");
        mount.Enlarge();
        var made = await _rig.ConfiguredAsync("backup", "--verify");
        var restored = await _rig.ConfiguredAsync("restore", "--output", _rig["out"]);

        Assert.Equal(4, full.ExitCode);
        Assert.Matches(
            $@"^salvor: cannot write tree/\S+ at {_rig["vaults"]}: no space left on device\n"
                + $@"hint: Free space there: 'df -h {_rig["vaults"]}' shows how much is left.\n$",
            full.Stderr);
        Assert.Contains("no backups yet", listed.Stdout, StringComparison.Ordinal);
        Assert.True(made.ExitCode == 0, $"{made}");
        Assert.True(restored.ExitCode == 0, $"{restored}");
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig["app"], _rig["out"] + _rig["app"]));
    }
}
