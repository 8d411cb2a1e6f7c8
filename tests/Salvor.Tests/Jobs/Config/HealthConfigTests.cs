using System.Net;
using Salvor.Jobs.Config;
using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

public sealed class HealthConfigTests
{
    [Fact]
    public void What_is_shipped_fits_a_daily_backup_and_a_daily_verification()
    {
        var limits = Parse(Minimal).Sources["app"].Limits;

        Assert.Equal(TimeSpan.FromMinutes(10), limits.Lag);
        Assert.Equal(TimeSpan.FromHours(26), limits.BackupAge);
        Assert.Equal(TimeSpan.FromHours(36), limits.VerifyAge);
        Assert.Equal(TimeSpan.FromDays(35), limits.DrillAge);
        Assert.False(limits.NeedsDrill);
    }

    [Fact]
    public void Limits_are_said_for_each_source()
    {
        var limits = ParseSource(
            "{ type: sqlite, path: /a.db, to: [local], rpo: 5m, max_backup_age: 7d, max_verify_age: off, max_drill_age: 90s }").Limits;

        Assert.Equal(TimeSpan.FromMinutes(5), limits.Lag);
        Assert.Equal(TimeSpan.FromDays(7), limits.BackupAge);
        Assert.Null(limits.VerifyAge);
        Assert.Equal(TimeSpan.FromSeconds(90), limits.DrillAge);
        Assert.True(limits.NeedsDrill);
    }

    [Fact]
    public void What_is_done_less_often_may_be_older()
    {
        var limits = ParseSource("{ type: sqlite, path: /a.db, to: [local], snapshot_every: 7d, verify: { every: 4d } }").Limits;

        Assert.Equal(TimeSpan.FromHours((7 * 24) + 2), limits.BackupAge);
        Assert.Equal(TimeSpan.FromDays(6), limits.VerifyAge);
    }

    [Theory]
    [InlineData("127.0.0.1:9188")]
    [InlineData("'[::1]:9188'")]
    public void Metrics_are_for_this_machine_unless_there_is_a_token(string listen)
    {
        var metrics = Parse($"{Minimal}\nmetrics: {{ listen: {listen} }}").Metrics!;

        Assert.Equal(9188, metrics.Listen!.Port);
        Assert.True(IPAddress.IsLoopback(metrics.Listen.Address));
        Assert.Null(Parse(Minimal).Metrics);
    }

    [Fact]
    public void Others_need_a_token_that_cannot_be_guessed()
    {
        var metrics = Parse(
            $"{Minimal}\nmetrics: {{ listen: 0.0.0.0:9188, token: \"${{T}}\" }}", ("T", "0123456789abcdef")).Metrics!;
        Assert.Equal("0123456789abcdef", metrics.Token!.Value);
        Assert.DoesNotContain("0123456789abcdef", metrics.ToString(), StringComparison.Ordinal);
        Assert.Equal("/etc/t", Parse($"{Minimal}\nmetrics: {{ listen: 0.0.0.0:9188, token_file: /etc/t }}").Metrics!.TokenFile);

        AssertError(
            "5:20", "metrics listens on 0.0.0.0:9188, where other machines reach it, and has no token",
            "Add token_file: /etc/salvor/metrics.token, or write listen: 127.0.0.1:9188.",
            $"{Minimal}\nmetrics: {{ listen: 0.0.0.0:9188 }}");
        AssertError(
            "5:43", "token of metrics has fewer than 16 characters", "Make one with 'openssl rand -hex 32'.",
            $"{Minimal}\nmetrics: {{ listen: 127.0.0.1:9188, token: abc }}");
        AssertError(
            "5:73", "metrics has both token and token_file", "Keep one of them.",
            $"{Minimal}\nmetrics: {{ listen: 127.0.0.1:9188, token: 0123456789abcdef, token_file: /etc/t }}");
    }

    [Theory]
    [InlineData("9188")]
    [InlineData("127.0.0.1")]
    [InlineData("'::1'")]
    [InlineData("127.1:9188")]
    [InlineData("localhost:9188")]
    [InlineData("127.0.0.1:99999")]
    public void An_address_without_a_port_is_none(string listen) => AssertError(
        "5:20", $"listen of metrics is \"{listen.Trim('\'')}\", which is not an address and a port",
        "Write listen: 127.0.0.1:9188, or [::1]:9188.", $"{Minimal}\nmetrics: {{ listen: {listen} }}");

    [Fact]
    public void A_collector_is_named_by_its_URL_and_needs_no_port_to_listen_on()
    {
        var metrics = Parse($"{Minimal}\nmetrics: {{ otlp: \"http://127.0.0.1:4318\" }}").Metrics!;
        Assert.Equal((null, "http://127.0.0.1:4318/"), (metrics.Listen, metrics.Otlp!.AbsoluteUri));

        AssertError(
            "5:18", "otlp of metrics is \"127.0.0.1:4318\", which is not the URL of a collector",
            "Write otlp: http://127.0.0.1:4318; what it must be told comes from OTEL_EXPORTER_OTLP_HEADERS.",
            $"{Minimal}\nmetrics: {{ otlp: \"127.0.0.1:4318\" }}");
    }
}
