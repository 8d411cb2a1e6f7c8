using Salvor.Storage;

namespace Salvor.Tests.Support;

/// <summary>A store in which the puts below a prefix hang until they are cancelled.</summary>
sealed class HeldStore : IObjectStore
{
    readonly MemoryStore inner = new();
    volatile string? holds;

    /// <summary>What the keys begin with; null for none.</summary>
    public string? Holds
    {
        get => holds;
        set => holds = value;
    }

    public bool HasHeld { get; private set; }

    public string Location => inner.Location;

    public async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (holds is { } prefix && key.StartsWith(prefix, StringComparison.Ordinal))
        {
            HasHeld = true;
            await Task.Delay(Timeout.Infinite, cancellationToken);
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
