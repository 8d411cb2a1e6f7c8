using Salvor.Platform;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Postgres;

/// <summary>
/// Follows a server into a vault: a <see cref="WalReceiver"/>, and beside it what brings its spool into the vault. What is received does
/// not wait for the vault; where that is away, the spool grows.
/// </summary>
/// <param name="options">How the server is followed.</param>
/// <param name="open">Opens the vault; asked again until it succeeds.</param>
/// <param name="time">The clock.</param>
public sealed class WalPublishing(WalReceiverOptions options, Func<CancellationToken, Task<VaultAccess>> open, TimeProvider time)
{
    static readonly TimeSpan MergeEvery = TimeSpan.FromMinutes(1);

    /// <summary>How long receiving waits to learn where the vault ends: one that hangs must not keep the log from this disk.</summary>
    static readonly TimeSpan EndsMax = TimeSpan.FromMinutes(1);

    /// <summary>How often it is looked whether what somebody waits for has come.</summary>
    static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(20);

    readonly TaskCompletionSource passed = NewSignal();

    VaultAccess? vault;
    WalPublisher? publisher;
    WalMerger? merger;
    TaskCompletionSource soon = NewSignal();

    /// <summary>What an operator has to know.</summary>
    public Action<WalNotice>? Told { get; init; }

    /// <summary>Why the last pass did not bring the log into the vault; null where it did.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Whether the vault was tried at all.</summary>
    public bool HasPassed => passed.Task.IsCompleted;

    /// <summary>The receiver, while this runs.</summary>
    public WalReceiver? Receiver { get; private set; }

    /// <summary>Up to where a timeline was published.</summary>
    public Lsn PublishedOf(uint timeline) => publisher?.PublishedOf(timeline) ?? Lsn.None;

    /// <summary>
    /// Waits until a timeline is published up to an address. When it has come that far, the next pass does not wait for its time.
    /// </summary>
    public async Task PublishedAsync(uint timeline, Lsn end, CancellationToken cancellationToken)
    {
        for (var isAsked = false; PublishedOf(timeline) < end; await Task.Delay(LookEvery, time, cancellationToken))
        {
            if (!isAsked && Receiver?.Spool?.Flushed >= end)
            {
                isAsked = soon.TrySetResult();
            }
        }
    }

    /// <summary>Runs until it is cancelled. Throws what does not pass by itself, such as a <see cref="WalConflictException"/>.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var receiver = Receiver = new WalReceiver(options, VaultEndsAsync, time) { Told = Told };
        Task[] both = [receiver.RunAsync(stopping.Token), PublishAsync(receiver, stopping.Token)];
        try
        {
            await await Task.WhenAny(both);
        }
        catch when (both[0].IsFaulted && receiver.Spool is not null && !cancellationToken.IsCancellationRequested)
        {
            // What was confirmed to a server that refuses us now is on this disk alone, and the next start is refused as soon.
            await Task.WhenAny(both[1], passed.Task).WaitAsync(cancellationToken);
            throw;
        }
        finally
        {
            await stopping.CancelAsync();
            await Task.WhenAll(both).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    async Task PublishAsync(WalReceiver receiver, CancellationToken cancellationToken)
    {
        var merged = time.GetTimestamp();
        while (true)
        {
            soon = soon.Task.IsCompleted ? NewSignal() : soon;
            try
            {
                await PublishOnceAsync(receiver, cancellationToken);
                Failure = null;
                if (merger is not null && time.GetElapsedTime(merged) >= MergeEvery)
                {
                    merged = time.GetTimestamp();
                    await MergeAsync(merger, cancellationToken);
                }
            }
            catch (Exception e) when (MayPass(e))
            {
                Failure = e;
                Tell(WalNoticeKind.NotPublished, "the log is not published", e);
            }

            if (publisher is not null || Failure is not null)
            {
                passed.TrySetResult();
            }

            await Task.WhenAny(Task.Delay(options.PublishEvery, time, cancellationToken), soon.Task);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What is not merged is stored nevertheless.</summary>
    async Task MergeAsync(WalMerger merging, CancellationToken cancellationToken)
    {
        try
        {
            await merging.RunAsync(cancellationToken);
        }
        catch (Exception e) when (MayPass(e))
        {
            Tell(WalNoticeKind.NotMerged, "pieces of the log are not merged", e);
        }
    }

    async Task PublishOnceAsync(WalReceiver receiver, CancellationToken cancellationToken)
    {
        if (receiver.Spool is not { } spool)
        {
            return;
        }

        vault ??= await open(cancellationToken);
        publisher ??= new WalPublisher(vault, spool, time);
        merger ??= new WalMerger(vault, time)
        {
            Failed = e => Tell(WalNoticeKind.NotMerged, "pieces of the log are not merged", e),
        };
        await publisher.RunAsync(cancellationToken);
    }

    void Tell(WalNoticeKind kind, string what, Exception e) =>
        Told?.Invoke(new(kind, $"{what}: {e.Message}", (e as SalvorException)?.Hint ?? "Look at the disk of this machine."));

    /// <summary>
    /// Whether it is tried again: nothing of the log is lost by that, on neither side. What is wrong with a vault, such as a damaged
    /// record, is to be mended, and no reason to let the server's disk fill up; another history in it is.
    /// </summary>
    static bool MayPass(Exception e) =>
        e is PosixException or IOException or UnauthorizedAccessException or TimeoutException
            or SalvorException { Kind: not FailureKind.Usage } and not WalConflictException;

    /// <summary>
    /// Where the vault cannot be reached, the spool and the slot say where the log goes on. What the slot still keeps behind a gap of the
    /// vault is received, so an end counts only as far as the log before it is there.
    /// </summary>
    async Task<IReadOnlyList<(uint Timeline, Lsn End)>> VaultEndsAsync(Lsn kept, CancellationToken cancellationToken)
    {
        try
        {
            vault ??= await open(cancellationToken).WaitAsync(EndsMax, time, cancellationToken);
            var catalog = await WalCatalog.LoadAsync(vault, cancellationToken).WaitAsync(EndsMax, time, cancellationToken);
            return [.. catalog.Branches.Select(branch => (branch.Record.Timeline ?? 0, EndOf(branch.Number)))
                .Where(item => item.Item2 > Lsn.None)];

            Lsn EndOf(uint branch) => catalog.EndOf(branch) is var end && end <= kept ? end : Lsn.Min(end, catalog.Reach(branch, kept));
        }
        catch (Exception e) when (MayPass(e))
        {
            Tell(WalNoticeKind.NotPublished, "the end of the log in the vault is not known", e);
            return [];
        }
    }
}
