using Salvor.Vault;

namespace Salvor.Sqlite.Capture;

/// <summary>
/// Makes captured changes durable, in order, one after the other, and only then counts them. The store below retries for as long as it
/// takes; only another writer ends it.
/// </summary>
sealed class Publisher(ChangeSetQueue queue, LogWriter log, Action progressed)
{
    readonly Lock gate = new();
    readonly List<(Position Position, TaskCompletionSource Completion)> waiters = [];

    /// <summary>Where the vault is: everything up to here survives.</summary>
    public LogTip Durable { get; private set; } = log.Tip;

    /// <summary>Positions that were captured, durable or not.</summary>
    public Position Captured { get; private set; } = log.Tip.Position;

    /// <summary>When the oldest commit that waits was seen; 0 when none does.</summary>
    public long OldestMicros { get; private set; }

    public long StoredBytes => log.StoredBytes;

    /// <summary>Takes a change from the capture.</summary>
    public void Add(PendingChange change)
    {
        Captured = new Position(Captured.Value + change.Positions);
        queue.Add(change);
    }

    /// <summary>Publishes until cancelled. Throws where another writer took over.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var change in queue.TakeAsync(cancellationToken))
            {
                var bytes = change.ContentBytes;
                using (change)
                {
                    OldestMicros = change.OldestMicros;
                    await PublishAsync(change, cancellationToken);
                    OldestMicros = 0;
                }

                queue.Done(bytes);
                Count();
            }
        }
        catch (SalvorException e)
        {
            Fail(e);
            throw;
        }
    }

    /// <summary>Completes when this position is durable.</summary>
    public Task WaitAsync(Position position)
    {
        lock (gate)
        {
            if (Durable.Position >= position)
            {
                return Task.CompletedTask;
            }

            var completion = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            waiters.Add((position, completion));
            return completion.Task;
        }
    }

    async Task PublishAsync(PendingChange change, CancellationToken cancellationToken)
    {
        if (change.ChangeSet is { } changeSet)
        {
            await log.AppendAsync(changeSet, cancellationToken);
            return;
        }

        foreach (var part in change.Resync!.Parts(queue.PartBytes))
        {
            using (part)
            {
                await log.AppendAsync(part, cancellationToken);
            }
        }
    }

    void Count()
    {
        lock (gate)
        {
            Durable = log.Tip;
            waiters.RemoveAll(waiter => waiter.Position <= Durable.Position && waiter.Completion.TrySetResult());
        }

        progressed();
    }

    void Fail(SalvorException e)
    {
        lock (gate)
        {
            waiters.ForEach(waiter => waiter.Completion.TrySetException(e));
            waiters.Clear();
        }

        progressed();
    }
}
