using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Tests.Cli;

public sealed class ReplicateTests : IAsyncDisposable
{
    const string NoDatabase = "this is no database, and it is long enough to be seen as something else than an empty file";

    /// <summary>An app that says which signal it got, commits once more, and ends with a code of its own.</summary>
    const string App = """
        import os, signal, sqlite3, sys, time
        def end(number, _):
            db = sqlite3.connect(sys.argv[1], timeout=30)
            db.execute("INSERT INTO t VALUES (?)", (number,)); db.commit()
            os._exit(40 + number)
        for number in (1, 2, 15):
            signal.signal(number, end)
        print("ready", flush=True)
        while True:
            time.sleep(1)
        """;

    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_path_that_is_no_database_ends_it_and_leaves_no_vault()
    {
        File.WriteAllText(_rig.Database, NoDatabase);

        CliRig.AssertError(
            await _rig.RunAsync("replicate", _rig.Database, "vaults"),
            3,
            $"{_rig.Database} is not a SQLite database",
            "Name the database file itself; encrypted databases (SQLCipher, SEE) cannot be read without their extension.");
        Assert.Empty(Directory.EnumerateFileSystemEntries(_rig["vaults"]));
    }

    [Fact]
    public async Task A_directory_is_named_as_such() => CliRig.AssertError(
        await _rig.RunAsync("replicate", "app", "vaults"),
        3,
        $"{_rig["app"]} is a directory, not a database",
        $"Name the database file, or several with 'paths: {_rig["app"]}/*.db' in the configuration.");

    [Fact]
    public async Task A_destination_that_is_a_file_is_refused_at_once()
    {
        File.WriteAllText(_rig["file"], "x");

        CliRig.AssertError(
            await _rig.RunAsync("replicate", _rig.Database, "file"),
            4,
            $"destination {_rig["file"]} is a file, not a directory",
            "Name a directory, which is made if it does not exist.");
    }

    [Fact]
    public async Task A_disk_that_is_not_mounted_is_waited_for_and_no_second_history_begins()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        await _rig.ExpectAsync(0, "backup", "app", "--config", _rig["salvor.yaml"]);
        var id = VaultIdOf(_rig["vaults/app/vault"]);
        Directory.Move(_rig["vaults"], _rig["disk"]);
        Directory.CreateDirectory(_rig["vaults"]);
        await _rig.CommitAsync(2);

        var backup = await _rig.ConfiguredAsync("backup", "app");
        Assert.Equal(4, backup.ExitCode);
        Assert.EndsWith(
            $"salvor: source app is not being captured: vault {_rig["vaults/app"]} is not there any more (it was {id})\n"
                + "hint: Mount the disk or share. If the vault is gone for good, "
                + $"remove {_rig["app/.salvor/app.db.vault.json"]}: then a new one begins.\n",
            backup.Stderr, StringComparison.Ordinal);
        var daemon = await _rig.DaemonAsync("app", "failing");
        Assert.Empty(Directory.GetFiles(_rig["vaults"], "vault", SearchOption.AllDirectories));
        Directory.Delete(_rig["vaults"], recursive: true);
        Directory.Move(_rig["disk"], _rig["vaults"]);

