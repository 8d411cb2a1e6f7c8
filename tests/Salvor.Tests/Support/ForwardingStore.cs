using Salvor.Storage;

namespace Salvor.Tests.Support;

/// <summary>Passes every call on. What a test wants otherwise, it overrides.</summary>
abstract class ForwardingStore(IObjectStore inner) : IObjectStore
{
    public string Location => inner.Location;

    public virtual Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        inner.PutAsync(key, content, cancellationToken);

    public virtual Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        inner.ReadAsync(key, offset, buffer, cancellationToken);

    /// <summary>By the two calls of this store, so that what is otherwise about them is otherwise about this.</summary>
    public virtual Task<ObjectEnd?> ReadEndAsync(string key, int lengthMax, CancellationToken cancellationToken) =>
        ObjectEnd.ReadAsync(this, key, lengthMax, cancellationToken);

    public virtual Task<long?> SizeAsync(string key, CancellationToken cancellationToken) => inner.SizeAsync(key, cancellationToken);

    public virtual IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
        inner.ListAsync(prefix, after, cancellationToken);

    public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        inner.ReplaceAsync(key, content, cancellationToken);

    public virtual Task DeleteAsync(string key, CancellationToken cancellationToken) => inner.DeleteAsync(key, cancellationToken);

    public Task<bool> KeepsEarlierAsync(CancellationToken cancellationToken) => inner.KeepsEarlierAsync(cancellationToken);

    public virtual Task<IReadOnlyList<ObjectVersion>> EarlierAsync(string key, CancellationToken cancellationToken) =>
        inner.EarlierAsync(key, cancellationToken);

    public virtual Task<int> ReadEarlierAsync(
        string key, ObjectVersion version, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        inner.ReadEarlierAsync(key, version, offset, buffer, cancellationToken);
}
