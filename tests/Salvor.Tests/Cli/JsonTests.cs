using System.Text.Json;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Cli;

/// <summary>What --json prints is one document, and it is the one that <c>docs/json</c> describes.</summary>
public sealed class JsonTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task Every_answer_is_as_described()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync("--json");
        AssertDocument("sync", await _rig.ExpectAsync(0, "sync", _rig.Database, "--json"));
        AssertDocument("status", await _rig.ExpectAsync(0, "status", _rig.Database, "--json"));
        AssertDocument("backup", await _rig.ExpectAsync(0, "backup", _rig.Database, "--label", "one", "--verify", "--json"));
        AssertDocument("lock", await _rig.ExpectAsync(0, "lock", "show", "--from", "vaults", "--json"));
        AssertDocument("replicate", await CliRig.StopAsync(replicate));
        AssertDocument("lock", await _rig.ExpectAsync(0, "lock", "show", "--from", "vaults", "--json"));
        AssertDocument("break-lock", await _rig.ExpectAsync(0, "break-lock", "--from", "vaults", "--json"));
        AssertDocument("usage", await _rig.ExpectAsync(0, "usage", "--from", "vaults", "--json"));
        AssertDocument("bench-destination", await _rig.ExpectAsync(0, "bench", "destination", "./vaults", "--quick", "--json"));
        AssertDocument("doctor", await _rig.ExpectAsync(0, "doctor", "--from", "vaults", "--json"));
        AssertDocument("list", await _rig.ExpectAsync(0, "list", "--from", "vaults", "--json"));
        string[] restore = ["restore", "--from", "vaults", "--output", "x.db", "--json"];
        AssertDocument("restore", await _rig.ExpectAsync(0, [.. restore, "--dry-run"]));
        AssertDocument("restore", await _rig.ExpectAsync(0, restore));
        AssertDocument("restore", await _rig.ExpectAsync(0, [.. restore, "--if-db-not-exists"]));
        foreach (var level in (string[][])[[], ["--quick"], ["--deep"], ["--sample", "50%"]])
        {
            AssertDocument("verify", await _rig.ExpectAsync(0, ["verify", "--from", "vaults", "--json", .. level]));
        }

        AssertDocument("verify-data-dir", await _rig.ExpectAsync(0, "verify", "--from", "vaults", "--data-dir", "x.db", "--json"));
        AssertDocument("status", await _rig.ExpectAsync(0, "status", _rig.Database, "--json"));
        Directory.CreateDirectory(_rig["copy"]);
        string[] repair = ["repair", "--config", _rig["two.yaml"], "--json"];
        File.WriteAllText(
            _rig["two.yaml"],
            """
            destinations: { a: { type: file, path: ./vaults }, b: { type: file, path: ./copy } }
            sources: { app: { type: sqlite, path: ./app/app.db, to: [a, b] } }

            """);
        AssertDocument("verify", await _rig.ExpectAsync(5, "verify", "--config", _rig["two.yaml"], "--json"));
        AssertDocument("repair", await _rig.ExpectAsync(0, [.. repair, "--dry-run"]));
        AssertDocument("repair", await _rig.ExpectAsync(0, repair));
        AssertDocument("drill", await _rig.ExpectAsync(0, "drill", "--from", "vaults", "--json"));
        AssertDocument("runbook", await _rig.ExpectAsync(0, "runbook", "--config", _rig["two.yaml"], "--json"));
        AssertDocument("version", await _rig.ExpectAsync(0, "version", "--json"));
        AssertDocument("demo", await _rig.ExpectAsync(0, "demo", "--seconds", "1", "--json"));
    }

    [Fact]
    public async Task A_daemon_tells_that_it_ended()
    {
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        var daemon = await _rig.DaemonAsync("app", "waiting", "--json");

        AssertDocument("daemon", await CliRig.StopAsync(daemon));
        AssertDocument("status", await _rig.ConfiguredAsync("status", "--json", "--check"));
    }

    [Theory]
    [InlineData(2, "usage", "list --json --from")]
    [InlineData(2, "usage", "nonsense --json")]
    [InlineData(6, "not_restorable", "restore --json --from app")]
    [InlineData(4, "destination_unreachable", "list --json --from /no/such/place")]
    public async Task A_failure_is_a_document_too(int exitCode, string kind, string line)
    {
        var result = await _rig.ExpectAsync(exitCode, line.Split(' '));

        AssertDocument("error", result);
        var error = JsonElement.Parse(result.Stdout).GetProperty("error");
        Assert.Equal(kind, error.GetProperty("kind").GetString());
        Assert.Equal(exitCode, error.GetProperty("exit_code").GetInt32());
        Assert.Equal(
            result.Stderr, $"salvor: {error.GetProperty("message").GetString()}\nhint: {error.GetProperty("hint").GetString()}\n");
    }

    [Fact]
    public void The_check_against_a_schema_finds_what_is_wrong()
    {
        var schema = JsonElement.Parse(
            """
            {
              "type": "object", "required": ["a", "b"],
              "properties": { "a": { "type": "integer" }, "b": { "type": ["string", "null"], "format": "date-time" } }
            }
            """);

        Assert.Empty(JsonSchema.Violations(schema, JsonElement.Parse("""{"a":1,"b":null}"""), ""));
        Assert.Equal(["/b: missing"], JsonSchema.Violations(schema, JsonElement.Parse("""{"a":1}"""), ""));
        Assert.Equal(["/a: is 1.5, not integer"], JsonSchema.Violations(schema, JsonElement.Parse("""{"a":1.5,"b":null}"""), ""));
        Assert.Equal(["/c: not described"], JsonSchema.Violations(schema, JsonElement.Parse("""{"a":1,"b":null,"c":0}"""), ""));
        Assert.Equal(
            ["/b: is 2026-01-01T00:00:00+00:00, not a time that ends in Z"],
            JsonSchema.Violations(schema, JsonElement.Parse("""{"a":1,"b":"2026-01-01T00:00:00+00:00"}"""), ""));
    }

    internal static void AssertDocument(string name, ProcessResult result)
    {
        var schema = JsonElement.Parse(Checkout.Read($"docs/json/{name}.schema.json"));
        Assert.Empty(JsonSchema.Violations(schema, JsonElement.Parse(result.Stdout), ""));
    }
}
