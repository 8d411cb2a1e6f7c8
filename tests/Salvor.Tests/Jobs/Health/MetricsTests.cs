using System.Text.Json;
using System.Text.RegularExpressions;
using Salvor.Cli.Commands;
using Salvor.Jobs.Config;
using Salvor.Jobs.Health;
using Salvor.Sqlite;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Jobs.Health;

/// <summary>What Prometheus is told, judged by its own tool, and the rules that are shipped for it.</summary>
public sealed partial class MetricsTests : IDisposable
{
    readonly HealthRig rig = new();

    public void Dispose() => rig.Dispose();

    [Fact]
    public async Task Promtool_takes_offence_at_nothing_but_the_hours()
    {
        rig.WriteHealthy();
        var copy = new CopyStatus("s3://b", false, rig.Now.AddMinutes(-1), "away", "Look.") { Name = "off\"si\\te\n" };
        rig.Write(HealthRig.Record(rig.Now) with { Copies = [copy] });
        var text = MetricsText.Write([rig.Read()]) + MetricsText.WriteProcess(new(rig.Now, TimeSpan.FromSeconds(1.5), 1 << 20));

        var result = await PromtoolAsync(text, "check", "metrics");

        // Age in hours is what such rules are written in; all other figures are in base units.
        Assert.Equal(
            """
            salvor_backup_age_hours use base unit "seconds" instead of "hours"
            salvor_backup_age_max_hours use base unit "seconds" instead of "hours"

            """,
            result.Stdout + result.Stderr);
    }

