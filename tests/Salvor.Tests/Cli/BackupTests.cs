using System.Text.Json;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

public sealed class BackupTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task What_was_committed_before_a_backup_is_restored_by_its_id()
    {
        await _rig.CreateDatabaseAsync();
        await _rig.ReplicateAsync();
        await _rig.CommitAsync(2);
        var first = await _rig.ExpectAsync(0, "backup", _rig.Database, "--label", "before upgrade", "--verify");
        await _rig.CommitAsync(3);
        await _rig.ExpectAsync(0, "backup", _rig.Database, "--mode", "full");
        await _rig.CommitAsync(4);
        await _rig.ExpectAsync(0, "sync", _rig.Database);

        Assert.Matches(
            @"^Backup started: \S+Z\nBackup ID: 1\nMode: incremental \(complete by itself\)\nLabel: before upgrade\n"
                + @"Restore point: position 2 of \S+Z, branch 1\nSize: 8 KiB, \S+ \S+ added to the vault\nChecksum: [0-9a-f]{16}\n"
                + @"\S+ restored and checked: whole-database checksum, integrity_check\nDuration: \S+s\nBackup completed successfully\n$",
            first.Stdout);
        foreach (var (id, rows) in new[] { ("1", "1 2"), ("2", "1 2 3") })
        {
            var restored = await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--backup-id", id, "--output", $"{id}.db");
            Assert.Equal(rows, await CliRig.RowsAsync(_rig[$"{id}.db"]));
            Assert.Contains($"target: backup {id} -> ", restored.Stdout, StringComparison.Ordinal);
            Assert.Contains("applied: full backup + 0 incremental change-set(s)", restored.Stdout, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Backups_are_listed_with_their_size_and_label()
    {
        await _rig.CreateDatabaseAsync();
        await _rig.ReplicateAsync();
        await _rig.ExpectAsync(0, "backup", _rig.Database, "--label", "one", "--mode", "full");
        await _rig.ExpectAsync(0, "backup", _rig.Database);

        var printed = (await _rig.ExpectAsync(0, "list", "--from", "vaults")).Stdout;
        var document = JsonElement.Parse((await _rig.ExpectAsync(0, "list", "--from", "vaults", "--json")).Stdout);
        var full = JsonElement.Parse((await _rig.ExpectAsync(0, "list", "--from", "vaults", "--json", "--type", "full")).Stdout);

        // The newest first. Nothing changed between them, so the second added nothing but its record.
        Assert.Matches(
            @"\n  backup 2  \S+Z  incremental  8 KiB, 0 B added  -\n  backup 1  \S+Z  full  8 KiB, \S+ \S+ added  one\n", printed);
        Assert.Equal([2UL, 1UL], document.GetProperty("backups").EnumerateArray().Select(item => item.GetProperty("id").GetUInt64()));
        Assert.Equal([1UL], full.GetProperty("backups").EnumerateArray().Select(item => item.GetProperty("id").GetUInt64()));
    }

    [Fact]
    public async Task Without_a_daemon_it_does_the_work_itself()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        var first = await _rig.ConfiguredAsync("backup", "app", "--dest", "local", "--json");
        await _rig.CommitAsync(2);
        var second = await _rig.ConfiguredAsync("backup", "--verify", "--json");

        Assert.Equal((0, 0), (first.ExitCode, second.ExitCode));
        var document = JsonElement.Parse(second.Stdout);
        Assert.Equal(2UL, document.GetProperty("backup_id").GetUInt64());
        Assert.True(document.GetProperty("verified").GetBoolean());
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--backup-id", "1", "--output", "x.db");
        Assert.Equal("1", await CliRig.RowsAsync(_rig["x.db"]));
    }

    [Fact]
    public async Task A_backup_right_after_a_restore_in_place_is_of_the_point_that_was_restored()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        await _rig.CommitAsync(2);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync")).ExitCode);
        await _rig.CommitAsync(3);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync")).ExitCode);
        var restored = await _rig.ConfiguredAsync("restore", "app", "--in-place", "--position", "1");
        Assert.True(restored.ExitCode == 0, $"{restored}");

        var backup = await _rig.ConfiguredAsync("backup", "app");

        Assert.True(backup.ExitCode == 0, $"{backup}");
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--backup-id", "1", "--output", "x.db");
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["x.db"]));
    }

    [Fact]
    public async Task What_makes_no_sense_is_refused()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        CliRig.AssertError(
            await _rig.ConfiguredAsync("backup", "app", "--mode", "incremental", "--parent", "1"), 2,
            "'--parent' has no meaning here: a backup depends on no other",
            "Leave it out. Every backup stores only what is new since the last, and each is complete by itself.");
        CliRig.AssertError(
            await _rig.ConfiguredAsync("backup", "app", "--dest", "elsewhere"), 2,
            "source app is not replicated to elsewhere",
            "Use '--dest local', or leave it out.");
        CliRig.AssertError(
            await _rig.ConfiguredAsync("backup", "app", "--label", "two\nlines"), 2,
            "the label is too long, or has characters that cannot be printed",
            "Use one line of at most 200 characters.");
        CliRig.AssertError(
            await _rig.RunAsync("backup", _rig.Database), 1,
            $"nothing replicates {_rig.Database} now",
            $"Start 'salvor replicate {_rig.Database} DEST' or 'salvor daemon', then try again.");
        Assert.Contains(
            "'--mode' is \"half\", and takes full, incremental",
            (await _rig.ExpectAsync(2, "backup", "--mode", "half")).Stderr, StringComparison.Ordinal);
        Assert.Contains(
            "'--type' is \"half\", and takes backups, full, incremental",
            (await _rig.ExpectAsync(2, "list", "--from", "vaults", "--type", "half")).Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_backup_that_is_not_there_is_refused()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync")).ExitCode);

        CliRig.AssertError(
            await _rig.ConfiguredAsync("restore", "app", "--backup-id", "1", "--output", "x.db"), 6,
            $"vault {_rig["vaults/app"]} has no backup 1",
            "It has none; 'salvor backup' makes one, and 'salvor list' shows what can be restored without.");
        Assert.Equal(0, (await _rig.ConfiguredAsync("backup")).ExitCode);
        CliRig.AssertError(
            await _rig.ConfiguredAsync("restore", "app", "--backup-id", "7", "--output", "x.db"), 6,
            $"vault {_rig["vaults/app"]} has no backup 7",
            "Its newest is 1; 'salvor list' shows all.");
        CliRig.AssertError(
            await _rig.ConfiguredAsync("restore", "app", "--backup-id", "1", "--position", "1", "--output", "x.db"), 2,
            "'--backup-id' says which point to restore, and so does another option",
            "Give one of them.");
    }
}
