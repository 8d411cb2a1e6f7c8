using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;

namespace Salvor.Storage;

/// <summary>
/// A destination in a container of Azure Blob Storage: each object is a block blob whose name is the prefix and the key. It speaks the
/// service's own protocol (<see href="https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api"/>).
/// </summary>
/// <param name="options">Which container, and how to be let in.</param>
/// <param name="time">The clock of signatures and of the time that a call may take.</param>
/// <param name="http">What carries requests; null for the connections that all of a process share.</param>
public sealed class AzureBlobStore(AzureBlobOptions options, TimeProvider? time = null, HttpMessageInvoker? http = null) : IObjectStore
{
    /// <summary>From here on the end of an object that is wanted is nearly always all of it.</summary>
    const int WholeBytesMin = 1 << 20;

    readonly AzureBlobClient client = new(options, http ?? HttpTransport.Remote, time ?? TimeProvider.System);
    readonly string container = $"{options.Endpoint.AbsoluteUri.TrimEnd('/')}/{options.Container}";

    /// <summary>What stands before a key in the name of its blob.</summary>
    readonly string root = options.Prefix.Length > 0 ? options.Prefix + "/" : "";

    /// <inheritdoc/>
    public string Location => options.Location;

    /// <inheritdoc/>
    public Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        PutAsync(AzureVerb.Create, key, content, [("If-None-Match", "*")], cancellationToken);

    /// <inheritdoc/>
    public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        PutAsync(AzureVerb.Replace, key, content, [], cancellationToken);

    /// <inheritdoc/>
    public async Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (buffer.Length == 0)
        {
            return await SizeAsync(key, cancellationToken) is null ? throw StorageErrors.NotFound(key, Location) : 0;
        }

