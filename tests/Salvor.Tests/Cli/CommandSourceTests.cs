using System.Security.Cryptography;
using System.Text.Json;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Cli;

/// <summary>What a command prints, as an operator backs it up and brings it back.</summary>
public sealed class CommandSourceTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public CommandSourceTests() => Directory.CreateDirectory(_rig["vaults"]);

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task What_a_command_prints_is_backed_up_looked_into_and_brought_back()
    {
        File.WriteAllText(_rig["data"], "CREATE TABLE t(x);\n");
        Configure($"command: [sh, -c, \"cat {_rig["data"]}; echo a notice >&2\"], file_name: app.sql");
        var first = await _rig.ConfiguredAsync("backup", "--label", "first", "--verify", "--json");
        File.AppendAllText(_rig["data"], "INSERT INTO t VALUES (1);\n");
        var second = await _rig.ConfiguredAsync("backup", "db");
        var listed = await _rig.ConfiguredAsync("list", "latest:/", "--json");
        var dumped = await _rig.Start("dump", "db", "first", "--config", "salvor.yaml").ExitAsync();
        var named = await _rig.ConfiguredAsync("dump", "first:/app.sql");
        var restored = await _rig.ConfiguredAsync("restore", "--snapshot", "first", "--output", _rig["out.sql"], "--json");
        var again = await _rig.ConfiguredAsync("restore", "db", "--output", _rig["out.sql"]);
        var replaced = await _rig.ConfiguredAsync("restore", "db", "--output", _rig["out.sql"], "--force");
        var verified = await _rig.ConfiguredAsync("verify", "--deep");
        var status = await _rig.ConfiguredAsync("status", "--check", "--policy");

        AssertDocument("backup", first);
        Assert.Equal("warning: sh: a notice\n", first.Stderr);
        Assert.Matches(
            @"^Backup started: \S+\nBackup ID: 2\nOf: \S+Z\nSize: 45 B, \S+ \S+ added to the vault\nDuration: \S+s\n"
                + @"Backup completed successfully\n$",
            second.Stdout);
        AssertDocument("list-files", listed);
        Assert.Equal("/app.sql", JsonElement.Parse(listed.Stdout).GetProperty("entries")[0].GetProperty("path").GetString());
        Assert.Equal("CREATE TABLE t(x);\n", dumped.Stdout);
        Assert.Equal("CREATE TABLE t(x);\n", named.Stdout);
        AssertDocument("restore", restored);
        CliRig.AssertError(
            again, 2, $"{_rig["out.sql"]} exists already", "Name another file with '--output', or replace it with '--force'.");
        Assert.True(replaced.ExitCode == 0, $"{replaced}");
        Assert.Equal(File.ReadAllText(_rig["data"]), File.ReadAllText(_rig["out.sql"]));
        Assert.True(verified.ExitCode == 0, $"{verified}");
        Assert.True(status.ExitCode == 0, $"{status}");
        Assert.StartsWith("db  healthy\n  command sh\n  backup 2 ", status.Stdout, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        "command: [sh, -c, \"echo half; echo no route to $PGPASSWORD >&2; exit 3\"], environment: { PGPASSWORD: hush }", 3,
        "the command 'sh' of source db ended with exit code 3; no backup was made: no route to (secret)",
        "Run it by itself, as the user that Salvor runs as, to see why.")]
    [InlineData(
        "command: [sh, -c, \"echo half; kill -KILL $$$$\"]", 3,
        "the command 'sh' of source db ended with exit code 137 (signal 9, KILL); no backup was made",
        "Run it by itself, as the user that Salvor runs as, to see why.")]
    [InlineData(
        "command: [sh, -c, \"echo half; sleep 1000\"], timeout: 1s", 124,
        "the command 'sh' of source db did not end within 1s; no backup was made",
        "Give it more time by 'timeout', or run it by itself to see what it waits for.")]
    [InlineData(
        "command: [no-such-dump]", 3,
        "the command of source db was not run: 'no-such-dump' is not there; no backup was made", "Install it, or write its full path.")]
    [InlineData(
        "command: [/etc/passwd]", 3,
        "the command of source db was not run: '/etc/passwd' may not be run; no backup was made",
        "Run 'chmod +x /etc/passwd', or name another program.")]
    [InlineData(
        "command: [\"true\"]", 3,
        "there was nothing to read for source db, not one byte; no backup was made",
        "Run the command by itself to see why. Where that is right, say 'allow_empty: true', or '--allow-empty'.")]
    public async Task A_dump_that_fails_makes_no_backup_and_says_why(string keys, int exitCode, string message, string hint)
    {
        Configure(keys);

        var result = await _rig.ConfiguredAsync("backup", "db");
        var listed = await _rig.ConfiguredAsync("list");
        var status = await _rig.ConfiguredAsync("status", "--check");

        CliRig.AssertError(result, exitCode, message, hint);
        Assert.DoesNotContain("backup 1", listed.Stdout, StringComparison.Ordinal);
        Assert.Equal(8, status.ExitCode);
        Assert.Contains($"the last backup of db failed: {message}\n", status.Stderr, StringComparison.Ordinal);
        Assert.DoesNotContain("hush", $"{result}{status}", StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_at_all_is_kept_where_that_is_allowed()
    {
        Configure("command: [\"true\"], allow_empty: true");

        var result = await _rig.ConfiguredAsync("backup", "db");
        var restored = await _rig.ConfiguredAsync("restore", "db", "--output", _rig["out"]);

        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.True(restored.ExitCode == 0, $"{restored}");
        Assert.Equal(0, new FileInfo(_rig["out"]).Length);
    }

    [Fact]
    public async Task A_command_that_leaves_something_running_with_its_standard_error_ends_when_it_does_itself()
    {
        Configure("command: [sh, -c, \"echo all; echo well >&2; exec sleep 60 >/dev/null & exit 0\"], timeout: 30s");
        var backup = await _rig.ConfiguredAsync("backup", "db");
        var restore = await _rig.RunAsync(
            "restore", "db", "--pipe", "--command-timeout", "30s", "--config", _rig["salvor.yaml"], "--",
            "sh", "-c", $"cat > {_rig["copy"]}; sleep 60 & echo loaded");
        var failed = await _rig.RunAsync(
            "backup", "db", "--config", _rig["salvor.yaml"], "--", "sh", "-c", "exec sleep 60 >/dev/null & echo half; exit 3");

        Assert.True(backup.ExitCode == 0, $"{backup}");
        Assert.Equal("warning: sh: well\n", backup.Stderr);
        Assert.True(restore.ExitCode == 0, $"{restore}");
        Assert.Equal("loaded\n", restore.Stderr);
        Assert.Equal("all\n", File.ReadAllText(_rig["copy"]));
        CliRig.AssertError(
            failed, 3, "the command 'sh' of source db ended with exit code 3; no backup was made",
            "Run it by itself, as the user that Salvor runs as, to see why.");
    }

    [Fact]
    public async Task A_command_that_the_system_does_not_start_is_a_failure_that_names_it()
    {
        var result = await _rig.RunAsync("backup", "db", "--to", _rig["vaults"], "--", "echo", new string('x', 200_000));

        CliRig.AssertError(
            result, 3, "the command of source db was not run: 'echo' cannot be started: argument list too long; no backup was made",
            "Look with 'ulimit -a' at what this user may have, with 'free' at the memory, and at how long the arguments are.");
    }

    [Fact]
    public async Task A_restore_into_a_command_ends_as_the_command_does()
    {
        Configure("command: [cat, /etc/services]");
        await _rig.ConfiguredAsync("backup", "db");

        var whole = await PipeAsync("sh", "-c", $"cat > {_rig["copy"]}; echo loaded");
        var failed = await PipeAsync("sh", "-c", "cat > /dev/null; echo relation t exists >&2; exit 3");
        var early = await PipeAsync("true");
        var slow = await _rig.RunAsync(
            "restore", "db", "--pipe", "--command-timeout", "1s", "--config", _rig["salvor.yaml"], "--", "sleep", "1000");
        var missing = await PipeAsync("no-such-loader");

        Assert.True(whole.ExitCode == 0, $"{whole}");
        Assert.Equal("loaded\n", whole.Stderr);
        Assert.Equal(File.ReadAllBytes("/etc/services"), File.ReadAllBytes(_rig["copy"]));
        Assert.Equal(1, failed.ExitCode);
        Assert.EndsWith(
            "salvor: the command 'sh' ended with exit code 3: relation t exists\n"
                + "hint: What it was given was whole as far as it read it. Run it by itself to see why.\n",
            failed.Stderr, StringComparison.Ordinal);
        Assert.Equal(0, early.ExitCode);
        Assert.Equal(124, slow.ExitCode);
        CliRig.AssertError(missing, 1, "'no-such-loader' is not there", "Install it, or write its full path.");
    }

    [Fact]
    public async Task A_command_that_reads_a_damaged_backup_is_stopped_before_its_input_ends()
    {
        var data = RandomNumberGenerator.GetBytes(40 << 20);
        File.WriteAllBytes(_rig["data"], data);
        Configure($"command: [cat, {_rig["data"]}]");
        await _rig.ConfiguredAsync("backup", "db");
        var packs = Directory.GetFiles(_rig["vaults/db/packs"], "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal);
        foreach (var pack in packs.Where((_, index) => index % 2 == 1))
        {
            using var file = File.OpenHandle(pack, FileMode.Open, FileAccess.ReadWrite);
            RandomAccess.Write(file, new byte[4096], RandomAccess.GetLength(file) / 2);
        }

        // The command says so when its input ends; it must not get that far.
        var piped = await PipeAsync("sh", "-c", $"cat > {_rig["part"]}; echo took it for the whole > {_rig["done"]}");
        var restored = await _rig.ConfiguredAsync("restore", "db", "--output", _rig["out"]);

        Assert.Equal(5, piped.ExitCode);
        Assert.False(File.Exists(_rig["done"]));
        Assert.Equal(5, restored.ExitCode);
        Assert.False(File.Exists(_rig["out"]));
        Assert.DoesNotContain(Directory.GetFiles(_rig.Folder, ".*"), path => path.Contains("restoring", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Standard_input_and_a_command_on_the_command_line_are_backed_up_without_a_configuration()
    {
        var piped = await ShellAsync($"echo from a pipe | {Salvor} backup db --stdin --to {_rig["vaults"]} --stdin-name dump.txt");
        var named = await ShellAsync($"{Salvor} backup db --to {_rig["vaults"]} -- sh -c 'echo --json; echo two'");
        var failed = await ShellAsync($"{Salvor} backup db --to {_rig["vaults"]} -- sh -c 'echo half; exit 4'");
        Directory.CreateDirectory(_rig["elsewhere"]);
        var other = await ShellAsync($"{Salvor} backup db --to {_rig["elsewhere"]} -- echo other");
        var listed = await _rig.RunAsync("list", "--from", _rig["vaults"]);
        var first = await _rig.RunAsync("dump", "1:/dump.txt", "--from", _rig["vaults"]);
        var second = await _rig.RunAsync("dump", "2", "--from", "./vaults");

        Assert.True(piped.ExitCode == 0, $"{piped}");
        Assert.True(named.ExitCode == 0, $"{named}");
        Assert.Equal(3, failed.ExitCode);
        Assert.True(other.ExitCode == 0, $"{other}");
        Assert.DoesNotContain("backup 3", listed.Stdout, StringComparison.Ordinal);
        Assert.Equal("from a pipe\n", first.Stdout);
        Assert.Equal("--json\ntwo\n", second.Stdout);
    }

    [Theory]
    [InlineData(
        "backup db --stdin -- true", "'--stdin' and a command both say what is kept", "Give one of them; the command is the safer one.")]
    [InlineData(
        "backup db --to /x", "'--to' goes with '--stdin', or with a command after '--'",
        "Write 'salvor backup NAME --stdin', or 'salvor backup NAME -- pg_dump app'.")]
    [InlineData("backup --stdin --to /x", "'--to' says where to, and nothing how it is called", "Name the source, too.")]
    [InlineData("restore db --pipe", "'--pipe' is given, and no command", "Write 'salvor restore NAME --pipe -- psql app'.")]
    [InlineData("restore db -- cat", "a command is given, and not '--pipe'", "Write 'salvor restore NAME --pipe -- psql app'.")]
    [InlineData(
        "restore db --pipe --output /x -- cat", "'--output' is for a file, and '--pipe' gives all to a command",
        "Leave one of them out: 'salvor restore NAME --output FILE', or 'salvor restore NAME --pipe -- psql app'.")]
    [InlineData(
        "restore db --pipe --force -- cat", "'--force' is for a file, and '--pipe' gives all to a command",
        "Leave one of them out: 'salvor restore NAME --output FILE', or 'salvor restore NAME --pipe -- psql app'.")]
    [InlineData(
        "restore db --command-timeout 1h", "'--command-timeout' is given, and no command",
        "Leave it out, or write 'salvor restore NAME --pipe --command-timeout 1h -- psql app'.")]
    [InlineData(
        "backup db --to /x --dest local -- true", "'--dest' names a destination of a configuration, and '--to' is used without one",
        "Give one of them.")]
    [InlineData(
        "backup db --stdin --stdin-name a/b --to /x", "'a/b' is no name of a file",
        "Write a name without a folder: '--stdin-name app.sql'.")]
    [InlineData("backup db cat", "'salvor backup' takes no 'cat'", "Run 'salvor backup --help' to see what it takes.")]
    public async Task What_is_wrong_with_the_command_line_of_a_stream_is_named(string line, string message, string hint) =>
        CliRig.AssertError(await SalvorProcess.RunAsync(line.Split(' ')), 2, message, hint);

    [Theory]
    [InlineData("--stdin")]
    [InlineData("--", "true")]
    public async Task A_stream_goes_to_no_other_destination_than_the_configured_one(params string[] stream)
    {
        Configure("command: [echo, x]");

        CliRig.AssertError(
            await _rig.RunAsync(["backup", "db", "--config", _rig["salvor.yaml"], "--dest", "offsite", .. stream]), 2,
            "source db is not replicated to offsite", "Use '--dest local', or leave it out.");
    }

    void Configure(string keys) => _rig.Configure($"db: {{ type: command, to: [local], {keys} }}");

    Task<ProcessResult> PipeAsync(params string[] command) =>
        _rig.RunAsync(["restore", "db", "--pipe", "--config", _rig["salvor.yaml"], "--", .. command]);

    static string Salvor => string.Join(' ', SalvorProcess.CommandLine.Select(part => $"'{part}'"));

    async Task<ProcessResult> ShellAsync(string line)
    {
        await using var process = ChildProcess.Start("sh", ["-c", line], _rig.Folder);
        return await process.ExitAsync();
    }

    static void AssertDocument(string name, ProcessResult result)
    {
        var schema = JsonElement.Parse(Checkout.Read($"docs/json/{name}.schema.json"));
        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.Empty(JsonSchema.Violations(schema, JsonElement.Parse(result.Stdout), name));
    }
}
