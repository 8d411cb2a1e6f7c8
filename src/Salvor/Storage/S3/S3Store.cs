using System.Collections.Concurrent;
using System.Net;
using System.Runtime.CompilerServices;

namespace Salvor.Storage.S3;

/// <summary>
/// A destination in a bucket, at Amazon's or any service that speaks its protocol. Each object is one object there, made by one request
/// with <c>If-None-Match: *</c>; what the service confirms, it keeps. Each call is sent once: who waits, and how long, is decided above.
/// </summary>
public sealed partial class S3Store : IObjectStore
{
    /// <summary>Below it a rarer storage class costs more than it saves: it charges for 128 KiB at least.</summary>
    const int ClassBytesMin = 128 << 10;

    const int RowsPerPage = 1000;

    /// <summary>How many hidden keys are remembered.</summary>
    const int HiddenMax = 100_000;

    /// <summary>Puts that meet each other are told to try again by Amazon's service; each time one of them is through.</summary>
    const int ConflictsMax = 20;

    const string EncryptionHeader = "x-amz-server-side-encryption";

    static readonly HttpStatusCode[] AnyStatus = Enum.GetValues<HttpStatusCode>();

    readonly S3Options options;
    readonly Func<string, bool> isRarelyRead;
    readonly S3Place place;
    readonly S3Client client;

    /// <summary>The same with credentials that may delete.</summary>
    readonly S3Client deleter;

    readonly S3Versions versions;

    /// <summary>What to read for keys that were found to be hidden: so that they are looked for once.</summary>
    readonly ConcurrentDictionary<string, ObjectVersion> hidden = new();

    /// <summary>Whether the service once answered as a service does where the bucket exists.</summary>
    volatile bool isBucketThere;

    /// <summary>Whether an object was stored in clear against the operator's will: no other follows it.</summary>
    volatile bool isEncryptionMissing;

    /// <summary>Connects to nothing yet. Throws <see cref="FailureKind.Usage"/> where the options name nothing to call.</summary>
    /// <param name="options">The bucket.</param>
    /// <param name="isRarelyRead">
    /// Which keys may have the configured storage class: a rarer one charges for each read, and for days that an object did not stay.
    /// </param>
    /// <param name="time">The clock of signatures and deadlines.</param>
    public S3Store(S3Options options, Func<string, bool> isRarelyRead, TimeProvider? time = null)
        : this(options, isRarelyRead, time ?? TimeProvider.System, AwsEnvironment.Current, HttpTransport.Remote, HttpTransport.Local)
    {
    }

    internal S3Store(
        S3Options options, Func<string, bool> isRarelyRead, TimeProvider time, AwsEnvironment environment, HttpMessageInvoker remote,
        HttpMessageInvoker local)
    {
        this.options = options;
        this.isRarelyRead = isRarelyRead;
        place = S3Place.Of(options, environment);
        var chain = new AwsCredentialChain(
            options.Credentials, options.Profile, place.Region, environment, local, remote, time, options.Service);
        client = new S3Client(place, chain, remote, time);
        deleter = options.Maintain is not { } maintain
            ? client
            : new S3Client(
                place,
                new AwsCredentialChain(
                    maintain.Credentials, maintain.Profile, place.Region, environment, local, remote, time, options.Service),
                remote, time);
        versions = new S3Versions(place, client, deleter, isNeeded: options.Lock is not null);
        Locks = new S3Locks(client, versions, time);
    }

    /// <summary>Which keys are locked where the options say so: not what is replaced every few minutes.</summary>
    public Func<string, bool> IsLocked { get; init; } = _ => true;

    /// <summary>What can be asked about locks.</summary>
    public S3Locks Locks { get; }

    /// <inheritdoc/>
    public string Location => place.Location;

