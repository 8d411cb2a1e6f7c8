using System.Runtime.CompilerServices;

namespace Salvor.Storage;

/// <summary>
/// A destination in memory: for tests, and for trying things out. It refuses what any real destination refuses, so that nothing
/// works here alone.
/// </summary>
public sealed class MemoryStore : IObjectStore
{
    readonly Lock gate = new();
    readonly SortedDictionary<string, byte[]> objects = new(StringComparer.Ordinal);

    // A file system keeps a folder after its last file is gone, and then no file can have its name.
    readonly HashSet<string> folders = [];

    /// <inheritdoc/>
    public string Location => "memory";

    /// <inheritdoc/>
    public Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        Run(key, () =>
        {
            if (objects.ContainsKey(key))
            {
                return PutResult.AlreadyExists;
            }

            AddFoldersOf(key);
            objects.Add(key, content.ToArray());
            return PutResult.Created;
        }, cancellationToken);

    /// <inheritdoc/>
    public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        Run(key, () =>
        {
            if (!objects.TryGetValue(key, out var content))
            {
                throw StorageErrors.NotFound(key, Location);
            }

            var rest = content.AsSpan((int)Math.Min(offset, content.Length));
            var count = Math.Min(rest.Length, buffer.Length);
            rest[..count].CopyTo(buffer.Span);
            return count;
        }, cancellationToken);

    /// <inheritdoc/>
    public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) =>
        Run(key, () => objects.TryGetValue(key, out var content) ? content.Length : (long?)null, cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ObjectKey.CheckPrefix(prefix);
        List<ObjectInfo> found = [];
        lock (gate)
        {
            foreach (var (key, content) in objects)
            {
                if (key.StartsWith(prefix, StringComparison.Ordinal) && string.CompareOrdinal(key, after) > 0)
                {
                    found.Add(new(key, content.Length));
                }
            }
        }

        foreach (var item in found)
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return item;
        }

        await Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        Run(key, () =>
        {
            AddFoldersOf(key);
            return objects[key] = content.ToArray();
        }, cancellationToken);

    /// <inheritdoc/>
    public Task DeleteAsync(string key, CancellationToken cancellationToken) =>
        Run(key, () => objects.Remove(key), cancellationToken);

    void AddFoldersOf(string key)
    {
        if (folders.Contains(key))
        {
            throw StorageErrors.InTheWay(key, Location);
        }

        for (var end = key.IndexOf('/'); end >= 0; end = key.IndexOf('/', end + 1))
        {
            var folder = key[..end];
            if (objects.ContainsKey(folder))
            {
                throw StorageErrors.InTheWay(folder, Location);
            }

            folders.Add(folder);
        }
    }

    /// <summary>Runs a step under the lock. A failure is the task's, as with a store that really waits.</summary>
    Task<T> Run<T>(string key, Func<T> step, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled<T>(cancellationToken);
        }

        try
        {
            ObjectKey.Check(key);
            lock (gate)
            {
                return Task.FromResult(step());
            }
        }
        catch (StorageException e)
        {
            return Task.FromException<T>(e);
        }
    }
}
