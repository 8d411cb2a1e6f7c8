using System.Text.Json;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;
using Salvor.Tests.Vault.Pruning;

namespace Salvor.Tests.Cli;

public sealed class PruneTests : IAsyncDisposable
{
    const string Help = "Run 'salvor backup --help' to see what does.";

    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task Every_answer_is_as_described_and_a_dry_run_says_what_is_done()
    {
        var aged = await AgedVault.CreateAsync();
        await aged.BackUpAsync(800, "gold");
        await aged.BackUpAsync(900);
        await aged.CondemnAsync();
        await aged.EndGraceAsync();
        await aged.CopyToAsync(_rig["vaults"]);

        var dry = await DocumentAsync("prune", "prune", "--from", "vaults", "--keep-last", "1", "--dry-run", "--json");
        var held = (await _rig.ExpectAsync(0, "forget", "--from", "vaults", "--dry-run")).Stdout;
        var real = await DocumentAsync("prune", "prune", "--from", "vaults", "--keep-last", "1", "--json");

        foreach (var field in (string[])["condemned_objects", "condemned_bytes", "deleted_objects", "deleted_bytes", "rewrites"])
        {
            Assert.Equal(dry.GetProperty(field).GetInt64(), real.GetProperty(field).GetInt64());
        }

        var due = real.GetProperty("deleted_bytes").GetInt64();
        Assert.True(due > 0, $"{real}");
        Assert.Contains($"  {due} bytes still held until prune\n", held, StringComparison.Ordinal);
        Assert.Equal(3UL, real.GetProperty("number").GetUInt64());
        Assert.Contains(
            real.GetProperty("lines").EnumerateArray(),
            line => line.GetProperty("subject").GetString() == "backup 1" && !line.GetProperty("kept").GetBoolean());
        var undelete = await _rig.ExpectAsync(0, "prune", "undelete", "3", "--from", "vaults", "--json");
        AssertDocument("prune-undelete", undelete);
        CliRig.AssertError(
            await _rig.RunAsync("prune", "--from", "vaults", "--gc-only", "--keep-last", "1"), 2,
            "'--gc-only' drops no backup, and a rule for backups says which stay", "Give one of them.");
        var garbage = await DocumentAsync("prune", "prune", "--from", "vaults", "--gc-only", "--json");
        Assert.Equal(JsonValueKind.Null, garbage.GetProperty("number").ValueKind);
        Assert.Equal(0, garbage.GetProperty("lines").GetArrayLength());
    }

