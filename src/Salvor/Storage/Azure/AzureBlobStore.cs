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
public sealed class AzureBlobStore(AzureBlobOptions options, TimeProvider time, HttpMessageInvoker? http = null) : IObjectStore
{
    readonly AzureBlobClient client = new(options, http ?? AzureTransport.Shared, time);
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

    /// <inheritdoc/>
    public async Task<long?> SizeAsync(string key, CancellationToken cancellationToken)
    {
        var request = Request(AzureVerb.Size, key, HttpMethod.Head, bytesMax: 0);
        return await client.SendAsync(
            request,
            IsBlobMissing,
            (response, _) => Task.FromResult(
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

        // The service compares it with what came, so that no byte is lost or turned on the way.
        body.Headers.ContentMD5 = MD5.HashData(content.Span);
        var request = Request(verb, key, HttpMethod.Put, content.Length) with
        {
            Content = body,
            Headers = [("x-ms-blob-type", "BlockBlob"), .. conditions],
        };
        return client.SendAsync(
            request,
            (status, code) => conditions.Count > 0 && SaysThatItExists(status, code),
            (response, _) => Task.FromResult(response.IsSuccessStatusCode ? PutResult.Created : PutResult.AlreadyExists),
            cancellationToken);
    }

    /// <summary>Whoever may create and not overwrite is told so of a blob that exists, and so is everybody of one that a policy keeps.</summary>
    static bool SaysThatItExists(HttpStatusCode status, string? code) => (status, code) is
        (HttpStatusCode.Conflict, "BlobAlreadyExists" or "BlobImmutableDueToPolicy")
        or (HttpStatusCode.PreconditionFailed, "ConditionNotMet")
        or (HttpStatusCode.Forbidden, "UnauthorizedBlobOverwrite");

    /// <summary>Only the service's own word for it: any server in between may answer 404 too.</summary>
    static bool IsBlobMissing(HttpStatusCode status, string? code) => (status, code) is (HttpStatusCode.NotFound, "BlobNotFound");

    async Task<int> ReadBodyAsync(
        AzureRequest request, HttpResponseMessage response, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            // Past the end; a blob of no bytes has nothing but an end.
            return 0;
        }

        var range = response.Content.Headers.ContentRange;
        if (response.StatusCode != HttpStatusCode.PartialContent || range is not { From: { } from, Length: { } size } || from != offset)
        {
            throw client.Errors.Malformed(request, "is not the range that was asked for");
        }

        var expected = (int)Math.Min(buffer.Length, size - offset);
        if (expected < 0 || (response.Content.Headers.ContentLength ?? expected) != expected)
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

    AzureRequest Request(AzureVerb verb, string key, HttpMethod method, long bytesMax)
    {
        ObjectKey.Check(key);
        return new(verb, key, method, new($"{container}/{root}{key}"), bytesMax);
    }
}
