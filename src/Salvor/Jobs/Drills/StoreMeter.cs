using Salvor.Storage;

namespace Salvor.Jobs.Drills;

/// <summary>
/// Measures for how long at least one call to a destination was under way: the time in which the destination was waited for, however many
/// calls ran side by side.
/// </summary>
sealed class StoreMeter(TimeProvider time)
{
    readonly Lock gate = new();
    int underWay;
    long since;
    TimeSpan busy;

    /// <summary>So far.</summary>
    public TimeSpan Busy
    {
        get
        {
            lock (gate)
            {
                return busy + (underWay > 0 ? time.GetElapsedTime(since) : TimeSpan.Zero);
            }
        }
    }

    /// <summary>The same store, measured.</summary>
    public IObjectStore Of(IObjectStore store) => new Metered(store, this);

    void Begin()
    {
        lock (gate)
        {
            if (underWay++ == 0)
            {
                since = time.GetTimestamp();
            }
        }
    }

    void End()
    {
        lock (gate)
        {
            if (--underWay == 0)
            {
                busy += time.GetElapsedTime(since);
            }
        }
    }

    async Task<T> RunAsync<T>(Func<Task<T>> call)
    {
        Begin();
        try
        {
            return await call();
        }
        finally
        {
            End();
        }
    }

    sealed class Metered(IObjectStore inner, StoreMeter meter) : IObjectStore
    {
        public string Location => inner.Location;

        public Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
            meter.RunAsync(() => inner.PutAsync(key, content, cancellationToken));

        public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
            meter.RunAsync(() => inner.ReadAsync(key, offset, buffer, cancellationToken));

        public Task ReadStartsAsync(
            int count, Func<int, string> keyOf, int length, StartRead read, CancellationToken cancellationToken) =>
            meter.RunAsync(async () =>
            {
                await inner.ReadStartsAsync(count, keyOf, length, read, cancellationToken);
                return count;
            });

        public Task<ObjectEnd?> ReadEndAsync(string key, int lengthMax, CancellationToken cancellationToken) =>
            meter.RunAsync(() => inner.ReadEndAsync(key, lengthMax, cancellationToken));

        public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) =>
            meter.RunAsync(() => inner.SizeAsync(key, cancellationToken));

        /// <summary>Only the waiting for each row counts, not what is done with it.</summary>
        public async IAsyncEnumerable<ObjectInfo> ListAsync(
            string prefix, string? after, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await using var rows = inner.ListAsync(prefix, after, cancellationToken).GetAsyncEnumerator(cancellationToken);
            while (await meter.RunAsync(() => rows.MoveNextAsync().AsTask()))
            {
                yield return rows.Current;
            }
        }

        public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
            inner.ReplaceAsync(key, content, cancellationToken);

        public Task DeleteAsync(string key, CancellationToken cancellationToken) => inner.DeleteAsync(key, cancellationToken);
    }
}
