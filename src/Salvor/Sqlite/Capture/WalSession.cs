using Salvor.Platform;
using Salvor.Sqlite.Native;
using Salvor.Sqlite.Wal;
using Salvor.Vault;

namespace Salvor.Sqlite.Capture;

/// <summary>What decides when captured transactions are handed on.</summary>
/// <param name="Batch">How long a commit may wait for others.</param>
/// <param name="WalMaxBytes">When nothing can be captured and the log is longer, it is let go.</param>
sealed record CaptureLimits(TimeSpan Batch, long WalMaxBytes);

/// <summary>
/// The capture of one database in WAL mode, from attaching until continuity is lost or somebody ends it. First it fills an overlay while
/// the file is scanned; after <see cref="GoLive"/>, or from a proved cursor, it collects change-sets. Runs on the engine's thread.
/// </summary>
sealed class WalSession : EngineTask
{
    const long BudgetBytes = 4 << 20;

    /// <summary>A change of the log is announced before it is published in the wal-index: look closely for this long.</summary>
    static readonly TimeSpan CloseLook = TimeSpan.FromMilliseconds(1);
    static readonly TimeSpan CloseLookStep = TimeSpan.FromMicroseconds(50);

    /// <summary>Then with growing pauses, because with a sync in between the announcement may be much earlier.</summary>
    static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(2);
    static readonly TimeSpan LastPause = TimeSpan.FromSeconds(8);
    static readonly TimeSpan SafetyLook = TimeSpan.FromSeconds(30);

    /// <summary>While frames are being copied into the file, the moment to rest is near and short: look often.</summary>
    static readonly TimeSpan CheckpointLook = TimeSpan.FromMilliseconds(50);
    static readonly TimeSpan CheckpointStep = TimeSpan.FromMicroseconds(100);

    /// <summary>
    /// It may be far as well: a checkpoint ends with a sync, which a busy disk takes seconds for, and whoever asked for a new log waits for
    /// us from then on.
    /// </summary>
    static readonly TimeSpan SyncLook = TimeSpan.FromSeconds(60);
    static readonly TimeSpan SyncStep = TimeSpan.FromMilliseconds(20);

    /// <summary>Commits that follow each other faster leave no gap after a checkpoint that a look with pauses would find.</summary>
    static readonly TimeSpan SpinBelow = TimeSpan.FromMilliseconds(1);

    static readonly TimeSpan RecoverAfter = TimeSpan.FromMilliseconds(100);

    readonly CaptureEngine engine;
    readonly SqliteDatabase database;
    readonly ChangeSetQueue queue;
    readonly CaptureLimits limits;
    readonly WalCapture capture;
    readonly TaskCompletionSource<string> ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly List<(Action Run, Action<Exception> Fail)> whenCaughtUp = [];

    IFrameSink? sink;
    LiveSink? live;
    long batchDueAt = Never;
    long closeUntil;
    long checkpointUntil;
    long syncUntil;
    long unreadableSince;
    long lastCommitAt;
    long commitGap = long.MaxValue;
    TimeSpan pause = LastPause;

    public WalSession(CaptureEngine engine, SqliteDatabase database, ChangeSetQueue queue, CaptureLimits limits)
    {
        (this.engine, this.database, this.queue, this.limits) = (engine, database, queue, limits);
        capture = new WalCapture(database.File, database.Wal!, database.PageSize);
    }

    /// <summary>Completes with the reason when the session is over; the locks are released by then.</summary>
    public Task<string> Ended => ended.Task;

    public WalCapture Capture => capture;

    /// <summary>Whether anything is captured yet.</summary>
    public bool HasStarted => sink is not null;

    /// <summary>Transactions captured but not handed on, and when the first was seen; for the lag.</summary>
    public long OldestWaitingMicros => live?.OldestMicros ?? 0;

    /// <summary>Takes frames into this sink from now on. Before this nothing is captured.</summary>
    public void Start(IFrameSink first)
    {
        (sink, live) = (first, first as LiveSink);
        engine.EnsureBuffer(WalCapture.BufferBytes(database.PageSize));
        engine.WakeSoon(this);
    }

    /// <summary>On the engine's thread: what is captured from now on goes into change-sets.</summary>
    public void GoLive(LiveSink next) => sink = live = next;

    /// <summary>
    /// Runs an action at a moment when everything committed is captured, between two looks.
    /// </summary>
    public Task<T> WhenCaughtUpAsync<T>(Func<T> action)
    {
        var completion = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        engine.Post(() =>
        {
            whenCaughtUp.Add((() => Complete(completion, action), e => completion.TrySetException(e)));
            if (ended.Task.IsCompleted)
            {
                FailWaiting();
            }

            WakeSoon();
        });
        return completion.Task;
    }

    /// <summary>Hands on everything that is committed now.</summary>
    public Task FlushAsync() => WhenCaughtUpAsync(() =>
    {
        live?.Seal();
        batchDueAt = Never;
        return true;
    });

    /// <summary>Ends the session, from any thread.</summary>
    public void End(string reason) => engine.Post(() => Finish(reason));

