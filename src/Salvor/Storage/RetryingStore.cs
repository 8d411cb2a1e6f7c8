namespace Salvor.Storage;

/// <summary>
/// Repeats what failed until it works or is cancelled, with growing pauses and chance in them: for a daemon, to which nothing a destination
/// does is final. A put whose answer was lost is answered by the retry with <see cref="PutResult.AlreadyExists"/>; the caller tells that
/// from another writer's object.
/// </summary>
/// <param name="inner">The store.</param>
/// <param name="time">The clock of the pauses.</param>
/// <param name="random">The chance in them; used from one call at a time.</param>
/// <param name="outcome">Told of every failure, and of the first answer after one (null), whichever call gets it.</param>
public sealed class RetryingStore(IObjectStore inner, TimeProvider time, Random random, Action<StorageException?> outcome) : IObjectStore
{
    static readonly TimeSpan DelayMin = TimeSpan.FromMilliseconds(100);
    static readonly TimeSpan DelayMax = TimeSpan.FromSeconds(10);

    /// <summary>Nobody who waits for an answer waits longer than this because a destination asks for it.</summary>
    static readonly TimeSpan RetryAfterMax = TimeSpan.FromSeconds(30);

    readonly Lock gate = new();

    /// <summary>Whether a call failed and was cancelled before it was answered, and none was answered since.</summary>
    bool hasGivenUp;

    /// <summary>
    /// After how many attempts a call fails, and at once where it cannot pass: for somebody who waits for an answer. Null: never.
    /// </summary>
    public int? AttemptsMax { get; init; }

    public string Location => inner.Location;

    public Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        RepeatAsync(() => inner.PutAsync(key, content, cancellationToken), cancellationToken);

    public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        RepeatAsync(() => inner.ReadAsync(key, offset, buffer, cancellationToken), cancellationToken);

    public Task<ObjectEnd?> ReadEndAsync(string key, int lengthMax, CancellationToken cancellationToken) =>
        RepeatAsync(() => inner.ReadEndAsync(key, lengthMax, cancellationToken), cancellationToken);

    public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) =>
        RepeatAsync(() => inner.SizeAsync(key, cancellationToken), cancellationToken);

    /// <summary>A listing that breaks off goes on after the last key that came.</summary>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? after, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var rows = inner.ListAsync(prefix, after, cancellationToken).GetAsyncEnumerator(cancellationToken);
        try
        {
            while (await RepeatAsync(MoveNextAsync, cancellationToken))
            {
                after = rows.Current.Key;
                yield return rows.Current;
            }
        }
        finally
        {
            await rows.DisposeAsync();
        }

        async Task<bool> MoveNextAsync()
        {
            try
            {
                return await rows.MoveNextAsync();
            }
            catch (StorageException)
            {
                await rows.DisposeAsync();
                rows = inner.ListAsync(prefix, after, cancellationToken).GetAsyncEnumerator(cancellationToken);
                throw;
            }
        }
    }

    public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => RepeatAsync(
        async () =>
        {
            await inner.ReplaceAsync(key, content, cancellationToken);
            return true;
        },
        cancellationToken);

    public Task DeleteAsync(string key, CancellationToken cancellationToken) => RepeatAsync(
        async () =>
        {
            await inner.DeleteAsync(key, cancellationToken);
            return true;
        },
        cancellationToken);

    public Task<bool> KeepsEarlierAsync(CancellationToken cancellationToken) =>
        RepeatAsync(() => inner.KeepsEarlierAsync(cancellationToken), cancellationToken);

    public Task<IReadOnlyList<ObjectVersion>> EarlierAsync(string key, CancellationToken cancellationToken) =>
        RepeatAsync(() => inner.EarlierAsync(key, cancellationToken), cancellationToken);

    public Task<int> ReadEarlierAsync(
        string key, ObjectVersion version, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        RepeatAsync(() => inner.ReadEarlierAsync(key, version, offset, buffer, cancellationToken), cancellationToken);

    async Task<T> RepeatAsync<T>(Func<Task<T>> attempt, CancellationToken cancellationToken)
    {
        var failed = false;
        try
        {
            var delay = DelayMin;
            for (var attempts = 1; ; attempts++, delay = delay * 2 < DelayMax ? delay * 2 : DelayMax)
            {
                var asked = TimeSpan.Zero;
                try
                {
                    var result = await attempt();
                    NoteAnswer(failed);
                    return result;
                }
                catch (StorageException e) when (e.Failure == StorageFailure.NotFound)
                {
                    NoteAnswer(failed);
                    throw;
                }
                catch (StorageException e) when (MayTryAgain(e, attempts))
                {
                    failed = true;
                    asked = e.RetryAfter ?? asked;
                    outcome(e);
                }

                // With chance in it there too: all that were sent away together would come back together.
                await Task.Delay(asked + (delay * Jitter()), time, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (failed)
        {
            // Its failure is the last word on the destination until another call is answered.
            hasGivenUp = true;
            throw;
        }
    }

    bool MayTryAgain(StorageException e, int attempts) =>
        AttemptsMax is not { } max || (attempts < max && e.MayPass && !(e.RetryAfter > RetryAfterMax));

    void NoteAnswer(bool failed)
    {
        if (Interlocked.Exchange(ref hasGivenUp, false) || failed)
        {
            outcome(null);
        }
    }

    double Jitter()
    {
        lock (gate)
        {
            return 0.5 + (random.NextDouble() / 2);
        }
    }
}
