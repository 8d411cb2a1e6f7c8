using Salvor.Jobs.Config;
using Salvor.Jobs.Health;

namespace Salvor.Jobs.Notify;

/// <summary>How a verb ended that a scheduler runs.</summary>
/// <param name="Name">The verb: <c>verify</c>.</param>
/// <param name="ExitCode">Its exit code.</param>
/// <param name="Message">Why it failed; empty where it did not.</param>
/// <param name="Hint">What to do about that.</param>
sealed record JobOutcome(string Name, int ExitCode, string Message, string Hint);

/// <summary>
/// Tells what a verb found where no daemon runs that would see it: from the same records, and compared with the same memory. Whether
/// sources are served is not judged here, because nothing need serve what a scheduler backs up.
/// </summary>
sealed class NotifyOnce(SalvorConfig config, LogTail tail, TimeProvider time, Random random, string process)
{
    static readonly string[] Judged =
        ["backup_failed", "partial", "verify_failed", "verify_age", "drill_failed", "drill_stale", "drill_age", "prune_failed"];

    /// <summary>How many messages wait afterwards.</summary>
    public async Task<int> RunAsync(JobOutcome job, CancellationToken cancellationToken)
    {
        var directory = NotifyState.DirectoryOf(config);
        using var held = NotifyState.TryLock(directory, time, out var isHeld);
        if (isHeld || config.Notifications is not { } notifications)
        {
            return 0;
        }

        var now = time.GetUtcNow();
        var memory = NotifyState.ReadMemory(directory);
        var queue = new NotifyQueue(directory, time, random, tail);
        var delivery = new NotifyDelivery(
            queue, () => notifications.Notifiers,
            (notifier, message, cancel) => NotifySender.SendAsync(notifier, message, time, NotifySender.LimitDefault, cancel), time, random,
            tail);
        var (told, seen) = Look(job, notifications, memory, now);
        foreach (var message in NotifyDigest.Of(told, now, NotifyState.RunOf(process, now), tail.Lines))
        {
            delivery.Add(message);
        }

        NotifyState.WriteMemory(directory, seen, [], tail);
        return await delivery.TryOnceAsync(cancellationToken);
    }

    (IReadOnlyList<WatchEvent> Told, WatchMemory Memory) Look(
        JobOutcome job, NotificationsConfig notifications, WatchMemory memory, DateTimeOffset now)
    {
        var reader = new HealthReader(time);
        var sources = reader.ReadAll(config, _ => { });
        var (seen, successes) = NotifySuccess.Look(memory.Sources, sources, now);
        var problems = sources
            .SelectMany(health => NotifyProblems.Of(health, seen[health.Source].FirstSeen))
            .Where(problem => Judged.Contains(problem.Problem)).ToList();
        var (kind, name) = ($"{job.Name}_job", $"salvor {job.Name}");
        if (job.ExitCode != 0 && !problems.Any(problem => problem.Problem.StartsWith(job.Name, StringComparison.Ordinal)))
        {
            problems.Add(new(
                NotifyKind.Failure, kind, name, "", $"'{name}' ended with {job.ExitCode}: {job.Message}", job.Hint));
        }

        var look = new ProblemWatch(TimeSpan.Zero, notifications.RemindEvery).Look(
            memory with { Sources = seen }, problems, open => Judged.Contains(open.Problem) || open.Problem == kind,
            source => sources.Any(health => health.Source == source) || source.StartsWith("salvor ", StringComparison.Ordinal), now);
        return ([.. look.Told, .. successes], look.Memory);
    }
}
