using Salvor.Storage;

namespace Salvor.Tests.Simulation;

/// <summary>
/// The way of one process to the destination. It knows which puts are under way, because these may still arrive after their process died.
/// </summary>
sealed class ProcessStore(IObjectStore inner) : IObjectStore
{
    public List<(string Key, byte[] Content)> UnderWay { get; } = [];

    public string Location => inner.Location;

    public async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var put = (key, content.ToArray());
        UnderWay.Add(put);
        try
        {
            return await inner.PutAsync(key, content, cancellationToken);
        }
        finally
        {
            UnderWay.Remove(put);
        }
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
