using System.Text.Json;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

public sealed class NotifyTests : IAsyncDisposable
{
    readonly CliRig _rig = new();
    readonly HookServer _server = new();

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _rig.DisposeAsync();
    }

    [Fact]
    public async Task A_test_says_of_each_notifier_whether_it_works()
    {
        _server.Answer = hook => hook.Line.Contains("/broken", StringComparison.Ordinal) ? 500 : 200;
        Configure($$"""
            webhooks:
              broken: { url: "{{_server.Url}}/broken-SECRETPART" }
              team: { preset: slack, url: "{{_server.Url}}/team", on_failure: false }
            ping: { url: "{{_server.Url}}/check", jobs: { verify: "{{_server.Url}}/job" } }
            """);

        var all = await _rig.ConfiguredAsync("notify", "test", "--json");
        Assert.Equal(4, all.ExitCode);
        JsonTests.AssertDocument("notify", all);
        var notifiers = JsonElement.Parse(all.Stdout).GetProperty("notifiers").EnumerateArray().ToDictionary(
            item => item.GetProperty("name").GetString()!, item => item.GetProperty("ok").GetBoolean());
        Assert.Equal(
            new Dictionary<string, bool> { ["broken"] = false, ["team"] = true, ["ping"] = true, ["ping.verify"] = true }, notifiers);
        Assert.Equal(
            ["POST /broken-SECRETPART", "POST /check/log", "POST /job/log", "POST /team"], _server.Hooks.Select(hook => hook.Line).Order());
        Assert.Equal(
            $"salvor: not told by broken: 127.0.0.1:{_server.Port} answered 500\n"
                + "hint: The service is at fault; the message is tried again.\n",
            all.Stderr);

        var one = await _rig.ConfiguredAsync("notify", "test", "team");
        Assert.Matches("^. team: OK \\(.*s\\)\n$", one.Stdout);
        CliRig.AssertError(
            await _rig.ConfiguredAsync("notify", "test", "teem"), 2, "no notifier is called teem",
            "Did you mean \"team\"? Configured are broken, team, ping and ping.verify.");
    }

    [Fact]
    public async Task A_unit_that_failed_is_told_and_waits_where_that_does_not_arrive()
    {
        _server.Answer = _ => 503;
        Configure($$"""webhooks: { team: { url: "{{_server.Url}}" }, quiet: { url: "{{_server.Url}}/quiet", on_failure: false } }""");

        var failed = await _rig.ConfiguredAsync("notify", "unit-failed", "salvor-verify.service");
        Assert.Equal(4, failed.ExitCode);
        var message = JsonElement.Parse(Assert.Single(_server.Hooks).Body);
        Assert.Equal("[ALERT] salvor: unit salvor-verify.service failed", message.GetProperty("subject").GetString());
        Assert.Contains("journalctl -u salvor-verify.service", message.GetProperty("hint").GetString(), StringComparison.Ordinal);
        Assert.Single(Directory.GetFiles(_rig["app/.salvor/notify"], "message-*.json"));
        Assert.Equal(0, (await _rig.ConfiguredAsync("notify", "unit-failed", "salvor-verify.service")).ExitCode);
        Assert.Single(_server.Hooks);
        var prom = await _rig.ConfiguredAsync("status", "--prom");
        Assert.Contains("\nsalvor_notifications_queued{notifier=\"team\"} 1\n", prom.Stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dead_mans_switch_hears_when_a_verb_begins_and_how_it_ended()
    {
        Configure($$"""ping: { jobs: { verify: "{{_server.Url}}/job" } }""");

        var result = await _rig.ConfiguredAsync("verify");
        Assert.Equal(["POST /job/start", $"POST /job/{result.ExitCode}"], _server.Hooks.Select(hook => hook.Line));
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("nothing is backed up", _server.Hooks.Last().Body, StringComparison.Ordinal);
        await _rig.ConfiguredAsync("verify", "--quick");
        Assert.Equal(2, _server.Hooks.Count);
    }

    [Fact]
    public async Task A_configuration_without_notifiers_is_an_error()
    {
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        CliRig.AssertError(
            await _rig.ConfiguredAsync("notify", "test"), 2, $"{_rig["salvor.yaml"]} has no notifications, so nobody is told",
            "Add 'notifications: { webhooks: { team: { preset: slack, url: .. } } }' to the configuration.");
    }

    void Configure(string notifications)
    {
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        File.AppendAllText(
            _rig["salvor.yaml"], $"notifications:\n  {notifications.Replace("\n", "\n  ", StringComparison.Ordinal)}\n");
    }
}
