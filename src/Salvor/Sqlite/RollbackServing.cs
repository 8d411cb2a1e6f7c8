using Salvor.Platform;
using Salvor.Sqlite.Capture;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Sqlite;

/// <summary>Captures a database with a rollback journal: compares it with its vault after every change.</summary>
sealed class RollbackServing(ServingContext context) : IServing
{
    static readonly TimeSpan SafetyLook = TimeSpan.FromSeconds(30);

    readonly SqliteReplicator owner = context.Owner;
    readonly SqliteDatabase database = context.Database;
    readonly SemaphoreSlim changed = new(0);
    readonly SemaphoreSlim asked = new(0);
    TaskCompletionSource<Position>? request;
    RollbackCapture? capture;
    string? ended;
    long waitingMicros;

    public long OldestWaitingMicros => Interlocked.Read(ref waitingMicros);

    public void Notice(string name, FileChange change) => changed.Release();

    public async Task<Position> CaptureNowAsync(CancellationToken cancellationToken)
    {
        var fresh = new TaskCompletionSource<Position>(TaskCreationOptions.RunContinuationsAsynchronously);
        var mine = Interlocked.CompareExchange(ref request, fresh, null) ?? fresh;
        if (Volatile.Read(ref ended) is { } reason)
        {
            throw new CaptureEndedException(reason);
        }

        asked.Release();
        return await mine.Task.WaitAsync(cancellationToken);
    }

    public async Task EndAsync(string reason)
    {
        Volatile.Write(ref ended, reason);
        Interlocked.Exchange(ref request, null)?.TrySetException(new CaptureEndedException(reason));
        if (capture?.CopiedCounter is { } counter && counter != database.ReadChangeCounter())
        {
            await TryCopyAsync(capture, LogKind.Resync, Hash256.Zero, "", CancellationToken.None);
        }
    }

    public Task SaveTableAsync()
    {
        // Every copy ends at a committed state, so the table is always at the last position.
        if (context.Publisher.Captured.Value > 0 && context.Publisher.Captured == context.Publisher.Durable.Position)
        {
            context.SaveTable(context.Publisher.Captured, context.State.Table.ToArray());
        }

        return Task.CompletedTask;
    }

    public void Dispose()
    {
        changed.Dispose();
        asked.Dispose();
    }

    public async Task<string> RunAsync(CancellationToken cancellationToken)
    {
        var (kind, snapshot, reason) = (LogKind.Resync, Hash256.Zero, context.BranchReason);
        if (context.State.NeedsImage || context.State.Image is not null)
        {
            owner.SetState(SourceState.Copying);
            kind = LogKind.Base;
            snapshot = context.State.Image ?? (await context.StoreImageAsync(cancellationToken)).DetailsHash;
        }

        capture = new RollbackCapture(database, context.State.Table, context.Vault.Hasher, owner.Options.BlockMax);
        while (true)
        {
            // Whoever asks from here on gets the next copy: this one may miss what was committed before the question.
            var answer = Interlocked.Exchange(ref request, null);
            var spent = TimeSpan.Zero;
            if (kind == LogKind.Base || capture.CopiedCounter != database.ReadChangeCounter())
            {
                // Nobody saw the commit itself: it counts from when it was noticed.
                Interlocked.CompareExchange(ref waitingMicros, Micros.Of(owner.Time.GetUtcNow()), 0);
                var started = owner.Time.GetTimestamp();
                var copied = await TryCopyAsync(capture, kind, snapshot, reason, cancellationToken);
                spent = owner.Time.GetElapsedTime(started);
                if (copied == SliceResult.Resized)
                {
                    Interlocked.CompareExchange(ref request, answer, null);
                    return "the page size of the database changed";
                }

                if (copied == SliceResult.Disturbed)
                {
                    Interlocked.CompareExchange(ref request, answer, null);
                    await Task.Delay(spent, owner.Time, cancellationToken);
                    continue;
                }

                (kind, snapshot, reason) = (LogKind.Resync, Hash256.Zero, "");
            }

            answer?.TrySetResult(context.Publisher.Captured);
            if (database.ReadIsWal())
            {
                return "the database changed to a write-ahead log";
            }

            await RestAsync(spent, cancellationToken);
        }
    }

    async Task<SliceResult> TryCopyAsync(
        RollbackCapture copier, LogKind kind, Hash256 snapshot, string reason, CancellationToken cancellationToken)
    {
        var spool = new PageSpool(owner.Options.StateDirectory, context.PageSize);
        var result = SliceResult.Disturbed;
        try
        {
            result = await copier.CopyAsync(spool, cancellationToken);
        }
        finally
        {
            // On a full disk the next attempt needs the room.
            if (result != SliceResult.Copied)
            {
                spool.Dispose();
            }
        }

        if (result == SliceResult.Copied)
        {
            context.AddResync(kind, snapshot, reason, copier.PageCount, copier.PageCount, default, spool);
            Interlocked.Exchange(ref waitingMicros, 0);
            owner.SetState(SourceState.Healthy);
            context.EndTurn();
            return result;
        }

        if (result == SliceResult.Disturbed && owner.Status.State != SourceState.Behind)
        {
            owner.Logger.WritersTooFast(owner.Options.Name);
            owner.SetState(SourceState.Behind);
            context.EndTurn();
        }

        return result;
    }

    /// <summary>
    /// Reading it all is the price of a rollback journal: no more than about a fifth of the time is spent on it, unless somebody asks.
    /// </summary>
    async Task RestAsync(TimeSpan spent, CancellationToken cancellationToken)
    {
        var pause = spent * 4 > owner.Options.Batch ? spent * 4 : owner.Options.Batch;
        var wasAsked = await asked.WaitAsync(TimeSpan.Zero, cancellationToken);
        if (!wasAsked)
        {
            wasAsked = await ChangedOrAskedAsync(cancellationToken);
        }

        if (!wasAsked)
        {
            await asked.WaitAsync(pause, cancellationToken);
        }

        while (await changed.WaitAsync(TimeSpan.Zero, cancellationToken) || await asked.WaitAsync(TimeSpan.Zero, cancellationToken))
        {
            // Everything that happened up to now is seen by the next look.
        }
    }

    /// <summary>Returns at a change, a request or the time for a safe look; whether it was a request.</summary>
    async Task<bool> ChangedOrAskedAsync(CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var change = changed.WaitAsync(SafetyLook, either.Token);
        var ask = asked.WaitAsync(SafetyLook, either.Token);
        await Task.WhenAny(change, ask);

        // Whoever still waited in the queue of a semaphore would take the next signal, and nobody would look.
        await either.CancelAsync();
        await ((Task)change).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await ((Task)ask).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        return ask is { IsCompletedSuccessfully: true, Result: true };
    }
}
