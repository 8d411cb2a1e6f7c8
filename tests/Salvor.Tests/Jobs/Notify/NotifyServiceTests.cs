using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Salvor.Jobs.Config;
using Salvor.Jobs.Health;
using Salvor.Jobs.Notify;
using Salvor.Sqlite;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Notify;

/// <summary>The whole way: the files of a source, a look, a message, a service that takes it.</summary>
public sealed class NotifyServiceTests : IAsyncDisposable
{
    readonly ScratchDirectory scratch = new();
    readonly HookServer server = new();

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        scratch.Dispose();
    }

    [Fact]
    public async Task What_fails_is_told_once_with_the_log_and_its_recovery_too_across_a_restart()
    {
        Write(state: "failing");
        await using (var first = Start(out var log))
        {
            log.Add("2026 error the disk is gone");
            await server.NextAsync(hook => EventOf(hook) == "failure");
            await Eventually.HoldsAsync(() => Counts().Sent == 1, () => "it was not counted");
        }

        var failure = JsonElement.Parse(server.Hooks.First().Body);
        Assert.Equal("[ALERT] salvor: app is not captured", failure.GetProperty("subject").GetString());
        Assert.Equal("app is not captured: disk I/O error", failure.GetProperty("message").GetString());
        Assert.Equal("Look at the disk.", failure.GetProperty("hint").GetString());
        await using var second = Start(out _);
        Write(state: "healthy");
        second.Service.Notice(Status(SourceState.Healthy));
        var recovery = JsonElement.Parse((await server.NextAsync(hook => EventOf(hook) == "recovery")).Body);

        Assert.StartsWith("[OK] salvor: app is well again", recovery.GetProperty("subject").GetString(), StringComparison.Ordinal);
        Assert.Single(server.Hooks, hook => EventOf(hook) == "failure");
        await Eventually.HoldsAsync(() => second.Service.Figures().Single().Counts.Sent == 2, () => "it was not counted");
    }

    [Fact]
    public async Task What_did_not_arrive_is_sent_by_the_next_run()
    {
        server.Answer = _ => 500;
        Write(state: "failing");
        await using (Start(out _))
        {
            await server.NextAsync();
            await Eventually.HoldsAsync(() => Counts().Failed == 1, () => "no failure was counted");
        }

        server.Answer = _ => 200;
        await using var second = Start(out _);
        await Eventually.HoldsAsync(() => Counts().Sent == 1, () => "nothing was sent");
        Assert.Equal(0, second.Service.Figures().Single().Queued);
        Assert.Equal(server.Hooks.First().Body, server.Hooks.Last().Body);
    }

    [Fact]
    public async Task The_dead_mans_switch_hears_start_then_failure_with_the_log_then_success()
    {
        Write(state: "failing");
        await using var running = Start(out var log, Ping());
        log.Add("error the disk is gone");

        Assert.Equal("POST /check/start", (await server.NextAsync()).Line);
        var fail = await server.NextAsync(hook => hook.Line == "POST /check/fail" && hook.Body.Contains("gone", StringComparison.Ordinal));
        Assert.Contains("app is not captured: disk I/O error. What to do: Look at the disk.", fail.Body, StringComparison.Ordinal);
        Assert.DoesNotContain(server.Hooks, hook => hook.Line == "POST /check");
        Write(state: "healthy");
        var success = await server.NextAsync(hook => hook.Line == "POST /check");
        Assert.Contains("1 source(s), nothing is wrong", success.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_hears_no_success_where_the_capture_hangs()
    {
        Write(state: "healthy");
        await using var running = Start(out _, Ping(), responds: false);

        var fail = await server.NextAsync(hook => hook.Line == "POST /check/fail");
        Assert.Contains("the capture does not respond", fail.Body, StringComparison.Ordinal);
        Assert.DoesNotContain(server.Hooks, hook => hook.Line == "POST /check");
    }

    [Fact]
    public async Task A_ping_that_is_not_heard_is_counted()
    {
        server.Answer = _ => 503;
        Write(state: "healthy");
        await using var running = Start(out var log, Ping());

        await Eventually.HoldsAsync(() => running.Service.Figures().Single().Counts.Failed >= 2, () => "no failure was counted");
        Assert.Single(log.Lines, line => line.Contains("ping: 127.0.0.1:", StringComparison.Ordinal));
        Assert.Contains(
            "salvor_notifications_failed_total{notifier=\"ping\"} ", MetricsText.WriteNotifiers(running.Service.Figures()),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_success_is_told_to_who_asked_for_it()
    {
        Write(state: "healthy");
        await using var running = Start(out _, Hook("on_success: true"));
        await Eventually.HoldsAsync(() => File.Exists(scratch["state/notify/seen.json"]), () => "it did not look");
        VerifyFileOf(TimeProvider.System.GetUtcNow());
        running.Service.Notice(Status(SourceState.Healthy));

        var success = JsonElement.Parse((await server.NextAsync()).Body);
        Assert.Equal("[OK] salvor: app was verified", success.GetProperty("subject").GetString());
        Assert.Empty(success.GetProperty("log").EnumerateArray());
    }

    [Fact]
    public void Where_nobody_is_told_there_are_no_metrics_and_where_somebody_is_they_begin_at_zero()
    {
        Assert.Equal("", MetricsText.WriteNotifiers(NotifyState.ReadFigures(Config(""))));
        Assert.Equal(
            """
            # HELP salvor_notifications_sent_total Messages that arrived.
            # TYPE salvor_notifications_sent_total counter
            salvor_notifications_sent_total{notifier="team"} 0
            # HELP salvor_notifications_failed_total Attempts to tell something that failed.
            # TYPE salvor_notifications_failed_total counter
            salvor_notifications_failed_total{notifier="team"} 0
            # HELP salvor_notifications_dropped_total Messages that were given up.
            # TYPE salvor_notifications_dropped_total counter
            salvor_notifications_dropped_total{notifier="team"} 0
            # HELP salvor_notifications_queued Messages that wait.
            # TYPE salvor_notifications_queued gauge
            salvor_notifications_queued{notifier="team"} 0

            """,
            MetricsText.WriteNotifiers(NotifyState.ReadFigures(Config(Hook("")))));
    }

    NotifierCounts Counts() => NotifyQueue.ReadCounts(scratch["state/notify"]).GetValueOrDefault("team") ?? new();

    string Ping() => $"ping: {{ url: \"{server.Url}/check\", every: 1s }}";

    string Hook(string rules) => $"webhooks: {{ team: {{ url: \"{server.Url}\"{(rules.Length > 0 ? ", " : "")}{rules} }} }}";

    static string? EventOf(Hook hook) => JsonElement.Parse(hook.Body).GetProperty("event").GetString();

    SalvorConfig Config(string notifiers) => ConfigFile.Parse(
        $$"""
        destinations: { local: { type: file, path: {{scratch["vaults"]}} } }
        sources: { app: { type: sqlite, path: {{scratch["app.db"]}}, to: [local], state_dir: {{scratch["state"]}} } }
        {{(notifiers.Length > 0 ? $"notifications: {{ after: 0s, {notifiers} }}" : "")}}
        """,
        scratch["salvor.yaml"], _ => null);

    Running Start(out LogTail log, string? notifiers = null, bool responds = true)
    {
        var config = Config(notifiers ?? Hook(""));
        log = new LogTail(NullLogger.Instance, TimeProvider.System);
        return new Running(new NotifyService(() => config, log, TimeProvider.System, new Random(1), "test")
        {
            Responds = () => responds, Step = TimeSpan.FromMilliseconds(300), Settle = TimeSpan.FromMilliseconds(20),
        });
    }

    void Write(string state)
    {
        Directory.CreateDirectory(scratch["state"]);
        var now = TimeProvider.System.GetUtcNow();
        var record = Health.HealthRig.Record(now) with { State = state };
        StatusFileOf(state == "failing" ? record with { Detail = "disk I/O error", Hint = "Look at the disk." } : record);
        VerifyFileOf(now.AddHours(-1));
        Salvor.Sqlite.Snapshots.BackupMarkFile.Write(
            LocalState.BackupPath(scratch["state"], scratch["app.db"]), Health.HealthRig.BackedUp(now.AddHours(-1)));
    }

    void StatusFileOf(Salvor.Jobs.StatusRecord record) =>
        Salvor.Jobs.StatusFile.Write(LocalState.StatusPath(scratch["state"], scratch["app.db"]), record);

    void VerifyFileOf(DateTimeOffset at) => Salvor.Jobs.VerifyFile.Write(
        LocalState.VerifyPath(scratch["state"], scratch["app.db"]), Health.HealthRig.Verified(at));

    static SourceStatus Status(SourceState state) => new() { Source = "app", Path = "", Destination = "", State = state };

    sealed class Running : IAsyncDisposable
    {
        readonly CancellationTokenSource stopping = new();
        readonly Task running;

        public Running(NotifyService service) => (Service, running) = (service, service.RunAsync(stopping.Token));

        public NotifyService Service { get; }

        public async ValueTask DisposeAsync()
        {
            await stopping.CancelAsync();
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            stopping.Dispose();
        }
    }
}
