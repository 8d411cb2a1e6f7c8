using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Xml;

namespace Salvor.Storage.S3;

/// <summary>The requests for objects, and what is taken from their answers.</summary>
public sealed partial class S3Store
{
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

        var isLocked = options.Lock is not null && IsLocked(key);
        headers.AddRange(isLocked ? Locks.HeadersOf(options.Lock!) : []);
        return new S3Call(HttpMethod.Put, "write", key)
        {
            Headers = headers,
            HasDigest = isLocked,
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

    static S3Call EndCall(string key, int count) => new(HttpMethod.Get, "read", key)
    {
        Headers = [("Range", string.Create(CultureInfo.InvariantCulture, $"bytes=-{count}"))],
        Bytes = count,
        Expected = [HttpStatusCode.PartialContent, HttpStatusCode.OK, HttpStatusCode.RequestedRangeNotSatisfiable],
    };

    /// <summary>What the answer says of its size is checked before anything is allocated for it.</summary>
    Task<ObjectEnd?> TakeEndAsync(S3Call call, HttpResponseMessage response, S3Deadline deadline)
    {
        isBucketThere = true;
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            // Of an object without bytes, and of a service that does not count from the end.
            return Task.FromResult((ObjectEnd?)null);
        }

        var length = response.Content.Headers.ContentLength;
        var isAll = response.StatusCode == HttpStatusCode.OK;
        var range = response.Content.Headers.ContentRange;
        var size = isAll ? length : range?.Length;
        var expected = isAll ? size : range is { From: { } from, To: { } to } && to == size - 1 ? to - from + 1 : null;
        return size is { } known && expected is { } count && count == Math.Min(known, call.Bytes) && (length ?? count) == count
            ? ObjectEnd.FillAsync((int)count, known, target => CopyAsync(response, target, deadline))
            : throw S3Errors.Foreign(place, call, "with other bytes than were asked for");
    }

    async Task<int> TakeAsync(S3Call call, HttpResponseMessage response, long offset, Memory<byte> buffer, S3Deadline deadline)
    {
        isBucketThere = true;
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            return 0;
        }

        return await CopyAsync(response, buffer[..CountOf(call, response, offset, buffer.Length)], deadline);
    }

    static async Task<int> CopyAsync(HttpResponseMessage response, Memory<byte> target, S3Deadline deadline)
    {
        using var stream = await response.Content.ReadAsStreamAsync(deadline.Token);
        for (var at = 0; at < target.Length;)
        {
            var read = await stream.ReadAsync(target[at..], deadline.Token);
            at += read > 0 ? read : throw new IOException($"{at} of {target.Length} bytes came");
            deadline.Move();
        }

        return target.Length;
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
