using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Tests.Cli;

/// <summary>A further destination whose disk is away: what is below its mount point is no destination.</summary>
public sealed class FurtherDestinationTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Files_are_not_copied_below_its_mount_point(bool hasMountPoint)
    {
        ConfigureFiles("");
        await ExpectBackupAsync(0);
        var id = TakeAway(hasMountPoint);
        File.WriteAllText(_rig["app/b.txt"], "two");

        var backup = await _rig.ConfiguredAsync("backup", "tree");
        var status = await _rig.ConfiguredAsync("status", "--check");
        var doctor = await _rig.ConfiguredAsync("doctor");

        Assert.Equal(0, backup.ExitCode);
        var gone = $"vault {_rig["more/tree"]} is not there any more (it was {id})";
        Assert.Contains(gone, backup.Stderr, StringComparison.Ordinal);
        Assert.Contains(
            "Mount the disk or share. If that copy is gone for good, run 'salvor repair tree': it makes a new one.",
            backup.Stderr, StringComparison.Ordinal);
        Assert.NotEqual(0, status.ExitCode);
        Assert.Contains(gone, status.Stdout + status.Stderr, StringComparison.Ordinal);
        Assert.Contains(gone, doctor.Stdout + doctor.Stderr, StringComparison.Ordinal);
        ExpectNothingMade(hasMountPoint);
        BringBack();
        await ExpectBackupAsync(0);
        await _rig.ExpectAsync(0, "restore", "--from", "more", "--output", "out");
        Assert.Equal("two", File.ReadAllText(_rig["out"] + _rig["app/b.txt"]));
        Assert.Equal(0, (await _rig.ConfiguredAsync("status", "--check")).ExitCode);
    }

    [Fact]
    public async Task A_copy_that_was_emptied_on_purpose_is_made_anew_by_repair()
    {
        ConfigureFiles("");
        await ExpectBackupAsync(0);
        TakeAway(hasMountPoint: true);
        Assert.Contains("salvor repair tree", (await ExpectBackupAsync(0)).Stderr, StringComparison.Ordinal);

        var repair = await _rig.ConfiguredAsync("repair", "tree");

        Assert.True(repair.ExitCode == 0, $"{repair}");
        Assert.DoesNotContain("salvor repair", (await ExpectBackupAsync(0)).Stderr, StringComparison.Ordinal);
        await _rig.ExpectAsync(0, "restore", "--from", "more", "--output", "out");
    }

    [Theory]
    [InlineData("refuse")]
    [InlineData("warn")]
    public async Task What_is_to_become_of_a_copy_of_files_that_lacks_history_is_obeyed(string onIncomplete)
    {
        _rig.Configure("tree: { type: files, paths: [./app], to: [local] }");
        File.WriteAllText(_rig["app/a.txt"], "one");
        await ExpectBackupAsync(0);
        ConfigureFiles($", on_incomplete: {onIncomplete}");

        var backup = await ExpectBackupAsync(0);

        Assert.Contains(
            $"{_rig["more/tree"]} is not a complete copy of {_rig["vaults/tree"]}: nothing there can be restored", backup.Stderr,
            StringComparison.Ordinal);
        Assert.Equal(onIncomplete == "warn", File.Exists(_rig["more/tree/vault"]));
        if (onIncomplete == "refuse")
        {
            Assert.Equal(0, (await _rig.ConfiguredAsync("repair", "tree")).ExitCode);
        }

        Assert.DoesNotContain("complete copy", (await ExpectBackupAsync(0)).Stderr, StringComparison.Ordinal);
        await _rig.ExpectAsync(0, "restore", "--from", "more", "--output", "out");
    }

    [Fact]
    public async Task A_source_of_files_that_is_new_begins_at_one_that_refuses_what_lacks_history()
    {
        ConfigureFiles(", on_incomplete: refuse");

        await ExpectBackupAsync(0);
        await ExpectBackupAsync(0);

        await _rig.ExpectAsync(0, "restore", "--from", "more", "--output", "out");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Databases_are_not_copied_below_its_mount_point(bool hasMountPoint)
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db").Replace("[local]", "[local, more]", StringComparison.Ordinal));
        AddDestination("");
        var daemon = await _rig.DaemonAsync("app", "healthy");
        await _rig.CommitAsync(2);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync")).ExitCode);
        await Eventually.HoldsAsync(
            () => File.ReadAllText(_rig["app/.salvor/app.db.vault.json"]).Contains(_rig["more/app"], StringComparison.Ordinal),
            () => "no copy is known");
        await CliRig.StopAsync(daemon);
        var id = TakeAway(hasMountPoint);

        daemon = await _rig.DaemonAsync("app", "healthy");
        await _rig.CommitAsync(3);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync")).ExitCode);
        var gone = $"vault {_rig["more/app"]} is not there any more (it was {id})";
        await Eventually.HoldsAsync(() => daemon.Stderr.Contains(gone, StringComparison.Ordinal), () => daemon.Stderr);
        Assert.Contains("run 'salvor repair app'", daemon.Stderr, StringComparison.Ordinal);
        await Eventually.HoldsAsync(
            async () => (await _rig.ConfiguredAsync("status", "--json")).Stdout.Contains(
                $"\"error\": \"{gone}\"", StringComparison.Ordinal),
            () => "the status does not say so");
        ExpectNothingMade(hasMountPoint);
        BringBack();

        await Eventually.HoldsAsync(
            async () => (await _rig.ConfiguredAsync("status", "--check")).ExitCode == 0, () => daemon.Stderr, TimeSpan.FromSeconds(60));
        await CliRig.StopAsync(daemon);
        await _rig.ExpectAsync(0, "restore", "--from", "more", "--output", "x.db");
        Assert.Equal("1 2 3", await CliRig.RowsAsync(_rig["x.db"]));
    }

    void ConfigureFiles(string more)
    {
        File.WriteAllText(_rig["app/a.txt"], "one");
        _rig.Configure("tree: { type: files, paths: [./app], to: [local, more] }");
        AddDestination(more);
    }

    void AddDestination(string more)
    {
        var text = File.ReadAllText(_rig["salvor.yaml"]);
        File.WriteAllText(
            _rig["salvor.yaml"],
            text.Replace("sources:", $"  more: {{ type: file, path: ./more{more} }}\nsources:", StringComparison.Ordinal));
    }

    async Task<ProcessResult> ExpectBackupAsync(int exitCode)
    {
        var result = await _rig.ConfiguredAsync("backup", "tree");
        Assert.True(result.ExitCode == exitCode, $"{result}");
        return result;
    }

    Guid TakeAway(bool hasMountPoint)
    {
        var identity = Directory.GetFiles(_rig["more"], "vault", SearchOption.AllDirectories).Single();
        var id = ObjectHeader.Read(VaultKeys.Identity, File.ReadAllBytes(identity)).VaultId;
        Directory.Move(_rig["more"], _rig["disk"]);
        if (hasMountPoint)
        {
            Directory.CreateDirectory(_rig["more"]);
        }

        return id;
    }

    void ExpectNothingMade(bool hasMountPoint)
    {
        Assert.Equal(hasMountPoint, Directory.Exists(_rig["more"]));
        Assert.True(!hasMountPoint || !Directory.EnumerateFileSystemEntries(_rig["more"]).Any());
    }

    void BringBack()
    {
        if (Directory.Exists(_rig["more"]))
        {
            Directory.Delete(_rig["more"]);
        }

        Directory.Move(_rig["disk"], _rig["more"]);
    }
}
