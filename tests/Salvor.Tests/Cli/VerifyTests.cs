using System.Text.Json;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;

namespace Salvor.Tests.Cli;

/// <summary>What an operator does when a disk rots: verify names it, restore works nevertheless, repair heals it.</summary>
public sealed class VerifyTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_rotten_disk_is_named_read_around_and_healed()
    {
        await BackUpTwiceAsync();
        foreach (var path in Directory.GetFiles(_rig["vaults/app"], "*", SearchOption.AllDirectories).Order())
        {
            var (key, whole) = (Path.GetRelativePath(_rig["vaults/app"], path), await File.ReadAllBytesAsync(path));
            await RotAsync(path, whole.Length / 2);

            var verify = await _rig.ConfiguredAsync("verify");
            Assert.True(verify.ExitCode == 5, $"{key}: {verify}");
            Assert.Contains($"{key} at {_rig["vaults/app"]}: ", verify.Stderr, StringComparison.Ordinal);
            Assert.Contains("hint: Run 'salvor repair app'", verify.Stderr, StringComparison.Ordinal);
            Assert.Contains($"app at {_rig["more/app"]}: ", verify.Stdout, StringComparison.Ordinal);
            Assert.DoesNotContain($"at {_rig["more/app"]}: ", verify.Stderr, StringComparison.Ordinal);

            File.Delete(_rig["x.db"]);
            Assert.Equal(0, (await _rig.ConfiguredAsync("restore", "--output", _rig["x.db"])).ExitCode);
            Assert.Equal("1 2 3", await CliRig.RowsAsync(_rig["x.db"]));

            var planned = await _rig.ConfiguredAsync("repair", "--dry-run");
            Assert.Contains($"app: {key} ", planned.Stdout, StringComparison.Ordinal);
            Assert.NotEqual(whole, await File.ReadAllBytesAsync(path));
            var repair = await _rig.ConfiguredAsync("repair", "--db", "app");
            Assert.True(repair.ExitCode == 0, $"{key}: {repair}");
            Assert.Equal(whole, await File.ReadAllBytesAsync(path));
        }

        Assert.Equal(0, (await _rig.ConfiguredAsync("verify", "--deep", "--full")).ExitCode);
        var again = await _rig.ConfiguredAsync("repair");
        Assert.Contains(" 0 healed, 0 lost, 0 not writable", again.Stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_restore_says_which_copy_was_bad_and_from_names_more_than_one()
    {
        await BackUpTwiceAsync();
        var path = _rig["vaults/app/log/000001/0000000000000003"];
        await RotAsync(path, 208);

        var result = await _rig.ExpectAsync(0, "restore", "--from", _rig["vaults"], "--from", _rig["more"], "--output", _rig["x.db"]);

        Assert.Equal(
            $"warning: object log/000001/0000000000000003 at {_rig["vaults/app"]} is damaged: frame 0 does not match its checksum; "
                + "it was read from another copy. hint: Run 'salvor repair app'.\n",
            result.Stderr);
        Directory.Delete(_rig["vaults"], recursive: true);
        await _rig.ExpectAsync(0, "restore", "--from", _rig["vaults"], "--from", _rig["more"], "--output", _rig["y.db"]);
        Assert.Equal("1 2 3", await CliRig.RowsAsync(_rig["y.db"]));
    }

    [Theory]
    [InlineData("vaults", "more")]
    [InlineData("more", "vaults")]
    public async Task A_copy_whose_identity_is_damaged_still_lends_its_other_objects(string nameless, string holed)
    {
        await BackUpTwiceAsync();
        await RotAsync(_rig[$"{nameless}/app/vault"], 100);
        File.Delete(_rig[$"{holed}/app/log/000001/0000000000000003"]);

        var result = await _rig.ConfiguredAsync("restore", "--output", _rig["x.db"]);

        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.Equal("1 2 3", await CliRig.RowsAsync(_rig["x.db"]));
        await _rig.ExpectAsync(0, "restore", "--from", _rig["vaults"], "--from", _rig["more"], "--output", _rig["y.db"]);
        Assert.Equal("1 2 3", await CliRig.RowsAsync(_rig["y.db"]));
    }

    [Fact]
    public async Task The_proven_image_is_kept_and_never_trusted()
    {
        await BackUpTwiceAsync();
        Assert.Equal(0, (await _rig.ConfiguredAsync("verify", "--deep")).ExitCode);
        await _rig.CommitAsync(4);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync")).ExitCode);

        var restore = await DeepAsync();
        Assert.True(restore.GetProperty("from_image").GetBoolean());
        Assert.Equal("quick_check", restore.GetProperty("check").GetString());

        // Rot in a page that nothing has written since.
        await RotAsync(_rig["app/.salvor/app.db.proven"], 100);
        restore = await DeepAsync();
        Assert.False(restore.GetProperty("from_image").GetBoolean());
        Assert.Matches(
            "^with the log since, it has checksum [0-9a-f]{16} in place of ", restore.GetProperty("discarded_image").GetString()!);
        Assert.True((await DeepAsync()).GetProperty("from_image").GetBoolean());

        // A record that is about another state.
        var record = _rig["app/.salvor/app.db.proven.json"];
        var text = await File.ReadAllTextAsync(record);
        await File.WriteAllTextAsync(record, text.Replace("\"lineage\": \"", "\"lineage\": \"0", StringComparison.Ordinal));
        Assert.False((await DeepAsync()).GetProperty("from_image").GetBoolean());
        restore = (await DeepAsync("--full")).Clone();
        Assert.False(restore.GetProperty("from_image").GetBoolean());
        Assert.Equal("integrity_check", restore.GetProperty("check").GetString());
        Assert.Equal(1UL, (await DeepAsync("--position", "1")).GetProperty("position").GetUInt64());
    }

    [Fact]
    public async Task The_proven_image_is_gone_on_from_where_the_log_was_merged_around_it()
    {
        await BackUpTwiceAsync();
        await DeepAsync();
        foreach (var x in new[] { 4, 5, 6, 7 })
        {
            await _rig.CommitAsync(x);
            Assert.Equal(0, (await _rig.ConfiguredAsync("sync")).ExitCode);
        }

        var catalog = await VaultReading.OpenAsync(new FileStore(_rig["vaults"]));
        var merged = catalog.Logs(1).Chain.SkipLast(1).Where(entry => entry.First > 1).ToList();
        while (!(await catalog.ReadLogHeaderAsync(1, merged[^1], default)).Log.Final)
        {
            merged.RemoveAt(merged.Count - 1);
        }

        while (!(await catalog.ReadLogHeaderAsync(1, merged[0], default)).Log.Final)
        {
            merged.RemoveAt(0);
        }

        Assert.Single(await new Compactor(catalog).RunAsync(1, new CompactionRun(merged, null), default));
        merged.ForEach(entry => File.Delete(_rig["vaults/app/" + VaultKeys.Log(1, entry)]));

        var restore = await DeepAsync();

        Assert.True(restore.GetProperty("from_image").GetBoolean(), $"{restore}");
        Assert.Equal(7UL, restore.GetProperty("position").GetUInt64());
        Assert.Equal(0, (await _rig.ConfiguredAsync("repair")).ExitCode);
        Assert.All(merged, entry => Assert.False(File.Exists(_rig["vaults/app/" + VaultKeys.Log(1, entry)])));
    }

    [Fact]
    public async Task An_encrypted_source_is_verified_read_around_and_healed_with_its_key()
    {
        _rig.WriteSecret("app.key", new string('k', 64));
        await BackUpTwiceAsync("{ key_file: ./app.key, key_saved: true }");
        var files = Directory.GetFiles(_rig["vaults/app"], "*", SearchOption.AllDirectories).Order()
            .GroupBy(path => Path.GetRelativePath(_rig["vaults/app"], path).Split('/')[0]).Select(kind => kind.Last()).ToList();
        Assert.Equal(7, files.Count);
        foreach (var path in files)
        {
            var (key, whole) = (Path.GetRelativePath(_rig["vaults/app"], path), await File.ReadAllBytesAsync(path));
            await RotAsync(path, whole.Length / 2);

            var verify = await _rig.ConfiguredAsync("verify");
            Assert.True(verify.ExitCode == 5, $"{key}: {verify}");
            Assert.Contains($"{key} at {_rig["vaults/app"]}: ", verify.Stderr, StringComparison.Ordinal);
            File.Delete(_rig["x.db"]);
            var restore = await _rig.ConfiguredAsync("restore", "--output", _rig["x.db"]);
            Assert.True(restore.ExitCode == 0, $"{key}: {restore}");
            Assert.Equal("1 2 3", await CliRig.RowsAsync(_rig["x.db"]));
            var repair = await _rig.ConfiguredAsync("repair");
            Assert.True(repair.ExitCode == 0, $"{key}: {repair}");
            Assert.Equal(whole, await File.ReadAllBytesAsync(path));
        }

        await DeepAsync("--full");
        await _rig.ExpectAsync(0, "verify", "--from", _rig["vaults"], "--from", _rig["more"], "--key-file", _rig["app.key"], "--deep");
        CliRig.AssertError(
            await _rig.RunAsync("verify", "--from", _rig["vaults"]), 2, $"vault {_rig["vaults/app"]} is encrypted, and no key is given",
            "Give it with '--key-file FILE' or in the variable SALVOR_PASSPHRASE; in a configuration with 'encryption' of the source.");
    }

    [Fact]
    public async Task The_age_of_the_last_verification_can_be_checked()
    {
        await BackUpTwiceAsync();
        var daemon = await _rig.DaemonAsync("app", "healthy");
        string[] check = ["status", "--check", "--quiet", "--max-verify-age", "1h"];
        CliRig.AssertError(
            await _rig.ConfiguredAsync(check), 8, "app was never verified; at most 1h is allowed",
            "Run 'salvor verify --deep', and let the daemon do it with 'verify: { every: 24h }'.");

        Assert.Equal(0, (await _rig.ConfiguredAsync("verify", "--deep")).ExitCode);
        Assert.Equal(0, (await _rig.ConfiguredAsync(check)).ExitCode);
        Assert.Equal(8, (await _rig.ConfiguredAsync("status", "--check", "--quiet", "--max-verify-age", "1ms")).ExitCode);

        // A quick look that finds nothing does not take the place of it; one that finds something does.
        Assert.Equal(0, (await _rig.ConfiguredAsync("verify", "--quick")).ExitCode);
        var marker = await File.ReadAllTextAsync(_rig["app/.salvor/app.db.verify.json"]);
        Assert.Contains("\"kind\": \"deep\"", marker, StringComparison.Ordinal);
        File.Delete(_rig["more/app/log/000001/0000000000000002"]);
        Assert.Equal(5, (await _rig.ConfiguredAsync("verify", "--quick")).ExitCode);
        CliRig.AssertError(
            await _rig.ConfiguredAsync(check), 8, "the last verification of app found damage or failed",
            "Run 'salvor repair app', then 'salvor verify app --deep --full', which reads everything.");

        // One that reads less leaves it as it is; what the hint says makes it well.
        await _rig.ConfiguredAsync("repair", "app");
        Assert.Equal(0, (await _rig.ConfiguredAsync("verify", "app", "--deep", "--full")).ExitCode);
        Assert.Equal(0, (await _rig.ConfiguredAsync(check)).ExitCode);
        await CliRig.StopAsync(daemon);
    }

    [Fact]
    public async Task A_restored_file_is_told_from_one_that_was_changed()
    {
        await BackUpTwiceAsync();
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "x.db", "--position", "2");

        var same = await _rig.ExpectAsync(0, "verify", "--from", "vaults", "--data-dir", "x.db");
        Assert.Matches(@"x\.db is position 2 of \S+Z, branch 1: all 2 page\(s\) match\n$", same.Stdout);
        await RotAsync(_rig["x.db"], 5000);
        var changed = await _rig.ExpectAsync(5, "verify", "--from", "vaults", "--data-dir", "x.db", "--position", "2");
        Assert.Contains("differs from position 2 of vault ", changed.Stderr, StringComparison.Ordinal);
        Assert.Contains(" in page(s) 2\n", changed.Stderr, StringComparison.Ordinal);
        await _rig.ExpectAsync(5, "verify", "--from", "vaults", "--data-dir", "x.db");
    }

    [Fact]
    public async Task A_page_that_changed_behind_the_back_of_the_log_is_named()
    {
        await _rig.CreateDatabaseAsync();
        Configure("off");
        var daemon = await _rig.DaemonAsync("app", "healthy");
        await _rig.CommitAsync(2);
        var same = await _rig.ConfiguredAsync("verify", "--live");
        Assert.True(same.ExitCode == 0, $"{same}");
        Assert.Contains("app is position 2 of its vault, page by page", same.Stdout, StringComparison.Ordinal);

        await CliRig.StopAsync(daemon);
        await Tool.SqlAsync(_rig.Database, "PRAGMA wal_checkpoint(TRUNCATE)");
        same = await _rig.ConfiguredAsync("verify", "--live");
        Assert.True(same.ExitCode == 0, $"{same}");
        daemon = await _rig.DaemonAsync("app", "healthy");
        using (var file = File.Open(_rig.Database, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            file.Position = 4096 + 2000;
            file.WriteByte(0x55);
        }

        var result = await _rig.ConfiguredAsync("verify", "--live");
        Assert.True(result.ExitCode == 5, $"{result}");
        Assert.Contains(
            $"salvor: {_rig.Database} differs from position 2 of {_rig["vaults/app"]} in page(s) 2 ", result.Stderr,
            StringComparison.Ordinal);
        await CliRig.StopAsync(daemon);
    }

    [Fact]
    public async Task One_destination_has_nothing_to_be_healed_from()
    {
        await BackUpTwiceAsync();

        var result = await _rig.ExpectAsync(0, "repair", "--from", _rig["vaults"]);

        Assert.Equal("app: nothing to do, because it has one destination and is healed from others\n", result.Stdout);
        await RotAsync(_rig["vaults/app/log/000001/0000000000000002"], 208);
        var verify = await _rig.ExpectAsync(5, "verify", "--from", _rig["vaults"]);
        Assert.Contains("; restore points 2-3 cannot be restored from this copy\n", verify.Stderr, StringComparison.Ordinal);
        Assert.Contains("hint: There is no other copy to heal it from", verify.Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_destination_that_is_away_is_told_and_nothing_is_made_in_its_place()
    {
        await BackUpTwiceAsync();
        Directory.Delete(_rig["more"], recursive: true);

        var result = await _rig.ConfiguredAsync("repair");

        Assert.Equal(4, result.ExitCode);
        Assert.Contains($"takes no part: destination {_rig["more"]} does not exist", result.Stderr, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_rig["more"]));
    }

    [Fact]
    public async Task A_daemon_copies_to_every_destination_and_verifies_by_itself()
    {
        await _rig.CreateDatabaseAsync();
        Configure("{ every: 1s, deep: true }");
        var daemon = await _rig.DaemonAsync("app", "healthy");
        await _rig.CommitAsync(2);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync")).ExitCode);
        await Eventually.HoldsAsync(
            () => IsCopied() && File.Exists(_rig["app/.salvor/app.db.proven"]), () => daemon.Stderr, TimeSpan.FromSeconds(60));
        var status = await _rig.ConfiguredAsync("status");
        Assert.Contains($"copy at {_rig["more"]}: ", status.Stdout, StringComparison.Ordinal);

        await _rig.CommitAsync(3);
        await CliRig.StopAsync(daemon);

        Assert.True(IsCopied());
        await _rig.ExpectAsync(0, "restore", "--from", _rig["more"], "--output", _rig["x.db"]);
        Assert.Equal("1 2 3", await CliRig.RowsAsync(_rig["x.db"]));
    }

    [Fact]
    public async Task A_destination_that_does_not_work_holds_up_nothing_and_is_told()
    {
        await _rig.CreateDatabaseAsync();
        await File.WriteAllTextAsync(_rig["more"], "a file in the way");
        Configure("off");
        var daemon = await _rig.DaemonAsync("app", "healthy");
        await _rig.CommitAsync(2);

        Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "--timeout", "20s")).ExitCode);
        await Eventually.HoldsAsync(
            () => daemon.Stderr.Contains($"the copy at {_rig["more"]} is behind: ", StringComparison.Ordinal), () => daemon.Stderr);
        File.Delete(_rig["more"]);
        Directory.CreateDirectory(_rig["more"]);
        await Eventually.HoldsAsync(IsCopied, () => daemon.Stderr, TimeSpan.FromSeconds(60));
        await CliRig.StopAsync(daemon);
    }

    [Fact]
    public async Task A_daemon_goes_on_from_the_copy_where_the_first_destination_is_damaged()
    {
        await BackUpTwiceAsync();
        await RotAsync(_rig["vaults/app/log/000001/0000000000000003"], 20);
        await _rig.CommitAsync(4);

        var daemon = await _rig.DaemonAsync("app", "healthy");
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "--timeout", "20s")).ExitCode);
        await CliRig.StopAsync(daemon);

        Assert.Contains("it was read from another copy. hint: Run 'salvor repair app'.", daemon.Stderr, StringComparison.Ordinal);
        Assert.Equal(0, (await _rig.ConfiguredAsync("repair")).ExitCode);
        await _rig.ExpectAsync(0, "restore", "--from", _rig["vaults"], "--output", _rig["x.db"]);
        Assert.Equal("1 2 3 4", await CliRig.RowsAsync(_rig["x.db"]));
    }

    [Theory]
    [InlineData("verify --quick --deep", "'--quick' excludes '--deep' and '--sample'", "Leave '--quick' out: it reads the least.")]
    [InlineData(
        "verify --live --deep", "'--live' compares the source, and reads no objects",
        "Run 'salvor verify' a second time for the rest.")]
    [InlineData("verify --full", "'--full' is for a deep verification", "Write 'salvor verify --deep --full'.")]
    [InlineData(
        "verify --position 3", "a point is verified by restoring it",
        "Add '--deep' to '--backup-id', '--position', '--timestamp' or '--branch'.")]
    [InlineData(
        "verify --deep --backup-id 1 --branch 1", "'--backup-id' says which point to restore, and so does another option",
        "Give one of them.")]
    [InlineData(
        "status --max-verify-age 1h", "'--max-verify-age' is a part of a check", "Write 'salvor status --check --max-verify-age 36h'.")]
    public async Task Options_that_do_not_fit_are_refused(string line, string message, string hint)
    {
        Configure("off");
        CliRig.AssertError(await _rig.ConfiguredAsync(line.Split(' ')), 2, message, hint);
    }

    async Task<JsonElement> DeepAsync(params string[] more)
    {
        var result = await _rig.ConfiguredAsync(["verify", "--deep", "--json", .. more]);
        Assert.True(result.ExitCode == 0, $"{result}");
        return JsonElement.Parse(result.Stdout).GetProperty("sources")[0].GetProperty("restore");
    }

    bool IsCopied()
    {
        string[] Files(string root) => Directory.Exists(root)
            ? [.. Directory.GetFiles(root, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(root, path)).Order()]
            : [];

        var (first, copy) = (Files(_rig["vaults/app"]), Files(_rig["more/app"]));
        return first.SequenceEqual(copy)
            && first.All(name => File.ReadAllBytes(_rig[$"vaults/app/{name}"]).SequenceEqual(File.ReadAllBytes(_rig[$"more/app/{name}"])));
    }

    void Configure(string verify, string? encryption = null) => File.WriteAllText(
        _rig["salvor.yaml"],
        $$"""
        destinations:
          local: { type: file, path: ./vaults }
          more: { type: file, path: ./more }
        sources:
          app:
            type: sqlite
            path: ./app/app.db
            to: [local, more]
            verify: {{verify}}
            {{(encryption is null ? "" : $"encryption: {encryption}")}}

        """);

    /// <summary>Three commits at two destinations, and nobody who serves them.</summary>
    async Task BackUpTwiceAsync(string? encryption = null)
    {
        await _rig.CreateDatabaseAsync();
        Configure("off", encryption);
        var daemon = await _rig.DaemonAsync("app", "healthy");
        foreach (var x in new[] { 2, 3 })
        {
            await _rig.CommitAsync(x);
            Assert.Equal(0, (await _rig.ConfiguredAsync("sync")).ExitCode);
        }

        await CliRig.StopAsync(daemon);
        Assert.True(IsCopied());
    }

    static async Task RotAsync(string path, int offset)
    {
        var bytes = await File.ReadAllBytesAsync(path);
        bytes[offset] ^= 0x40;
        await File.WriteAllBytesAsync(path, bytes);
    }
}
