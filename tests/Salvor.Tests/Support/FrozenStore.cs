using System.Runtime.CompilerServices;
using Salvor.Storage;

namespace Salvor.Tests.Support;

/// <summary>A copy of a store that is only read, and in which a test puts what no writer would.</summary>
sealed class FrozenStore : IObjectStore
{
    readonly SortedDictionary<string, byte[]> objects;

    FrozenStore(SortedDictionary<string, byte[]> objects) => this.objects = objects;

    public string Location => "memory";

    public IReadOnlyCollection<string> Keys => objects.Keys;

    public byte[] this[string key] => objects[key];

    public static async Task<FrozenStore> CopyAsync(IObjectStore store)
    {
        var objects = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        await foreach (var row in store.ListAsync("", null, default))
        {
            objects[row.Key] = (await store.GetAsync(row.Key, row.SizeBytes, default))!;
        }

        return new FrozenStore(objects);
    }

    /// <summary>The same with another object under this key, be it there already or not.</summary>
    public FrozenStore With(string key, byte[] content) => Change(copy => copy[key] = content);

    public FrozenStore Without(string key) => Change(copy => copy.Remove(key));

    public Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        throw new InvalidOperationException("a reader wrote");

    public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        throw new InvalidOperationException("a reader replaced");

    public Task DeleteAsync(string key, CancellationToken cancellationToken) => throw new InvalidOperationException("a reader deleted");

    public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) =>
        Task.FromResult(objects.TryGetValue(key, out var content) ? content.Length : (long?)null);

    public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (!objects.TryGetValue(key, out var content))
        {
            throw StorageErrors.NotFound(key, Location);
        }

        var rest = content.AsSpan((int)Math.Min(offset, content.Length));
        var count = Math.Min(rest.Length, buffer.Length);
        rest[..count].CopyTo(buffer.Span);
        return Task.FromResult(count);
    }

    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var (key, content) in objects)
        {
            if (key.StartsWith(prefix, StringComparison.Ordinal) && string.CompareOrdinal(key, after) > 0)
            {
                yield return new ObjectInfo(key, content.Length);
            }
        }

        await Task.CompletedTask;
    }

    FrozenStore Change(Action<SortedDictionary<string, byte[]>> change)
    {
        var copy = new SortedDictionary<string, byte[]>(objects, StringComparer.Ordinal);
        change(copy);
        return new FrozenStore(copy);
    }
}
