using Microsoft.Extensions.Logging;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Vault;

namespace Salvor.Jobs;

/// <summary>
/// Publishes one small head per destination: when its sources fall idle, every 15 minutes, when somebody was told that all is durable, and
/// at the end. Each renews the claims of all its sources. An idle source costs nothing by itself.
/// </summary>
/// <param name="command">
/// What this process does. The same command on the same machine continues the heads of the process before it, so that they do not pile up.
/// </param>
/// <param name="time">The clock.</param>
/// <param name="random">Tells this process from another that does the same at the same time.</param>
/// <param name="logger">For what goes wrong.</param>
sealed class HeadPublisher(string command, TimeProvider time, Random random, ILogger logger) : IAsyncDisposable
{
    /// <summary>Sources are idle when none of them published for this long.</summary>
    static readonly TimeSpan IdleAfter = TimeSpan.FromSeconds(10);

    /// <summary>How long the last head, which lets go of the claims, may take.</summary>
    static readonly TimeSpan ReleaseMax = TimeSpan.FromSeconds(10);

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
                destinations[store] = destination = new Destination(sources) { PublishedAt = time.GetTimestamp() };
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

        await PutAsync(store, destination, completeAsOf, [source], cancellationToken);
    }

    /// <summary>Says that these sources ended and are no longer written by this process: another one may begin at once.</summary>
    public async Task ReleaseAsync(IObjectStore store, IReadOnlyList<SqliteReplicator> ended)
    {
        if (destinations.TryGetValue(store, out var destination) && ended.Any(source => source.Epoch is not null))
        {
            using var limit = new CancellationTokenSource(ReleaseMax, time);
            try
            {
                await PutAsync(store, destination, completeAsOf: null, ended, limit.Token);
            }
            catch (OperationCanceledException)
            {
                logger.ClaimsLapse(store.Location);
            }
        }
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
        var seen = 0UL;
        while (true)
        {
            if (destination.Sum() == published)
            {
                // Nothing new, and said so: until a source changes, only the interval counts.
                Volatile.Write(ref destination.Waiting, 1);
                await WaitAsync(destination, Heads.Interval - time.GetElapsedTime(destination.PublishedAt));
                Volatile.Write(ref destination.Waiting, 0);
            }
            else
            {
                await Task.Delay(IdleAfter, time, stopping.Token);
            }

            var sum = destination.Sum();
            var due = time.GetElapsedTime(destination.PublishedAt) >= Heads.Interval;
            if ((sum != published && sum == seen) || due)
            {
                await PublishAllAsync(store, destination);
                published = sum;
            }

            seen = sum;
        }
    }

    async Task PublishAllAsync(IObjectStore store, Destination destination)
    {
        var now = time.GetUtcNow();
        var complete = new List<SqliteReplicator>();
        foreach (var source in destination.Sources().Where(source => source.Status.State == SourceState.Healthy))
        {
            try
            {
                await source.SyncAsync(stopping.Token);
                complete.Add(source);
            }
            catch (SalvorException e)
            {
                // It fell ill since it was asked; what the last head says of it stays true, and the others have theirs.
                logger.NotInHead(source.Options.Name, e.Message);
            }
        }

        await PutAsync(store, destination, now, complete, stopping.Token);
    }

    /// <summary>Waits for a change, or for this long.</summary>
    async Task WaitAsync(Destination destination, TimeSpan delay)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
        var changed = destination.Changed.WaitAsync(limit.Token);
        await Task.WhenAny(changed, Task.Delay(delay > TimeSpan.Zero ? delay : TimeSpan.Zero, time, limit.Token));
        await limit.CancelAsync();
        await changed.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stopping.Token.ThrowIfCancellationRequested();
    }

    /// <summary>Publishes a head with all sources, of which some are known to be complete, or have ended.</summary>
    async Task PutAsync(
        IObjectStore store, Destination destination, DateTimeOffset? completeAsOf, IReadOnlyCollection<SqliteReplicator> named,
        CancellationToken cancellationToken)
    {
        await destination.Putting.WaitAsync(cancellationToken);
        try
        {
            // Also where this fails: the next one says the same and more, and is not tried without a pause.
            destination.PublishedAt = time.GetTimestamp();
            await OpenAsync(store, destination, cancellationToken);
            var now = time.GetUtcNow();
            foreach (var source in destination.Sources().Union(named))
            {
                destination.Note(source, now, named.Contains(source) ? completeAsOf : null);
            }

            var here = ProcessIdentity.Current();
            var record = new HeadRecord { Host = here.Host, Pid = here.Pid, At = now, Vaults = destination.Entries() };
            if (record.Vaults.Count > 0)
            {
                destination.Number = await Heads.TryPutAsync(
                    store, destination.WriterId, destination.Number + 1, record, cancellationToken)
                    ?? await NextAsync(store, destination, record, cancellationToken);
            }
        }
        catch (StorageException e)
        {
            // Nothing is lost without it; the next one says the same and more.
            logger.HeadNotPublished(store.Location, e.Message);
        }
        finally
        {
            destination.Putting.Release();
        }
    }

    /// <summary>Goes on where the process before this one ended: what it knew stays known.</summary>
    async Task OpenAsync(IObjectStore store, Destination destination, CancellationToken cancellationToken)
    {
        if (destination.WriterId.Length > 0)
        {
            return;
        }

        var writerId = WriterIdOf(ProcessIdentity.Current().Host, command);
        if (await Heads.LastOfAsync(store, writerId, cancellationToken) is { } last)
        {
            destination.Number = last.Number;
            destination.Remember(last.Record.Vaults);
        }

        destination.WriterId = writerId;
    }

    /// <summary>
    /// The number was taken: by us, when an answer was lost, or by another process that does the same. Which of them it was is not worth
    /// finding out: from here on this process has a name of its own.
    /// </summary>
    async Task<ulong> NextAsync(IObjectStore store, Destination destination, HeadRecord record, CancellationToken cancellationToken)
    {
        destination.WriterId = $"{WriterIdOf(ProcessIdentity.Current().Host, command)}-{random.NextInt64():x16}";
        return await Heads.TryPutAsync(store, destination.WriterId, 1, record, cancellationToken) ?? 1;
    }

    /// <summary>The same for the same command on the same machine, and a legal part of a key.</summary>
    static string WriterIdOf(string host, string command)
    {
        var name = new string([.. host.Select(letter => char.IsAsciiLetterOrDigit(letter) || letter == '-' ? letter : '_')]);
        var hash = new PageHasher(0).Hash(0, System.Text.Encoding.UTF8.GetBytes($"{host}\n{command}"));
        return $"{name}-{hash:x16}";
    }

    sealed class Destination(Func<IEnumerable<SqliteReplicator>> sources)
    {
        /// <summary>1 while the loop waits for a change.</summary>
        public int Waiting;

        /// <summary>By source. Only whoever has <see cref="Putting"/> uses it.</summary>
        readonly Dictionary<string, HeadEntry> entries = [];

        public Func<IEnumerable<SqliteReplicator>> Sources { get; } = sources;

        public SemaphoreSlim Changed { get; } = new(0);

        public SemaphoreSlim Putting { get; } = new(1);

        public Task Running { get; set; } = Task.CompletedTask;

        /// <summary>The folder of its heads; empty before the first.</summary>
        public string WriterId { get; set; } = "";

        /// <summary>The number of the last head.</summary>
        public ulong Number { get; set; }

        /// <summary>When a head was last published, or tried to be, or the first one began to be due.</summary>
        public long PublishedAt { get; set; }

        /// <summary>Changes whenever any source got a new restore point.</summary>
        public ulong Sum() => Sources().Aggregate(0UL, (sum, source) => sum + source.Status.Position);

        /// <summary>What an earlier process knew.</summary>
        public void Remember(IReadOnlyList<HeadEntry> known)
        {
            foreach (var entry in known)
            {
                entries.TryAdd(entry.Source, entry);
            }
        }

        /// <summary>Renews the claim of a source, where it has one. What was complete stays complete.</summary>
        public void Note(SqliteReplicator source, DateTimeOffset now, DateTimeOffset? completeAsOf)
        {
            var status = source.Status;
            if (source.VaultId is not { } vaultId || source.Epoch is not { } epoch)
            {
                return;
            }

            var before = entries.GetValueOrDefault(status.Source) is { } known && known.VaultId == vaultId ? known : null;
            var hasPoint = status.Position > 0;
            entries[status.Source] = new HeadEntry
            {
                Source = status.Source,
                VaultId = vaultId,
                Epoch = epoch,
                Branch = hasPoint ? status.Branch : before?.Branch ?? 0,
                Number = hasPoint ? source.LogNumber : before?.Number ?? 0,
                Position = hasPoint ? status.Position : before?.Position ?? 0,
                Backup = Math.Max(source.LastBackup, before?.Backup ?? 0),
                CompleteAsOf = hasPoint ? completeAsOf ?? before?.CompleteAsOf : before?.CompleteAsOf,
                RenewedAt = now,
                Released = source.HasReleased,
            };
        }

        public IReadOnlyList<HeadEntry> Entries() => [.. entries.Values.OrderBy(entry => entry.Source, StringComparer.Ordinal)];
    }
}
