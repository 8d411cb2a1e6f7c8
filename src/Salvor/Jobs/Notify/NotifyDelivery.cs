using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;

namespace Salvor.Jobs.Notify;

/// <summary>Sends one message by one notifier, once; what went wrong nevertheless, or an empty text.</summary>
delegate Task<string> SendMessage(NotifierConfig notifier, NotifyMessage message, CancellationToken cancellationToken);

/// <summary>
/// Delivers what waits, each notifier by itself: one that is down, or hangs, keeps its own messages waiting and nothing else. A failed
/// attempt is repeated later and later, for as long as the message may wait.
/// </summary>
/// <param name="queue">What waits.</param>
/// <param name="notifiers">The notifiers as they are configured now.</param>
/// <param name="send">How a message is sent.</param>
/// <param name="time">The clock.</param>
/// <param name="random">Spreads the attempts; used by this alone.</param>
/// <param name="logger">Told of each attempt that failed.</param>
sealed class NotifyDelivery(
    NotifyQueue queue, Func<IReadOnlyList<NotifierConfig>> notifiers, SendMessage send, TimeProvider time, Random random, ILogger logger)
{
    static readonly TimeSpan DelayMin = TimeSpan.FromSeconds(30);
    static readonly TimeSpan DelayMax = TimeSpan.FromHours(1);

    /// <summary>How long what another process added may wait for being seen.</summary>
    static readonly TimeSpan Step = TimeSpan.FromSeconds(30);

    readonly Dictionary<string, Task> sending = [];
    readonly Dictionary<string, (int Failures, DateTimeOffset Until)> resting = [];
    readonly Lock gate = new();
    TaskCompletionSource added = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The shortest time between two attempts, before chance shortens it.</summary>
    public TimeSpan FirstDelay { get; init; } = DelayMin;

    /// <summary>Tells all who want to hear it.</summary>
    public void Add(NotifyMessage message)
    {
        foreach (var notifier in notifiers().Where(notifier => message.IsFor(notifier.Rules)))
        {
            queue.Add(notifier.Name, message);
        }

        Volatile.Read(ref added).TrySetResult();
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var next = added = new(TaskCreationOptions.RunContinuationsAsynchronously);
            queue.Refresh();
            queue.DropAllBut([.. notifiers().Select(notifier => notifier.Name)]);
            var wait = StartDue(cancellationToken);
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny([next.Task, Task.Delay(wait, time, over.Token), .. sending.Values]);
            await over.CancelAsync();
        }
    }

    /// <summary>Tries all that waits once, for a verb that ends; what does not arrive keeps waiting. How many that are.</summary>
    public async Task<int> TryOnceAsync(CancellationToken cancellationToken)
    {
        queue.Refresh();
        var current = notifiers();
        await Task.WhenAll(current.Select(async notifier =>
        {
            while (queue.NextOf(notifier.Name) is { } item && await SendAsync(notifier, item, cancellationToken))
            {
                // The next one: a notifier that took one will take more.
            }
        }));
        return current.Sum(notifier => queue.CountOf(notifier.Name));
    }

    /// <summary>Begins what is due, and says how long nothing else is.</summary>
    TimeSpan StartDue(CancellationToken cancellationToken)
    {
        var wait = Step;
        foreach (var notifier in notifiers())
        {
            if (sending.TryGetValue(notifier.Name, out var running) && !running.IsCompleted)
            {
                continue;
            }

            sending.Remove(notifier.Name);
            var rest = RestOf(notifier.Name) - time.GetUtcNow();
            if (queue.NextOf(notifier.Name) is not { } item)
            {
                continue;
            }

            if (rest > TimeSpan.Zero)
            {
                wait = rest < wait ? rest : wait;
                continue;
            }

            sending[notifier.Name] = Task.Run(() => SendAsync(notifier, item, cancellationToken), cancellationToken);
        }

        return wait;
    }

    DateTimeOffset RestOf(string notifier)
    {
        lock (gate)
        {
            return resting.GetValueOrDefault(notifier).Until;
        }
    }

    /// <summary>Whether it arrived. Nothing that goes wrong here gets any further.</summary>
    async Task<bool> SendAsync(NotifierConfig notifier, QueuedMessage item, CancellationToken cancellationToken)
    {
        try
        {
            var refused = await send(notifier, item.Message, cancellationToken);
            queue.Succeeded(item, wholly: refused.Length == 0);
            if (refused.Length > 0)
            {
                logger.RecipientsRefused(notifier.Name, refused);
            }

            lock (gate)
            {
                resting.Remove(notifier.Name);
            }

            return true;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // It waits in its file, and is sent by the next run.
            return false;
        }
#pragma warning disable CA1031 // A defect in what tells of failures must not become one of what is told about.
        catch (Exception e)
#pragma warning restore CA1031
        {
            NoteFailure(notifier, item, e);
            return false;
        }
    }

    void NoteFailure(NotifierConfig notifier, QueuedMessage item, Exception e)
    {
        queue.Failed(item);
        TimeSpan delay;
        lock (gate)
        {
            var failures = resting.GetValueOrDefault(notifier.Name).Failures + 1;
            delay = DelayAfter(failures) * (0.5 + (random.NextDouble() / 2));
            resting[notifier.Name] = (failures, time.GetUtcNow() + delay);
        }

        var hint = e is SalvorException known ? known.Hint : "This is a defect: please report it.";
        logger.MessageNotSent(
            notifier.Name, e is SalvorException ? e.Message : $"unexpected error: {e.GetType().Name}: {e.Message}",
            queue.CountOf(notifier.Name), hint);
    }

    TimeSpan DelayAfter(int failures)
    {
        var delay = FirstDelay * Math.Pow(2, Math.Min(failures - 1, 20));
        return delay < DelayMax ? delay : DelayMax;
    }
}
