using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>A daemon that is asked over HTTP, and what follows for the alerts when real faults are made.</summary>
public sealed partial class MetricsEndpointTests : IAsyncDisposable
{
    readonly CliRig _rig = new();
    readonly HttpClient _http = new();

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _rig.DisposeAsync();
    }

    [Fact]
    public async Task Real_faults_are_found_by_the_check_the_metrics_and_the_alerts_alike()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure("app: { type: sqlite, path: ./app/app.db, to: [local], rpo: 1ms, verify: off }");
        File.AppendAllText(_rig["salvor.yaml"], "metrics: { listen: 127.0.0.1:0 }\n");
        var daemon = await _rig.DaemonAsync("app", "healthy");
        var address = Address().Match(daemon.Stderr).Groups[1].Value;
        await _rig.ExpectAsync(0, "backup", "app", "--config", _rig["salvor.yaml"]);
        await Eventually.HoldsAsync(
            async () => (await GetAsync($"{address}/metrics")).Text.Contains(
                "salvor_replica_lag_seconds{source=\"app\",destination=\"local\"} 0\n", StringComparison.Ordinal),
            () => "something waits");
        Assert.Equal((HttpStatusCode.OK, "ok\n"), await GetAsync($"{address}/healthz"));
        Assert.Equal((HttpStatusCode.OK, "ok\n"), await GetAsync($"{address}/readyz"));
        await ExpectAgreementAsync(address);
        await ExpectFiringAsync((await GetAsync($"{address}/metrics")).Text, "SalvorVerifyTooOld");

        Directory.Move(_rig["vaults"], _rig["away"]);
        await _rig.CommitAsync(2);
        await _rig.StateAsync("app", "backing_off");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "app: backing_off\n"), await GetAsync($"{address}/readyz"));
        Assert.Equal((HttpStatusCode.OK, "ok\n"), await GetAsync($"{address}/healthz"));
        await ExpectAgreementAsync(address);
        await ExpectFiringAsync(
            (await GetAsync($"{address}/metrics")).Text, "SalvorCheckFailing", "SalvorReplicaLag", "SalvorVerifyTooOld");

        daemon.Send(Signal.Stop);
        await Eventually.HoldsAsync(
            async () => (await _rig.ConfiguredAsync("status")).Stdout.StartsWith("app  stale", StringComparison.Ordinal),
            () => "it responds");
        await ExpectFiringAsync(
            (await _rig.ConfiguredAsync("status", "--prom")).Stdout,
            "SalvorCheckFailing", "SalvorLockStuck", "SalvorReplicaLag", "SalvorVerifyTooOld");

        await daemon.KillAsync();
        Directory.Move(_rig["away"], _rig["vaults"]);
        Truncate(Directory.EnumerateFiles(_rig["vaults/app/log"], "*", SearchOption.AllDirectories).First());
        Assert.Equal(5, (await _rig.ConfiguredAsync("verify", "app")).ExitCode);
        var check = await _rig.ConfiguredAsync("status", "--check", "--prom", "--output", _rig["salvor.prom"]);
        CliRig.AssertError(
            check, 8, "nothing serves app", "Start 'salvor daemon' or 'salvor replicate DB DEST', and look at its log for why it ended.");
        await ExpectFiringAsync(
            File.ReadAllText(_rig["salvor.prom"]),
            "SalvorCheckFailing", "SalvorReplicaLag", "SalvorVerifyFailed", "SalvorVerifyTooOld");
        var nagios = await _rig.ConfiguredAsync("status", "--check", "--format", "nagios");
        Assert.Equal((2, "CRITICAL: nothing serves app\n"), (nagios.ExitCode, nagios.Stdout));
    }

    [Fact]
    public async Task Secrets_of_destinations_and_the_destinations_themselves_are_not_needed()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync();
        await CliRig.StopAsync(replicate);
        File.WriteAllText(
            _rig["salvor.yaml"],
            """
            destinations:
              offsite: { type: azure, account: "${NO_SUCH_ACCOUNT}", container: x, sas_token: "${NO_SUCH_TOKEN}" }
              local: { type: file, path: "${NO_SUCH_FOLDER}" }
            sources:
              app: { type: sqlite, path: ./app/app.db, to: [offsite, local], encryption: { passphrase: "${NO_SUCH_PASSPHRASE}" } }
              late: { type: sqlite, path: ./app/late.db, to: [local] }
            metrics: { listen: 127.0.0.1:9188, token: "${NO_SUCH_TOKEN}" }

            """);
        Directory.Delete(_rig["vaults"], recursive: true);

        var result = await _rig.ConfiguredAsync("status", "--check", "--json", "--quiet");

        Assert.Equal(8, result.ExitCode);
        using var document = JsonDocument.Parse(result.Stdout);
        Assert.Equal(
            ["stopped", "unprotected"],
            document.RootElement.GetProperty("sources").EnumerateArray().Select(source => source.GetProperty("state").GetString()!));
        Assert.StartsWith(
            "salvor: nothing serves app; late is configured and was never served from here\n", result.Stderr, StringComparison.Ordinal);
        var nagios = await _rig.RunAsync("status", "--check", "--format", "nagios", "--config", "no.yaml");
        Assert.Equal((3, "UNKNOWN: configuration no.yaml does not exist\n"), (nagios.ExitCode, nagios.Stdout));
    }

    [Fact]
    public async Task Without_metrics_nothing_of_a_web_server_is_in_the_process()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync();

        Assert.DoesNotContain("AspNetCore", File.ReadAllText($"/proc/{replicate.Id}/maps"), StringComparison.Ordinal);
    }

    /// <summary>Both read the same files, and know nothing else.</summary>
    async Task ExpectAgreementAsync(string address)
    {
        var metrics = AlertRules.Values((await GetAsync($"{address}/metrics")).Text);
        var prom = AlertRules.Values((await _rig.ConfiguredAsync("status", "--prom")).Stdout);
        Assert.Equal(
            metrics.Keys.Where(key => key.StartsWith("salvor_", StringComparison.Ordinal)).Order(), prom.Keys.Order());
        string[] grow =
        [
            "salvor_replica_lag_seconds", "salvor_backing_off_seconds", "salvor_lock_age_seconds", "salvor_backup_age_hours",
            "salvor_outbox_bytes",
        ];
        Assert.All(
            prom.Where(item => !grow.Contains(item.Key.Split('{')[0])), item => Assert.Equal(item.Value, metrics[item.Key]));
        var status = await _rig.ConfiguredAsync("status", "--check", "--json", "--quiet");
        using var document = JsonDocument.Parse(status.Stdout);
        var source = document.RootElement.GetProperty("sources")[0];
        Assert.Equal(status.ExitCode == 0 ? "1" : "0", metrics["salvor_check_ok{source=\"app\"}"]);
        Assert.Equal("1", metrics[$"salvor_state{{source=\"app\",state=\"{source.GetProperty("state").GetString()}\"}}"]);
        Assert.Equal(
            source.GetProperty("lag_seconds").GetDouble() > 0,
            metrics["salvor_replica_lag_seconds{source=\"app\",destination=\"local\"}"] != "0");
    }

    Task ExpectFiringAsync(string text, params string[] alerts) =>
        AlertRules.ExpectFiringAsync(_rig["fired.yml"], text, before: null, alerts);

    static void Truncate(string path)
    {
        using var file = File.OpenWrite(path);
        file.SetLength(file.Length / 2);
    }

    async Task<(HttpStatusCode Status, string Text)> GetAsync(string url)
    {
        using var response = await _http.GetAsync(url, TestContext.Current.CancellationToken);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [GeneratedRegex(@"metrics: (http://[\d.:]+)/metrics")]
    private static partial Regex Address();
}
