using System.Text;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>Canaries: a passphrase and a row that must turn up nowhere but where they belong.</summary>
public sealed class SecretsStayInsideTests : IAsyncDisposable
{
    const string Secret = "canary-passphrase-4f1c";
    const string NewSecret = "canary-passphrase-77aa";
    /// <summary>Rows that do not compress: what lies between them is stored as it is.</summary>
    const string Noise =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO t SELECT randomblob(3000) FROM n";

    const string Row = "canary row of the database";

    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task No_passphrase_is_in_any_output_state_command_line_or_stored_byte()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(KeyRig.Source("{ passphrase: '${PASS}', key_saved: true }"), CliRig.Source("bad", "./app/bad.db"));
        File.WriteAllText(_rig["app/bad.db"], new string('x', 200));
        _rig.WriteSecret("broken.yaml", "sources: [\n");

        // All that prints, with and without success, with the traces of errors switched on.
        var result = await _rig.ShellAsync(
            $$"""
            export SALVOR_DEBUG=1 PASS={{Secret}} SALVOR_PASSPHRASE={{Secret}}
            salvor daemon --config salvor.yaml & pid=$!
            for i in $(seq 60); do salvor status app --config salvor.yaml | grep -q healthy && break; sleep 0.2; done
            tr '\0' ' ' < /proc/$pid/cmdline; pgrep -af Salvor.Cli
            for verb in 'list app' 'list app --json' 'status' 'status --json' 'sync app' 'restore app --output a.db --json' \
                'key list app --json' 'key export app.export app' \
                'key export app.export app' 'restore app --position 99999' 'list nothing' 'key remove 9 app' \
                'key export - app --json' 'key nonsense'
            do
                salvor $verb --config salvor.yaml
            done
            SALVOR_NEW_PASSPHRASE={{NewSecret}} salvor key add app --config salvor.yaml --json
            SALVOR_NEW_PASSPHRASE={{NewSecret}} salvor key rotate app --config salvor.yaml
            salvor list --from vaults/app
            SALVOR_PASSPHRASE_FILE={{Secret}} salvor list --from vaults/app
            SALVOR_PASSPHRASE= SALVOR_PASSPHRASE_FD={{Secret}} salvor list --from vaults/app
            SALVOR_PASSPHRASE= SALVOR_PASSPHRASE_COMMAND='echo {{Secret}}; exit 1' salvor list --from vaults/app
            salvor daemon --config broken.yaml
            salvor replicate app/app.db other --i-have-saved-the-key --json --exec 'sleep 2'
            salvor restore --from other --output b.db --key-file broken.yaml
            kill $pid; wait $pid
            """);

        Assert.Contains("healthy", result.Stdout, StringComparison.Ordinal);
        Assert.Contains("salvor daemon", result.Stderr, StringComparison.Ordinal);
        AssertClean("the output", Encoding.UTF8.GetBytes(result.ToString()));
        var all = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 };
        foreach (var file in Directory.EnumerateFiles(_rig.Folder, "*", all))
        {
            AssertClean(file, File.ReadAllBytes(file));
        }
    }

    [Fact]
    public async Task No_password_of_a_server_is_in_any_output_state_or_command_line()
    {
        var server = await (await SshServer.RunningAsync()).PasswordOptionsAsync();
        await _rig.CreateDatabaseAsync();
        File.WriteAllText(
            _rig["salvor.yaml"],
            $$"""
            destinations:
              nas: { type: sftp, host: 127.0.0.1, port: {{server.Port}}, user: {{server.User}}, path: '{{server.Path}}',
                     known_hosts: {{server.KnownHostsFile}}, password: '${NAS}' }
            sources:
              app: { type: sqlite, path: ./app/app.db, to: [nas] }

            """);
        var result = await _rig.ShellAsync(
            $$"""
            export SALVOR_DEBUG=1 NAS={{Secret}}
            for verb in 'list app' 'status --json' 'bench destination nas --quick'; do salvor $verb --config salvor.yaml; done
            export NAS='{{SshServer.Password}}' SALVOR_SFTP_PASSWORD='{{SshServer.Password}}'
            salvor daemon --config salvor.yaml & pid=$!
            for i in $(seq 100); do salvor status app --config salvor.yaml | grep healthy && break; sleep 0.2; done
            tr '\0' ' ' < /proc/$pid/cmdline; pgrep -af 'ssh .*{{server.User}}'
            salvor list --from '{{server.Location}}' --json
            salvor list --from 'sftp://{{server.User}}:{{Secret}}@127.0.0.1/srv'
            kill $pid; wait $pid
            """);

        Assert.Contains("healthy", result.Stdout, StringComparison.Ordinal);
        Assert.Contains("refuses the password of user", result.Stderr, StringComparison.Ordinal);
        AssertClean("the output", Encoding.UTF8.GetBytes(result.ToString()));
        var all = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 };
        foreach (var file in Directory.EnumerateFiles(_rig.Folder, "*", all))
        {
            AssertClean(file, File.ReadAllBytes(file));
        }
    }

    [Fact]
    public async Task No_row_is_in_any_stored_byte_of_an_encrypted_vault()
    {
        _rig.WriteSecret("app.key", new string('k', 44));
        foreach (var vaults in (string[])["one", "two"])
        {
            await Tool.SqlAsync(
                _rig.Database, $"PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t(x); INSERT INTO t VALUES ('{Row}');");
            var replicate = _rig.Start("replicate", _rig.Database, vaults, "--key-file", "app.key", "--i-have-saved-the-key");
            await Eventually.HoldsAsync(() => replicate.Stderr.Contains("replicating", StringComparison.Ordinal), () => replicate.Stderr);
            await Tool.SqlAsync(_rig.Database, $"{Noise}; INSERT INTO t VALUES ('{Row}'); {Noise}");
            await _rig.ExpectAsync(0, "sync", _rig.Database, "--timeout", "20s");
            await CliRig.StopAsync(replicate);
        }

        await CliRig.StopAsync(await _rig.ReplicateAsync());
        Assert.Contains(FilesOf("vaults"), file => Holds(file, Row));
        Assert.All(FilesOf("one").Concat(FilesOf("two")), file => Assert.False(Holds(file, Row), file));

        // The same content under the same key file: nothing that is derived from it is the same in two vaults.
        Assert.Empty(Packs("one").Intersect(Packs("two")));
        await _rig.ExpectAsync(0, "restore", "--from", "one", "--key-file", "app.key", "--output", "a.db");
        Assert.StartsWith(Row, await CliRig.RowsAsync(_rig["a.db"]), StringComparison.Ordinal);
    }

    static void AssertClean(string what, byte[] bytes)
    {
        foreach (var secret in (string[])[Secret, NewSecret, SshServer.Password])
        {
            var isThere = bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(secret)) >= 0;
            Assert.False(isThere, $"{what} holds {secret}: {Encoding.UTF8.GetString(bytes)}");
        }
    }

    static bool Holds(string file, string text) => File.ReadAllBytes(file).AsSpan().IndexOf(Encoding.UTF8.GetBytes(text)) >= 0;

    string[] FilesOf(string folder) => Directory.GetFiles(_rig[folder], "*", SearchOption.AllDirectories);

    IEnumerable<string> Packs(string folder) => Directory.GetFiles(_rig[$"{folder}/app/packs"]).Select(path => Path.GetFileName(path)!);
}