    /// <summary>An event of the database's files.</summary>
    public void Notice(string name, FileChange change)
    {
        var now = engine.Now;
        if (name.EndsWith("-wal", StringComparison.Ordinal) || change.HasFlag(FileChange.Overflow))
        {
            closeUntil = now + engine.Ticks(CloseLook);
            pause = FirstPause;
        }
        else if (change.HasFlag(FileChange.Modified))
        {
            checkpointUntil = now + engine.Ticks(CheckpointLook);
            syncUntil = now + engine.Ticks(SyncLook);
        }

        WakeSoon();
    }

    public override void Fail(Exception e)
    {
        var known = e is IOException or SqliteException;
        ended.TrySetException(known
            ? e
            : new SalvorException(
                FailureKind.Failure,
                $"the capture of {database.Path} met an error that nobody expected: {e.Message}",
                "It begins again by comparing the database with its vault. Please report this with the log.",
                e));
        capture.Release();
        FailWaiting();
    }

    public override long Wake(long now)
    {
        Invariant.Check(sink is not null);
        var before = capture.CommitCount;
        var result = capture.Pump(sink, queue.HasRoom ? BudgetBytes : 0, engine.Buffer);
        if (result == PumpResult.Lost)
        {
            return Finish(capture.LostReason);
        }

        if (capture.CommitCount != before)
        {
            NoteCommits(now);
        }

        if (result == PumpResult.Retry)
        {
            return RetryOrRecover(now);
        }

        unreadableSince = 0;
        if (result == PumpResult.Idle && whenCaughtUp.Count > 0)
        {
            RunCaughtUp();
        }

        if (result == PumpResult.More && !queue.HasRoom)
        {
            return WaitForRoom();
        }

        SealIfDue(now);
        return result == PumpResult.More ? now : NextLook(now);
    }

    /// <summary>
    /// Events still come after the end, when the database may be closed already, and before the start, when what is seen would be lost.
    /// </summary>
    void WakeSoon()
    {
        if (HasStarted && !ended.Task.IsCompleted)
        {
            engine.WakeSoon(this);
        }
    }

    static void Complete<T>(TaskCompletionSource<T> completion, Func<T> action)
    {
        try
        {
            completion.TrySetResult(action());
        }
        catch (Exception e)
        {
            completion.TrySetException(e);
        }
    }

    /// <summary>Tells those who wait for a moment that will not come.</summary>
    void FailWaiting()
    {
        var reason = ended.Task.Exception?.InnerException ?? new CaptureEndedException(ended.Task.Result);
        whenCaughtUp.ForEach(waiting => waiting.Fail(reason));
        whenCaughtUp.Clear();
    }

    void NoteCommits(long now)
    {
        commitGap = now - lastCommitAt;
        lastCommitAt = now;
        closeUntil = 0;
        pause = FirstPause;
    }

    long RetryOrRecover(long now)
    {
        if (unreadableSince == 0)
        {
            unreadableSince = now;
        }
        else if (now - unreadableSince > engine.Ticks(RecoverAfter))
        {
            // Nobody finishes the header: its writer died. The next reader repairs it, and that may as well be us.
            unreadableSince = database.TryRecover() ? 0 : now;
        }

        return now + engine.Ticks(CloseLookStep);
    }

    void RunCaughtUp()
    {
        var actions = whenCaughtUp.ToArray();
        whenCaughtUp.Clear();
        foreach (var (run, _) in actions)
        {
            run();
        }
    }

    long WaitForRoom()
    {
        if (capture.LogBytes > limits.WalMaxBytes)
        {
            return Finish(
                $"the destination did not take the backlog and the write-ahead log grew over {Text.SizeText.Format(limits.WalMaxBytes)}");
        }

        return engine.After(FirstPause * 10);
    }

    void SealIfDue(long now)
    {
        if (live is null || live.WaitingCommits == 0)
        {
            batchDueAt = Never;
            return;
        }

        if (batchDueAt == Never)
        {
            batchDueAt = now + engine.Ticks(limits.Batch);
        }

        // While the publisher is at work, what comes meanwhile is collected: a slow destination gets larger objects, not more of them.
        if (now >= batchDueAt && queue.IsIdle)
        {
            live.Seal();
            batchDueAt = Never;
        }
    }

    long NextLook(long now)
    {
        var next = now + engine.Ticks(SafetyLook);
        if (now < closeUntil)
        {
            next = now + engine.Ticks(CloseLookStep);
        }
        else if (pause < LastPause)
        {
            next = now + engine.Ticks(pause);
            pause *= 2;
        }

        if (!capture.IsResting && now < checkpointUntil)
        {
            var step = commitGap < engine.Ticks(SpinBelow) ? 0 : engine.Ticks(CheckpointStep);
            next = Math.Min(next, now + step);
        }
        else if (!capture.IsResting && now < syncUntil)
        {
            next = Math.Min(next, now + engine.Ticks(SyncStep));
        }

        if (batchDueAt != Never)
        {
            // The publisher's end wakes us when it is busy at that time.
            next = Math.Min(next, now < batchDueAt ? batchDueAt : now + engine.Ticks(FirstPause));
        }

        return next;
    }

    long Finish(string reason)
    {
        if (!ended.Task.IsCompleted)
        {
            live?.Seal();
            CaptureEngine.Remove(this);
            capture.Release();
            ended.TrySetResult(reason);
            FailWaiting();
        }

        return Never;
    }
}

/// <summary>What was asked of a capture cannot be answered because it ended. The next one may.</summary>
sealed class CaptureEndedException(string reason, Exception? inner = null) : Exception(reason, inner);
