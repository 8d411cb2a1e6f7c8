using Salvor.Vault;

namespace Salvor.Sqlite.Capture;

/// <summary>
/// Makes captured changes durable, in order, one after the other, and only then counts them. The store below retries for as long as it
/// takes; only another writer ends it. Where a destination does not answer soon, what follows is kept in the outbox and stored from there,
/// so that the capture goes on.
/// </summary>
sealed class Publisher(ChangeSetQueue queue, LogWriter log, Outbox? outbox, TimeProvider time, Action progressed)
{
    /// <summary>A destination that takes longer than this for one object is not waited for, where there is an outbox.</summary>
    static readonly TimeSpan SoonMax = TimeSpan.FromSeconds(5);

    /// <summary>How often a full outbox is looked at again.</summary>
    static readonly TimeSpan RoomStep = TimeSpan.FromSeconds(1);

    readonly Lock gate = new();
    readonly List<(Position Position, TaskCompletionSource Completion)> waiters = [];
    readonly Queue<KeptLog> kept = [];
    Task draining = Task.CompletedTask;
    CancellationTokenSource? ending;
    Exception? failure;
    volatile bool isDraining;
    long publishingMicros;

    /// <summary>An object in the outbox.</summary>
    sealed record KeptLog(string Key, int Bytes, LogTip End, long OldestMicros);

    /// <summary>Where the vault is: everything up to here survives.</summary>
    public LogTip Durable { get; private set; } = log.Stored;

    /// <summary>Positions that were captured, durable or not.</summary>
    public Position Captured { get; private set; } = log.Tip.Position;

    /// <summary>When the oldest commit that waits was seen; 0 when none does.</summary>
    public long OldestMicros
    {
        get
        {
            lock (gate)
            {
                return kept.TryPeek(out var first) && first.OldestMicros != 0 ? first.OldestMicros : publishingMicros;
            }
        }
    }

    public long StoredBytes => log.StoredBytes;

    /// <summary>How many objects wait in the outbox.</summary>
    public int KeptObjects
    {
        get
        {
            lock (gate)
            {
                return kept.Count;
            }
        }
    }

    /// <summary>Takes a change from the capture.</summary>
    public void Add(PendingChange change)
    {
        Captured = new Position(Captured.Value + change.Positions);
        queue.Add(change);
    }

    /// <summary>Publishes until cancelled. Throws where another writer took over.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var source = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        ending = source;
        try
        {
            await PublishAllAsync(source.Token);
        }
        catch (Exception e) when (e is SalvorException or OperationCanceledException)
        {
            End(source);
            await draining.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (draining.Exception?.InnerException is SalvorException refused)
            {
                Fail(refused);
                throw refused;
            }

            Fail(e is SalvorException ? e : new CaptureEndedException("its log is no longer written", e));
            throw;
        }
    }

    /// <summary>Completes when this position is durable. Fails where the publishing ended before.</summary>
    public Task WaitAsync(Position position)
    {
        lock (gate)
        {
            if (Durable.Position >= position)
            {
                return Task.CompletedTask;
            }

            if (failure is not null)
            {
                return Task.FromException(failure);
            }

            var completion = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            waiters.Add((position, completion));
            return completion.Task;
        }
    }

    async Task PublishAllAsync(CancellationToken cancellationToken)
    {
        await foreach (var change in queue.TakeAsync(cancellationToken))
        {
            var bytes = change.ContentBytes;
            using (change)
            {
                publishingMicros = change.OldestMicros;
                await PublishAsync(change, cancellationToken);
                publishingMicros = 0;
            }

            queue.Done(bytes);
            progressed();
        }
    }

    async Task PublishAsync(PendingChange change, CancellationToken cancellationToken)
    {
        if (change.ChangeSet is { } changeSet)
        {
            await PublishAsync(changeSet, change.OldestMicros, cancellationToken);
            return;
        }

        foreach (var part in change.Resync!.Parts(queue.PartBytes))
        {
            using (part)
            {
                await PublishAsync(part, change.OldestMicros, cancellationToken);
            }
        }
    }

    /// <summary>Returns when the change-set is durable at the destination, or kept in the outbox.</summary>
    async Task PublishAsync(ChangeSetBuilder changeSet, long oldestMicros, CancellationToken cancellationToken)
    {
        var next = log.Seal(changeSet);
        log.Take(next);
        Task? storing = null;
        try
        {
            while (true)
            {
                storing ??= isDraining ? null : log.StoreAsync(next.Key, next.Bytes, next.Tip, cancellationToken);
                if (storing is not null && await IsStoredSoonAsync(storing, cancellationToken))
                {
                    await storing;
                    Count();
                    break;
                }

                if (await outbox!.TryKeepAsync(next.Key, next.Bytes, cancellationToken))
                {
                    HandOn(new KeptLog(next.Key, next.Bytes.Length, next.Tip, oldestMicros), storing, next, cancellationToken);
                    return;
                }

                if (storing is null)
                {
                    await Task.Delay(RoomStep, time, cancellationToken);
                }
            }
        }
        catch
        {
            // Its bytes must not go to somebody else while they are on their way.
            await (storing ?? Task.CompletedTask).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            next.Dispose();
            throw;
        }

        next.Dispose();
    }

    async Task<bool> IsStoredSoonAsync(Task storing, CancellationToken cancellationToken)
    {
        if (outbox is null || storing.IsCompleted)
        {
            return true;
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(storing, Task.Delay(SoonMax, time, limit.Token));
        End(limit);
        return storing.IsCompleted;
    }

    /// <summary>What follows goes the same way until the outbox is empty.</summary>
    void HandOn(KeptLog entry, Task? storing, SealedLog log, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            kept.Enqueue(entry);
            if (isDraining)
            {
                log.Dispose();
                return;
            }

            isDraining = true;
        }

        draining = DrainAsync(storing, log, cancellationToken);
    }

    /// <summary>Stores what is in the outbox; the first attempt for its first object may be under way.</summary>
    async Task DrainAsync(Task? storing, SealedLog first, CancellationToken cancellationToken)
    {
        try
        {
            using (first)
            {
                await (storing ?? Task.CompletedTask);
            }

            var isStored = storing is not null;
            while (await StoreFirstAsync(isStored, cancellationToken))
            {
                isStored = false;
            }
        }
        catch (SalvorException)
        {
            End(ending!);
            throw;
        }
    }

    /// <summary>Takes the first object out of the outbox, stored; false where it was the last.</summary>
    async Task<bool> StoreFirstAsync(bool isStored, CancellationToken cancellationToken)
    {
        KeptLog next;
        lock (gate)
        {
            next = kept.Peek();
        }

        if (!isStored)
        {
            await log.StoreAsync(next.Key, await outbox!.ReadAsync(next.Key, cancellationToken), next.End, cancellationToken);
        }

        await outbox!.DropAsync(next.Key, next.Bytes, cancellationToken);
        bool isMore;
        lock (gate)
        {
            kept.Dequeue();
            isDraining = isMore = kept.Count > 0;
        }

        Count();
        progressed();
        return isMore;
    }

    /// <summary>On this thread: the other way takes one from the pool for each object that is stored.</summary>
    static void End(CancellationTokenSource source) => source.Cancel();

    void Count()
    {
        lock (gate)
        {
            Durable = log.Stored;
            waiters.RemoveAll(waiter => waiter.Position <= Durable.Position && waiter.Completion.TrySetResult());
        }
    }

    void Fail(Exception e)
    {
        lock (gate)
        {
            failure = e;
            waiters.ForEach(waiter => waiter.Completion.TrySetException(e));
            waiters.Clear();
        }

        progressed();
    }
}
