using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Xml;

namespace Salvor.Storage.S3;

/// <summary>
/// A destination in a bucket, at Amazon's or any service that speaks its protocol. Each object is one object there, made by one request
/// with <c>If-None-Match: *</c>; what the service confirms, it keeps. Each call is sent once: who waits, and how long, is decided above.
/// </summary>
public sealed class S3Store : IObjectStore
{
    /// <summary>Below it a rarer storage class costs more than it saves: it charges for 128 KiB at least.</summary>
    const int ClassBytesMin = 128 << 10;

    const int RowsPerPage = 1000;

    /// <summary>Puts that meet each other are told to try again by Amazon's service; each time one of them is through.</summary>
    const int ConflictsMax = 20;

    const string EncryptionHeader = "x-amz-server-side-encryption";

    static readonly HttpStatusCode[] AnyStatus = Enum.GetValues<HttpStatusCode>();

    readonly S3Options options;
    readonly Func<string, bool> isRarelyRead;
    readonly S3Place place;
    readonly S3Client client;

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
    }

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
                return status == HttpStatusCode.OK ? PutResult.Created : PutResult.AlreadyExists;
            }

            if (conflicts == ConflictsMax)
            {
                throw S3Errors.Foreign(place, call, $"409 {conflicts} times");
            }
        }
    }

    /// <inheritdoc/>
    public async Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        await WriteAsync(WriteCall(key, content, null), cancellationToken);

    /// <inheritdoc/>
    public async Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ObjectKey.Check(key);
        if (buffer.Length == 0)
        {
            return await SizeAsync(key, cancellationToken) is null ? throw StorageErrors.NotFound(key, Location) : 0;
        }

        var call = ReadCall("read", key, offset, buffer.Length);
        return await client.SendAsync(call, (response, deadline) => TakeAsync(call, response, offset, buffer, deadline), cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<long?> SizeAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Check(key);
        var head = new S3Call(HttpMethod.Head, "look for", key) { Expected = AnyStatus };
        var (status, size) = await client.SendAsync(
            head, (response, _) => Task.FromResult((response.StatusCode, response.Content.Headers.ContentLength)), cancellationToken);
        if (status == HttpStatusCode.OK && size is not null)
        {
            isBucketThere = true;
            return size;
        }

        // The answer to HEAD never says why. That to GET does: no such object, no such bucket, no permission, another region.
        return status == HttpStatusCode.NotFound && isBucketThere ? null : await SizeByReadingAsync(key, cancellationToken);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ObjectKey.CheckPrefix(prefix);
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

    /// <inheritdoc/>
    public async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Check(key);
        var call = new S3Call(HttpMethod.Delete, "delete", key) { Expected = [HttpStatusCode.NoContent, HttpStatusCode.OK] };
        try
        {
            await client.SendAsync(call, (_, _) => Task.FromResult(isBucketThere = true), cancellationToken);
        }
        catch (StorageException e) when (e.Failure == StorageFailure.NotFound)
        {
            // As some services say it.
            isBucketThere = true;
        }
    }

    S3Call WriteCall(
        string key, ReadOnlyMemory<byte> content, (string Name, string Value)? condition, params ReadOnlySpan<HttpStatusCode> understood)
    {
        ObjectKey.Check(key);
        var headers = new List<(string Name, string Value)>();
        if (condition is { } only)
        {
            headers.Add(only);
        }

        if (options.StorageClass is { } name && content.Length >= ClassBytesMin && isRarelyRead(key))
        {
            headers.Add(($"{place.Dialect.HeaderPrefix}storage-class", name));
        }

        if (options.Encryption != S3Encryption.Default)
        {
            headers.Add((EncryptionHeader, options.Encryption == S3Encryption.Kms ? "aws:kms" : "AES256"));
        }

        if (options.KmsKey is { } kmsKey)
        {
            headers.Add(("x-amz-server-side-encryption-aws-kms-key-id", kmsKey));
        }

        return new S3Call(HttpMethod.Put, "write", key)
        {
            Headers = headers,
            Content = content,
            Bytes = content.Length,
            Expected = [HttpStatusCode.OK, .. understood],
        };
    }

    /// <summary>Who may create there and not overwrite may be told that of what exists; else nothing may be put at all.</summary>
    async Task<HttpStatusCode> WriteToGoogleAsync(S3Call call, CancellationToken cancellationToken)
    {
        try
        {
            return await WriteAsync(call, cancellationToken);
        }
        catch (StorageException e) when (e.Failure == StorageFailure.Denied)
        {
            if (!await IsThereAsync(call.Key, cancellationToken))
            {
                throw;
            }

            return HttpStatusCode.PreconditionFailed;
        }
    }

    async Task<bool> IsThereAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            return await SizeAsync(key, cancellationToken) is not null;
        }
        catch (StorageException)
        {
            // Not to be known: then the first refusal is the one to tell.
            return false;
        }
    }

    async Task<HttpStatusCode> WriteAsync(S3Call call, CancellationToken cancellationToken)
    {
        if (isEncryptionMissing)
        {
            throw S3Errors.NotEncrypted(place, call);
        }

        var (status, isEncrypted) = await client.SendAsync(
            call,
            (response, _) => Task.FromResult((response.StatusCode, response.Headers.Contains(EncryptionHeader))),
            cancellationToken);
        isBucketThere = true;
        if (status == HttpStatusCode.OK && options.Encryption != S3Encryption.Default && !isEncrypted)
        {
            isEncryptionMissing = true;
            throw S3Errors.NotEncrypted(place, call);
        }

        return status;
    }

    static S3Call ReadCall(string verb, string key, long offset, int count) => new(HttpMethod.Get, verb, key)
    {
        Headers = [("Range", string.Create(CultureInfo.InvariantCulture, $"bytes={offset}-{offset + count - 1}"))],
        Bytes = count,
        Expected = [HttpStatusCode.PartialContent, HttpStatusCode.OK, HttpStatusCode.RequestedRangeNotSatisfiable],
    };

    async Task<int> TakeAsync(S3Call call, HttpResponseMessage response, long offset, Memory<byte> buffer, S3Deadline deadline)
    {
        isBucketThere = true;
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            return 0;
        }

        var count = CountOf(call, response, offset, buffer.Length);
        using var stream = await response.Content.ReadAsStreamAsync(deadline.Token);
        for (var at = 0; at < count;)
        {
            var read = await stream.ReadAsync(buffer[at..count], deadline.Token);
            at += read > 0 ? read : throw new IOException($"{at} of {count} bytes came");
            deadline.Move();
        }

        return count;
    }

    /// <summary>How many bytes the answer has for us. One that is about other bytes than we asked for is none.</summary>
    int CountOf(S3Call call, HttpResponseMessage response, long offset, int max)
    {
        var range = response.Content.Headers.ContentRange;
        var length = response.Content.Headers.ContentLength;
        if (response.StatusCode == HttpStatusCode.OK && offset == 0 && length is not null)
        {
            return (int)Math.Min(length.Value, max);
        }

        return range is { From: { } from, To: { } to } && from == offset && to >= from && to - from < max
            && (length is null || length == to - from + 1)
            ? (int)(to - from + 1)
            : throw S3Errors.Foreign(place, call, "with other bytes than were asked for");
    }

    async Task<long?> SizeByReadingAsync(string key, CancellationToken cancellationToken)
    {
        var call = ReadCall("look for", key, 0, 1);
        try
        {
            return await client.SendAsync(call, (response, _) => Task.FromResult(SizeOf(call, response)), cancellationToken);
        }
        catch (StorageException e) when (e.Failure == StorageFailure.NotFound)
        {
            isBucketThere = true;
            return null;
        }
    }

    long? SizeOf(S3Call call, HttpResponseMessage response)
    {
        isBucketThere = true;
        ContentRangeHeaderValue? range = response.Content.Headers.ContentRange;
        return response.StatusCode switch
        {
            HttpStatusCode.RequestedRangeNotSatisfiable => range?.Length ?? 0,
            HttpStatusCode.OK when response.Content.Headers.ContentLength is { } length => length,
            _ => range?.Length ?? throw S3Errors.Foreign(place, call, "without the size"),
        };
    }

    S3Call ListCall(string prefix, string? after)
    {
        var start = after is null ? "" : $"&start-after={SigV4.Encode(after)}";
        return new S3Call(HttpMethod.Get, "list", "")
        {
            Query = $"encoding-type=url&list-type=2&max-keys={RowsPerPage}&prefix={SigV4.Encode(place.Prefix + prefix)}{start}",
            Bytes = S3Xml.PageBytesMax / 8,
            Expected = [HttpStatusCode.OK],
        };
    }

    async Task<S3Page> ReadPageAsync(S3Call call, HttpResponseMessage response, S3Deadline deadline)
    {
        try
        {
            var page = S3Xml.ReadPage(await S3Client.ReadAllAsync(response, S3Xml.PageBytesMax, deadline));
            isBucketThere = true;
            return page;
        }
        catch (Exception e) when (e is XmlException or FormatException or OverflowException)
        {
            throw S3Errors.Foreign(place, call, "something else than a listing", e);
        }
    }
}