        var request = Request(AzureVerb.Read, key, HttpMethod.Get, buffer.Length) with
        {
            Headers = [("x-ms-range", $"bytes={offset}-{offset + buffer.Length - 1}")],
        };
        return await client.SendAsync(
            request,
            (status, _) => status == HttpStatusCode.RequestedRangeNotSatisfiable,
            (response, cancel) => ReadBodyAsync(request, response, offset, buffer, cancel),
            cancellationToken);
    }

    /// <summary>
    /// The service does not count from the end. Where all of an object fits, it is asked for from its beginning, and the size comes too.
    /// </summary>
    public async Task<ObjectEnd?> ReadEndAsync(string key, int lengthMax, CancellationToken cancellationToken)
    {
        if (lengthMax >= WholeBytesMin)
        {
            var request = Request(AzureVerb.Read, key, HttpMethod.Get, lengthMax) with
            {
                Headers = [("x-ms-range", $"bytes=0-{lengthMax - 1}")],
            };
            var (isMissing, end) = await client.SendAsync(
                request,
                (status, code) => status == HttpStatusCode.RequestedRangeNotSatisfiable || IsBlobMissing(status, code),
                (response, cancel) => TakeWholeAsync(request, response, lengthMax, cancel),
                cancellationToken);
            if (isMissing || end is not null)
            {
                return end;
            }
        }

        return await ObjectEnd.ReadAsync(this, key, lengthMax, cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<long?> SizeAsync(string key, CancellationToken cancellationToken)
    {
        var request = Request(AzureVerb.Size, key, HttpMethod.Head, bytesMax: 0);
        return await client.SendAsync(
            request,
            IsBlobMissing,
            (response, _) => Task.FromResult<long?>(
                !response.IsSuccessStatusCode ? null
                : response.Content.Headers.ContentLength ?? throw client.Errors.Malformed(request, "does not say how long it is")),
            cancellationToken);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
        new AzureListing(client, container, root).ReadAsync(prefix, after, cancellationToken);

    /// <inheritdoc/>
    public Task DeleteAsync(string key, CancellationToken cancellationToken) => client.SendAsync(
        Request(AzureVerb.Delete, key, HttpMethod.Delete, bytesMax: 0),
        IsBlobMissing,
        (_, _) => Task.FromResult(true),
        cancellationToken);

    Task<PutResult> PutAsync(
        AzureVerb verb, string key, ReadOnlyMemory<byte> content, IReadOnlyList<(string Name, string Value)> conditions,
        CancellationToken cancellationToken)
    {
        var body = new ReadOnlyMemoryContent(content);
        body.Headers.ContentLength = content.Length;

        body.Headers.ContentMD5 = ChecksumOf(content.Span);
        var request = Request(verb, key, HttpMethod.Put, content.Length) with
        {
            Content = body,
            Headers = [("x-ms-blob-type", "BlockBlob"), .. conditions],
        };
        return client.SendAsync(
            request,
            (status, code) => verb == AzureVerb.Create && (SaysThatItExists(status, code) || IsNotAllowed(status, code)),
            ResultOfAsync,
            cancellationToken);

        async Task<PutResult> ResultOfAsync(HttpResponseMessage response, CancellationToken cancel)
        {
            // Who may add and not overwrite may be told that of what exists; else nothing may be put at all.
            var isRefused = IsNotAllowed(response.StatusCode, AzureErrors.CodeOf(response)) && await SizeAsync(key, cancel) is null;
            return isRefused ? throw client.Errors.Refused(request, response)
                : response.IsSuccessStatusCode ? PutResult.Created : PutResult.AlreadyExists;
        }
    }

    /// <summary>
    /// The service compares it with what came: against accidents on the way, nobody is kept out by it. Null where the system forbids MD5
    /// (FIPS): the encryption of the way notices accidents too, and whatever reads an object checks its own hashes.
    /// </summary>
    [SuppressMessage("Security", "CA5351", Justification = "The service knows no other checksum that the platform has.")]
    static byte[]? ChecksumOf(ReadOnlySpan<byte> content)
    {
        try
        {
            return MD5.HashData(content);
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    /// <summary>Who may create and not overwrite is told so of what exists, and so is everybody of what a policy keeps.</summary>
    static bool SaysThatItExists(HttpStatusCode status, string? code) => (status, code) is
        (HttpStatusCode.Conflict, "BlobAlreadyExists" or "BlobImmutableDueToPolicy")
        or (HttpStatusCode.PreconditionFailed, "ConditionNotMet")
        or (HttpStatusCode.Forbidden, "UnauthorizedBlobOverwrite");

    static bool IsNotAllowed(HttpStatusCode status, string? code) =>
        (status, code) is (HttpStatusCode.Forbidden, "AuthorizationPermissionMismatch");

    /// <summary>Only the service's own word for it: any server in between may answer 404 too.</summary>
    static bool IsBlobMissing(HttpStatusCode status, string? code) => (status, code) is (HttpStatusCode.NotFound, "BlobNotFound");

    /// <summary>All of a blob that is not longer than that; null where it is, or has no bytes.</summary>
    async Task<(bool IsMissing, ObjectEnd? End)> TakeWholeAsync(
        AzureRequest request, HttpResponseMessage response, int lengthMax, CancellationToken cancellationToken)
    {
        if (response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            return (response.StatusCode == HttpStatusCode.NotFound, null);
        }

        if (response.StatusCode != HttpStatusCode.PartialContent || SizeIn(response, 0) is not { } size)
        {
            throw client.Errors.Malformed(request, "is not the range that was asked for");
        }

        return size > lengthMax || size == 0
            ? (false, null)
            : (false, await ObjectEnd.FillAsync(
                (int)size, size, target => ReadBodyAsync(request, response, 0, target, cancellationToken)));
    }

    async Task<int> ReadBodyAsync(
        AzureRequest request, HttpResponseMessage response, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            // Past the end; a blob of no bytes has nothing but an end.
            return 0;
        }

        if (response.StatusCode != HttpStatusCode.PartialContent || SizeIn(response, offset) is not { } size)
        {
            throw client.Errors.Malformed(request, "is not the range that was asked for");
        }

        var expected = (int)Math.Min(buffer.Length, size - offset);
        if ((response.Content.Headers.ContentLength ?? expected) != expected)
        {
            throw client.Errors.Malformed(request, $"has {response.Content.Headers.ContentLength} bytes instead of {expected}");
        }

        var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        await using (body)
        {
            var read = await body.ReadAtLeastAsync(buffer[..expected], expected, throwOnEndOfStream: false, cancellationToken);
            return read == expected
                ? read
                : throw client.Errors.Malformed(request, $"was cut off after {read} of {expected} bytes");
        }
    }

    /// <summary>
    /// How long the whole blob is, by the header <c>bytes 10-19/100</c> of an answer that begins at the offset; null for any other. The
    /// platform's parser refuses <c>bytes 3-2/3</c>, which the emulator says of a range that begins at the end.
    /// </summary>
    static long? SizeIn(HttpResponseMessage response, long offset) =>
        response.Content.Headers.NonValidated.TryGetValues("Content-Range", out var values)
        && values.ToString() is var text && text.StartsWith($"bytes {offset}-", StringComparison.Ordinal)
        && long.TryParse(text[(text.LastIndexOf('/') + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var size)
        && size >= offset
            ? size
            : null;

    AzureRequest Request(AzureVerb verb, string key, HttpMethod method, long bytesMax)
    {
        ObjectKey.Check(key);
        return new(verb, key, method, new($"{container}/{root}{key}"), bytesMax);
    }
}
