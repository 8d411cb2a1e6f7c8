using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Notify;
using Salvor.Sqlite;
using Salvor.Tests.Jobs.Health;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Notify;

/// <summary>Where a scheduler runs verbs, and no daemon runs that would see what they find.</summary>
public sealed class NotifyOnceTests : IAsyncDisposable
{
    readonly ScratchDirectory scratch = new();
    readonly HookServer server = new();

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        scratch.Dispose();
    }

    [Fact]
    public async Task What_a_verification_found_is_told_once_and_its_recovery_too()
    {
        Verified(ok: false);
        await EndedAsync("verify", 5);
        await EndedAsync("verify", 5);
        Verified(ok: true);
        await EndedAsync("verify", 0);
        await EndedAsync("verify", 0);

        Assert.Equal(
            ["[ALERT] salvor: app failed its verification", "[OK] salvor: app is well again (verify failed)"], Subjects());
    }

    [Fact]
    public async Task A_verb_that_failed_without_a_record_is_told_with_its_message_and_hint()
    {
        Verified(ok: true);
        await EndedAsync("backup", 4, "the destination is away", "Mount it.");
        await EndedAsync("backup", 4, "the destination is away", "Mount it.");
        await EndedAsync("backup", 0);

        Assert.Equal(
            ["[ALERT] salvor: salvor backup failed", "[OK] salvor: salvor backup is well again (backup job)"], Subjects());
        var message = JsonElement.Parse(server.Hooks.First().Body);
        Assert.Equal("'salvor backup' ended with 4: the destination is away", message.GetProperty("message").GetString());
        Assert.Equal("Mount it.", message.GetProperty("hint").GetString());
    }

    [Fact]
    public async Task Where_a_daemon_tells_it_a_verb_does_not_tell_it_too()
    {
        Verified(ok: false);
        using var held = NotifyState.TryLock(scratch["state/notify"], TimeProvider.System, out var isHeld);
        Assert.NotNull(held);
        Assert.False(isHeld);

        await EndedAsync("verify", 5);

        Assert.Empty(server.Hooks);
    }

    [Fact]
    public async Task What_a_daemon_told_of_its_sources_is_not_taken_for_over()
    {
        Verified(ok: true);
        var now = TimeProvider.System.GetUtcNow();
        var open = new SeenProblem
        {
            Kind = NotifyKind.Failure, Problem = "backing_off", Source = "app", Text = "away", Since = now.AddHours(-2),
            ToldAt = now.AddHours(-1),
        };
        Directory.CreateDirectory(scratch["state"]);
        NotifyState.WriteMemory(scratch["state/notify"], new WatchMemory { Open = [open] }, [], NullLogger.Instance);

        await EndedAsync("verify", 0);

        Assert.Empty(server.Hooks);
        Assert.Equal("backing_off", Assert.Single(NotifyState.ReadMemory(scratch["state/notify"]).Open).Problem);
    }

    [Fact]
    public async Task What_does_not_arrive_waits_and_the_verb_is_told_how_much()
    {
        server.Answer = _ => 500;
        Verified(ok: false);

        Assert.Equal(1, await EndedAsync("verify", 5));
        server.Answer = _ => 200;
        Assert.Equal(0, await EndedAsync("verify", 5));
        Assert.Equal(2, server.Hooks.Count);
    }

    string[] Subjects() => [.. server.Hooks.Select(hook => JsonElement.Parse(hook.Body).GetProperty("subject").GetString()!)];

    Task<int> EndedAsync(string job, int exitCode, string message = "", string hint = "")
    {
        var config = ConfigFile.Parse(
            $$"""
            destinations: { local: { type: file, path: {{scratch["vaults"]}} } }
            sources: { app: { type: sqlite, path: {{scratch["app.db"]}}, to: [local], state_dir: {{scratch["state"]}} } }
            notifications: { webhooks: { team: { url: "{{server.Url}}" } } }
            """,
            scratch["salvor.yaml"], _ => null);
        var tail = new LogTail(NullLogger.Instance, TimeProvider.System);
        return new NotifyOnce(config, tail, TimeProvider.System, new Random(1), "test")
            .RunAsync(new JobOutcome(job, exitCode, message, hint), TestContext.Current.CancellationToken);
    }

    void Verified(bool ok)
    {
        Directory.CreateDirectory(scratch["state"]);
        VerifyFile.Write(
            LocalState.VerifyPath(scratch["state"], scratch["app.db"]), HealthRig.Verified(TimeProvider.System.GetUtcNow(), ok));
    }
}