        await _rig.StateAsync("app", "healthy");
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "--timeout", "60s")).ExitCode);
        await CliRig.StopAsync(daemon);
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "x.db");
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["x.db"]));

        Directory.Delete(_rig["vaults"], recursive: true);
        File.Delete(_rig["app/.salvor/app.db.vault.json"]);
        await _rig.ExpectAsync(0, "backup", "app", "--config", _rig["salvor.yaml"]);
        Assert.NotEqual(id, VaultIdOf(_rig["vaults/app/vault"]));
    }

    static Guid VaultIdOf(string path) => ObjectHeader.Read(VaultKeys.Identity, File.ReadAllBytes(path)).VaultId;

    [Theory]
    [InlineData("ftp://bucket/x", "destination ftp://bucket/x is of type ftp, which is not available in this version")]
    public async Task A_destination_of_another_kind_is_refused_by_name(string destination, string message) => CliRig.AssertError(
        await _rig.RunAsync("replicate", _rig.Database, destination),
        2,
        message,
        "Use a path, or a URL that begins with file://, s3://, gs://, sftp:// or azure://.");

    [Fact]
    public async Task A_name_that_cannot_be_a_folder_is_refused() => CliRig.AssertError(
        await _rig.RunAsync("replicate", "app/a b.db", "vaults"),
        2,
        "'a b' cannot be the name of a source",
        "Use letters, digits, dots, dashes and underscores, beginning with a letter or digit: give one with '--name NAME'.");

    [Fact]
    public async Task A_database_that_comes_later_is_waited_for()
    {
        var process = _rig.Start("replicate", _rig.Database, "vaults");
        await Eventually.HoldsAsync(
            () => process.Stderr.Contains("(waiting for it to be created)", StringComparison.Ordinal), () => process.Stderr);
        var status = await _rig.ExpectAsync(0, "status", _rig.Database);
        Assert.StartsWith("app  waiting  pid ", status.Stdout, StringComparison.Ordinal);

        await _rig.CreateDatabaseAsync();
        var synced = await _rig.RunAsync("sync", _rig.Database, "--timeout", "20s");
        for (var i = 0; synced.ExitCode != 0 && i < 50; i++)
        {
            await Task.Delay(100, TestContext.Current.CancellationToken);
            synced = await _rig.RunAsync("sync", _rig.Database, "--timeout", "20s");
        }

        await CliRig.StopAsync(process);
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "x.db");
        Assert.Equal("1", await CliRig.RowsAsync(_rig["x.db"]));
    }

    [Fact]
    public async Task A_second_one_names_the_first_and_gives_up()
    {
        await _rig.CreateDatabaseAsync();
        await _rig.ReplicateAsync();

        var second = await _rig.ExpectAsync(7, "replicate", _rig.Database, "elsewhere");

        Assert.Matches(
            @"^salvor: \S+/app/\.salvor/app\.db\.lock is held by pid \d+ on host \S+ since \S+Z\nhint: Run 'salvor status'",
            second.Stderr);
    }

    [Theory]
    [InlineData(Signal.Terminate)]
    [InlineData(Signal.Interrupt)]
    [InlineData(Signal.Hangup)]
    public async Task A_signal_is_passed_to_the_app_whose_last_commit_and_code_count(Signal signal)
    {
        await _rig.CreateDatabaseAsync();
        File.WriteAllText(_rig["app.py"], App);
        var process = _rig.Start("replicate", _rig.Database, "vaults", "--exec", $"{Tool.Python} {_rig["app.py"]} {_rig.Database}");
        await Eventually.HoldsAsync(() => process.Stdout.Contains("ready", StringComparison.Ordinal), () => process.Stderr);

        await CliRig.StopAsync(process, signal, exitCode: 40 + (int)signal);

        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "x.db");
        Assert.Equal($"1 {(int)signal}", await CliRig.RowsAsync(_rig["x.db"]));
    }

    [Fact]
    public async Task An_app_that_ends_at_once_is_copied_nevertheless()
    {
        await _rig.CreateDatabaseAsync();
        var app = $"sqlite3 {_rig.Database} 'INSERT INTO t VALUES (2)'; exit 7";

        await _rig.ExpectAsync(7, "replicate", _rig.Database, "vaults", "--exec", $"sh -c \"{app}\"");

        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "x.db");
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["x.db"]));
    }

    [Fact]
    public async Task An_app_is_stopped_where_replication_cannot_begin()
    {
        File.WriteAllText(_rig.Database, NoDatabase);

        await _rig.ExpectAsync(3, "replicate", _rig.Database, "vaults", "--exec", "sleep 300");
    }

    /// <summary>An app that goes on unprotected, and ends well, would look like one that is safe.</summary>
    [Fact]
    public async Task The_vault_of_another_database_ends_it_and_the_app()
    {
        await _rig.CreateDatabaseAsync();
        await CliRig.StopAsync(await _rig.ReplicateAsync());
        await _rig.CreateDatabaseAsync("app/other.db");

        CliRig.AssertError(
            await _rig.RunAsync("replicate", _rig["app/other.db"], "vaults", "--name", "app", "--exec", "sleep 600"),
            2,
            $"vault {_rig["vaults/app"]} belongs to sqlite source {_rig.Database}, not to sqlite source {_rig["app/other.db"]}",
            "Give this source another name with '--name NAME' or another destination, so that neither history hides the other.");
    }

    [Fact]
    public async Task Nothing_is_said_while_all_is_well()
    {
        await _rig.CreateDatabaseAsync();
        var process = await _rig.ReplicateAsync();
        for (var x = 2; x < 12; x++)
        {
            await _rig.CommitAsync(x);
        }

        await Tool.SqlAsync(_rig.Database, "PRAGMA wal_checkpoint(TRUNCATE); VACUUM;");
        await _rig.ExpectAsync(0, "sync", _rig.Database);
        var result = await CliRig.StopAsync(process);

        Assert.Equal($"replicating {_rig.Database} to {_rig["vaults"]}/app\n", result.Stderr);
        Assert.Equal("", result.Stdout);
    }

    [Fact]
    public async Task A_vault_of_a_newer_format_is_refused_by_its_version()
    {
        await _rig.CreateDatabaseAsync();
        await CliRig.StopAsync(await _rig.ReplicateAsync());
        var identity = await File.ReadAllBytesAsync(_rig["vaults/app/vault"]);
        identity[8] = 2;
        await File.WriteAllBytesAsync(_rig["vaults/app/vault"], identity);

        CliRig.AssertError(
            await _rig.RunAsync("restore", "--from", "vaults"),
            5,
            "object vault has format version 2, and this program reads version 1",
            "Use a Salvor release that reads vault format 2; 'salvor version' prints what a release reads.");
        Assert.False(Directory.Exists(_rig["restored"]));
    }
}