    /// <inheritdoc/>
    public async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var call = WriteCall(key, content, place.Dialect.CreateOnly, HttpStatusCode.PreconditionFailed, HttpStatusCode.Conflict);
        for (var conflicts = 0; ; conflicts++)
        {
            var status = place.IsGoogle
                ? await WriteToGoogleAsync(call, cancellationToken)
                : await WriteAsync(call, cancellationToken);
            if (status != HttpStatusCode.Conflict)
            {
                hidden.TryRemove(key, out _);
                return status == HttpStatusCode.OK ? PutResult.Created : PutResult.AlreadyExists;
            }

            if (conflicts == ConflictsMax)
            {
                throw S3Errors.Foreign(place, call, $"409 {conflicts} times");
            }
        }
    }

    /// <inheritdoc/>
    public async Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await WriteAsync(WriteCall(key, content, null), cancellationToken);
        hidden.TryRemove(key, out _);
    }

    /// <inheritdoc/>
    public async Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ObjectKey.Check(key);
        if (buffer.Length == 0)
        {
            return await SizeAsync(key, cancellationToken) is null ? throw StorageErrors.NotFound(key, Location) : 0;
        }

        if (hidden.TryGetValue(key, out var known))
        {
            return await ReadEarlierAsync(key, known, offset, buffer, cancellationToken);
        }

        try
        {
            return await ReadAsync(ReadCall("read", key, offset, buffer.Length), offset, buffer, cancellationToken);
        }
        catch (StorageException e) when (e.Failure == StorageFailure.NotFound)
        {
            if (await FindHiddenAsync(key, cancellationToken) is { } version)
            {
                return await ReadEarlierAsync(key, version, offset, buffer, cancellationToken);
            }

            throw;
        }
    }

    /// <inheritdoc/>
    public async Task<ObjectEnd?> ReadEndAsync(string key, int lengthMax, CancellationToken cancellationToken)
    {
        ObjectKey.Check(key);
        try
        {
            if (!hidden.ContainsKey(key))
            {
                var call = EndCall(key, lengthMax);
                if (await client.SendAsync(call, (response, deadline) => TakeEndAsync(call, response, deadline), cancellationToken)
                    is { } end)
                {
                    return end;
                }
            }
        }
        catch (StorageException e) when (e.Failure == StorageFailure.NotFound)
        {
            isBucketThere = true;
            if (await FindHiddenAsync(key, cancellationToken) is null)
            {
                return null;
            }
        }

        return await ObjectEnd.ReadAsync(this, key, lengthMax, cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<bool> KeepsEarlierAsync(CancellationToken cancellationToken) =>
        await versions.KeepAsync("look for versioning", "", cancellationToken);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ObjectVersion>> EarlierAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Check(key);
        return
        [
            .. (await versions.OfAsync(key, cancellationToken)).Where(row => !row.IsMark).Skip(1).Reverse()
                .Select(row => new ObjectVersion(row.Id, row.SizeBytes)),
        ];
    }

    /// <inheritdoc/>
    public Task<int> ReadEarlierAsync(
        string key, ObjectVersion version, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var call = ReadCall("read a version of", key, offset, buffer.Length) with { Query = S3Versions.QueryOf(version.Id) };
        return buffer.Length == 0 ? Task.FromResult(0) : ReadAsync(call, offset, buffer, cancellationToken);
    }

    Task<int> ReadAsync(S3Call call, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        client.SendAsync(call, (response, deadline) => TakeAsync(call, response, offset, buffer, deadline), cancellationToken);

    /// <summary>The newest content below the mark that hides it; null where there is none.</summary>
    async Task<ObjectVersion?> FindHiddenAsync(string key, CancellationToken cancellationToken)
    {
        if ((await versions.OfAsync(key, cancellationToken)).FirstOrDefault(row => !row.IsMark) is not { } row)
        {
            return null;
        }

        return hidden[key] = new ObjectVersion(row.Id, row.SizeBytes);
    }

    /// <inheritdoc/>
    public async Task<long?> SizeAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Check(key);
        if (hidden.TryGetValue(key, out var known))
        {
            return known.SizeBytes;
        }

        var head = new S3Call(HttpMethod.Head, "look for", key) { Expected = AnyStatus };
        var (status, size) = await client.SendAsync(
            head, (response, _) => Task.FromResult((response.StatusCode, response.Content.Headers.ContentLength)), cancellationToken);
        if (status == HttpStatusCode.OK && size is not null)
        {
            isBucketThere = true;
            return size;
        }

        // The answer to HEAD never says why. That to GET does: no such object, no such bucket, no permission, another region.
        return (status == HttpStatusCode.NotFound && isBucketThere ? null : await SizeByReadingAsync(key, cancellationToken))
            ?? (await FindHiddenAsync(key, cancellationToken))?.SizeBytes;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ObjectKey.CheckPrefix(prefix);
        if (!await versions.KeepAsync("list", "", cancellationToken))
        {
            await foreach (var row in ListCurrentAsync(prefix, after, cancellationToken))
            {
                yield return row;
            }

            yield break;
        }

        await foreach (var (info, version) in versions.ListObjectsAsync(prefix, after, cancellationToken))
        {
            if (info.IsHidden && hidden.Count < HiddenMax)
            {
                hidden[info.Key] = version;
            }

            yield return info;
        }
    }

    async IAsyncEnumerable<ObjectInfo> ListCurrentAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var last = after is null ? null : place.Prefix + after;
        for (var isCut = true; isCut;)
        {
            var call = ListCall(prefix, last);
            var page = await client.SendAsync(call, (response, deadline) => ReadPageAsync(call, response, deadline), cancellationToken);
            foreach (var row in page.Rows)
            {
                // Not trusted: whoever goes on after the last key would miss what came before it, or ask for ever.
                if (string.CompareOrdinal(row.Key, last) <= 0 || !row.Key.StartsWith(place.Prefix + prefix, StringComparison.Ordinal))
                {
                    throw S3Errors.Foreign(place, call, "with keys that are not in order");
                }

                last = row.Key;
                var key = row.Key[place.Prefix.Length..];
                if (ObjectKey.IsKey(key))
                {
                    yield return row with { Key = key };
                }
            }

            isCut = page.IsCut;
            if (isCut && page.Rows.Count == 0)
            {
                throw S3Errors.Foreign(place, call, "that more comes after nothing");
            }
        }
    }

    /// <summary>
    /// Where versions are kept, all of them are deleted: a mark that hides them would look like what an attacker leaves, and free nothing.
    /// </summary>
    public async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Check(key);
        if (await versions.KeepAsync("delete", key, cancellationToken))
        {
            // What hides them last: where one is locked, nothing changes for readers.
            foreach (var version in (await versions.OfAsync(key, cancellationToken)).OrderBy(row => row.IsMark))
            {
                await versions.DeleteAsync(key, version.Id, cancellationToken);
            }

            hidden.TryRemove(key, out _);
            return;
        }

        var call = new S3Call(HttpMethod.Delete, "delete", key) { Expected = [HttpStatusCode.NoContent, HttpStatusCode.OK] };
        try
        {
            await deleter.SendAsync(call, (_, _) => Task.FromResult(isBucketThere = true), cancellationToken);
        }
        catch (StorageException e) when (e.Failure == StorageFailure.NotFound)
        {
            // As some services say it.
            isBucketThere = true;
        }
    }

    /// <summary>What the bucket does with objects by itself, as far as these credentials may see it.</summary>
    public Task<S3BucketSettings> ReadBucketSettingsAsync(CancellationToken cancellationToken) =>
        S3BucketSettings.ReadAsync(client, cancellationToken);
}
