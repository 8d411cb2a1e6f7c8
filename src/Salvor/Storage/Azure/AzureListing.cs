using System.Runtime.CompilerServices;
using System.Xml;

namespace Salvor.Storage;

/// <summary>
/// The blobs below a prefix in the order of their whole keys. The service lists in that order, page by page, but only from the beginning;
/// so what begins behind a key looks into the folders on the way to it one by one and passes the others over unread. An account with
/// real directories ("hierarchical namespace") sorts the names within each, which is another order: there every folder is listed by itself.
/// </summary>
/// <param name="client">Sends the requests.</param>
/// <param name="container">The URL of the container.</param>
/// <param name="root">What stands before a key in the name of its blob.</param>
sealed class AzureListing(AzureBlobClient client, string container, string root)
{
    /// <summary>Many look at the first few rows only, or have no more.</summary>
    const int FirstPageRowsMax = 500;

    /// <summary>What the service gives at most.</summary>
    const int PageRowsMax = 5000;

    /// <summary>What a row may take, for the time that a page may take.</summary>
    const int RowBytesMax = 2048;

    const int MarkerLengthMax = 8192;

    public async IAsyncEnumerable<ObjectInfo> ReadAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ObjectKey.CheckPrefix(prefix);
        if (after is not null && string.CompareOrdinal(after, prefix) < 0)
        {
            // All that the prefix allows sorts behind it.
            after = null;
        }

        if (after?.StartsWith(prefix, StringComparison.Ordinal) == false)
        {
            yield break;
        }

        var last = after;
        await foreach (var row in after is null ? FlatAsync(prefix, cancellationToken) : FoldersAsync(prefix, after, cancellationToken))
        {
            if (string.CompareOrdinal(row.Key, last) <= 0)
            {
                throw OutOfOrder(prefix, last!, row.Key);
            }

            last = row.Key;
            yield return row;
        }
    }

    async IAsyncEnumerable<ObjectInfo> FlatAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var isHierarchical = false;
        await foreach (var page in PagesAsync(prefix, byFolder: false, FirstPageRowsMax, cancellationToken))
        {
            if (page.IsHierarchical)
            {
                // The first page that has a row says so.
                isHierarchical = true;
                break;
            }

            foreach (var entry in page.Entries)
            {
                if (KeyOf(entry) is { } key)
                {
                    yield return new(key, entry.SizeBytes) { StoredAt = entry.StoredAt };
                }
            }
        }

        if (isHierarchical)
        {
            await foreach (var row in FoldersAsync(prefix, after: null, cancellationToken))
            {
                yield return row;
            }
        }
    }

    /// <summary>What begins with the prefix and has no further slash, and behind each folder what is in it.</summary>
    async IAsyncEnumerable<ObjectInfo> FoldersAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var level = new List<(string Key, AzureListEntry Entry)>();
        await foreach (var page in PagesAsync(prefix, byFolder: true, PageRowsMax, cancellationToken))
        {
            foreach (var entry in page.Entries)
            {
                if (KeyOf(entry) is { } key && (string.CompareOrdinal(key, after) > 0 || IsOnTheWay(key, after)))
                {
                    level.Add((key, entry));
                }
            }
        }

        level.Sort((a, b) => string.CompareOrdinal(a.Key, b.Key));
        foreach (var (key, entry) in level)
        {
            if (!entry.IsFolder)
            {
                yield return new(key, entry.SizeBytes) { StoredAt = entry.StoredAt };
                continue;
            }

            var rows = IsOnTheWay(key, after) ? FoldersAsync(key, after, cancellationToken) : FlatAsync(key, cancellationToken);
            await foreach (var row in rows)
            {
                yield return row;
            }
        }
    }

    static bool IsOnTheWay(string folder, string? after) =>
        folder.EndsWith('/') && after?.StartsWith(folder, StringComparison.Ordinal) == true;

    /// <summary>The key of a blob, that of a folder with its slash; null for what cannot be ours.</summary>
    string? KeyOf(AzureListEntry entry)
    {
        if (!entry.Name.StartsWith(root, StringComparison.Ordinal) || entry.IsFolder != entry.Name.EndsWith('/'))
        {
            return null;
        }

        var key = entry.Name[root.Length..];
        return ObjectKey.IsKey(entry.IsFolder ? key.AsSpan()[..^1] : key) ? key : null;
    }

    async IAsyncEnumerable<AzureListPage> PagesAsync(
        string prefix, bool byFolder, int rowsMax, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (string? marker = null; ;)
        {
            var page = await PageAsync(prefix, byFolder, rowsMax, marker, cancellationToken);
            yield return page;
            if (page.NextMarker is null)
            {
                yield break;
            }

            (marker, rowsMax) = (page.NextMarker, PageRowsMax);
        }
    }

    async Task<AzureListPage> PageAsync(string prefix, bool byFolder, int rowsMax, string? marker, CancellationToken cancellationToken)
    {
        var query = $"restype=container&comp=list&maxresults={rowsMax}&prefix={Uri.EscapeDataString(root + prefix)}"
            + (byFolder ? "&delimiter=%2F" : "")
            + (marker is null ? "" : $"&marker={Uri.EscapeDataString(marker)}");
        var request = Request(prefix, new($"{container}?{query}"), rowsMax * RowBytesMax);
        var page = await client.SendAsync(request, null, (response, cancel) => ReadPageAsync(request, response, cancel), cancellationToken);
        return page.NextMarker is null || (page.NextMarker != marker && page.NextMarker.Length <= MarkerLengthMax)
            ? page
            : throw client.Errors.Malformed(request, "goes on where it was before");
    }

    async Task<AzureListPage> ReadPageAsync(AzureRequest request, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        await using (body)
        {
            try
            {
                return await AzureListPage.ReadAsync(body, cancellationToken);
            }
            catch (XmlException e)
            {
                throw client.Errors.Malformed(request, "is not a listing, or not a whole one", e);
            }
        }
    }

    static AzureRequest Request(string prefix, Uri uri, long bytesMax) => new(AzureVerb.List, prefix, HttpMethod.Get, uri, bytesMax);

    StorageException OutOfOrder(string prefix, string before, string key) => client.Errors.Malformed(
        Request(prefix, client.Options.Endpoint, 0), $"has {key} behind {before}, which is not the order of names");
}
