using Microsoft.Extensions.Logging;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Copies;
using Salvor.Vault.Keys;

namespace Salvor.Jobs;

/// <summary>
/// Keeps one further destination of a source up to date, beside the replication and never in its way: a moment after something was
/// published it copies what is new. Where the destination does not work it tries again, with growing pauses.
/// </summary>
sealed class Mirroring(
    string source, string markPath, Keyring? keys, IObjectStore first, SourceDestination destination, SemaphoreSlim turns,
    TimeProvider time, ILogger logger, Action changed)
{
    /// <summary>What is published within this time is copied together.</summary>
    static readonly TimeSpan Gather = TimeSpan.FromSeconds(1);

    /// <summary>As that, where a look at the first destination is a dozen requests that are paid for, and nobody waits.</summary>
    static readonly TimeSpan GatherRemote = TimeSpan.FromSeconds(10);

    static readonly TimeSpan RetryMin = TimeSpan.FromSeconds(1);
    static readonly TimeSpan RetryMax = TimeSpan.FromMinutes(1);

    /// <summary>How often more than the log is looked at there, unless something else is known to have been stored.</summary>
    static readonly TimeSpan RootsEvery = TimeSpan.FromMinutes(1);

    /// <summary>How often all keys are compared: what was removed at the copy, or written in between, shows in no other way.</summary>
    static readonly TimeSpan CompareEvery = TimeSpan.FromMinutes(10);

    /// <summary>What somebody has to fill up is looked at again, a dozen requests each time.</summary>
    static readonly TimeSpan RetryRefusedMax = TimeSpan.FromMinutes(10);

    /// <summary>How long the end of the daemon waits for the last copies.</summary>
    static readonly TimeSpan DrainMax = TimeSpan.FromSeconds(5);

    readonly IObjectStore store = destination.Store;

    /// <summary>A vault that is made from now on has nothing that a copy could lack. Vaults know the millisecond.</summary>
    readonly DateTimeOffset startedAt = time.GetUtcNow().AddMilliseconds(-1);

    readonly Lock gate = new();
    readonly List<(int PassesBefore, TaskCompletionSource Completion)> waiters = [];
    int passes;
    VaultMirror? mirror;
    (uint, ulong, long) seen;
    (uint Branch, DateTimeOffset? Snapshot) seenRoots;
    DateTimeOffset? behindSince = time.GetUtcNow();
    string error = "";
    string hint = "";
    string lack = "";
    bool isRefused;
    long comparedAt;
    int rootsNoticed;
    (int Noticed, long At)? rootsCopied;

    SemaphoreSlim Noticed { get; } = new(1, 1);

    /// <summary>Whether a commit counts as durable only when it is there.</summary>
    public bool IsRequired => destination.IsRequired;

    /// <summary>How far the copy is.</summary>
    public CopyStatus Status
    {
        get
        {
            lock (gate)
            {
                return new CopyStatus(store.Location, IsRequired, behindSince, error, hint)
                {
                    Name = destination.Name, Lack = lack,
                };
            }
        }
    }

    /// <summary>The source may have published something.</summary>
    public void Notice(SourceStatus status) => Notice((status.Branch, status.Position, status.StoredBytes), status.SnapshotTime);

    /// <summary>The same of a source whatever it is.</summary>
    /// <param name="reached">How far its log is: another value is more log.</param>
    /// <param name="snapshot">Which its newest snapshot is: another value is another one.</param>
    public void Notice((uint Branch, ulong Position, long StoredBytes) reached, DateTimeOffset? snapshot)
    {
        lock (gate)
        {
            var isSame = seen == reached && seenRoots == (reached.Branch, snapshot);
            if (isSame)
            {
                return;
            }

            seen = reached;
            if (seenRoots != (reached.Branch, snapshot))
            {
                seenRoots = (reached.Branch, snapshot);
                rootsNoticed++;
            }

            behindSince ??= time.GetUtcNow();
            WakeUp();
        }
    }

    /// <summary>Something else than log was published, such as a backup.</summary>
    public void NoticeRoots()
    {
        lock (gate)
        {
            rootsNoticed++;
            behindSince ??= time.GetUtcNow();
            WakeUp();
        }
    }

    /// <summary>Completes when the copy has everything that the source had published by a moment, of which this is the status.</summary>
    public Task CatchUpAsync(SourceStatus status)
    {
        lock (gate)
        {
            Notice(status);
            if (behindSince is null)
            {
                return Task.CompletedTask;
            }

            var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            waiters.Add((passes, waiter));
            return waiter.Task;
        }
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var delay = RetryMin;
        while (true)
        {
            await Noticed.WaitAsync(cancellationToken);
            await Task.Delay(GatherFor(), time, cancellationToken);
            if (await TryPassAsync(cancellationToken))
            {
                delay = RetryMin;
                continue;
            }

            await Task.Delay(delay, time, cancellationToken);
            var most = isRefused ? RetryRefusedMax : RetryMax;
            delay = delay * 2 < most ? delay * 2 : most;
            WakeUp();
        }
    }

    /// <summary>The last copies before the end, where the destination worked until now.</summary>
    public async Task DrainAsync()
    {
        if (Status is { Error.Length: > 0 } or { BehindSince: null })
        {
            return;
        }

        using var limited = new CancellationTokenSource(DrainMax, time);
        try
        {
            // A disk that hangs does not obey the cancellation, so nobody waits for it.
            await TryPassAsync(limited.Token).WaitAsync(DrainMax, time);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            logger.CopyUnfinished(source, store.Location);
        }
    }

    TimeSpan GatherFor()
    {
        lock (gate)
        {
            return first is FileStore || waiters.Count > 0 ? Gather : GatherRemote;
        }
    }

    void WakeUp()
    {
        lock (gate)
        {
            if (Noticed.CurrentCount == 0)
            {
                Noticed.Release();
            }
        }
    }

    async Task<bool> TryPassAsync(CancellationToken cancellationToken)
    {
        var started = time.GetUtcNow();
        (uint, ulong, long) before;
        int number;
        lock (gate)
        {
            before = seen;
            number = ++passes;
        }

        SalvorException? failure;
        try
        {
            failure = await PassAsync(cancellationToken);
        }
        catch (SalvorException e)
        {
            failure = e;
        }

        isRefused = failure is IncompleteCopyException;
        Note(failure, started, before, number);
        return failure is null;
    }

    void NoteLack(string? found)
    {
        lock (gate)
        {
            if (found is not null && found != lack)
            {
                logger.CopyIncomplete(source, found);
            }

            lack = found ?? "";
        }

        changed();
    }

    /// <summary>Returns the damage at the first destination that keeps the copy from being complete, or null.</summary>
    async Task<SalvorException?> PassAsync(CancellationToken cancellationToken)
    {
        await turns.WaitAsync(cancellationToken);
        try
        {
            if (mirror is null)
            {
                if (await VaultAccess.FindAsync(first, source, keys, cancellationToken) is not { } vault)
                {
                    // Nothing is stored yet; what will be is noticed.
                    return null;
                }

                mirror = FurtherVault.Mirror(markPath, vault, store, destination.OnIncomplete, startedAt, NoteLack);
            }

            var roots = (Volatile.Read(ref rootsNoticed), time.GetTimestamp());
            if (!AreRootsDue() && await mirror.TryFollowAsync(cancellationToken))
            {
                return null;
            }

            var everything = comparedAt == 0 || time.GetElapsedTime(comparedAt) >= CompareEvery;
            var pass = await mirror.RunAsync(everything, cancellationToken);
            comparedAt = everything && pass.Damage is null ? time.GetTimestamp() : comparedAt;
            rootsCopied = pass.Damage is null ? roots : null;
            return pass.Damage;
        }
        finally
        {
            turns.Release();
        }
    }

    /// <summary>
    /// Whether more than the log is to be looked at: always where that costs nothing, and where something else was published, by us as we
    /// know or by another process, such as a new key slot.
    /// </summary>
    bool AreRootsDue() => first is FileStore
        || rootsCopied is not { } last || last.Noticed != Volatile.Read(ref rootsNoticed) || time.GetElapsedTime(last.At) >= RootsEvery;

    void Note(SalvorException? failure, DateTimeOffset started, (uint, ulong, long) before, int number)
    {
        lock (gate)
        {
            if (failure is not null && failure.Message != error)
            {
                logger.CopyBehind(source, store.Location, failure.Message, failure.Hint);
            }
            else if (failure is null && error.Length > 0)
            {
                logger.CopyComplete(source, store.Location);
            }

            (error, hint) = (failure?.Message ?? "", failure?.Hint ?? "");
            behindSince = failure is not null ? behindSince ?? started : seen == before ? null : started;
            if (failure is null)
            {
                // Also where more was published since: what they wait for was there when this pass began.
                waiters.RemoveAll(waiter => waiter.PassesBefore < number && waiter.Completion.TrySetResult());
            }
        }

        changed();
    }
}
