using Salvor.Platform;
using Salvor.Sqlite.Capture;
using Salvor.Sqlite.Wal;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Sqlite;

/// <summary>
/// Captures a database in WAL mode: proves that nothing is missing since the vault's end, or compares, and then follows the log.
/// </summary>
sealed class WalServing(ServingContext context) : IServing
{
    static readonly TimeSpan AttachRetry = TimeSpan.FromMilliseconds(5);
    static readonly TimeSpan AttachMax = TimeSpan.FromSeconds(10);
    static readonly TimeSpan FlushMax = TimeSpan.FromSeconds(5);

    /// <summary>How often the cache of the page table is written; a start after a kill reads the log from there.</summary>
    static readonly TimeSpan TableStep = TimeSpan.FromSeconds(60);

    readonly SqliteReplicator owner = context.Owner;
    readonly SqliteDatabase database = context.Database;
    readonly TaskCompletionSource ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly List<PageSpool> staged = [];
    WalSession? wal;
    LiveSink? live;
    long tableSavedAt = context.Owner.Time.GetTimestamp();

    public long OldestWaitingMicros => wal?.OldestWaitingMicros ?? 0;

    public void Notice(string name, FileChange change) => wal?.Notice(name, change);

    public async Task SaveTableAsync()
    {
        // The engine changes the table; between two of its steps it is at a committed state, or in the middle of a large transaction.
        var copy = await owner.Engine.RunAsync(() =>
            live is { IsAtCommit: true } && context.Publisher.Captured.Value > 0 ? context.State.Table.ToArray() : null);
        if (copy is not null && wal!.Ended.IsCompleted)
        {
            context.SaveTable(context.Publisher.Captured, copy);
        }
    }

    /// <summary>Gives back the room of what was staged and not handed on: on a full disk the next attempt needs it.</summary>
    public void Dispose() => staged.ForEach(spool => spool.Dispose());

    public async Task<Position> CaptureNowAsync(CancellationToken cancellationToken)
    {
        await ready.Task.WaitAsync(cancellationToken);
        await wal!.FlushAsync().WaitAsync(cancellationToken);
        return context.Publisher.Captured;
    }

