namespace Salvor.Storage;

/// <summary>
/// What this process stored a moment ago, for those of its parts that read it next: at a destination far away each read is a round trip
/// that is paid for. Bounded in bytes and in time; what is not here is read from its store.
/// </summary>
/// <param name="bytesMax">How much is kept.</param>
/// <param name="time">The clock.</param>
public sealed class RecentObjects(long bytesMax, TimeProvider time)
{
    /// <summary>A larger object is not read often enough to be worth the memory.</summary>
    const int ObjectBytesMax = 1 << 20;

    /// <summary>After this nobody is expected to ask for it any more.</summary>
    static readonly TimeSpan Kept = TimeSpan.FromMinutes(3);

    readonly Lock gate = new();
    readonly Dictionary<(IObjectStore Store, string Key), Entry> entries = [];
    readonly Queue<Entry> order = [];
    long bytes;

    sealed record Entry(IObjectStore Store, string Key, byte[] Content, long NotedAt);

    /// <summary>Lets go of what is too old.</summary>
    public void Trim()
    {
        lock (gate)
        {
            while (order.TryPeek(out var oldest) && (bytes > bytesMax || time.GetElapsedTime(oldest.NotedAt) > Kept))
            {
                order.Dequeue();
                bytes -= oldest.Content.Length;
                if (entries.TryGetValue((oldest.Store, oldest.Key), out var entry) && entry == oldest)
                {
                    entries.Remove((oldest.Store, oldest.Key));
                }
            }
        }
    }

    internal void Note(IObjectStore store, string key, ReadOnlyMemory<byte> content)
    {
        if (content.Length > Math.Min(bytesMax, ObjectBytesMax))
        {
            return;
        }

        lock (gate)
        {
            var entry = new Entry(store, key, content.ToArray(), time.GetTimestamp());
            entries[(store, key)] = entry;
            order.Enqueue(entry);
            bytes += content.Length;
        }

        Trim();
    }

    internal void Forget(IObjectStore store, string key)
    {
        lock (gate)
        {
            // Its bytes count until its turn comes.
            entries.Remove((store, key));
        }
    }

    internal byte[]? Find(IObjectStore store, string key)
    {
        lock (gate)
        {
            return entries.GetValueOrDefault((store, key))?.Content;
        }
    }
}

/// <summary>
/// A store that notes in <see cref="RecentObjects"/> what it creates of some objects. Only what the store confirmed is noted, and only what
/// is read for its content may be answered from there: whoever asks whether an object is still whole at its destination reads it there.
/// </summary>
/// <param name="inner">The store.</param>
/// <param name="recent">Shared by all parts of the process.</param>
/// <param name="isNoted">Which keys are worth it; objects that are never given another content.</param>
/// <param name="answers">Whether reads are answered from what was noted; otherwise all of them go to the store.</param>
public sealed class RecentStore(IObjectStore inner, RecentObjects recent, Func<string, bool> isNoted, bool answers) : IObjectStore
{
    public string Location => inner.Location;

    public async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var result = await inner.PutAsync(key, content, cancellationToken);
        if (result == PutResult.Created && isNoted(key))
        {
            recent.Note(inner, key, content);
        }

        return result;
    }

    public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (Find(key) is not { } content)
        {
            return inner.ReadAsync(key, offset, buffer, cancellationToken);
        }

        var count = (int)Math.Clamp(content.Length - offset, 0, buffer.Length);
        content.AsSpan((int)Math.Min(offset, content.Length), count).CopyTo(buffer.Span);
        return Task.FromResult(count);
    }

    public Task<ObjectEnd?> ReadEndAsync(string key, int lengthMax, CancellationToken cancellationToken) => Find(key) is null
        ? inner.ReadEndAsync(key, lengthMax, cancellationToken)
        : ObjectEnd.ReadAsync(this, key, lengthMax, cancellationToken);

    public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) =>
        Find(key) is { } content ? Task.FromResult<long?>(content.Length) : inner.SizeAsync(key, cancellationToken);

    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
        inner.ListAsync(prefix, after, cancellationToken);

    public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        recent.Forget(inner, key);
        return inner.ReplaceAsync(key, content, cancellationToken);
    }

    public Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        recent.Forget(inner, key);
        return inner.DeleteAsync(key, cancellationToken);
    }

    public Task<bool> KeepsEarlierAsync(CancellationToken cancellationToken) => inner.KeepsEarlierAsync(cancellationToken);

    public Task<IReadOnlyList<ObjectVersion>> EarlierAsync(string key, CancellationToken cancellationToken) =>
        inner.EarlierAsync(key, cancellationToken);

    public Task<int> ReadEarlierAsync(
        string key, ObjectVersion version, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        inner.ReadEarlierAsync(key, version, offset, buffer, cancellationToken);

    byte[]? Find(string key) => answers ? recent.Find(inner, key) : null;
}
