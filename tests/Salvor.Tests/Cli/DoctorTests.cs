using System.Text.Json;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary><c>salvor doctor</c> as an operator meets it; what each check finds is tested where it is made.</summary>
public sealed class DoctorTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task Each_check_is_a_line_with_its_fix_and_the_last_line_counts_them()
    {
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        var result = await _rig.ConfiguredAsync("doctor");

        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.StartsWith(
            $"OK    config       the configuration is read  ({_rig["salvor.yaml"]}: 1 source(s)", result.Stdout, StringComparison.Ordinal);
        Assert.Contains(
            $"WARN  source       app: the database is not there  ({_rig.Database}: nothing is captured until an app makes it)\n"
                + "      fix: salvor restore app --if-db-not-exists   (or correct 'path')\n",
            result.Stdout, StringComparison.Ordinal);
        Assert.Matches(@"\n\d+ checks: \d+ ok, \d+ warnings, 0 failed\n$", result.Stdout);
        Assert.Empty(result.Stderr);
    }

    [Fact]
    public async Task A_configuration_that_cannot_be_used_is_a_failed_check_and_a_document()
    {
        File.WriteAllText(_rig["salvor.yaml"], "sources: { app: { type: sqlit } }\n");

        var result = await _rig.ConfiguredAsync("doctor", "--json");

        Assert.True(result.ExitCode == 2, $"{result}");
        var root = JsonElement.Parse(result.Stdout);
        Assert.False(root.GetProperty("ok").GetBoolean());
        Assert.Equal(2, root.GetProperty("exit_code").GetInt32());
        var check = root.GetProperty("checks")[0];
        Assert.Equal(("fail", "config"), (check.GetProperty("level").GetString(), check.GetProperty("area").GetString()));
        Assert.Contains("salvor.yaml:1:", check.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Under_quiet_only_what_failed_is_told()
    {
        await File.WriteAllTextAsync(_rig.Database, new string('x', 4096));
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        var result = await _rig.ConfiguredAsync("doctor", "--quiet");

        Assert.True(result.ExitCode == 3, $"{result}");
        Assert.Empty(result.Stdout);
        Assert.StartsWith(
            "FAIL  source       app: the file is not a database, or is encrypted  (", result.Stderr, StringComparison.Ordinal);
        Assert.Equal(2, result.Stderr.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public async Task An_encrypted_vault_is_opened_from_the_destination_and_the_key_alone()
    {
        _rig.WriteSecret("app.key", new string('k', 64));
        await _rig.FillAsync("--key-file", "app.key");

        var result = await _rig.ExpectAsync(0, "doctor", "--from", "vaults", "--key-file", "app.key");

        Assert.Contains(
            "key          app: the key opens the newest object at vaults  (1 key slot(s): 1 (key_file))", result.Stdout,
            StringComparison.Ordinal);
        Assert.Contains("vault        app: vaults can restore position ", result.Stdout, StringComparison.Ordinal);
        var without = await _rig.ExpectAsync(2, "doctor", "--from", "vaults");
        Assert.Contains("is encrypted, and no key is given)", without.Stdout, StringComparison.Ordinal);
    }
}
