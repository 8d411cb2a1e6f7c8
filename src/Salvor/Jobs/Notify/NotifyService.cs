using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;
using Salvor.Jobs.Health;
using Salvor.Sqlite;

namespace Salvor.Jobs.Notify;

/// <summary>What metrics say of a notifier.</summary>
/// <param name="Name">The notifier.</param>
/// <param name="Counts">What became of its messages.</param>
/// <param name="Queued">How many wait.</param>
readonly record struct NotifierFigures(string Name, NotifierCounts Counts, int Queued);

/// <summary>
/// Looks at all sources again and again, tells what changed, and tells a dead man's switch that we live. Nothing here can hold up or end
/// what is protected: whatever goes wrong is said in the log.
/// </summary>
public sealed class NotifyService
{
    /// <summary>How often everything is looked at, besides soon after a source changed its state.</summary>
    static readonly TimeSpan StepDefault = TimeSpan.FromMinutes(1);

    /// <summary>The status file of a source that changed is written within a second.</summary>
    static readonly TimeSpan SettleDefault = TimeSpan.FromSeconds(2);

    readonly Func<SalvorConfig> config;
    readonly TimeProvider time;
    readonly ILogger logger;
    readonly LogTail tail;
    readonly HealthReader reader;
    readonly NotifyQueue queue;
    readonly NotifyDelivery delivery;
    readonly string? directory;
    readonly Dictionary<string, SourceState> states = [];
    readonly string run;
    TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    WatchMemory memory;
    byte[] written = [];
    bool pingFailed;

    /// <param name="config">The configuration as it is now.</param>
    /// <param name="tail">The log of this process.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">Chance; used by this alone.</param>
    /// <param name="process">Names this process, as its log does.</param>
    public NotifyService(Func<SalvorConfig> config, LogTail tail, TimeProvider time, Random random, string process)
    {
        (this.config, this.time, this.tail, logger) = (config, time, tail, tail);
        directory = NotifyState.DirectoryOf(config());
        reader = new HealthReader(time);
        queue = new NotifyQueue(directory, time, new Random(random.Next()), logger);
        delivery = new NotifyDelivery(queue, () => Notifiers, SendAsync, time, new Random(random.Next()), logger);
        memory = new();
        run = NotifyState.RunOf(process, time.GetUtcNow());
    }

    /// <summary>Whether the capture of this process still turns.</summary>
    public Func<bool> Responds { get; init; } = () => true;

    /// <summary>How often everything is looked at.</summary>
    internal TimeSpan Step { get; init; } = StepDefault;

    /// <summary>How long a look waits after a source changed.</summary>
    internal TimeSpan Settle { get; init; } = SettleDefault;

    IReadOnlyList<NotifierConfig> Notifiers => config().Notifications?.Notifiers ?? [];

    /// <summary>A source changed; only another state is worth a look.</summary>
    public void Notice(SourceStatus status)
    {
        lock (states)
        {
            if (states.TryGetValue(status.Source, out var before) && before == status.State)
            {
                return;
            }

            states[status.Source] = status.State;
        }

        Volatile.Read(ref changed).TrySetResult();
    }

