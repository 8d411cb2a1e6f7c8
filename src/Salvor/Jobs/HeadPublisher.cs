using Microsoft.Extensions.Logging;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Vault;

namespace Salvor.Jobs;

/// <summary>
/// Publishes one small head per destination: when its sources fall idle, every 15 minutes, and when somebody was told that all is durable.
/// An idle source costs nothing by itself.
/// </summary>
sealed class HeadPublisher(TimeProvider time, ILogger logger) : IAsyncDisposable
{
    static readonly TimeSpan Interval = TimeSpan.FromMinutes(15);

    /// <summary>Sources are idle when none of them published for this long.</summary>
    static readonly TimeSpan IdleAfter = TimeSpan.FromSeconds(10);

    readonly string writerId = $"{ProcessIdentity.Current().Host}-{Guid.CreateVersion7(time.GetUtcNow()):N}";
    readonly CancellationTokenSource stopping = new();
    readonly Lock gate = new();
    readonly Dictionary<IObjectStore, Destination> destinations = [];

    /// <summary>Publishes for the sources of a store until disposed. Asking again for the same store changes nothing.</summary>
    public Task WatchAsync(IObjectStore store, Func<IEnumerable<SqliteReplicator>> sources)
    {
        lock (gate)
        {
            if (!destinations.TryGetValue(store, out var destination))
            {
                destinations[store] = destination = new Destination(sources);
                destination.Running = RunAsync(store, destination);
            }

            return destination.Running;
        }
    }

    /// <summary>A source of this store changed.</summary>
    public void Notice(IObjectStore store)
    {
        Destination? destination;
        lock (gate)
        {
            destinations.TryGetValue(store, out destination);
        }

        if (destination is not null && Interlocked.Exchange(ref destination.Waiting, 0) == 1)
        {
            destination.Changed.Release();
        }
    }

    /// <summary>
    /// Everything that this source committed before the moment is durable: says so, unless the newest restore point is later anyway.
    /// </summary>
    public async Task PublishAsync(
        IObjectStore store, SqliteReplicator source, DateTimeOffset completeAsOf, CancellationToken cancellationToken)
    {
        var destination = destinations[store];
        if (source.Status.PositionTime is { } last && last >= completeAsOf)
        {
            return;
        }

        destination.Note(source, completeAsOf);
        await PutAsync(store, destination, cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await Task.WhenAll(destinations.Values.Select(item => item.Running)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stopping.Dispose();
    }

    async Task RunAsync(IObjectStore store, Destination destination)
    {
        var published = 0UL;
        var publishedAt = time.GetTimestamp();
        var seen = 0UL;
        while (true)
        {
            if (destination.Sum() == published)
            {
                // Nothing new, and said so: until a source changes, only the interval counts.
                Volatile.Write(ref destination.Waiting, 1);
                await destination.Changed.WaitAsync(Interval, stopping.Token);
                Volatile.Write(ref destination.Waiting, 0);
            }
            else
            {
                await Task.Delay(IdleAfter, time, stopping.Token);
            }

            var sum = destination.Sum();
            var due = time.GetElapsedTime(publishedAt) >= Interval;
            if ((sum != published && sum == seen) || due)
            {
                await PublishAllAsync(store, destination);
                (published, publishedAt) = (sum, time.GetTimestamp());
            }

            seen = sum;
        }
    }

    async Task PublishAllAsync(IObjectStore store, Destination destination)
    {
        foreach (var source in destination.Sources().Where(source => source.Status.State == SourceState.Healthy))
        {
            var now = time.GetUtcNow();
            try
            {
                await source.SyncAsync(stopping.Token);
                destination.Note(source, now);
            }
            catch (SalvorException e)
            {
                // It fell ill since it was asked; what the last head says of it stays true, and the others have theirs.
                logger.LogDebug("{Source} has no part in this head: {Message}", source.Options.Name, e.Message);
            }
        }

        await PutAsync(store, destination, stopping.Token);
    }

    async Task PutAsync(IObjectStore store, Destination destination, CancellationToken cancellationToken)
    {
        await destination.Putting.WaitAsync(cancellationToken);
        try
        {
            var record = new HeadRecord
            {
                Host = ProcessIdentity.Current().Host,
                Pid = Environment.ProcessId,
                At = time.GetUtcNow(),
                Vaults = destination.Entries(),
            };
            if (record.Vaults.Count > 0)
            {
                destination.Number = await Heads.PutAsync(store, writerId, destination.Number, record, cancellationToken);
            }
        }
        catch (StorageException e)
        {
            // Nothing is lost without it; the next one says the same and more.
            logger.LogWarning("the head of {Destination} was not published: {Message}", store.Location, e.Message);
        }
        finally
        {
            destination.Putting.Release();
        }
    }

    sealed class Destination(Func<IEnumerable<SqliteReplicator>> sources)
    {
        /// <summary>1 while the loop waits for a change.</summary>
        public int Waiting;

        readonly Dictionary<string, HeadEntry> entries = [];

        public Func<IEnumerable<SqliteReplicator>> Sources { get; } = sources;

        public SemaphoreSlim Changed { get; } = new(0);

        public SemaphoreSlim Putting { get; } = new(1);

        public Task Running { get; set; } = Task.CompletedTask;

        public ulong Number { get; set; }

        /// <summary>Changes whenever any source got a new restore point.</summary>
        public ulong Sum() => Sources().Aggregate(0UL, (sum, source) => sum + source.Status.Position);

        public void Note(SqliteReplicator source, DateTimeOffset completeAsOf)
        {
            var status = source.Status;
            if (source.VaultId is { } vaultId && status.Position > 0)
            {
                lock (entries)
                {
                    entries[status.Source] = new HeadEntry
                    {
                        Source = status.Source,
                        VaultId = vaultId,
                        Branch = status.Branch,
                        Number = source.LogNumber,
                        Position = status.Position,
                        CompleteAsOf = completeAsOf,
                    };
                }
            }
        }

        public IReadOnlyList<HeadEntry> Entries()
        {
            lock (entries)
            {
                return [.. entries.Values.OrderBy(entry => entry.Source, StringComparer.Ordinal)];
            }
        }
    }
}
