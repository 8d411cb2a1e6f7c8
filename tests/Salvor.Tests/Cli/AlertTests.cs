using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>Real faults of what runs now and then, and the alerts that they fire.</summary>
public sealed class AlertTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task Old_backups_failed_backups_and_drills_that_do_not_pass_are_alerts()
    {
        await ConfigureAsync("""
              app:
                { type: sqlite, path: ./app/app.db, to: [local], verify: off, max_backup_age: 1ms,
                  drill: { every: off, checks: [{ sql: "SELECT 1", expect: 99 }] } }

            """);
        await _rig.ExpectAsync(0, "backup", "app", "--config", _rig["salvor.yaml"]);
        await Eventually.HoldsAsync(
            async () => !(await MetricsAsync()).Contains(
                "\nsalvor_backup_age_hours{source=\"app\",destination=\"local\"} 0\n", StringComparison.Ordinal),
            () => "the backup grows no older");
        await ExpectFiringAsync(null, "BackupTooOld", "SalvorCheckFailing", "SalvorVerifyTooOld");

        var before = await MetricsAsync();
        Directory.Move(_rig["vaults"], _rig["away"]);
        await _rig.ExpectAsync(4, "backup", "app", "--config", _rig["salvor.yaml"]);
        await ExpectFiringAsync(before, "BackupFailed", "BackupTooOld", "SalvorCheckFailing", "SalvorVerifyTooOld");

        Directory.Delete(_rig["vaults"]);
        Directory.Move(_rig["away"], _rig["vaults"]);
        await _rig.ExpectAsync(1, "drill", "app", "--config", _rig["salvor.yaml"]);
        await ExpectFiringAsync(null, "BackupTooOld", "SalvorCheckFailing", "SalvorDrillTooOld", "SalvorVerifyTooOld");
    }

    [Fact]
    public async Task What_looks_like_ransomware_is_an_alert()
    {
        await ConfigureAsync(
            """
              tree: { type: files, paths: [./app], to: [local] }
              quiet: { type: files, paths: [./app], to: [local], warn_of_anomalies: false }

            """);
        await BackUpAsync();
        File.WriteAllText(_rig["app/RECOVER_FILES.txt"], "Pay.");
        await BackUpAsync();

        var metrics = await MetricsAsync();
        Assert.Contains("\nsalvor_backup_anomalies{source=\"tree\"} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("\nsalvor_backup_anomalies{source=\"quiet\"} 0\n", metrics, StringComparison.Ordinal);
        await ExpectFiringAsync(null, "BackupAnomaly");

        async Task BackUpAsync()
        {
            await _rig.ExpectAsync(0, "backup", "tree", "--config", _rig["salvor.yaml"]);
            await _rig.ExpectAsync(0, "backup", "quiet", "--config", _rig["salvor.yaml"]);
        }
    }

    [Fact]
    public async Task Messages_that_do_not_arrive_are_an_alert_elsewhere()
    {
        await using var server = new HookServer { Answer = _ => 503 };
        await ConfigureAsync($$"""
              app: { type: sqlite, path: ./app/app.db, to: [local], verify: off }
            notifications:
              webhooks: { team: { url: "{{server.Url}}" } }

            """);
        Assert.Equal(4, (await _rig.ConfiguredAsync("notify", "unit-failed", "salvor-verify.service")).ExitCode);

        await ExpectFiringAsync(null, "BackupTooOld", "SalvorCheckFailing", "SalvorNotificationsWait", "SalvorVerifyTooOld");
    }

    [Fact]
    public async Task A_machine_that_tells_nothing_is_an_alert() =>
        await AlertRules.ExpectFiringAsync(_rig["fired.yml"], "other_metric 1\n", before: null, "SalvorAbsent");

    async Task ConfigureAsync(string sources)
    {
        await _rig.CreateDatabaseAsync();
        Directory.CreateDirectory(_rig["vaults"]);
        File.WriteAllText(
            _rig["salvor.yaml"], $"destinations:\n  local: {{ type: file, path: ./vaults }}\nsources:\n{sources}");
    }

    async Task<string> MetricsAsync() => (await _rig.ConfiguredAsync("status", "--prom")).Stdout;

    async Task ExpectFiringAsync(string? before, params string[] alerts) =>
        await AlertRules.ExpectFiringAsync(_rig["fired.yml"], await MetricsAsync(), before, alerts);
}