    /// <summary>Runs until cancelled, and ends by nothing else.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pinging = GuardAsync(PingAsync, cancellationToken);
        using var held = await LockAsync(cancellationToken);
        await Task.WhenAll(GuardAsync(WatchAsync, cancellationToken), GuardAsync(delivery.RunAsync, cancellationToken), pinging);
    }

    /// <summary>All notifiers, and what is pinged, from the start: what appears with its first failure never increased.</summary>
    internal IReadOnlyList<NotifierFigures> Figures() => NotifyState.FiguresOf(config().Notifications, queue.Counts, queue.CountOf);

    /// <summary>A verb that tells something holds it for seconds. Null where nothing can be written.</summary>
    async Task<IDisposable?> LockAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var taken = NotifyState.TryLock(directory, time, out var isHeld);
            if (!isHeld)
            {
                memory = NotifyState.ReadMemory(directory);
                return taken;
            }

            await Task.Delay(Settle, time, cancellationToken);
        }
    }

    async Task GuardAsync(Func<CancellationToken, Task> act, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await act(cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                throw;
            }
#pragma warning disable CA1031 // A defect in what tells of failures must not become one of what is told about.
            catch (Exception e)
#pragma warning restore CA1031
            {
                logger.TellingFailed(e);
                await Task.Delay(StepDefault, time, cancellationToken);
            }
        }
    }

    async Task WatchAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var next = changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
            var isPending = Look();
            var after = config().Notifications?.After ?? Step;
            var wait = isPending && after < Step ? after : Step;
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            if (await Task.WhenAny(next.Task, Task.Delay(wait < Settle ? Settle : wait, time, over.Token)) == next.Task)
            {
                await Task.Delay(Settle, time, cancellationToken);
            }

            await over.CancelAsync();
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Whether something is seen that is told only if it lasts.</summary>
    bool Look()
    {
        if (config() is not { Notifications: { } notifications } current)
        {
            return false;
        }

        var now = time.GetUtcNow();
        var sources = Read(current);
        var (seen, successes) = NotifySuccess.Look(memory.Sources, sources, now);
        var look = new ProblemWatch(notifications.After, notifications.RemindEvery).Look(
            memory with { Sources = seen },
            [.. sources.SelectMany(health => NotifyProblems.Of(health, seen[health.Source].FirstSeen))],
            seen => sources.Any(health => health.Source == seen.Source && health.State is not HealthState.Starting),
            source => sources.Any(health => health.Source == source),
            now);
        memory = look.Memory;
        foreach (var message in NotifyDigest.Of([.. look.Told, .. successes], now, run, tail.Lines))
        {
            delivery.Add(message);
        }

        // After what it tells is safe: killed in between, something is told twice, and not never.
        written = NotifyState.WriteMemory(directory, memory, written, logger);
        return look.IsPending;
    }

    SourceHealth[] Read(SalvorConfig current) => reader.ReadAll(current, _ => { });

    async Task PingAsync(CancellationToken cancellationToken)
    {
        if (config().Notifications?.Ping is { Url: { } begun } first)
        {
            await PingAsync(begun, first.Preset, PingSign.Start, $"{run}\n", cancellationToken);
        }

        while (true)
        {
            var current = config();
            if (current.Notifications?.Ping is { Url: { } url } ping)
            {
                var (sign, body) = await JudgeAsync(current, ping.Every, cancellationToken);
                await PingAsync(url, ping.Preset, sign, body, cancellationToken);
            }

            await Task.Delay(current.Notifications?.Ping?.Every ?? StepDefault, time, cancellationToken);
        }
    }

    /// <summary>What may pass is looked at again, here as for messages, before somebody is called.</summary>
    async Task<(PingSign Sign, string Body)> JudgeAsync(SalvorConfig current, TimeSpan every, CancellationToken cancellationToken)
    {
        var judged = Judge(current);
        var after = current.Notifications!.After;
        if (judged.Sign == PingSign.Success || after == TimeSpan.Zero)
        {
            return judged;
        }

        await Task.Delay(after < every / 2 ? after : every / 2, time, cancellationToken);
        return Judge(current);
    }

    (PingSign Sign, string Body) Judge(SalvorConfig current)
    {
        // What did not happen yet is no failure: a source that was never seen is seen from now on.
        var now = time.GetUtcNow();
        var sources = Read(current);
        var problems = sources
            .SelectMany(health => NotifyProblems.Of(health, memory.Sources.GetValueOrDefault(health.Source)?.FirstSeen ?? now)).ToList();
        return NotifyPing.Judge(sources.Length, problems, Responds(), $"{Environment.MachineName}, {run}", tail.Lines);
    }

    async Task PingAsync(
        SecretText url, WebhookPreset preset, PingSign sign, string body, CancellationToken cancellationToken)
    {
        try
        {
            await NotifyPing.SendAsync(url, preset, sign, body, time, cancellationToken);
            pingFailed = false;
        }
        catch (SalvorException e)
        {
            queue.CountFailure(NotifyPing.Name);
            if (!pingFailed)
            {
                logger.PingNotHeard(e.Message, e.Hint);
            }

            pingFailed = true;
        }
    }

    Task<string> SendAsync(NotifierConfig notifier, NotifyMessage message, CancellationToken cancellationToken) =>
        NotifySender.SendAsync(notifier, message, time, NotifySender.LimitDefault, cancellationToken);
}
