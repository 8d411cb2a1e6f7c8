using System.Text.Json;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Cli;

public sealed class InitTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task Without_a_question_it_ends_in_a_backup_that_was_restored_from_each_destination()
    {
        await _rig.CreateDatabaseAsync();

        var first = await InitAsync(0, "--to", "near", "--to", "far", "--json");
        await CheckCopiesAsync();
        var again = await InitAsync(0, "--to", "near", "--to", "far");

        var schema = JsonElement.Parse(Checkout.Read("docs/json/init.schema.json"));
        var document = JsonElement.Parse(first.Stdout);
        Assert.Empty(JsonSchema.Violations(schema, document, ""));
        Assert.True(document.GetProperty("written").GetBoolean());
        var verified = document.GetProperty("sources")[0].GetProperty("verified").EnumerateArray();
        Assert.Equal(["local", "local-2"], verified.Select(name => name.GetString()));
        Assert.Contains("warning: the copies are on the same disk as ", first.Stderr, StringComparison.Ordinal);
        Assert.Contains(
            "    keep: { commits: 24h, minutes: 7d, hours: 30d, days: 1y }\n", File.ReadAllText(_rig["salvor.yaml"]),
            StringComparison.Ordinal);
        Assert.Contains($"{_rig["salvor.yaml"]} is right already\n", again.Stdout, StringComparison.Ordinal);
        Assert.Contains("app: backup 2, position ", again.Stdout, StringComparison.Ordinal);
        await _rig.ExpectAsync(0, "config", "test", "--config", "salvor.yaml");
    }

    [Fact]
    public async Task A_directory_is_backed_up_from_then_on_and_was_read_back()
    {
        Directory.CreateDirectory(_rig["uploads"]);
        File.WriteAllText(_rig["uploads/a"], "one");
        string[] init = ["init", "--recipe", "directory", "--to", "kept", "--config", "salvor.yaml", "--yes", "--source"];

        var refused = await _rig.ExpectAsync(2, [.. init, "gone"]);
        var made = await _rig.ExpectAsync(0, [.. init, "uploads"]);
        var again = await _rig.ExpectAsync(0, [.. init, "uploads"]);

        Assert.Contains($"salvor: {_rig["gone"]} does not exist\nhint: Name a directory", refused.Stderr, StringComparison.Ordinal);
        Assert.Matches("uploads: backup 1, position 1 of [^ ]+, restored and checked from local\n", made.Stdout);
        Assert.Contains($"{_rig["salvor.yaml"]} is right already\n", again.Stdout, StringComparison.Ordinal);
        Assert.Contains("every 1h", File.ReadAllText(_rig["salvor.yaml"]), StringComparison.Ordinal);
        await _rig.ExpectAsync(0, "status", "--check", "--config", "salvor.yaml");
        await _rig.ExpectAsync(0, "restore", "uploads", "--config", "salvor.yaml", "--output", "back");
        Assert.Equal("one", File.ReadAllText(_rig["back"] + _rig["uploads/a"]));
    }

    [Fact]
    public async Task A_directory_is_encrypted_where_that_is_said_and_its_key_is_exported_first()
    {
        Directory.CreateDirectory(_rig["uploads"]);
        File.WriteAllText(_rig["uploads/a"], "one");
        string[] init =
        [
            "init", "--recipe", "directory", "--source", "uploads", "--to", "near", "--to", "far", "--config", "salvor.yaml", "--yes",
            "--encrypt",
        ];

        var refused = await _rig.ExpectAsync(2, init);
        var made = await _rig.ExpectAsync(0, [.. init, "--export", "uploads.export"]);

        Assert.Contains("salvor: file for the exported key: that is not said\n", refused.Stderr, StringComparison.Ordinal);
        Assert.Matches("uploads: backup 1, position 1 of [^ ]+, restored and checked from local and local-2\n", made.Stdout);
        await _rig.ExpectAsync(2, "restore", "--from", "far", "--output", "none");
        await _rig.ExpectAsync(0, "restore", "--from", "far", "--key-file", "uploads.export", "--output", "back");
        Assert.Equal("one", File.ReadAllText(_rig["back"] + _rig["uploads/a"]));
    }

    [Fact]
    public async Task What_a_command_prints_is_kept_from_then_on_and_was_read_back()
    {
        await _rig.CreateDatabaseAsync();
        string[] init =
        [
            "init", "--recipe", "command", "--name", "dump", "--to", "kept", "--config", "salvor.yaml", "--yes", "--encrypt", "--export",
            "dump.export", "--", "sqlite3", _rig.Database, ".dump",
        ];

        var made = await _rig.ExpectAsync(0, init);
        var again = await _rig.ExpectAsync(0, init);

        Assert.Matches("dump: backup 1, position 1 of [^ ]+, restored and checked from local\n", made.Stdout);
        Assert.Contains("What stays restorable: a backup a day for 30 days.\n", made.Stdout, StringComparison.Ordinal);
        Assert.Contains($"{_rig["salvor.yaml"]} is right already\n", again.Stdout, StringComparison.Ordinal);
        Assert.Contains(
            $"    command: [sqlite3, {_rig.Database}, .dump]\n", File.ReadAllText(_rig["salvor.yaml"]), StringComparison.Ordinal);
        await _rig.ExpectAsync(0, "status", "--check", "--config", "salvor.yaml");
        await _rig.ExpectAsync(0, "restore", "--from", "kept", "--key-file", "dump.export", "--output", "back.sql");
        await _rig.ShellAsync("sqlite3 back.db < back.sql");
        Assert.Equal("1", await CliRig.RowsAsync(_rig["back.db"]));
    }

    [Fact]
    public async Task A_command_is_asked_for_and_what_only_a_shell_would_understand_is_refused()
    {
        await _rig.CreateDatabaseAsync();

        var result = await _rig.ShellAsync(
            "printf '%s\\n' 'sqlite3 app/app.db .dump | gzip' 'sqlite3 app/app.db .dump' copies n "
                + "| salvor init --recipe command --config salvor.yaml");

        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.Contains(
            "  no shell looks at the command, so | would not do what it does there\n"
                + "  Give the command on the command line: 'salvor init --recipe command -- sh -c \"..\"'.\n",
            result.Stderr, StringComparison.Ordinal);
        Assert.Contains("sqlite3: backup 1, position ", result.Stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_command_goes_with_its_recipe_alone_and_one_that_fails_is_no_backup()
    {
        string[] init = ["init", "--to", _rig["kept"], "--config", _rig["salvor.yaml"], "--yes"];

        CliRig.AssertError(
            await _rig.ExpectAsync(2, [.. init, "--recipe", "command"]),
            2, "command, such as pg_dumpall --clean: that is not said", "Say it with '-- COMMAND', or leave '--yes' out.");
        CliRig.AssertError(
            await _rig.ExpectAsync(2, [.. init, "--recipe", "command", "--source", "app", "--", "true"]),
            2, "recipe command keeps what a command prints, and no paths", "Leave '--source' out.");
        CliRig.AssertError(
            await _rig.ExpectAsync(2, [.. init, "--", "true"]),
            2, "'true' after '--' is a command, and this sets up paths",
            "Add '--recipe command' to keep what it prints, or leave it out.");
        var failed = await _rig.ExpectAsync(3, [.. init, "--recipe", "command", "--", "sh", "-c", "echo half; exit 3"]);

        Assert.Contains(
            $"What is done stays: configuration {_rig["salvor.yaml"]}. Run the same command again: it goes on.\n", failed.Stderr,
            StringComparison.Ordinal);
        var list = await _rig.ExpectAsync(0, "list", "--from", _rig["kept"]);
        Assert.Contains("no backups yet", list.Stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_configuration_that_is_there_stays_unless_it_is_said()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("mine", "./mine.db"));
        var mine = File.ReadAllText(_rig["salvor.yaml"]);

        var refused = await InitAsync(2, "--to", "vaults");
        Assert.Equal(mine, File.ReadAllText(_rig["salvor.yaml"]));
        await InitAsync(0, "--to", "vaults", "--force", "--no-backup");

        Assert.StartsWith(
            $"salvor: {_rig["salvor.yaml"]} exists, and is not what these options make\nhint: Replace it with '--force'",
            refused.Stderr[refused.Stderr.IndexOf("salvor: ", StringComparison.Ordinal)..], StringComparison.Ordinal);
        Assert.Equal(mine, File.ReadAllText(_rig["salvor.yaml.old"]));
        Assert.False(Directory.Exists(_rig["vaults"]));
    }

    [Fact]
    public async Task With_encryption_it_does_not_finish_before_the_key_was_exported()
    {
        await _rig.CreateDatabaseAsync();

        var refused = await InitAsync(2, "--to", "vaults", "--encrypt");
        Assert.False(File.Exists(_rig["salvor.yaml"]));
        Assert.False(File.Exists(_rig["app.key"]));
        await InitAsync(0, "--to", "vaults", "--encrypt", "--export", "app.export");

        Assert.Contains(
            "salvor: file for the exported key: that is not said\n"
                + "hint: Say it with '--export FILE or --i-have-saved-the-key', or leave '--yes' out.\n",
            refused.Stderr, StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_rig["app.key"]));
        Assert.DoesNotContain(File.ReadAllText(_rig["app.key"]).Trim(), File.ReadAllText(_rig["salvor.yaml"]), StringComparison.Ordinal);
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--key-file", "app.export", "--output", "back.db");
        Assert.Equal("1", await CliRig.RowsAsync(_rig["back.db"]));
    }

    [Fact]
    public async Task Answers_from_a_pipe_are_as_good_as_a_terminal()
    {
        await _rig.CreateDatabaseAsync();

        var result = await _rig.ShellAsync("printf '%s\\n' '' nonsense 1 copies n n | salvor init --find app --config salvor.yaml");

        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.Contains($"   1  {_rig.Database}\n", result.Stderr, StringComparison.Ordinal);
        Assert.Contains("  there is no recipe 'nonsense'\n", result.Stderr, StringComparison.Ordinal);
        Assert.Contains("app: backup 1, position ", result.Stdout, StringComparison.Ordinal);
        Assert.Contains("Folder for copies [/var/backups/salvor]: copies\n", result.Stderr, StringComparison.Ordinal);
        Assert.True(File.Exists(_rig["copies/app/vault"]));
    }

    [Fact]
    public async Task Answers_that_end_early_change_nothing()
    {
        await _rig.CreateDatabaseAsync();

        var result = await _rig.ShellAsync("printf '%s\\n' app/app.db local | salvor init --find app --config salvor.yaml");

        Assert.Equal(2, result.ExitCode);
        Assert.EndsWith(
            "salvor: the answers ended before \"Folder for copies\"; nothing was written\n"
                + "hint: Say it with '--to PATH-or-URL', or start again: nothing is done before the last question.\n",
            result.Stderr, StringComparison.Ordinal);
        Assert.Equal(["app"], Directory.GetDirectories(_rig.Folder).Select(Path.GetFileName));
    }

    [Fact]
    public async Task What_fails_half_way_says_what_is_there_and_goes_on_when_it_is_put_right()
    {
        await _rig.CreateDatabaseAsync();
        File.WriteAllText(_rig["vaults"], "in the way");

        var failed = await InitAsync(4, "--to", "vaults");
        File.Delete(_rig["vaults"]);
        await InitAsync(0, "--to", "vaults");

        Assert.Contains(
            $"What is done stays: configuration {_rig["salvor.yaml"]}. Run the same command again: it goes on.\n", failed.Stderr,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_drop_in_names_the_owner_of_the_database_and_what_is_written_to()
    {
        await _rig.CreateDatabaseAsync();

        await InitAsync(0, "--to", "vaults", "--systemd-dir", "units", "--no-backup");

        var owner = (await ChildProcess.RunAsync("stat", ["-c", "%U %G", _rig.Database])).Stdout.Trim().Split(' ');
        Assert.Equal(
            $"""
            # Written by 'salvor init': what salvor.service has to know of this machine.
            # A unit that checks or verifies needs the same lines: it reads what the daemon writes.
            [Service]
            User={owner[0]}
            Group={owner[1]}
            Environment=SALVOR_CONFIG={_rig["salvor.yaml"]}
            EnvironmentFile=-/etc/salvor/environment
            ReadWritePaths={_rig["app"]}
            ReadWritePaths={_rig["vaults"]}

            """,
            File.ReadAllText(_rig["units/salvor.service.d/10-init.conf"]));
    }

    [Fact]
    public async Task What_root_makes_is_for_the_user_of_the_daemon_and_what_was_there_stays()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root gives files away");
        await _rig.CreateDatabaseAsync();
        Directory.CreateDirectory(_rig["vaults"]);
        File.WriteAllText(_rig["vaults/theirs"], "");

        await InitAsync(0, "--to", "vaults", "--service-user", "nobody");

        string[] paths = ["app/.salvor", "vaults/app/vault", "vaults/_heads", "vaults", "vaults/theirs", "app/app.db"];
        var owners = await ChildProcess.RunAsync("stat", ["-c", "%U", .. paths.Select(path => _rig[path])]);
        Assert.Equal("nobody\nnobody\nnobody\nroot\nroot\nroot\n", owners.Stdout);
    }

    [Fact]
    public async Task Recipes_are_named_where_one_is_misspelt()
    {
        await _rig.CreateDatabaseAsync();

        var result = await InitAsync(2, "--recipe", "locl");

        Assert.Contains(
            "salvor: there is no recipe 'locl'\nhint: Did you mean \"local\"? There are local, s3,", result.Stderr,
            StringComparison.Ordinal);
    }

    async Task CheckCopiesAsync()
    {
        foreach (var copy in (string[])["near", "far"])
        {
            await _rig.ExpectAsync(0, "restore", "--from", copy, "--output", $"{copy}.db");
            Assert.Equal("1", await CliRig.RowsAsync(_rig[$"{copy}.db"]));
        }
    }

    Task<ProcessResult> InitAsync(int exitCode, params string[] more) =>
        _rig.ExpectAsync(exitCode, ["init", "--source", "app/app.db", "--config", _rig["salvor.yaml"], "--yes", .. more]);
}
