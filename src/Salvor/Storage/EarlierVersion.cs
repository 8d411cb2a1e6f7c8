namespace Salvor.Storage;

/// <summary>
/// A destination as it was for one key before its content was overwritten: that content, and nothing besides. Only for reading.
/// </summary>
/// <param name="store">The destination.</param>
/// <param name="key">The key.</param>
/// <param name="version">Its earlier content.</param>
sealed class EarlierVersion(IObjectStore store, string key, ObjectVersion version) : IObjectStore
{
    public string Location => store.Location;

    public Task<int> ReadAsync(string asked, long offset, Memory<byte> buffer, CancellationToken cancellationToken) => asked == key
        ? store.ReadEarlierAsync(key, version, offset, buffer, cancellationToken)
        : Task.FromException<int>(StorageErrors.NotFound(asked, Location));

    public Task<long?> SizeAsync(string asked, CancellationToken cancellationToken) =>
        Task.FromResult(asked == key ? version.SizeBytes : (long?)null);

    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
        AsyncEnumerable.Empty<ObjectInfo>();

    public Task<PutResult> PutAsync(string asked, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        throw new InvalidOperationException("an earlier content is not written");

    public Task ReplaceAsync(string asked, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        throw new InvalidOperationException("an earlier content is not written");

    public Task DeleteAsync(string asked, CancellationToken cancellationToken) =>
        throw new InvalidOperationException("an earlier content is not deleted");
}
