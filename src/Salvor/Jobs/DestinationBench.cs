using System.Globalization;
using Salvor.Storage;

namespace Salvor.Jobs;

/// <summary>How long one kind of call took.</summary>
/// <param name="Call">The call.</param>
/// <param name="Count">How many were made, one after the other.</param>
/// <param name="P50">Half of them were faster.</param>
/// <param name="Max">The slowest.</param>
public sealed record CallTimes(string Call, int Count, TimeSpan P50, TimeSpan Max);

/// <summary>How fast bytes went one way.</summary>
/// <param name="Bytes">How many.</param>
/// <param name="AtOnce">In how many calls at once.</param>
/// <param name="Time">How long it took.</param>
public sealed record Throughput(long Bytes, int AtOnce, TimeSpan Time)
{
    /// <summary>In bytes a second.</summary>
    public double BytesPerSecond => Bytes / Math.Max(Time.TotalSeconds, 1e-6);
}

/// <summary>A promise that a destination keeps or breaks.</summary>
/// <param name="Name">In words.</param>
/// <param name="Broken">How it is broken; null where it is kept.</param>
public sealed record PromiseResult(string Name, string? Broken);

/// <summary>
/// Tries a destination before it is trusted: which calls it allows, whether it keeps every promise that backups rest on, and how fast it
/// is. All of it happens in a folder of its own, which is removed as far as the destination lets us.
/// </summary>
/// <param name="store">The destination.</param>
/// <param name="time">The clock.</param>
/// <param name="random">Names the folder.</param>
public sealed class DestinationBench(IObjectStore store, TimeProvider time, Random random)
{
    /// <summary>Beside the vaults of a destination, and no name of a source begins like it.</summary>
    const string Folder = "_bench";

    const int LatencyBytes = 1 << 10;
    const int LatencyCalls = 40;
    const int ThroughputAtOnce = 4;

    /// <summary>What a pack of chunks takes about.</summary>
    const int ThroughputBytes = 8 << 20;

    readonly string root = string.Create(CultureInfo.InvariantCulture, $"{Folder}/{random.NextInt64():x16}");

    /// <summary>
    /// The calls that are refused, by name; empty where all are allowed. Throws where the destination cannot be reached or the bucket is
    /// not there.
    /// </summary>
    public async Task<IReadOnlyList<(string Verb, StorageException Failure)>> FindRefusedAsync(CancellationToken cancellationToken) =>
        (await DestinationProbe.RunAsync(store, $"{root}/probe", time, cancellationToken)).Refused;

    /// <summary>Every promise of <see cref="StoreContract"/>, in its order. Each needs all calls.</summary>
    /// <param name="tried">Told of each.</param>
    public async Task<IReadOnlyList<PromiseResult>> TryPromisesAsync(Action<PromiseResult> tried, CancellationToken cancellationToken)
    {
        var results = new List<PromiseResult>();
        foreach (var (index, promise) in StoreContract.Cases.Index())
        {
            string? broken = null;
            try
            {
                await promise.RunAsync(store, $"{root}/promise-{index:D2}", cancellationToken);
            }
            catch (StoreContractException e)
            {
                broken = e.InnerException?.Message ?? e.Message;
            }

            results.Add(new PromiseResult(promise.Name, broken));
            tried(results[^1]);
        }

        return results;
    }

    /// <summary>How long small calls take, one after the other.</summary>
    public async Task<IReadOnlyList<CallTimes>> MeasureLatencyAsync(bool canDelete, CancellationToken cancellationToken)
    {
        var content = NewContent(LatencyBytes);
        var times = new List<CallTimes>
        {
            await MeasureAsync("put", index => store.PutAsync(Small(index), content, cancellationToken)),
            await MeasureAsync("get", index => store.ReadAsync(Small(index), 0, new byte[LatencyBytes], cancellationToken)),
            await MeasureAsync("size", index => store.SizeAsync(Small(index), cancellationToken)),
            await MeasureAsync(
                "list", index => store.ListAsync($"{root}/small/", Small(index), cancellationToken).AnyAsync(cancellationToken).AsTask()),
        };
        if (canDelete)
        {
            times.Add(await MeasureAsync("delete", index => store.DeleteAsync(Small(index), cancellationToken)));
        }

        return times;
    }

    /// <summary>How fast large objects are written and read, several at once.</summary>
    public async Task<(Throughput Write, Throughput Read)> MeasureThroughputAsync(
        long bytes, bool canDelete, CancellationToken cancellationToken)
    {
        var count = (int)Math.Max(1, bytes / ThroughputBytes);
        var content = NewContent(ThroughputBytes);
        var write = await MeasureAsync(count, index => store.PutAsync(Large(index), content, cancellationToken), cancellationToken);
        var read = await MeasureAsync(
            count, index => store.ReadAsync(Large(index), 0, new byte[ThroughputBytes], cancellationToken), cancellationToken);
        for (var index = 0; canDelete && index < count; index++)
        {
            await store.DeleteAsync(Large(index), cancellationToken);
        }

        return (write, read);
    }

    string Small(int index) => string.Create(CultureInfo.InvariantCulture, $"{root}/small/{index:D4}");

    string Large(int index) => string.Create(CultureInfo.InvariantCulture, $"{root}/large/{index:D4}");

    /// <summary>Nothing that a destination could store in less.</summary>
    byte[] NewContent(int bytes)
    {
        var content = new byte[bytes];
        random.NextBytes(content);
        return content;
    }

    async Task<CallTimes> MeasureAsync(string name, Func<int, Task> call)
    {
        var times = new List<TimeSpan>(LatencyCalls);
        for (var index = 0; index < LatencyCalls; index++)
        {
            var started = time.GetTimestamp();
            await call(index);
            times.Add(time.GetElapsedTime(started));
        }

        times.Sort();
        return new CallTimes(name, LatencyCalls, times[times.Count / 2], times[^1]);
    }

    async Task<Throughput> MeasureAsync(int count, Func<int, Task> call, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var options = new ParallelOptions { MaxDegreeOfParallelism = ThroughputAtOnce, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, count, options, async (index, _) => await call(index));
        return new Throughput((long)count * ThroughputBytes, Math.Min(ThroughputAtOnce, count), time.GetElapsedTime(started));
    }
}
