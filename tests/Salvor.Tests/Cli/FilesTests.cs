using System.Text.Json;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Cli;

/// <summary>A source of files, as an operator works with it.</summary>
public sealed class FilesTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public FilesTests()
    {
        Directory.CreateDirectory(_rig["vaults"]);
        File.WriteAllText(_rig["app/a.txt"], "one");
        _rig.Configure($"tree: {{ type: files, paths: [./app], exclude: [\"*.tmp\"], to: [local] }}");
    }

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task Backups_of_files_are_made_looked_into_and_brought_back()
    {
        var never = await _rig.ConfiguredAsync("status", "--check");
        var first = await _rig.ConfiguredAsync("backup", "--label", "first", "--verify", "--json");
        File.WriteAllText(_rig["app/b.txt"], "two");
        var second = await _rig.ConfiguredAsync("backup", "tree");
        var listed = await _rig.ConfiguredAsync("list", "tree", $"latest:{_rig["app"]}", "--json");
        var dumped = await _rig.ConfiguredAsync("dump", $"first:{_rig["app/a.txt"]}");
        var found = await _rig.RunAsync("find", "b.*", "--from", "vaults", "--json");
        var differs = await _rig.ConfiguredAsync("diff", "first", "latest", "--json");
        var restored = await _rig.RunAsync("restore", "--from", "vaults", "--snapshot", "first", "--output", "out", "--json");
        var status = await _rig.ConfiguredAsync("status", "--check", "--policy");
        var described = await _rig.ConfiguredAsync("status", "--json");
        var history = await _rig.ConfiguredAsync("history", "tree", "--json");

        Assert.Contains("salvor: tree is configured and was never backed up from here\n", never.Stderr, StringComparison.Ordinal);
        AssertDocument("backup", first);
        Assert.Matches(
            @"^Backup started: \S+\nBackup ID: 2\nOf: \S+Z\nNames: 2 file\(s\), \d+ directories, 0 other\(s\)\nRead: [12] file\(s\), "
                + @"\d B(; the others are unchanged)?\nSize: 6 B, \S+ \S+ added to the vault\nDuration: \S+s\n"
                + @"Backup completed successfully\n$",
            second.Stdout);
        AssertDocument("list-files", listed);
        Assert.Equal(
            [_rig["app/a.txt"], _rig["app/b.txt"]],
            JsonElement.Parse(listed.Stdout).GetProperty("entries").EnumerateArray().Select(item => item.GetProperty("path").GetString()));
        Assert.Equal("one", dumped.Stdout.TrimEnd('\n'));
        AssertDocument("find", found);
        AssertDocument("diff", differs);
        Assert.Equal(1, JsonElement.Parse(differs.Stdout).GetProperty("added").GetInt32());
        AssertDocument("restore", restored);
        Assert.Equal("one", File.ReadAllText(_rig["out"] + _rig["app/a.txt"]));
        Assert.True(status.ExitCode == 0, $"{status}");
        Assert.Matches(@"^tree  healthy\n  \S+app\n  backup 2 \S+ ago: 6 B, \S+ \S+ added, in \S+ s\n$", status.Stdout);
        AssertDocument("history", history);
        Assert.Equal(
            ["manual ok 2", "manual ok 1"],
            JsonElement.Parse(history.Stdout).GetProperty("runs").EnumerateArray().Select(
                run => $"{run.GetProperty("trigger")} {run.GetProperty("outcome")} {run.GetProperty("backup_id")}"));
        AssertDocument("status", described);
    }

    [Fact]
    public async Task A_restore_over_what_is_there_says_what_it_removes_and_does_it_only_where_that_is_asked_for()
    {
        await _rig.ConfiguredAsync("backup");
        await _rig.ConfiguredAsync("restore", "--output", _rig["out"]);
        File.WriteAllText(_rig["out"] + _rig["app/new"], "new");
        File.WriteAllText(_rig["out"] + _rig["app/x.tmp"], "left out");
        var refused = await _rig.ConfiguredAsync("restore", "--output", _rig["out"]);
        var forced = await _rig.ConfiguredAsync("restore", "--output", _rig["out"], "--force");
        var planned = await _rig.ConfiguredAsync("restore", "--output", _rig["out"], "--delete", "--dry-run");
        var isThere = File.Exists(_rig["out"] + _rig["app/new"]);
        var deleted = await _rig.ConfiguredAsync("restore", "--output", _rig["out"], "--delete", "--json");
        var root = await _rig.ConfiguredAsync("restore", "--output", "/", "--delete", "--dry-run");

        Assert.Equal(2, refused.ExitCode);
        Assert.Equal(
            $"salvor: {_rig["out"]} is not empty\nhint: Name a directory with '--output' that is new or empty, or restore over what is in "
                + "it with '--force'.\n",
            refused.Stderr);
        Assert.Contains("\nthere already, and the same: 3 B\n", forced.Stdout, StringComparison.Ordinal);
        Assert.Contains($"\n  would remove {_rig["app/new"]}\n", planned.Stdout, StringComparison.Ordinal);
        Assert.True(isThere, "a dry run removed something");
        AssertDocument("restore", deleted);
        var removed = JsonElement.Parse(deleted.Stdout).GetProperty("files").GetProperty("removed");
        Assert.Equal([_rig["app/new"]], removed.EnumerateArray().Select(item => item.GetString()));
        Assert.False(File.Exists(_rig["out"] + _rig["app/new"]));
        Assert.True(File.Exists(_rig["out"] + _rig["app/x.tmp"]), "what the source leaves out was removed");
        Assert.Equal(
            "salvor: '--delete' in / removes from the running system\nhint: Say with '--include' in which paths, or say '--force'; "
                + "'--dry-run' prints what would go.\n",
            root.Stderr);
    }

    [Fact]
    public async Task The_configuration_says_whom_restored_files_belong_to_unless_the_command_line_does()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root gives files away");
        File.WriteAllText(_rig["owners"], "user root 4711\n");
        _rig.Configure(
            "tree: { type: files, paths: [./app], to: [local], restore: { owner_map: ./owners, owner_by: number, chmod: \"F604\" } }");
        await _rig.ConfiguredAsync("backup");
        await _rig.ConfiguredAsync("restore", "--output", _rig["out"]);
        await _rig.ConfiguredAsync("restore", "--output", _rig["other"], "--chown", "12:34");
        await _rig.RunAsync("restore", "--from", "vaults", "--output", "plain");

        Assert.Equal("604 4711 0\n", await StatAsync("out"));
        Assert.Equal("604 12 34\n", await StatAsync("other"));
        Assert.Equal("644 0 0\n", await StatAsync("plain"));

        async Task<string> StatAsync(string output) =>
            (await ChildProcess.RunAsync("stat", ["-c", "%a %u %g", _rig[output] + _rig["app/a.txt"]])).Stdout;
    }

    [Fact]
    public async Task One_backup_leaves_out_more_and_says_so_and_a_restore_of_it_removes_nothing()
    {
        foreach (var name in (string[])["b.iso", "c.log", "kept.txt"])
        {
            File.WriteAllText(_rig[$"app/{name}"], "x");
        }

        Directory.CreateDirectory(_rig["app/cache"]);
        File.WriteAllText(_rig["app/cache/CACHEDIR.TAG"], "Signature: 8a477f597d28d172789f06886806bc55\n");
        File.WriteAllText(_rig["patterns"], "# not these\n*.log\n");
        var made = await _rig.ConfiguredAsync("backup", "--exclude", "*.iso", "--exclude-file", _rig["patterns"], "--exclude-caches");
        var narrow = await ListAsync();
        await _rig.ConfiguredAsync("backup");
        var wide = await ListAsync();
        await _rig.ConfiguredAsync("restore", "--output", _rig["out"]);
        await _rig.ConfiguredAsync("restore", "--output", _rig["out"], "--delete", "--backup-id", "1");

        Assert.Contains("warning: this backup of tree alone leaves out *.iso, *.log, caches\n", made.Stderr, StringComparison.Ordinal);
        Assert.Equal(["a.txt", "cache", "kept.txt"], narrow);
        Assert.Equal(["a.txt", "b.iso", "c.log", "cache", "kept.txt"], wide);
        Assert.True(File.Exists(_rig["out"] + _rig["app/b.iso"]), "what one backup left out was removed");

        async Task<IEnumerable<string?>> ListAsync() =>
            JsonElement.Parse((await _rig.ConfiguredAsync("list", "tree", $"latest:{_rig["app"]}", "--json")).Stdout)
                .GetProperty("entries").EnumerateArray().Select(item => Path.GetFileName(item.GetProperty("path").GetString()));
    }

    [Fact]
    public async Task The_folder_of_local_state_is_the_one_that_was_named()
    {
        var made = await _rig.ConfiguredAsync("backup", "--state-dir", _rig["elsewhere"]);

        Assert.True(made.ExitCode == 0, $"{made}");
        Assert.NotEmpty(Directory.GetFiles(_rig["elsewhere"]));
        Assert.False(Directory.Exists(_rig[".salvor"]));
    }

    [Fact]
    public async Task What_is_left_out_of_one_backup_goes_with_files_alone()
    {
        _rig.Configure("dump: { type: command, command: [echo, hello], to: [local] }");
        var refused = await _rig.ConfiguredAsync("backup", "--exclude", "*.iso");

        Assert.Equal(
            "salvor: '--exclude' is for files, and dump is something else\nhint: Leave it out: all of it is backed up.\n", refused.Stderr);
    }

    [Fact]
    public async Task What_looks_like_ransomware_is_a_warning_and_stays_to_be_seen()
    {
        await _rig.ConfiguredAsync("backup");
        File.WriteAllText(_rig["app/RECOVER_FILES.txt"], "Pay.");
        var warned = await _rig.ConfiguredAsync("backup", "--json");
        var after = await _rig.ConfiguredAsync("backup");
        var status = await _rig.ConfiguredAsync("status", "--check");
        var described = await _rig.ConfiguredAsync("status", "--json");
        var history = await _rig.ConfiguredAsync("history");

        var finding = $"{_rig["app/RECOVER_FILES.txt"]} is named like a ransom note";
        const string Hint = "  hint: Run 'salvor diff tree 1 2' to see what changed. If that was nobody of yours, backup 1 is the last";
        Assert.Equal(0, warned.ExitCode);
        Assert.Contains(
            $"warning: backup 2 of tree looks as if ransomware had been there: {finding}\n{Hint}", warned.Stderr, StringComparison.Ordinal);
        AssertDocument("backup", warned);
        Assert.Equal(
            (1, finding), (AnomalyIn(warned).GetProperty("before").GetInt32(), AnomalyIn(warned).GetProperty("findings")[0].GetString()));
        Assert.DoesNotContain("ransom", after.Stderr, StringComparison.Ordinal);
        Assert.Equal(0, status.ExitCode);
        Assert.Contains($"  backup 2 looks as if ransomware had been there: {finding}\n{Hint}", status.Stdout, StringComparison.Ordinal);
        AssertDocument("status", described);
        Assert.Contains($"added; looks as if ransomware had been there: {finding}\n", history.Stdout, StringComparison.Ordinal);

        static JsonElement AnomalyIn(ProcessResult result) =>
            JsonElement.Parse(result.Stdout).GetProperty("files").GetProperty("anomaly");
    }

    [Fact]
    public async Task What_cannot_be_read_is_named_and_the_rest_is_kept()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root can become somebody who may read less");
        File.WriteAllText(_rig["app/secret"], "x");
        File.SetUnixFileMode(_rig["app/secret"], UnixFileMode.UserRead);
        await ChildProcess.RunAsync("chmod", ["a+rwx", _rig.Folder, _rig["app"], _rig["vaults"]]);
        var partial = await ChildProcess.RunAsync(
            "setpriv",
            [
                "--reuid=65534", "--regid=65534", "--clear-groups", .. SalvorProcess.CommandLine, "backup", "--config", _rig["salvor.yaml"],
            ]);
        var listed = await _rig.ConfiguredAsync("list", $"latest:{_rig["app"]}");

        Assert.Equal(9, partial.ExitCode);
        Assert.Contains($"warning: {_rig["app/secret"]}: permission denied\n", partial.Stderr, StringComparison.Ordinal);
        Assert.Contains(
            "salvor: backup 1 of tree lacks 1 name(s) that could not be read, and has 0 file(s) that changed while they were read\n"
                + "hint: Let salvor run as a user who may read them, or leave them out with 'exclude'.\n",
            partial.Stderr, StringComparison.Ordinal);
        Assert.Contains("secret  (could not be read)\n", listed.Stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_restore_over_a_database_that_a_daemon_protects_is_refused()
    {
        _rig.Configure(
            "tree: { type: files, paths: [./app], to: [local] }", "db: { type: sqlite, path: ./app/app.db, to: [local] }");
        await _rig.ConfiguredAsync("backup", "tree");
        var state = LocalState.DefaultDirectory(_rig["app/app.db"]);
        LocalState.EnsureDirectory(state);
        using var held = LockFile.Acquire(
            LocalState.LockPath(state, _rig["app/app.db"]), LockHolder.Current(DateTimeOffset.UtcNow, socket: null, "1.0.0"));
        var refused = await _rig.ConfiguredAsync("restore", "tree", "--output", "/", "--include", _rig["app"], "--delete");
        var apart = await _rig.ConfiguredAsync("restore", "tree", "--output", _rig["out"], "--delete");

        Assert.Equal(7, refused.ExitCode);
        Assert.Equal(
            $"salvor: {_rig["app/app.db"]} is protected by process {Environment.ProcessId}, and this restore would replace it\n"
                + $"hint: Leave it out with '--exclude {_rig["app/app.db"]}' and use 'salvor restore db --in-place', "
                + "or stop that process.\n",
            refused.Stderr);
        Assert.True(apart.ExitCode == 0, $"{apart}");
    }

    [Fact]
    public async Task Who_is_not_root_restores_over_directories_that_are_read_only_or_of_others()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root can become somebody who may change less");
        Directory.CreateDirectory(_rig["app/closed"]);
        Directory.CreateDirectory(_rig["app/other"]);
        File.WriteAllText(_rig["app/closed/x"], "x");
        File.WriteAllText(_rig["app/other/y"], "y");
        await ChildProcess.RunAsync("chmod", ["555", _rig["app/closed"]]);
        await ChildProcess.RunAsync("chown", ["-R", "65534:65534", _rig["app"]]);
        await _rig.ConfiguredAsync("backup");
        await _rig.ConfiguredAsync("restore", "--output", _rig["out"]);
        var there = _rig["out"] + _rig["app"];
        File.WriteAllText($"{there}/closed/x", "other");
        await ChildProcess.RunAsync("chown", ["-R", "65534:65534", _rig["out"], _rig["vaults"]]);
        await ChildProcess.RunAsync("chown", ["0:0", $"{there}/other"]);
        await ChildProcess.RunAsync("chmod", ["a+rwx", _rig.Folder, $"{there}/other"]);
        var restored = await ChildProcess.RunAsync(
            "setpriv",
            [
                "--reuid=65534", "--regid=65534", "--clear-groups", .. SalvorProcess.CommandLine, "restore", "--config",
                _rig["salvor.yaml"], "--output", _rig["out"], "--force",
            ]);

        Assert.True(restored.ExitCode == 0, $"{restored}");
        Assert.Equal("x", File.ReadAllText($"{there}/closed/x"));
        Assert.Contains(
            $"warning: {_rig["app/other"]}: it belongs to somebody else, and its permissions and time stay\n", restored.Stderr,
            StringComparison.Ordinal);
        Assert.Equal("555", (await ChildProcess.RunAsync("stat", ["-c", "%a", $"{there}/closed"])).Stdout.Trim());
    }

    [Fact]
    public async Task Where_names_could_be_listed_and_not_looked_at_nothing_is_removed()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root can become somebody who may enter less");
        Directory.CreateDirectory(_rig["app/closed"]);
        File.WriteAllText(_rig["app/closed/x"], "x");
        await ChildProcess.RunAsync("chmod", ["a+rwx", _rig.Folder, _rig["app"], _rig["vaults"]]);
        await ChildProcess.RunAsync("chmod", ["744", _rig["app/closed"]]);
        var partial = await ChildProcess.RunAsync(
            "setpriv",
            [
                "--reuid=65534", "--regid=65534", "--clear-groups", .. SalvorProcess.CommandLine, "backup", "--config", _rig["salvor.yaml"],
            ]);
        await _rig.ConfiguredAsync("restore", "--output", _rig["out"]);
        File.WriteAllText(_rig["out"] + _rig["app/closed/x"], "x");
        var deleted = await _rig.ConfiguredAsync("restore", "--output", _rig["out"], "--delete");

        Assert.Equal(9, partial.ExitCode);
        Assert.Contains(
            "1 name(s) that are not in the backup stay, because something there could not be read when this was backed up", deleted.Stderr,
            StringComparison.Ordinal);
        Assert.True(File.Exists(_rig["out"] + _rig["app/closed/x"]), $"{deleted}");
    }

    [Fact]
    public async Task The_history_tells_who_began_a_run_what_failed_and_what_was_missed()
    {
        _rig.Configure(
            "tree: { type: files, paths: [./app], to: [local], schedule: every 1h, state_dir: ./state }",
            "gone: { type: files, paths: [./gone], to: [local] }");
        var timed = await ChildProcess.RunAsync(
            "env", ["INVOCATION_ID=1", .. SalvorProcess.CommandLine, "backup", "tree", "--config", _rig["salvor.yaml"]]);
        var failed = await _rig.ConfiguredAsync("backup", "gone");
        var old = DateTimeOffset.UtcNow.AddHours(-5);
        foreach (var file in Directory.GetFiles(_rig["state"], "tree*.*").Where(name => name.Contains(".runs.", StringComparison.Ordinal)
            || name.Contains(".backup.", StringComparison.Ordinal)))
        {
            var text = await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken);
            await File.WriteAllTextAsync(
                file, System.Text.RegularExpressions.Regex.Replace(text, @"20\d\d-[^""]*Z", $"{old:yyyy-MM-dd'T'HH:mm:ss'Z'}"),
                TestContext.Current.CancellationToken);
        }

        var history = await _rig.ConfiguredAsync("history");
        var limited = await _rig.ConfiguredAsync("history", "tree", "--limit", "1");

        Assert.True(timed.ExitCode == 0, $"{timed}");
        Assert.Equal(3, failed.ExitCode);
        Assert.Matches(
            @"^\S+Z  tree  schedule  missed +4 due until \S+Z, and not made\n\S+Z  tree  timer     ok +0 s  backup 1: 3 B, \S+ \S+ added\n"
                + @"\S+Z  gone  manual    failed +\S+ s  cannot open \S+/gone: no such file or directory\n$",
            history.Stdout);
        Assert.Matches(@"^\S+Z  tree  schedule  missed [^\n]*\n$", limited.Stdout);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_disk_that_is_away_is_no_new_destination(bool hasMountPoint)
    {
        await _rig.ConfiguredAsync("backup");
        Directory.Move(_rig["vaults"], _rig["away"]);
        if (hasMountPoint)
        {
            Directory.CreateDirectory(_rig["vaults"]);
        }

        var refused = await _rig.ConfiguredAsync("backup");
        var status = await _rig.ConfiguredAsync("status", "--check");

        Assert.Equal(4, refused.ExitCode);
        Assert.Matches(
            @"^salvor: vault \S+/vaults/tree is not there any more \(it was \S+\)\nhint: Mount the disk or share\. "
                + @"If the vault is gone for good, remove \S+\.vault\.json: then a new one begins\.\n$",
            refused.Stderr);
        Assert.Equal(8, status.ExitCode);
        Assert.False(Directory.Exists(_rig["vaults/tree"]));
        if (hasMountPoint)
        {
            Directory.Delete(_rig["vaults"]);
        }

        Directory.Move(_rig["away"], _rig["vaults"]);
        Assert.Equal(0, (await _rig.ConfiguredAsync("backup")).ExitCode);
    }

    [Fact]
    public async Task A_drill_restores_counts_and_asks_what_is_configured()
    {
        Directory.CreateDirectory(_rig["app/sub"]);
        File.WriteAllText(_rig["app/sub/b.txt"], "twelve bytes");
        _rig.Configure(
            $"tree: {{ type: files, paths: [./app], to: [local], drill: {{ every: off, rto: 1h, checks: "
                + $"[ {{ exists: {_rig["app/a.txt"]} }}, {{ command: 'cat {{path}}{_rig["app/sub/b.txt"]}', expect: twelve bytes }} ] "
                + "} }");
        await _rig.ConfiguredAsync("backup");

        var passed = await _rig.ConfiguredAsync("drill", "tree", "--json");
        var report = _rig["drill.md"];
        File.Delete(_rig["app/a.txt"]);
        await _rig.ConfiguredAsync("backup");
        var failed = await _rig.ConfiguredAsync("drill", "tree", "--report", report, "--keep");
        var status = await _rig.ConfiguredAsync("status", "--prom");

        Assert.True(passed.ExitCode == 0, $"{passed}");
        AssertDocument("drill", passed);
        Assert.Contains("\"found\": \"2 file(s), ", passed.Stdout, StringComparison.Ordinal);
        Assert.Equal(1, failed.ExitCode);
        Assert.Contains(
            $"salvor: tree: exists \"{_rig["app/a.txt"]}\": nothing, expected a file with content\n", failed.Stderr,
            StringComparison.Ordinal);
        Assert.Contains("backup 2 of ", File.ReadAllText(report), StringComparison.Ordinal);
        var kept = failed.Stdout.Split('\n').Single(line => line.StartsWith("  kept: ", StringComparison.Ordinal))["  kept: ".Length..];
        Assert.Equal("twelve bytes", File.ReadAllText(kept + _rig["app/sub/b.txt"]));
        Assert.Contains("salvor_drill_rto_target_seconds{source=\"tree\"} 3600", status.Stdout, StringComparison.Ordinal);
    }

    static void AssertDocument(string name, ProcessResult result)
    {
        var schema = JsonElement.Parse(Checkout.Read($"docs/json/{name}.schema.json"));
        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.Empty(JsonSchema.Violations(schema, JsonElement.Parse(result.Stdout), name));
    }
}