    [Fact]
    public void Figures_are_there_before_the_first_backup_and_the_first_failure()
    {
        rig.Hold();
        rig.Write(HealthRig.Record(rig.Now));

        var lines = MetricsText.Write([rig.Read()]).Split('\n');

        Assert.Contains("salvor_backup_total{source=\"app\",status=\"success\"} 0", lines);
        Assert.Contains("salvor_backup_total{source=\"app\",status=\"failure\"} 0", lines);
        Assert.Contains("salvor_backup_age_hours{source=\"app\",destination=\"local\"} +Inf", lines);
        Assert.Contains("salvor_verify_age_seconds{source=\"app\"} +Inf", lines);
        Assert.DoesNotContain(lines, line => line.StartsWith("salvor_verify_ok{", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, line => line.StartsWith("salvor_backing_off_seconds{", StringComparison.Ordinal));
    }

    [Fact]
    public void What_is_said_of_a_source_is_what_the_check_says()
    {
        rig.WriteHealthy();
        rig.Write(HealthRig.Record(rig.Now) with
        {
            State = "backing_off", WaitingSince = rig.Now.AddMinutes(-12), BackingOffSince = rig.Now.AddMinutes(-13), OutboxBytes = 77,
        });
        rig.Write(HealthRig.Verified(rig.Now, ok: false));

        var lines = MetricsText.Write([rig.Read()]).Split('\n');

        Assert.Contains("salvor_up{source=\"app\",destination=\"local\"} 1", lines);
        Assert.Contains("salvor_check_ok{source=\"app\"} 0", lines);
        Assert.Contains("salvor_state{source=\"app\",state=\"backing_off\"} 1", lines);
        Assert.Contains("salvor_replica_lag_seconds{source=\"app\",destination=\"local\"} 720", lines);
        Assert.Contains("salvor_replica_lag_max_seconds{source=\"app\"} 600", lines);
        Assert.Contains("salvor_backing_off_seconds{source=\"app\",destination=\"local\"} 780", lines);
        Assert.Contains("salvor_outbox_bytes{source=\"app\"} 77", lines);
        Assert.Contains("salvor_verify_ok{source=\"app\",destination=\"local\"} 0", lines);
        Assert.Contains("salvor_verify_age_seconds{source=\"app\"} 3600", lines);
        Assert.Contains("salvor_backup_age_hours{source=\"app\",destination=\"local\"} 1", lines);
        Assert.Contains("salvor_backup_total{source=\"app\",status=\"success\"} 3", lines);
        var held = $"salvor_lock_age_seconds{{source=\"app\",holder=\"{Environment.MachineName}:{Environment.ProcessId}\"}} 0";
        Assert.Contains(held, lines);
    }

    [Fact]
    public async Task The_shipped_rules_do_what_their_tests_say()
    {
        var folder = Path.Combine(Checkout.Root, "packaging/prometheus");
        foreach (var (verb, file) in ((string, string)[])[("check", "alerts.yml"), ("test", "alerts_test.yml")])
        {
            var result = await ChildProcess.RunAsync("promtool", [verb, "rules", Path.Combine(folder, file)]);
            Assert.True(result.ExitCode == 0, $"{result}");
        }
    }

    [Theory]
    [InlineData("packaging/prometheus/alerts.yml")]
    [InlineData("packaging/prometheus/alerts_test.yml")]
    [InlineData("packaging/grafana/salvor.json")]
    public void Only_metrics_that_exist_are_asked_for(string file)
    {
        string[] known =
        [
            .. MetricFamilies.All.Select(family => family.Name), "salvor_build_info",
            .. MetricName().Matches(MetricsText.WriteNotifiers([new("team", new(), 0)])).Select(match => match.Value),
        ];

        var asked = MetricName().Matches(Checkout.Read(file)).Select(match => match.Value).Distinct().Except(["salvor_test"]).ToList();

        Assert.NotEmpty(asked);
        Assert.Empty(asked.Except(known));
    }

    [Fact]
    public void The_dashboard_is_a_document_with_queries()
    {
        using var dashboard = JsonDocument.Parse(Checkout.Read("packaging/grafana/salvor.json"));
        var panels = dashboard.RootElement.GetProperty("panels").EnumerateArray().ToList();

        Assert.All(panels, panel => Assert.NotEmpty(panel.GetProperty("targets").EnumerateArray()));
        Assert.Equal(panels.Count, panels.Select(panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
    }

    [Fact]
    public void Every_rule_has_a_test_and_says_who_has_to_act()
    {
        var rules = Checkout.Read("packaging/prometheus/alerts.yml");
        var tests = Checkout.Read("packaging/prometheus/alerts_test.yml");
        var names = AlertName().Matches(rules).Select(match => match.Groups[1].Value).ToList();

        Assert.All(names, name => Assert.Contains(name, tests, StringComparison.Ordinal));
        Assert.Equal(names.Count, Regex.Count(rules, "labels: { severity: (page|ticket) }"));
        Assert.Equal(names.Count - 1, Regex.Count(rules, @"description: .*\{\{ \$(value|labels)"));
    }

    [Fact]
    public void Nagios_is_told_the_age_in_hours_and_a_code()
    {
        rig.WriteHealthy();
        rig.Write(HealthRig.BackedUp(rig.Now.AddHours(-25.9)));
        Assert.Equal(("OK: Backup is 25 hours old", 0), Nagios());

        rig.Time.Advance(TimeSpan.FromHours(0.2));
        Assert.Equal(("CRITICAL: Backup is 26 hours old", 2), Nagios());

        rig.LetGo();
        rig.Write(HealthRig.Record(rig.Now) with { StartTicks = 1 });
        Assert.Equal(("CRITICAL: Backup is 26 hours old\nnothing serves app", 2), Nagios());

        rig.Write(HealthRig.BackedUp(rig.Now));
        Assert.Equal(("CRITICAL: nothing serves app", 2), Nagios());

        rig.Write(HealthRig.Record(rig.Now) with { Host = "elsewhere" });
        Assert.Equal(
            ("UNKNOWN: the status of app was written on host elsewhere, and nothing holds its lock here", 3), Nagios());

        File.Delete(LocalState.BackupPath(rig.State, rig.Database));
        Assert.StartsWith("CRITICAL: Backup was never made", Nagios().Text, StringComparison.Ordinal);
        Assert.Equal(new NagiosAnswer("UNKNOWN: no source was found", 3), NagiosAnswer.Of([], [], []));

        (string Text, int ExitCode) Nagios()
        {
            var health = rig.Read();
            var answer = NagiosAnswer.Of([health], [health.Limits.BackupAge], [.. HealthCheck.Problems(health, HealthLimits.None)]);
            return (answer.Text, answer.ExitCode);
        }
    }

    static async Task<ProcessResult> PromtoolAsync(string input, params string[] arguments)
    {
        using var scratch = new ScratchDirectory();
        var file = scratch["input"];
        await File.WriteAllTextAsync(file, input);
        return await ChildProcess.RunAsync("sh", ["-c", $"exec promtool {string.Join(' ', arguments)} < {file}"]);
    }

    [GeneratedRegex(@"\bsalvor_[a-z_]+")]
    private static partial Regex MetricName();

    [GeneratedRegex(@"- alert: (\w+)")]
    private static partial Regex AlertName();
}
