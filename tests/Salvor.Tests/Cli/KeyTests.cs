using System.Text.Json;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Cli;

/// <summary>Encrypted vaults as an operator meets them.</summary>
public sealed class KeyTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_daemon_writes_nothing_before_the_key_was_exported_and_then_goes_on_by_itself()
    {
        await _rig.CreateDatabaseAsync();
        _rig.WriteSecret("pass", KeyRig.Passphrase + "\n");
        _rig.Configure(KeyRig.Source("{ passphrase_file: ./pass }"));
        await _rig.DaemonAsync("app", "awaiting_export");

        var status = await _rig.StateAsync("app", "awaiting_export");
        Assert.Contains("app was not exported yet, so nothing is written to it", status, StringComparison.Ordinal);
        Assert.Contains("hint: Run 'salvor key export FILE app'", status, StringComparison.Ordinal);
        Assert.Equal(["claims", "keys", "vault"], Folders());
        Assert.Equal(2, (await _rig.ConfiguredAsync("sync", "app")).ExitCode);

        var exported = await _rig.ConfiguredAsync("key", "export", "app.export", "app");
        Assert.True(exported.ExitCode == 0, $"{exported}");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_rig["app.export"]));
        await _rig.StateAsync("app", "healthy");
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "app")).ExitCode);
        Assert.Equal(0, (await _rig.ConfiguredAsync("restore", "app", "--output", "a.db")).ExitCode);
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--key-file", "app.export", "--output", "b.db");
        Assert.Equal(("1", "1"), (await CliRig.RowsAsync(_rig["a.db"]), await CliRig.RowsAsync(_rig["b.db"])));
        CliRig.AssertError(
            await _rig.ConfiguredAsync("key", "export", "app.export", "app"),
            2, $"{_rig["app.export"]} exists, and an export replaces nothing", "Name another file, or move that one away.");
    }

    [Fact]
    public async Task The_key_can_be_exported_before_anything_runs()
    {
        await _rig.CreateDatabaseAsync();
        _rig.WriteSecret("app.key", new string('k', 44));
        _rig.Configure(KeyRig.Source("{ key_file: ./app.key }"));

        Assert.Equal(0, (await _rig.ConfiguredAsync("key", "export", "app.export")).ExitCode);
        var daemon = await _rig.DaemonAsync("app", "healthy");
        Assert.DoesNotContain("exported yet", daemon.Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_directory_waits_for_its_key_to_be_exported_too_and_no_second_vault_begins_where_its_disk_is_away()
    {
        Directory.CreateDirectory(_rig["uploads"]);
        File.WriteAllText(_rig["uploads/a"], "one");
        _rig.WriteSecret("app.key", new string('k', 44));
        _rig.Configure("uploads: { type: files, paths: [./uploads], to: [local], encryption: { key_file: ./app.key } }");

        var refused = await _rig.ConfiguredAsync("backup", "uploads");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("hint: Run 'salvor key export FILE uploads'", refused.Stderr, StringComparison.Ordinal);
        Assert.Equal(0, (await _rig.ConfiguredAsync("key", "export", "uploads.export", "uploads")).ExitCode);
        Assert.Equal(0, (await _rig.ConfiguredAsync("backup", "uploads")).ExitCode);
        Directory.Move(_rig["vaults"], _rig["away"]);
        var gone = await _rig.ConfiguredAsync("key", "export", "second.export", "uploads");

        Assert.Equal(4, gone.ExitCode);
        Assert.False(Directory.Exists(_rig["vaults/uploads"]));
        Directory.Move(_rig["away"], _rig["vaults"]);
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--key-file", "uploads.export", "--output", "back");
        Assert.Equal("one", File.ReadAllText(_rig["back"] + _rig["uploads/a"]));
    }

    [Fact]
    public async Task Wrong_missing_absent_and_open_keys_are_told_apart()
    {
        await _rig.FillAsync("--key-file", _rig.WriteSecret("app.key", new string('k', 44)));
        _rig.WriteSecret("other.key", new string('o', 44));
        File.Copy(_rig["app.key"], _rig["open.key"]);
        File.SetUnixFileMode(_rig["open.key"], (UnixFileMode)0b110_100_100);
        string[] list = ["list", "--from", "vaults"];

        CliRig.AssertError(
            await _rig.RunAsync(list), 2, $"vault {_rig["vaults/app"]} is encrypted, and no key is given",
            "Give it with '--key-file FILE' or in the variable SALVOR_PASSPHRASE; in a configuration with 'encryption' of the source.");
        CliRig.AssertError(
            await _rig.RunAsync([.. list, "--key-file", "other.key"]), 2,
            $"key file {_rig["other.key"]} does not open vault {_rig["vaults/app"]}",
            "Its key slots are 1 (key_file). An exported key opens it too: '--key-file EXPORT'.");
        CliRig.AssertError(
            await _rig.RunAsync([.. list, "--key-file", "no.key"]), 2, $"key file {_rig["no.key"]} does not exist",
            "Check the path, or bring the file back from where its copy is kept.");
        CliRig.AssertError(
            await _rig.RunAsync([.. list, "--key-file", "open.key"]), 2,
            $"key file {_rig["open.key"]} has mode 0644, so others than its owner may use it",
            $"Run 'chmod 600 {_rig["open.key"]}'. If somebody else may have read it, 'salvor key rotate' makes it worthless.");
        await _rig.ExpectAsync(0, [.. list, "--key-file", "app.key"]);

        // The same for a writer, which must end and not wait for what does not pass.
        Assert.Equal(2, (await _rig.RunAsync("replicate", _rig.Database, "vaults")).ExitCode);
        Assert.Equal(2, (await _rig.RunAsync("replicate", _rig.Database, "vaults", "--key-file", "other.key")).ExitCode);
        CliRig.AssertError(
            await _rig.RunAsync("replicate", _rig.Database, "elsewhere", "--encrypt"), 2, "'--encrypt' is given, and no key",
            "Name one with '--key-file FILE', or set SALVOR_PASSPHRASE, SALVOR_PASSPHRASE_FILE, SALVOR_PASSPHRASE_COMMAND, "
                + "SALVOR_PASSPHRASE_FD or SALVOR_KEY_FILE.");
    }

    [Fact]
    public async Task What_is_plain_stays_plain_and_what_is_encrypted_stays_encrypted()
    {
        await _rig.CreateDatabaseAsync();
        await CliRig.StopAsync(await _rig.ReplicateAsync());
        _rig.WriteSecret("app.key", new string('k', 44));
        _rig.Configure(KeyRig.Source("{ key_file: ./app.key, key_saved: true }"));

        await _rig.DaemonAsync("app", "failing");

        var status = await _rig.StateAsync("app", "failing");
        Assert.Contains(
            $"vault {_rig["vaults/app"]} is not encrypted, and key file {_rig["app.key"]} is given for it", status,
            StringComparison.Ordinal);
        CliRig.AssertError(
            await _rig.ConfiguredAsync("restore", "app"), 2,
            $"vault {_rig["vaults/app"]} is not encrypted, and key file {_rig["app.key"]} is given for it",
            "A vault stays what it was made as: leave the key out, or give the source another name or destination for an encrypted one.");
        await _rig.ExpectAsync(0, "list", "--from", "vaults");
    }

    [Fact]
    public async Task The_same_passphrase_may_come_from_everywhere()
    {
        _rig.WriteSecret("pass", KeyRig.Passphrase + "\n");
        await _rig.CreateDatabaseAsync();
        var made = await _rig.ShellAsync(
            $"SALVOR_PASSPHRASE='{KeyRig.Passphrase}' salvor replicate app/app.db vaults --i-have-saved-the-key --exec 'sleep 3'");
        Assert.True(made.ExitCode == 0, $"{made}");

        var result = await _rig.ShellAsync(
            """
            set -eu
            SALVOR_PASSPHRASE_FILE=pass salvor list --from vaults
            SALVOR_PASSPHRASE_COMMAND='cat pass' salvor list --from vaults
            SALVOR_PASSPHRASE_FD=3 salvor list --from vaults 3< pass
            SALVOR_PASSPHRASE_FD=0 salvor list --from vaults < pass
            SALVOR_PASSPHRASE_FD=5 salvor list --from vaults 5< <(cat pass)
            mkdir credentials; cp pass credentials/app; chmod 440 credentials/app
            cat > salvor.yaml << 'YAML'
            destinations:
              local: { type: file, path: ./vaults }
            sources:
              app: { type: sqlite, path: ./app/app.db, to: [local], encryption: { credential: app } }
            YAML
            CREDENTIALS_DIRECTORY=$PWD/credentials salvor list app --config salvor.yaml
            """);

        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.Equal(6, result.Stdout.Split("complete as of").Length - 1);
    }

    [Fact]
    public async Task A_vault_that_lost_its_slots_is_opened_by_the_export_and_gets_a_slot_again()
    {
        _rig.WriteSecret("pass", KeyRig.Passphrase + "\n");
        _rig.WriteSecret("app.key", new string('k', 44));
        await _rig.FillAsync("--key-file", "app.key");
        await _rig.ExpectAsync(0, "key", "export", "app.export", "--from", "vaults", "--key-file", "app.key");
        var paper = (await _rig.ExpectAsync(0, "key", "export", "-", "--paper", "--from", "vaults", "--key-file", "app.key")).Stdout;
        Directory.Delete(_rig["vaults/app/keys"], recursive: true);

        CliRig.AssertError(
            await _rig.RunAsync("restore", "--from", "vaults", "--key-file", "app.key"), 5,
            $"vault {_rig["vaults/app"]} has lost all its key slots",
            "Open it with an exported key: 'salvor key import EXPORT --from VAULT' makes a slot again.");
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--key-file", "app.export", "--output", "a.db");
        Assert.Equal("1", await CliRig.RowsAsync(_rig["a.db"]));

        // Typed from paper, with the explanation around it, in another spacing.
        _rig.WriteSecret("typed", paper.Replace(" / ", "/", StringComparison.Ordinal));
        AssertDocument("key", await _rig.ExpectAsync(0, "key", "import", "typed", "--from", "vaults", "--key-file", "app.key", "--json"));
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--key-file", "app.key", "--output", "b.db");
        CliRig.AssertError(
            await _rig.RunAsync("key", "import", "pass", "--from", "vaults", "--key-file", "app.key"), 2,
            $"key file {_rig["pass"]} has 29 bytes, and a key file has at least 32",
            "Make one with 'head -c 32 /dev/urandom | base64 > FILE', then 'chmod 600 FILE'; or use a passphrase.");
    }

    [Fact]
    public async Task Keys_are_added_listed_rotated_and_removed_and_a_daemon_goes_on()
    {
        _rig.WriteSecret("pass", KeyRig.Passphrase + "\n");
        _rig.WriteSecret("one.key", new string('1', 44));
        _rig.WriteSecret("two.key", new string('2', 44));
        await _rig.CreateDatabaseAsync();
        _rig.Configure(KeyRig.Source("{ key_file: ./one.key, key_saved: true }"));
        await _rig.DaemonAsync("app", "healthy");

        string[] add = ["key", "add", "--new-passphrase-file", "pass", "--label", "for bad days", "--json"];
        AssertDocument("key", await _rig.ConfiguredAsync(add));
        AssertDocument("key", await _rig.ConfiguredAsync("key", "rotate", "--new-key-file", "two.key", "--json"));
        var wrong = await _rig.ConfiguredAsync("key", "list");
        Assert.Equal(2, wrong.ExitCode);
        var listed = await _rig.ConfiguredAsync("key", "list", "--key-file", "two.key");
        Assert.Matches(
            "slot 2  passphrase  argon2id  .*  \"for bad days\"\n  slot 3  key_file  hkdf-sha256  .*  \\(given\\)\n", listed.Stdout);
        AssertDocument("key-list", await _rig.ConfiguredAsync("key", "list", "--key-file", "two.key", "--json"));

        // The data key is the same, so a daemon that runs needs nothing; a new start needs the new key.
        await _rig.CommitAsync(2);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "app")).ExitCode);
        AssertDocument("key", await _rig.ConfiguredAsync("key", "remove", "2", "--key-file", "two.key", "--json"));
        CliRig.AssertError(
            await _rig.ConfiguredAsync("key", "remove", "3", "--key-file", "two.key"), 2,
            $"key slot 3 is the last one of vault {_rig["vaults/app"]}",
            "Add another with 'salvor key add' first: without any, only an exported key opens the vault.");
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--key-file", "two.key", "--output", "a.db");
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["a.db"]));
    }

    [Fact]
    public async Task A_verb_of_keys_that_does_not_exist_is_named_with_those_that_do()
    {
        CliRig.AssertError(
            await _rig.RunAsync("key", "exprt"), 2, "unknown command 'exprt'",
            "Did you mean \"export\"? Run 'salvor key --help' to see all.");
        CliRig.AssertError(
            await _rig.RunAsync("key", "export"), 2, "'salvor key export' needs FILE",
            "Run 'salvor key export --help' to see what it takes.");
    }

    static void AssertDocument(string name, ProcessResult result)
    {
        Assert.True(result.ExitCode == 0, $"{result}");
        var schema = JsonElement.Parse(Checkout.Read($"docs/json/{name}.schema.json"));
        Assert.Empty(JsonSchema.Violations(schema, JsonElement.Parse(result.Stdout), ""));
    }

    string[] Folders() => [.. Directory.EnumerateFileSystemEntries(_rig["vaults/app"]).Select(path => Path.GetFileName(path)!).Order()];
}
