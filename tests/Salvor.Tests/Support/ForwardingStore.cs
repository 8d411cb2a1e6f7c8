using Salvor.Storage;

namespace Salvor.Tests.Support;

/// <summary>Passes every call on. What a test wants otherwise, it overrides.</summary>
abstract class ForwardingStore(IObjectStore inner) : IObjectStore
{
    public string Location => inner.Location;

    public virtual Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        inner.PutAsync(key, content, cancellationToken);

    public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        inner.ReadAsync(key, offset, buffer, cancellationToken);

    public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) => inner.SizeAsync(key, cancellationToken);

    public virtual IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
        inner.ListAsync(prefix, after, cancellationToken);

    public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        inner.ReplaceAsync(key, content, cancellationToken);

    public Task DeleteAsync(string key, CancellationToken cancellationToken) => inner.DeleteAsync(key, cancellationToken);
}
