using System.Globalization;
using Salvor.Storage;

namespace Salvor.Jobs;

/// <summary>What a destination did with one small object.</summary>
public sealed record ProbeResult
{
    /// <summary>The calls that are refused, by name, in the order in which they were tried.</summary>
    public required IReadOnlyList<(string Verb, StorageException Failure)> Refused { get; init; }

    /// <summary>Whether a second put of the same key left the object as it was; null where that could not be tried.</summary>
    public bool? CreatesOnce { get; init; }

    /// <summary>How long the first put took.</summary>
    public TimeSpan PutTime { get; init; }

    /// <summary>When the object was put, by our clock: between the first and the second.</summary>
    public (DateTimeOffset Before, DateTimeOffset After) PutAt { get; init; }

    /// <summary>When it was put by the clock of the destination; null where it does not say.</summary>
    public DateTimeOffset? StoredAt { get; init; }

    /// <summary>Whether the object is still there, because it may not be deleted.</summary>
    public bool IsLeft { get; init; }
}

/// <summary>Tries each call of a destination on one small object, and removes it again as far as the destination lets us.</summary>
public sealed class DestinationProbe
{
    readonly IObjectStore store;
    readonly string key;
    readonly TimeProvider time;
    readonly List<(string Verb, StorageException Failure)> refused = [];

    DestinationProbe(IObjectStore store, string key, TimeProvider time) => (this.store, this.key, this.time) = (store, key, time);

    /// <summary>A key that nothing else has, and no vault: at the root of a destination, so that no folder is left either.</summary>
    public static string NewKey(Random random) => string.Create(CultureInfo.InvariantCulture, $"_doctor-{random.NextInt64():x16}");

    /// <summary>Tries them. Throws where the destination cannot be reached.</summary>
    public static Task<ProbeResult> RunAsync(IObjectStore store, string key, TimeProvider time, CancellationToken cancellationToken) =>
        new DestinationProbe(store, key, time).RunAsync(cancellationToken);

    async Task<ProbeResult> RunAsync(CancellationToken cancellationToken)
    {
        var (before, started) = (time.GetUtcNow(), time.GetTimestamp());
        await TryAsync("put", () => store.PutAsync(key, new byte[] { 1 }, cancellationToken));
        var (putTime, after) = (time.GetElapsedTime(started), time.GetUtcNow());
        var isThere = refused.Count == 0;
        try
        {
            bool? createsOnce = isThere ? await store.PutAsync(key, new byte[] { 2 }, cancellationToken) == PutResult.AlreadyExists : null;
            var content = new byte[1];
            await TryAsync("get", () => ReadAsync(content, isThere, cancellationToken));
            ObjectInfo? row = null;
            await TryAsync("list", async () =>
                row = await store.ListAsync(key, null, cancellationToken).Select(item => (ObjectInfo?)item)
                    .FirstOrDefaultAsync(cancellationToken));
            return new ProbeResult
            {
                Refused = refused,
                CreatesOnce = createsOnce is true && content[0] == 2 ? false : createsOnce,
                PutTime = putTime,
                PutAt = (before, after),
                StoredAt = row?.StoredAt,
                IsLeft = !await DeleteAsync(cancellationToken) && isThere,
            };
        }
        catch (SalvorException) when (isThere)
        {
            // The failure is what counts; the object goes where it still can.
            await DeleteQuietlyAsync(cancellationToken);
            throw;
        }
    }

    async Task ReadAsync(byte[] content, bool isThere, CancellationToken cancellationToken)
    {
        try
        {
            await store.ReadAsync(key, 0, content, cancellationToken);
        }
        catch (StorageException e) when (e.Failure == StorageFailure.NotFound && !isThere)
        {
            // May be read, if it were there.
        }
    }

    /// <summary>Whether it may be deleted.</summary>
    async Task<bool> DeleteAsync(CancellationToken cancellationToken)
    {
        await TryAsync("delete", () => store.DeleteAsync(key, cancellationToken));
        return refused.All(item => item.Verb != "delete");
    }

    async Task DeleteQuietlyAsync(CancellationToken cancellationToken)
    {
        try
        {
            await store.DeleteAsync(key, cancellationToken);
        }
        catch (SalvorException)
        {
            // What the caller is told is the failure before this one.
        }
    }

    async Task TryAsync(string verb, Func<Task> call)
    {
        try
        {
            await call();
        }
        catch (StorageException e) when (e.Failure == StorageFailure.Denied)
        {
            refused.Add((verb, e));
        }
    }
}
