using System.Globalization;
using System.Text.Json;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>A source with two destinations, at both of which a commit has to be before it counts.</summary>
public sealed class RequiredDestinationTests : IAsyncLifetime
{
    readonly CliRig _rig = new();

    string Second => _rig["second"];

    public async ValueTask InitializeAsync()
    {
        await _rig.CreateDatabaseAsync();
        Configure(required: true);
    }

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_sync_waits_for_it_and_the_lag_says_so()
    {
        var daemon = await _rig.DaemonAsync("app", "healthy");
        await ExpectSyncAsync(0);
        Directory.Move(Second, $"{Second}.away");
        await _rig.CommitAsync(2);

        var late = await ExpectSyncAsync(124, "--timeout", "3s");
        Assert.Contains("not everything was durable after 3s", late.Stderr, StringComparison.Ordinal);
        Assert.True(await LagAsync() > 2);

        Directory.Move($"{Second}.away", Second);
        await ExpectSyncAsync(0, "--timeout", "60s");
        await ExpectRowsAsync("1 2");
        await Eventually.HoldsAsync(async () => await LagAsync() == 0, () => "a lag remains");
        await CliRig.StopAsync(daemon);
    }

    [Fact]
    public async Task Without_a_daemon_a_sync_copies_to_it_before_it_answers()
    {
        await ExpectSyncAsync(0);
        await ExpectRowsAsync("1");
    }

    [Fact]
    public async Task One_that_is_not_required_keeps_no_sync_waiting()
    {
        Configure(required: false);
        var daemon = await _rig.DaemonAsync("app", "healthy");
        Directory.Move(Second, $"{Second}.away");
        await _rig.CommitAsync(2);
        await ExpectSyncAsync(0, "--timeout", "20s");
        await Eventually.HoldsAsync(async () => await LagAsync() == 0, () => "a lag remains");
        await CliRig.StopAsync(daemon);
    }

    void Configure(bool required)
    {
        _rig.Configure(CliRig.Source("app", "app/app.db").Replace("[local]", "[local, second]", StringComparison.Ordinal));
        var text = File.ReadAllText(_rig["salvor.yaml"]);
        var second = $"  second: {{ type: file, path: ./second, required: {(required ? "true" : "false")} }}";
        File.WriteAllText(_rig["salvor.yaml"], text.Replace("sources:", $"{second}\nsources:", StringComparison.Ordinal));
    }

    async Task<ProcessResult> ExpectSyncAsync(int exitCode, params string[] more)
    {
        var result = await _rig.ConfiguredAsync(["sync", "app", .. more]);
        Assert.True(result.ExitCode == exitCode, $"not {exitCode}: {result}");
        return result;
    }

    async Task ExpectRowsAsync(string rows)
    {
        await _rig.ExpectAsync(0, "restore", "--from", Second, "--output", "second.db");
        Assert.Equal(rows, await CliRig.RowsAsync(_rig["second.db"]));
    }

    async Task<double> LagAsync()
    {
        var status = await _rig.ConfiguredAsync("status", "--json");
        using var document = JsonDocument.Parse(status.Stdout);
        var lag = document.RootElement.GetProperty("sources")[0].GetProperty("last").GetProperty("lag_seconds");
        return double.Parse(lag.GetRawText(), CultureInfo.InvariantCulture);
    }
}
