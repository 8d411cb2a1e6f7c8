using Salvor.Storage;
using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>How objects are read: here, from another copy, or as they were before they were overwritten.</summary>
public sealed partial class VaultAccess
{
    bool isAlone;

    /// <summary>
    /// Opens an object; where it is missing or damaged here, and in each frame that is, that of the first good copy, or what was there
    /// before it was overwritten.
    /// </summary>
    /// <param name="misplaced">What is wrong with a header in this place, or null.</param>
    internal async Task<StoredObject> OpenAsync(
        string key, ObjectKind kind, bool whole, CancellationToken cancellationToken, Func<ObjectHeader, string?>? misplaced = null)
    {
        try
        {
            var stored = await OpenHereAsync(key, kind, whole, misplaced, cancellationToken);
            stored.OtherCopy = (damage, cancel) => TryOpenCopyAsync(key, kind, whole, misplaced, damage, 0, cancel);
            return stored;
        }
        catch (SalvorException e) when (StoredObject.IsBad(e))
        {
            if (await TryOpenCopyAsync(key, kind, whole, misplaced, e, 0, cancellationToken) is { } copy)
            {
                return copy;
            }

            throw;
        }
    }

    async Task<StoredObject> OpenHereAsync(
        string key, ObjectKind kind, bool whole, Func<ObjectHeader, string?>? misplaced, CancellationToken cancellationToken)
    {
        var stored = await StoredObject.OpenAsync(Store, Prefix, key, kind, Secrets, whole, cancellationToken);
        var problem = Misplaced(stored.Header, misplaced);
        if (problem is null)
        {
            return stored;
        }

        stored.Dispose();
        throw new DamagedObjectException(key, problem);
    }

    /// <summary>
    /// The object at the first other destination that has it whole enough to open, or else as it was before it was overwritten; null where
    /// there is none.
    /// </summary>
    /// <param name="start">How many of these places are passed over.</param>
    async Task<StoredObject?> TryOpenCopyAsync(
        string key, ObjectKind kind, bool whole, Func<ObjectHeader, string?>? misplaced, SalvorException damage, int start,
        CancellationToken cancellationToken)
    {
        if (isAlone)
        {
            return null;
        }

        IReadOnlyList<VaultAccess>? all = null;
        for (var i = start; ; i++)
        {
            var places = i < Copies.Count
                ? Copies
                : all ??= [.. Copies, .. await EarlierAsync(key, damage is not StorageException, cancellationToken)];
            if (i >= places.Count)
            {
                return null;
            }

            // A copy that is opened has the places after it as its own copies.
            var (place, next) = (places[i].With(Id, Identity, Secrets), i + 1);
            try
            {
                var stored = await place.OpenHereAsync(key, kind, whole, misplaced, cancellationToken);
                stored.OtherCopy = (further, cancel) => TryOpenCopyAsync(key, kind, whole, misplaced, further, next, cancel);
                FellThrough?.Invoke(this, damage as DamagedObjectException ?? new DamagedObjectException(key, damage.Message));
                return stored;
            }
            catch (SalvorException e) when (StoredObject.IsBad(e))
            {
                // The next place may have it. What is wrong with this one, 'verify' says.
            }
        }
    }

    /// <summary>This vault as it was for one object before that was overwritten, what is oldest first.</summary>
    internal async Task<IReadOnlyList<VaultAccess>> EarlierAsync(string key, CancellationToken cancellationToken) =>
        [.. (await Versions.EarlierAsync(Store, KeyOf(key), cancellationToken)).Select(At)];

    async Task<IReadOnlyList<VaultAccess>> EarlierAsync(string key, bool isReachable, CancellationToken cancellationToken)
    {
        var earlier = new List<VaultAccess>();
        foreach (var place in (IEnumerable<VaultAccess>)[.. isReachable ? [this] : Array.Empty<VaultAccess>(), .. Copies])
        {
            try
            {
                earlier.AddRange(await place.EarlierAsync(key, cancellationToken));
            }
            catch (StorageException)
            {
                // What cannot be reached has nothing for us. The failure that brought us here is told.
            }
        }

        return earlier;
    }

    VaultAccess With(Guid id, VaultIdentity identity, VaultSecrets secrets) => new(Store, Name, id, identity, secrets);

    /// <summary>
    /// The header of an object, in one call and without looking at the rest of it; where it is missing or damaged here, that of the first
    /// good copy.
    /// </summary>
    /// <param name="misplaced">What is wrong with a header in this place, or null.</param>
    internal async Task<ObjectHeader> ReadHeaderAsync(
        string key, ObjectKind kind, Func<ObjectHeader, string?> misplaced, CancellationToken cancellationToken)
    {
        try
        {
            return await ReadHeaderHereAsync(key, kind, misplaced, cancellationToken);
        }
        catch (SalvorException e) when (StoredObject.IsBad(e))
        {
            using var copy = await TryOpenCopyAsync(key, kind, whole: false, misplaced, e, 0, cancellationToken);
            if (copy is null)
            {
                throw;
            }

            return copy.Header;
        }
    }

    async Task<ObjectHeader> ReadHeaderHereAsync(
        string key, ObjectKind kind, Func<ObjectHeader, string?> misplaced, CancellationToken cancellationToken)
    {
        var bytes = new byte[ObjectHeader.SizeBytes];
        try
        {
            var read = await Store.ReadAsync(Prefix + key, 0, bytes, cancellationToken);
            return ReadHeader(key, kind, bytes.AsSpan(0, read), misplaced);
        }
        catch (StorageException e) when (e.Failure == StorageFailure.NotFound)
        {
            throw Missing(key);
        }
    }

    /// <summary>As <see cref="ReadHeaderAsync"/>, for many objects: in the order of their indexes.</summary>
    /// <param name="keyOf">The key by index.</param>
    /// <param name="misplaced">What is wrong with a header under a key, or null.</param>
    internal async Task<ObjectHeader[]> ReadHeadersAsync(
        int count, Func<int, string> keyOf, ObjectKind kind, Func<string, ObjectHeader, string?> misplaced,
        CancellationToken cancellationToken)
    {
        var headers = new ObjectHeader[count];
        void Take(int index, ReadOnlySpan<byte> start, StorageException? failure)
        {
            var key = keyOf(index);
            try
            {
                headers[index] = failure is null ? ReadHeader(key, kind, start, header => misplaced(key, header))
                    : failure.Failure == StorageFailure.NotFound ? throw Missing(key)
                    : throw failure;
            }
            catch (SalvorException e) when (StoredObject.IsBad(e))
            {
                // Looked at once more, alone, and then at the copies.
            }
        }

        await Store.ReadStartsAsync(count, index => Prefix + keyOf(index), ObjectHeader.SizeBytes, Take, cancellationToken);
        for (var i = 0; i < count; i++)
        {
            headers[i] ??= await ReadHeaderAsync(keyOf(i), kind, header => misplaced(keyOf(i), header), cancellationToken);
        }

        return headers;
    }

    ObjectHeader ReadHeader(string key, ObjectKind kind, ReadOnlySpan<byte> start, Func<ObjectHeader, string?> misplaced)
    {
        var header = ObjectHeader.Read(key, start);
        return header.Kind != kind
            ? throw new DamagedObjectException(key, $"it is a {header.Kind} object where a {kind} object belongs")
            : Misplaced(header, misplaced) is { } problem ? throw new DamagedObjectException(key, problem)
            : header;
    }

    DamagedObjectException Missing(string key) => new(key, $"it is missing from {Store.Location}") { IsMissing = true };
}
