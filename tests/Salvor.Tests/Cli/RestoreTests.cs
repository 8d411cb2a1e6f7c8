using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

public sealed class RestoreTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task The_lines_of_a_restore_come_in_their_order()
    {
        await BackUpAsync();
        var listing = Listing.Parse((await _rig.ExpectAsync(0, "list", "--from", "vaults", "--json")).Stdout);

        var result = await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "x.db");

        var lines = result.Stdout.TrimEnd('\n').Split('\n');
        var time = Salvor.Text.InstantText.Format(listing.Spans[0].To);
        Assert.Equal($"Restored \"app\" -> {_rig["x.db"]}", lines[0]);
        Assert.Equal($"target: latest -> {time} (position 2, branch 1)", lines[1]);
        Assert.Equal("applied: full backup + 2 incremental change-set(s)", lines[2]);
        Assert.Matches(@"^(✓|\[ok\]) lineage verified: 2/2 change-set\(s\), hashes match$", lines[3]);
        Assert.Equal("size: 2 pages x 4096 bytes (8 KiB)", lines[4]);
        Assert.Matches(@"^downloaded: \d+ B$", lines[5]);
        Assert.Matches(@"^(✓|\[ok\]) integrity_check: ok$", lines[6]);
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["x.db"]));
        Assert.Equal("", result.Stderr);
    }

    [Fact]
    public async Task Without_an_output_it_makes_a_folder_and_prints_it()
    {
        await BackUpAsync();

        var result = await _rig.ExpectAsync(0, "restore", "--from", "vaults/app");

        Assert.StartsWith($"Restored \"app\" -> {_rig["restored/app-2/app.db"]}\n", result.Stdout, StringComparison.Ordinal);
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["restored/app-2/app.db"]));
    }

    [Fact]
    public async Task A_position_is_exact()
    {
        await BackUpAsync();

        var result = await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--position", "1", "--output", "x.db");

        Assert.Matches(@"\ntarget: position 1 -> \S+Z \(position 1, branch 1\)\n", result.Stdout);
        Assert.Equal("1", await CliRig.RowsAsync(_rig["x.db"]));
    }

    [Fact]
    public async Task A_moment_between_two_commits_is_the_first_of_them()
    {
        await BackUpAsync();
        var span = Listing.Parse((await _rig.ExpectAsync(0, "list", "--from", "vaults", "--json")).Stdout).Spans[0];
        var moment = Salvor.Text.InstantText.Format(span.To.AddMicroseconds(-1));

        var result = await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--timestamp", moment, "--output", "x.db");

        var landed = Salvor.Text.InstantText.Format(span.From);
        Assert.Contains(
            $"\ntarget: {moment} -> {landed} (the last commit before, position 1, branch 1)\n", result.Stdout, StringComparison.Ordinal);
        Assert.Equal("1", await CliRig.RowsAsync(_rig["x.db"]));
    }

    [Theory]
    [InlineData("--position 99", "salvor: there is no restore point 99 on branch 1; the newest is 2 of ")]
    [InlineData("--timestamp 2020-01-01", "salvor: 2020-01-01T00:00:00Z is earlier than the first restore point, which is ")]
    [InlineData("--timestamp 2999-01-01", "salvor: 2999-01-01T00:00:00Z is later than vault ")]
    [InlineData("--branch 7", "salvor: vault ")]
    public async Task A_target_that_is_not_there_is_refused_by_name(string options, string message)
    {
        await BackUpAsync();

        var result = await _rig.ExpectAsync(6, ["restore", "--from", "vaults", "--output", "x.db", .. options.Split(' ')]);

        Assert.StartsWith(message, result.Stderr, StringComparison.Ordinal);
        Assert.Contains("\nhint: ", result.Stderr, StringComparison.Ordinal);
        Assert.False(File.Exists(_rig["x.db"]));
    }

    [Fact]
    public async Task A_root_with_several_vaults_asks_which()
    {
        await BackUpAsync();
        Directory.Move(_rig["vaults/app"], _rig["vaults/other"]);
        File.Delete(_rig["app/.salvor/app.db.vault.json"]);
        await CliRig.StopAsync(await _rig.ReplicateAsync());

        CliRig.AssertError(
            await _rig.RunAsync("restore", "--from", "vaults"),
            2,
            $"{_rig["vaults"]} holds 2 vaults: app, other",
            "Name one of them, for example 'app'.");
        CliRig.AssertError(
            await _rig.RunAsync("restore", "nobody", "--from", "vaults"),
            6,
            $"there is no vault of source nobody at {_rig["vaults"]}",
            "The vaults there are: app, other.");
        await _rig.ExpectAsync(0, "restore", "app", "--from", "vaults", "--output", "x.db");
    }

    [Fact]
    public async Task A_dry_run_writes_nothing()
    {
        await BackUpAsync();

        var result = await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "x.db", "--dry-run");

        Assert.Matches(
            $@"^would restore ""app"" -> {_rig["x.db"]}\ntarget: latest -> \S+Z \(position 2, branch 1\)\n"
                + @"plan: snapshot at position 0 \+ 2 change-set\(s\)\n$",
            result.Stdout);
        Assert.False(File.Exists(_rig["x.db"]));
    }

    [Fact]
    public async Task On_every_boot_it_does_what_is_needed_alone()
    {
        string[] boot = ["restore", "--from", "vaults", "--output", _rig.Database, "--if-db-not-exists", "--if-replica-exists"];
        var nothing = await _rig.ExpectAsync(0, boot);
        Assert.Equal("nothing to do: nothing is backed up yet\n", nothing.Stdout);

        await BackUpAsync();
        var exists = await _rig.ExpectAsync(0, boot);
        Assert.Equal($"nothing to do: {_rig.Database} exists\n", exists.Stdout);

        File.Delete(_rig.Database);
        await _rig.ExpectAsync(0, boot);
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig.Database));
    }

    [Fact]
    public async Task A_damaged_vault_is_not_taken_for_none()
    {
        await BackUpAsync();
        var log = _rig["vaults/app/log/000001/0000000000000001"];
        var bytes = await File.ReadAllBytesAsync(log);
        bytes[bytes.Length / 2] ^= 1;
        await File.WriteAllBytesAsync(log, bytes);

        var result = await _rig.ExpectAsync(
            5, "restore", "--from", "vaults", "--output", "x.db", "--if-db-not-exists", "--if-replica-exists");

        Assert.Contains("log/000001/0000000000000001", result.Stderr, StringComparison.Ordinal);
        Assert.False(File.Exists(_rig["x.db"]));
    }

    [Fact]
    public async Task A_file_that_is_there_stays_unless_told_otherwise()
    {
        await BackUpAsync();
        File.WriteAllText(_rig["x.db"], "mine");

        CliRig.AssertError(
            await _rig.RunAsync("restore", "--from", "vaults", "--output", "x.db"),
            2,
            $"{_rig["x.db"]} exists already",
            "Choose another file with '--output', replace it with '--force', or restore over the configured database with '--in-place'.");
        Assert.Equal("mine", await File.ReadAllTextAsync(_rig["x.db"]));
        CliRig.AssertError(
            await _rig.RunAsync("restore", "--from", "vaults", "--output", _rig.Database),
            2,
            $"{_rig.Database} is the live database of source app",
            "Restore beside it with another '--output', or replace it with '--in-place'.");
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "x.db", "--force");
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["x.db"]));
    }

    [Fact]
    public async Task A_restore_without_the_check_warns()
    {
        await BackUpAsync();

        var result = await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "x.db", "--no-check");

        Assert.Equal("warning: integrity_check was skipped, as asked by '--no-check'\n", result.Stderr);
        Assert.DoesNotContain("integrity_check", result.Stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task In_place_moves_the_old_database_aside()
    {
        await BackUpAsync();

        var result = await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--in-place", "--position", "1");

        Assert.Equal("1", await CliRig.RowsAsync(_rig.Database));
        const string Moved = "moved aside: ";
        var aside = result.Stdout.Split('\n').First(line => line.StartsWith(Moved, StringComparison.Ordinal))[Moved.Length..];
        Assert.Equal("1 2", await CliRig.RowsAsync(aside));
    }

    [Fact]
    public async Task In_place_under_replication_goes_on_with_a_new_branch()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync();
        await _rig.CommitAsync(2);
        await _rig.ExpectAsync(0, "sync", _rig.Database);

        var result = await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--in-place", "--position", "1");

        Assert.EndsWith("replication goes on, on a new branch after position 1\n", result.Stdout, StringComparison.Ordinal);
        await _rig.CommitAsync(3);
        await _rig.ExpectAsync(0, "sync", _rig.Database);
        await CliRig.StopAsync(replicate);
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "new.db");
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "old.db", "--branch", "1");
        Assert.Equal("1 3", await CliRig.RowsAsync(_rig["new.db"]));
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["old.db"]));
    }

    [Fact]
    public async Task In_place_is_refused_while_an_app_has_it_open()
    {
        await BackUpAsync();
        const string Hold = """
            import sqlite3, sys, time
            db = sqlite3.connect(sys.argv[1])
            db.execute("SELECT * FROM t").fetchall()
            print("ready", flush=True)
            time.sleep(300)
            """;
        await using var app = ChildProcess.Start(Tool.Python, ["-c", Hold, _rig.Database]);
        await Eventually.HoldsAsync(() => app.Stdout.Contains("ready", StringComparison.Ordinal), () => app.Stderr);

        var result = await _rig.ExpectAsync(7, "restore", "--from", "vaults", "--in-place");

        Assert.Matches($@"^salvor: database {_rig.Database} is open in pid \d+ \(python3\S*\)\nhint: Stop the app", result.Stderr);
    }

    [Fact]
    public async Task A_destination_that_is_not_there_is_told_from_one_without_a_vault()
    {
        CliRig.AssertError(
            await _rig.RunAsync("restore", "--from", "no/such/place"),
            4,
            $"{_rig["no/such/place"]} does not exist",
            "Check the path after '--from', or mount the disk that holds it.");
        CliRig.AssertError(
            await _rig.RunAsync("restore", "--from", "app"),
            6,
            $"there is no vault at {_rig["app"]}",
            "Nothing was backed up there yet; check the path, or start 'salvor replicate DB DEST'.");
    }

    /// <summary>Two commits in a vault, and nobody who serves it.</summary>
    async Task BackUpAsync()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync();
        await _rig.CommitAsync(2);
        await CliRig.StopAsync(replicate);
    }
}