    public async Task EndAsync(string reason)
    {
        ready.TrySetException(new CaptureEndedException(reason));
        _ = ready.Task.Exception;
        if (wal is { } session)
        {
            if (session.HasStarted)
            {
                await FlushBrieflyAsync(session);
            }

            session.End(reason);
            await ((Task)session.Ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public async Task<string> RunAsync(CancellationToken cancellationToken)
    {
        var limits = new CaptureLimits(owner.Options.Batch, owner.Options.WalMaxBytes);
        var session = new WalSession(owner.Engine, database, context.Queue, limits);
        var started = owner.Time.GetTimestamp();
        while (!session.Capture.TryBegin())
        {
            if (owner.Time.GetElapsedTime(started) > AttachMax)
            {
                throw new SalvorException(
                    FailureKind.SourceUnreadable,
                    $"the write-ahead log of {database.Path} is held by a checkpoint that does not end",
                    "See which process holds the database open; it will be tried again.");
            }

            await Task.Delay(AttachRetry, owner.Time, cancellationToken);
        }

        wal = session;
        if (await StartWalAsync(session, cancellationToken) is { } lost)
        {
            // The vault keeps what the source lost; the source goes on beside it, on a branch that the next session makes.
            owner.ForkReason = lost;
            return lost;
        }

        // Before anybody is told that something is durable: who then asks for the status finds it healthy.
        owner.SetState(SourceState.Healthy);
        ready.TrySetResult();
        context.EndTurn();
        var reason = await session.Ended.WaitAsync(cancellationToken);
        owner.Logger.ContinuityLost(owner.Options.Name, reason);
        return reason;
    }

    /// <summary>Begins to capture. Otherwise the reason why this branch cannot go on: the source lost commits that are in it.</summary>
    async Task<string?> StartWalAsync(WalSession session, CancellationToken cancellationToken)
    {
        if (context.State.NeedsImage || context.State.Image is not null)
        {
            await CopyAsync(session, context.State.NeedsImage ? null : context.State.Image, cancellationToken);
            return null;
        }

        var wentBack = false;
        var reason = context.BranchReason.Length > 0
            ? context.BranchReason
            : session.Capture.TryResume(context.State.Cursor, new byte[WalCapture.BufferBytes(context.PageSize)], out wentBack);
        if (wentBack)
        {
            return reason;
        }

        if (reason is null)
        {
            await owner.Engine.RunAsync(() =>
            {
                session.Start(NewLiveSink(session));
                return true;
            });
            return null;
        }

        await ResyncAsync(session, LogKind.Resync, Hash256.Zero, reason, cancellationToken);
        return null;
    }

    /// <summary>The first full copy of a branch: an image of the file while writers go on, completed by what the log says.</summary>
    async Task CopyAsync(WalSession session, Hash256? image, CancellationToken cancellationToken)
    {
        if (image is { } existing)
        {
            // An earlier run died between the image and its base: what differs from that image by now is the base.
            await ResyncAsync(session, LogKind.Base, existing, "first copy", cancellationToken);
            return;
        }

        owner.SetState(SourceState.Copying);
        var overlay = await StartOverlayAsync(session);
        var stored = await context.StoreImageAsync(cancellationToken);
        await FinishAsync(
            session, LogKind.Base, stored.DetailsHash, "first copy", stored.Details.PageCount, [overlay], cancellationToken);
    }

    async Task ResyncAsync(WalSession session, LogKind kind, Hash256 snapshot, string reason, CancellationToken cancellationToken)
    {
        owner.SetState(SourceState.Copying);
        owner.CountResync();
        owner.Logger.Comparing(owner.Options.Name, reason);
        var overlay = await StartOverlayAsync(session);
        var differing = NewSpool();
        var filePages = DatabaseScan.PageCount(database.File, context.PageSize);
        await Task.Run(
            () => DatabaseScan.Diff(database.File, context.PageSize, 1, filePages, context.State.Table, context.Vault.Hasher, differing),
            cancellationToken);
        await FinishAsync(session, kind, snapshot, reason, filePages, [differing, overlay], cancellationToken);
    }

    async Task<PageSpool> StartOverlayAsync(WalSession session)
    {
        var spool = NewSpool();
        return await owner.Engine.RunAsync(() =>
        {
            session.Start(new OverlaySink(context.Vault.Hasher, spool));
            return spool;
        });
    }

    /// <summary>At a moment when all is captured, the scan and the overlay together are that moment's state.</summary>
    Task<bool> FinishAsync(
        WalSession session, LogKind kind, Hash256 snapshot, string reason, uint filePages, PageSpool[] spools,
        CancellationToken cancellationToken) =>
        session.WhenCaughtUpAsync(() =>
        {
            var pageCount = session.Capture.PageCount != 0 ? session.Capture.PageCount : filePages;
            context.AddResync(kind, snapshot, reason, pageCount, filePages, session.Capture.Cursor, spools);
            staged.Clear();
            session.GoLive(NewLiveSink(session));
            return true;
        }).WaitAsync(cancellationToken);

    PageSpool NewSpool()
    {
        var spool = new PageSpool(owner.Options.StateDirectory, context.PageSize);
        staged.Add(spool);
        return spool;
    }

    LiveSink NewLiveSink(WalSession session) => live = new LiveSink(
        context.State.Table, context.Vault.Hasher, context.PageSize, context.Queue.PartBytes, context.Clock, session.Capture,
        (kind, checksumBefore) => context.Begin(kind, checksumBefore, reason: "", Hash256.Zero),
        HandOn);

    void HandOn(ChangeSetBuilder changeSet)
    {
        var commits = (ulong)changeSet.Commits.Count;
        context.Publisher.Add(new PendingChange(changeSet, null, commits, commits > 0 ? changeSet.Commits[0].RawTimeMicros : 0));
        if (live is { IsAtCommit: true } && owner.Time.GetElapsedTime(tableSavedAt) > TableStep)
        {
            tableSavedAt = owner.Time.GetTimestamp();
            var (position, hashes) = (context.Publisher.Captured, context.State.Table.ToArray());
            _ = Task.Run(() => context.SaveTable(position, hashes));
        }
    }

    /// <summary>Takes what was committed before the end was asked for. A header that cannot be read now must not hold the end up.</summary>
    async Task FlushBrieflyAsync(WalSession session)
    {
        var flushed = session.FlushAsync();
        await Task.WhenAny(flushed, Task.Delay(FlushMax, owner.Time, CancellationToken.None));
        _ = flushed.ContinueWith(task => task.Exception, TaskScheduler.Default);
    }
}
