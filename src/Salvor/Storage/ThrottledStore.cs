using System.Runtime.CompilerServices;

namespace Salvor.Storage;

/// <summary>Keeps to the limits of a destination, which all of its stores in this process share. What waits was not sent yet.</summary>
/// <param name="inner">The store.</param>
/// <param name="limits">The limits.</param>
public sealed class ThrottledStore(IObjectStore inner, StoreLimits limits) : IObjectStore
{
    /// <inheritdoc/>
    public string Location => inner.Location;

    /// <inheritdoc/>
    public async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await limits.TakeUploadAsync(content.Length, cancellationToken);
        using var call = await limits.BeginAsync(cancellationToken);
        return await inner.PutAsync(key, content, cancellationToken);
    }

    /// <inheritdoc/>
    public async Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await limits.TakeUploadAsync(content.Length, cancellationToken);
        using var call = await limits.BeginAsync(cancellationToken);
        await inner.ReplaceAsync(key, content, cancellationToken);
    }

    /// <inheritdoc/>
    public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        ReadAsync(() => inner.ReadAsync(key, offset, buffer, cancellationToken), buffer.Length, cancellationToken);

    /// <summary>How much it is shows when it has come; then it is paid for before anything else is asked for.</summary>
    public async Task<ObjectEnd?> ReadEndAsync(string key, int lengthMax, CancellationToken cancellationToken)
    {
        ObjectEnd? end;
        using (await limits.BeginAsync(cancellationToken))
        {
            end = await inner.ReadEndAsync(key, lengthMax, cancellationToken);
        }

        await limits.TakeDownloadAsync(end?.Length ?? 0, cancellationToken);
        return end;
    }

    /// <inheritdoc/>
    public async Task<long?> SizeAsync(string key, CancellationToken cancellationToken)
    {
        using var call = await limits.BeginAsync(cancellationToken);
        return await inner.SizeAsync(key, cancellationToken);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var rows = inner.ListAsync(prefix, after, cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (await MoveNextAsync())
        {
            yield return rows.Current;
        }

        // Not while the caller looks at a row: it may call this store.
        async Task<bool> MoveNextAsync()
        {
            using var call = await limits.BeginAsync(cancellationToken);
            return await rows.MoveNextAsync();
        }
    }

    /// <inheritdoc/>
    public async Task<bool> KeepsEarlierAsync(CancellationToken cancellationToken)
    {
        using var call = await limits.BeginAsync(cancellationToken);
        return await inner.KeepsEarlierAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ObjectVersion>> EarlierAsync(string key, CancellationToken cancellationToken)
    {
        using var call = await limits.BeginAsync(cancellationToken);
        return await inner.EarlierAsync(key, cancellationToken);
    }

    /// <inheritdoc/>
    public Task<int> ReadEarlierAsync(
        string key, ObjectVersion version, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        ReadAsync(() => inner.ReadEarlierAsync(key, version, offset, buffer, cancellationToken), buffer.Length, cancellationToken);

    /// <inheritdoc/>
    public async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        using var call = await limits.BeginAsync(cancellationToken);
        await inner.DeleteAsync(key, cancellationToken);
    }

    async Task<int> ReadAsync(Func<Task<int>> read, int bytesMax, CancellationToken cancellationToken)
    {
        await limits.TakeDownloadAsync(bytesMax, cancellationToken);
        var came = 0;
        try
        {
            using var call = await limits.BeginAsync(cancellationToken);
            return came = await read();
        }
        finally
        {
            limits.ReturnDownload(bytesMax, bytesMax - came);
        }
    }
}
