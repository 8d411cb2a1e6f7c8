
namespace Salvor.Storage;

/// <summary>
/// Where a destination's objects live: a flat, ordered space of immutable byte strings. Every implementation obeys one
/// contract (<c>StoreContract</c>), in the tests and by <c>salvor bench destination</c>.
/// <para>
/// A key is one or more segments of <c>[A-Za-z0-9._-]</c> joined by <c>/</c>. Segments that start with a dot are unfinished
/// files and never listed. All failures are <see cref="StorageException"/>.
/// </para>
/// </summary>
public interface IObjectStore
{
    /// <summary>
    /// What messages call this place: a path, for example <c>/var/backups/salvor</c>, or a URL with which it can be opened again. It never
    /// ends in a slash and has no secrets.
    /// </summary>
    string Location { get; }

    /// <summary>
    /// Creates an object unless the key exists. When this returns <see cref="PutResult.Created"/> the object survives a loss of power.
    /// An existing object is never replaced.
    /// </summary>
    Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken);

    /// <summary>
    /// Reads from <paramref name="offset"/> until the buffer is full or the object ends; returns the bytes read (0 at or past the end).
    /// Throws <see cref="StorageFailure.NotFound"/> where the key does not exist.
    /// </summary>
    Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>
    /// Reads the beginnings of many objects, several at a time, and hands each on, in any order and on any thread: up to
    /// <paramref name="length"/> bytes of it, or why it could not be read. A listing of 100,000 objects is looked at in this way.
    /// </summary>
    /// <param name="keyOf">The key by index, from 0 to <paramref name="count"/> - 1; called once each, on any thread.</param>
    Task ReadStartsAsync(int count, Func<int, string> keyOf, int length, StartRead read, CancellationToken cancellationToken)
    {
        return InFlight.ForEachAsync(count, ReadStartAsync, cancellationToken);

        async Task ReadStartAsync(int index)
        {
            var buffer = Buffers.Rent(length);
            try
            {
                var (bytes, failure) = (0, (StorageException?)null);
                try
                {
                    bytes = await ReadAsync(keyOf(index), 0, buffer.AsMemory(0, length), cancellationToken);
                }
                catch (StorageException e)
                {
                    failure = e;
                }

                read(index, buffer.AsSpan(0, bytes), failure);
            }
            finally
            {
                Buffers.Return(buffer);
            }
        }
    }

    /// <summary>
    /// The last bytes of an object, all of it where it is no longer than <paramref name="lengthMax"/>, with its size; null where the key
    /// does not exist. One call where the destination can say both at once: a question for the size is a round trip.
    /// </summary>
    Task<ObjectEnd?> ReadEndAsync(string key, int lengthMax, CancellationToken cancellationToken) =>
        ObjectEnd.ReadAsync(this, key, lengthMax, cancellationToken);

    /// <summary>The size of an object in bytes, or null where the key does not exist.</summary>
    Task<long?> SizeAsync(string key, CancellationToken cancellationToken);

    /// <summary>
    /// Every object whose key starts with <paramref name="prefix"/> and sorts after <paramref name="after"/>, in ordinal key order. A
    /// place that was never written to lists as empty.
    /// </summary>
    IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken);

    /// <summary>
    /// Gives an object this content in one step, whether it exists or not: whoever reads it meanwhile has the old bytes or the new ones.
    /// Durable on return. Only for repair, which puts the good bytes of an object over damaged ones.
    /// </summary>
    Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken);

    /// <summary>
    /// Removes an object for good, with all that the destination keeps of it. Removing what does not exist succeeds; where something of it
    /// has to stay, fails with <see cref="StorageFailure.Denied"/> and hides nothing.
    /// </summary>
    Task DeleteAsync(string key, CancellationToken cancellationToken);

    /// <summary>
    /// Whether the destination keeps what others delete and overwrite. Then what was only hidden is there still for every call, and
    /// <see cref="EarlierAsync"/> has what was overwritten.
    /// </summary>
    Task<bool> KeepsEarlierAsync(CancellationToken cancellationToken) => Task.FromResult(false);

    /// <summary>
    /// The contents of a key that newer ones were put over, oldest first; none where nothing was overwritten, or the destination does not
    /// keep it.
    /// </summary>
    Task<IReadOnlyList<ObjectVersion>> EarlierAsync(string key, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<ObjectVersion>>([]);

    /// <summary>As <see cref="ReadAsync"/>, of an earlier content.</summary>
    Task<int> ReadEarlierAsync(
        string key, ObjectVersion version, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        Task.FromException<int>(StorageErrors.NotFound(key, Location));
}

/// <summary>An earlier content of a key.</summary>
/// <param name="Id">What the destination calls it.</param>
/// <param name="SizeBytes">Its size.</param>
public readonly record struct ObjectVersion(string Id, long SizeBytes);

/// <summary>Takes the beginning of an object; the bytes are valid during the call.</summary>
/// <param name="index">Which object.</param>
/// <param name="start">Its first bytes, fewer where it is shorter; none where it could not be read.</param>
/// <param name="failure">Why it could not be read, or null.</param>
public delegate void StartRead(int index, ReadOnlySpan<byte> start, StorageException? failure);

/// <summary>What a put did.</summary>
public enum PutResult
{
    /// <summary>The object was created and is durable.</summary>
    Created,

    /// <summary>The key exists already; nothing changed.</summary>
    AlreadyExists,
}

/// <summary>One row of a listing.</summary>
public readonly record struct ObjectInfo(string Key, long SizeBytes)
{
    /// <summary>When the destination stored it, by its own clock; null where it does not say. For figures only.</summary>
    public DateTimeOffset? StoredAt { get; init; }

    /// <summary>Whether somebody deleted it, and it can be read only because the destination keeps what is deleted.</summary>
    public bool IsHidden { get; init; }
}

/// <summary>Why a call to a store failed, by what a caller does next.</summary>
public enum StorageFailure
{
    /// <summary>The key does not exist.</summary>
    NotFound,

    /// <summary>May pass: try again later.</summary>
    Unreachable,

    /// <summary>Will not pass by itself: permissions, a wrong path.</summary>
    Denied,

    /// <summary>No space left at the destination. May pass.</summary>
    Full,
}

/// <summary>A call to a store failed.</summary>
public sealed class StorageException(StorageFailure failure, string message, string hint, Exception? inner = null)
    : SalvorException(
        failure == StorageFailure.NotFound ? FailureKind.Integrity : FailureKind.DestinationUnreachable, message, hint, inner)
{
    /// <summary>What a caller does next.</summary>
    public StorageFailure Failure { get; } = failure;

    /// <summary>How long the destination asks to be left alone; null where it does not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether the same call may succeed later.</summary>
    public bool MayPass => Failure is StorageFailure.Unreachable or StorageFailure.Full;
}

/// <summary>Calls made of the calls of <see cref="IObjectStore"/>.</summary>
public static class ObjectStoreExtensions
{
    /// <summary>The whole object, or null where the key does not exist. Refuses what is larger than <paramref name="sizeMax"/>.</summary>
    public static async Task<byte[]?> GetAsync(
        this IObjectStore store, string key, long sizeMax, CancellationToken cancellationToken)
    {
        if (await store.ReadEndAsync(key, (int)Math.Min(sizeMax, Array.MaxLength), cancellationToken) is not { } end)
        {
            return null;
        }

        try
        {
            return end.SizeBytes <= sizeMax
                ? end.Buffer[..end.Length]
                : throw new SalvorException(
                    FailureKind.Integrity,
                    $"object {key} at {store.Location} has {end.SizeBytes} bytes, more than the {sizeMax} that the format allows",
                    "The object is damaged or foreign. Run 'salvor list --verbose' to see what else is affected.");
        }
        finally
        {
            Buffers.Return(end.Buffer);
        }
    }
}
