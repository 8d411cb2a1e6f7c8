using System.Runtime.CompilerServices;
using Salvor.Storage;

namespace Salvor.Tests.Support;

/// <summary>What a store is asked to do.</summary>
public enum StoreOperation
{
    Put,
    Read,
    Size,
    List,
    Delete,
    Replace,
}

/// <summary>One call to a store. The first has number 1; a listing's key is its prefix.</summary>
public readonly record struct StoreCall(int Number, StoreOperation Operation, string Key);

public enum Fault
{
    None,

    /// <summary>The call fails and has no effect.</summary>
    Before,

    /// <summary>The call takes effect, but its caller is told that it failed: the answer was lost.</summary>
    After,
}

/// <summary>
/// A store whose calls fail where the test says so, and take the time that the test says. A listing that fails
/// <see cref="Fault.After"/> is cut off at its end: the caller has seen every key but cannot know it.
/// </summary>
public sealed class FaultyStore(
    IObjectStore inner,
    Func<StoreCall, Fault> next,
    Func<StoreCall, TimeSpan>? latency = null,
    TimeProvider? time = null) : IObjectStore
{
    readonly TimeProvider time = time ?? TimeProvider.System;
    int callCount;

    public string Location => inner.Location;

    /// <summary>How many calls were made, failed ones too.</summary>
    public int CallCount => Volatile.Read(ref callCount);

    public Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        RunAsync(StoreOperation.Put, key, () => inner.PutAsync(key, content, cancellationToken), cancellationToken);

    public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        RunAsync(StoreOperation.Read, key, () => inner.ReadAsync(key, offset, buffer, cancellationToken), cancellationToken);

    public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) =>
        RunAsync(StoreOperation.Size, key, () => inner.SizeAsync(key, cancellationToken), cancellationToken);

    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var call = NextCall(StoreOperation.List, prefix);
        var fault = next(call);
        await TravelAsync(call, cancellationToken);
        ThrowIf(fault == Fault.Before, call);
        await foreach (var item in inner.ListAsync(prefix, after, cancellationToken))
        {
            yield return item;
        }

        ThrowIf(fault == Fault.After, call);
    }

    public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        RunAsync(
            StoreOperation.Replace,
            key,
            async () =>
            {
                await inner.ReplaceAsync(key, content, cancellationToken);
                return true;
            },
            cancellationToken);

    public Task DeleteAsync(string key, CancellationToken cancellationToken) =>
        RunAsync(
            StoreOperation.Delete,
            key,
            async () =>
            {
                await inner.DeleteAsync(key, cancellationToken);
                return true;
            },
            cancellationToken);

    async Task<T> RunAsync<T>(StoreOperation operation, string key, Func<Task<T>> step, CancellationToken cancellationToken)
    {
        var call = NextCall(operation, key);
        var fault = next(call);
        await TravelAsync(call, cancellationToken);
        ThrowIf(fault == Fault.Before, call);
        var result = await step();
        ThrowIf(fault == Fault.After, call);
        return result;
    }

    StoreCall NextCall(StoreOperation operation, string key) => new(Interlocked.Increment(ref callCount), operation, key);

    Task TravelAsync(StoreCall call, CancellationToken cancellationToken) =>
        latency is null ? Task.CompletedTask : Task.Delay(latency(call), time, cancellationToken);

    static void ThrowIf(bool isFault, StoreCall call)
    {
        if (isFault)
        {
            throw new StorageException(
                StorageFailure.Unreachable, $"injected fault in call {call.Number}: {call.Operation} {call.Key}", "Try again.");
        }
    }
}
