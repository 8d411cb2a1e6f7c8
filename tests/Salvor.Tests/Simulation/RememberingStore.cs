using Salvor.Storage;

namespace Salvor.Tests.Simulation;

/// <summary>
/// What a destination holds, and beside it everything that was ever stored first under its key, but for compacted log objects: the
/// history as its writers made it, which compaction may not change.
/// </summary>
sealed class RememberingStore : IObjectStore
{
    readonly MemoryStore inner = new();

    /// <summary>Nothing is ever deleted here.</summary>
    public MemoryStore Memory { get; } = new();

    public string Location => inner.Location;

    public async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (!key[(key.LastIndexOf('/') + 1)..].Contains('-'))
        {
            await Memory.PutAsync(key, content, cancellationToken);
        }

        return await inner.PutAsync(key, content, cancellationToken);
    }

    public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        inner.ReadAsync(key, offset, buffer, cancellationToken);

    public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) => inner.SizeAsync(key, cancellationToken);

    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
        inner.ListAsync(prefix, after, cancellationToken);

    public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        inner.ReplaceAsync(key, content, cancellationToken);

    public Task DeleteAsync(string key, CancellationToken cancellationToken) => inner.DeleteAsync(key, cancellationToken);
}