    [Fact]
    public async Task A_destination_that_allows_no_deletes_is_reported_and_is_no_failure()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "root may delete everywhere, so this runs as somebody else");
        var aged = await AgedVault.CreateAsync();
        var (plan, _) = await aged.CondemnAsync();
        await aged.EndGraceAsync();
        await aged.CopyToAsync(_rig["vaults"]);
        Open(_rig.Folder);
        foreach (var path in Directory.EnumerateFileSystemEntries(_rig["vaults"], "*", SearchOption.AllDirectories).Prepend(_rig["vaults"]))
        {
            Open(path);
        }

        foreach (var folder in (string[])["log/000001", "snapshots/000001", "packs"])
        {
            File.SetUnixFileMode(_rig[$"vaults/app/{folder}"], (UnixFileMode)0b101_101_101);
        }

        var result = await ChildProcess.RunAsync(
            "setpriv",
            [
                "--reuid=65534", "--regid=65534", "--clear-groups", "env", $"TMPDIR={_rig.Folder}", "dotnet",
                Path.Combine(AppContext.BaseDirectory, "Salvor.Cli.dll"), "prune", "--from", _rig["vaults"], "--gc-only", "--json",
            ]);

        Assert.True(result.ExitCode == 0, $"{result}");
        AssertDocument("prune", result);
        var vault = JsonElement.Parse(result.Stdout).GetProperty("vaults")[0];
        Assert.Equal(plan.Condemned.Sum(group => group.Keys.Count), vault.GetProperty("refused_objects").GetInt32());
        Assert.Equal(plan.CondemnedBytes, vault.GetProperty("refused_bytes").GetInt64());
        Assert.Equal(0, vault.GetProperty("deleted_objects").GetInt32());
        var again = (await _rig.ExpectAsync(0, "prune", "--from", "vaults", "--gc-only")).Stdout;
        Assert.Contains(" of earlier prunes deleted\n", again, StringComparison.Ordinal);

        static void Open(string path) => File.SetUnixFileMode(path, (UnixFileMode)0b111_111_111);
    }

    [Fact]
    public async Task One_backup_is_deleted_by_request_and_taken_back()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        var first = await _rig.ConfiguredAsync("backup", "app", "--label", "old", "--retention-days", "30", "--json");
        AssertDocument("backup", first);
        Assert.Equal(30, JsonElement.Parse(first.Stdout).GetProperty("retention_days").GetInt32());
        await _rig.CommitAsync(2);
        Assert.Equal(0, (await _rig.ConfiguredAsync("backup", "app")).ExitCode);
        string[] delete = ["backup", "app", "--delete", "--backup-id", "1"];

        var nobody = await _rig.ConfiguredAsync(delete);
        Assert.Matches(
            $"^salvor: nobody can be asked whether to delete backup 1 \"old\" of \\S+Z at {_rig["vaults/app"]}\n"
                + "hint: Look at it with 'salvor list --type backups', then add '--yes'.\n$",
            nobody.Stderr);
        Assert.Equal(2, nobody.ExitCode);
        CliRig.AssertError(
            await _rig.ConfiguredAsync("backup", "app", "--delete", "--backup-id", "2", "--yes"), 2,
            $"backup 2 of vault {_rig["vaults/app"]} is the newest backup, and stays",
            "Make a newer one with 'salvor backup', prove it with 'salvor verify --deep', then try again.");
        AssertDocument("backup-delete", await _rig.ConfiguredAsync([.. delete, "--dry-run", "--json"]));
        Assert.Equal([2UL, 1UL], await BackupsAsync());
        var done = await _rig.ConfiguredAsync([.. delete, "--cascade", "--yes"]);
        Assert.True(done.ExitCode == 0, $"{done}");
        Assert.Contains("until then 'salvor prune undelete 1' takes it back\n", done.Stdout, StringComparison.Ordinal);
        Assert.Equal([2UL], await BackupsAsync());
        Assert.Equal(0, (await _rig.ConfiguredAsync("prune", "undelete", "1", "app")).ExitCode);
        Assert.Equal([2UL, 1UL], await BackupsAsync());
        AssertDocument("list", await _rig.ConfiguredAsync("list", "app", "--json"));
        Assert.Matches(
            "^app [^\n]+\n  backup 2  [^\n]+  -\n  backup 1  [^\n]+  old  for 30 days\n",
            (await _rig.ConfiguredAsync("list", "app", "--type", "backups")).Stdout);
        AssertDocument("prune", await _rig.ConfiguredAsync("backup", "app", "--prune", "--older-than-days", "1", "--json"));
    }

    [Theory]
    [InlineData("--delete --prune", "'--delete' drops one backup, and '--prune' what the rules do not keep", "Give one of them.")]
    [InlineData(
        "--delete --yes", "which backup is to be deleted is not said", "Add '--backup-id N'; 'salvor list --type backups' shows them.")]
    [InlineData("--yes", "'--yes' does not go with making a backup", Help)]
    [InlineData("--from vaults", "'--from' does not go with making a backup", Help)]
    [InlineData("--delete --backup-id 1 --label x", "'--label' does not go with '--delete'", Help)]
    [InlineData("--prune --backup-id 1", "'--backup-id' does not go with '--prune'", Help)]
    [InlineData("--retention-days 0", "'--retention-days 0' keeps nothing that could be meant", "Give a number from 1 to 36500.")]
    public async Task What_does_not_go_together_is_refused(string options, string message, string hint)
    {
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        CliRig.AssertError(await _rig.ConfiguredAsync(["backup", "app", .. options.Split(' ')]), 2, message, hint);
    }

    [Fact]
    public async Task The_daemon_drops_nothing_before_something_is_proven()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(
            "app: { type: sqlite, path: ./app/app.db, to: [local], max_backups: 1, verify: off, prune: { every: 1s, grace: 2d } }");
        var daemon = await _rig.DaemonAsync("app", "healthy");
        for (var x = 2; x < 5; x++)
        {
            await _rig.CommitAsync(x);
            Assert.Equal(0, (await _rig.ConfiguredAsync("backup", "app")).ExitCode);
        }

        JsonElement waits = default;
        await UntilAsync(pruned => (waits = pruned).ValueKind == JsonValueKind.Object);
        Assert.Equal(JsonValueKind.String, waits.GetProperty("waiting_since").ValueKind);
        Assert.False(Directory.Exists(_rig["vaults/app/condemned"]));
        Assert.DoesNotContain("pruned", (await _rig.ConfiguredAsync("status", "app")).Stdout, StringComparison.Ordinal);
        var verify = await _rig.ConfiguredAsync("verify", "app", "--deep");
        Assert.True(verify.ExitCode == 0, $"{verify}");

        await UntilAsync(pruned => pruned.GetProperty("waiting_since").ValueKind == JsonValueKind.Null);

        await Eventually.HoldsAsync(() => Directory.Exists(_rig["vaults/app/condemned"]), () => daemon.Stderr);
        Assert.Equal([3UL], await BackupsAsync());
        Assert.Contains("\n  pruned ", (await _rig.ConfiguredAsync("status", "app")).Stdout, StringComparison.Ordinal);
        AssertDocument("status", await _rig.ConfiguredAsync("status", "app", "--json"));
        Assert.Contains("prune deleted 0 object(s) with 0 bytes, and condemned 2 as number 1", daemon.Stderr, StringComparison.Ordinal);
        await CliRig.StopAsync(daemon);

        // A daemon that found nothing proven for days.
        await File.WriteAllTextAsync(
            _rig["app/.salvor/app.db.prune.json"], """{ "at": "2026-01-05T00:00:00Z", "waiting_since": "2026-01-01T00:00:00Z" }""");
        Assert.Matches(
            "\n  warning: nothing was pruned for [^\n]+, because no deep verification found all well since\n"
                + "  hint: Run 'salvor verify --deep': ",
            (await _rig.ConfiguredAsync("status", "app")).Stdout);
    }

    [Fact]
    public async Task A_vault_that_cannot_be_kept_within_its_limit_is_told_by_name_and_bytes()
    {
        await Tool.SqlAsync(
            _rig.Database, "PRAGMA journal_mode = WAL; CREATE TABLE t(x); INSERT INTO t VALUES (randomblob(3000000));");
        _rig.Configure("app: { type: sqlite, path: ./app/app.db, to: [local], max_total_size: 1MiB }");
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "app")).ExitCode);

        var told = await _rig.ConfiguredAsync("prune", "app");
        var json = await _rig.ConfiguredAsync("prune", "app", "--json");

        Assert.True(told.ExitCode == 0, $"{told}");
        AssertDocument("prune", json);
        var vault = JsonElement.Parse(json.Stdout).GetProperty("vaults")[0];
        var excess = vault.GetProperty("excess_bytes").GetInt64();
        Assert.InRange(excess, 1_500_000, 5_000_000);
        Assert.Equal(1 << 20, vault.GetProperty("max_total_size").GetInt64());
        Assert.Equal(
            $"warning: app at {_rig["vaults/app"]} cannot be kept within max_total_size 1MiB: without all that may go now, it would have "
                + $"{excess} bytes more, so nothing was dropped for it. hint: Raise max_total_size, or let 'keep' be shorter.\n",
            told.Stderr);
    }

    async Task UntilAsync(Func<JsonElement, bool> holds)
    {
        var answer = "";
        for (var attempt = 0; attempt < 100; attempt++)
        {
            answer = (await _rig.ConfiguredAsync("status", "app", "--json")).Stdout;
            if (holds(JsonElement.Parse(answer).GetProperty("sources")[0].GetProperty("pruned")))
            {
                return;
            }

            await Task.Delay(100, TestContext.Current.CancellationToken);
        }

        Assert.Fail(answer);
    }

    async Task<IEnumerable<ulong>> BackupsAsync() => JsonElement.Parse((await _rig.ConfiguredAsync("list", "app", "--json")).Stdout)
        .GetProperty("backups").EnumerateArray().Select(item => item.GetProperty("id").GetUInt64()).ToList();

    async Task<JsonElement> DocumentAsync(string schema, params string[] arguments)
    {
        var result = await _rig.ExpectAsync(0, arguments);
        AssertDocument(schema, result);
        return JsonElement.Parse(result.Stdout).GetProperty("vaults")[0];
    }

    static void AssertDocument(string name, ProcessResult result)
    {
        var schema = JsonElement.Parse(Checkout.Read($"docs/json/{name}.schema.json"));
        Assert.Empty(JsonSchema.Violations(schema, JsonElement.Parse(result.Stdout), ""));
    }
}
