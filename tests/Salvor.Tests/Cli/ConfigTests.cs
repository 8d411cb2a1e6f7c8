using System.Text.Json;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Cli;

public sealed class ConfigTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_configuration_that_is_right_is_said_to_be()
    {
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        var result = await _rig.ConfiguredAsync("config", "test");

        Assert.Equal((0, $"ok: 1 source, 1 destination in {_rig["salvor.yaml"]}\n", ""), (result.ExitCode, result.Stdout, result.Stderr));
    }

    [Fact]
    public async Task Everything_that_is_wrong_is_told_at_once()
    {
        _rig.Configure("app: { type: sqlite, paht: ./app.db, to: [local], batch: soon }");
        var file = _rig["salvor.yaml"];

        var result = await _rig.ConfiguredAsync("config", "test", "--json");

        Assert.Equal(2, result.ExitCode);
        Assert.StartsWith(
            $"salvor: {file}:4:24: unknown key \"paht\" in source app\nhint: Did you mean \"path\"? Known keys are ", result.Stderr,
            StringComparison.Ordinal);
        Assert.Contains(
            $"\nsalvor: {file}:4:60: batch of source app is \"soon\", which is not a duration\nhint: ", result.Stderr,
            StringComparison.Ordinal);
        AssertDocument("config-test", result);
        Assert.Equal(
            [(4, 24), (4, 60)],
            JsonElement.Parse(result.Stdout).GetProperty("problems").EnumerateArray()
                .Select(item => (item.GetProperty("line").GetInt32(), item.GetProperty("column").GetInt32())));
    }

    [Fact]
    public async Task A_file_that_is_not_there_is_named()
    {
        CliRig.AssertError(
            await _rig.RunAsync("config", "test", "--config", "no.yaml"), 2, "configuration no.yaml does not exist",
            "Name the file with --config, or create it.");
    }

    [Fact]
    public async Task What_is_effective_is_shown_and_is_a_configuration()
    {
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        var shown = await _rig.ConfiguredAsync("config", "show");
        await File.WriteAllTextAsync(_rig["shown.yaml"], shown.Stdout, TestContext.Current.CancellationToken);
        var json = await _rig.ExpectAsync(0, "config", "show", "--json", "--config", "shown.yaml");

        var app = JsonElement.Parse(json.Stdout).GetProperty("sources").GetProperty("app");
        Assert.Equal("1d", app.GetProperty("snapshot_every").GetString());
    }

    [Fact]
    public async Task A_conversion_prints_a_configuration_and_tells_of_each_key()
    {
        File.WriteAllText(
            _rig["litestream.yml"], "dbs:\n  - path: /data/app.db\n    busy-timeout: 1s\n    replicas:\n      - path: /backups\n");

        var result = await _rig.ExpectAsync(0, "config", "convert", "litestream.yml");
        File.WriteAllText(_rig["ours.yaml"], result.Stdout);

        Assert.Contains(
            "line 3: dbs[0].busy-timeout: not taken over: Salvor never makes a writer wait\n", result.Stderr, StringComparison.Ordinal);
        Assert.Contains("line 2: dbs[0].path ", result.Stderr, StringComparison.Ordinal);
        await _rig.ExpectAsync(0, "config", "test", "--config", "ours.yaml");
        AssertDocument("config-convert", await _rig.ExpectAsync(0, "config", "convert", "litestream.yml", "--json"));
        var schema = await _rig.ExpectAsync(0, "config", "schema");
        Assert.Equal(Checkout.Read("docs/json/config.schema.json"), schema.Stdout);
    }

    static void AssertDocument(string name, ProcessResult result) => Assert.Empty(JsonSchema.Violations(
        JsonElement.Parse(Checkout.Read($"docs/json/{name}.schema.json")), JsonElement.Parse(result.Stdout), ""));
}
