using System.Net;
using System.Runtime.CompilerServices;
using System.Xml;

namespace Salvor.Storage.S3;

/// <summary>What a bucket with versioning keeps: each content that a key ever had, and the marks by which some were hidden.</summary>
/// <param name="place">The bucket.</param>
/// <param name="client">Who looks.</param>
/// <param name="deleter">Who deletes.</param>
/// <param name="isNeeded">Whether not to know of it is a failure.</param>
sealed class S3Versions(S3Place place, S3Client client, S3Client deleter, bool isNeeded)
{
    const int RowsPerPage = 1000;

    /// <summary>Somebody may put so many contents under one key that they cannot be held in memory.</summary>
    const int VersionsMax = 100_000;

    enum Keeping
    {
        Unknown,
        No,
        Yes,
    }

    volatile Keeping keeping;

    /// <summary>
    /// Whether the bucket has versioning, or had it. Asked once. For whoever may not know it the bucket has none: then what is
    /// hidden is gone.
    /// </summary>
    /// <param name="verb">What it is asked for, as a message says it.</param>
    /// <param name="key">The object that it is asked for; empty for the bucket.</param>
    public async ValueTask<bool> KeepAsync(string verb, string key, CancellationToken cancellationToken)
    {
        if (keeping != Keeping.Unknown || place.IsGoogle)
        {
            // Google's service lists and names versions in another way, of which nothing is known here.
            return keeping == Keeping.Yes;
        }

        var call = new S3Call(HttpMethod.Get, verb, key) { IsOfBucket = true, Query = "versioning", Expected = [HttpStatusCode.OK] };
        try
        {
            var status = await client.SendAsync(
                call, (response, deadline) => ReadAsync(call, response, bytes => S3Xml.ReadText(bytes, "Status"), deadline),
                cancellationToken);
            keeping = status is "Enabled" or "Suspended" ? Keeping.Yes : Keeping.No;
            return keeping == Keeping.Yes;
        }
        catch (StorageException e) when (e.Failure == StorageFailure.Denied && !isNeeded)
        {
            // Not for ever: credentials that have ended are replaced. Whatever else is wrong, the call that asked for this says.
            return false;
        }
    }

    /// <summary>
    /// All versions of all keys below a prefix: by key, and of each key the newest first. The keys are without the place's prefix.
    /// </summary>
    public async IAsyncEnumerable<S3Version> ListAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        (string Key, string Id)? next = after is null ? null : (place.Prefix + after, "");
        S3Version? last = null;
        for (var isMore = true; isMore;)
        {
            var call = ListCall(prefix, next);
            var page = await client.SendAsync(
                call, (response, deadline) => ReadAsync(call, response, S3Xml.ReadVersions, deadline), cancellationToken);
            foreach (var row in page.Rows.Where(row => row.Key.StartsWith(place.Prefix, StringComparison.Ordinal)))
            {
                var key = row.Key[place.Prefix.Length..];
                if (string.CompareOrdinal(key, last?.Key) < 0 || !key.StartsWith(prefix, StringComparison.Ordinal))
                {
                    throw S3Errors.Foreign(place, call, "with versions that are not in order");
                }

                // Some services begin with what the page is to begin behind.
                if (string.CompareOrdinal(key, after) > 0 && ObjectKey.IsKey(key) && (key, row.Id) != (last?.Key, last?.Id))
                {
                    yield return last = row with { Key = key };
                }
            }

            isMore = page.Next is not null;
            if (isMore && (page.Next == next || page.Next!.Value.Key.Length == 0))
            {
                throw S3Errors.Foreign(place, call, "that more versions come after the same one");
            }

            next = page.Next;
        }
    }

    /// <summary>Every key that has a content, hidden or not, with the version that readers are given.</summary>
    public async IAsyncEnumerable<(ObjectInfo Info, ObjectVersion Version)> ListObjectsAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? seen = null;
        string? given = null;
        var isHidden = false;
        await foreach (var row in ListAsync(prefix, after, cancellationToken))
        {
            isHidden = row.Key == seen ? isHidden : row.IsMark;
            seen = row.Key;
            if (!row.IsMark && row.Key != given)
            {
                given = row.Key;
                yield return (
                    new ObjectInfo(row.Key, row.SizeBytes) { StoredAt = row.StoredAt, IsHidden = isHidden },
                    new ObjectVersion(row.Id, row.SizeBytes));
            }
        }
    }

    /// <summary>Every version of one key, the newest first.</summary>
    public async Task<IReadOnlyList<S3Version>> OfAsync(string key, CancellationToken cancellationToken)
    {
        var versions = new List<S3Version>();
        if (await KeepAsync("look for", key, cancellationToken))
        {
            await foreach (var row in ListAsync(key, after: null, cancellationToken))
            {
                if (row.Key != key || versions.Count == VersionsMax)
                {
                    break;
                }

                versions.Add(row);
            }
        }

        return versions;
    }

    /// <summary>Deletes one version for good. It fails while that is locked.</summary>
    public Task DeleteAsync(string key, string id, CancellationToken cancellationToken)
    {
        var call = new S3Call(HttpMethod.Delete, "delete a version of", key)
        {
            Query = QueryOf(id), Expected = [HttpStatusCode.NoContent, HttpStatusCode.OK],
        };
        return deleter.SendAsync(call, (_, _) => Task.FromResult(true), cancellationToken);
    }

    /// <summary>What names a version in a request.</summary>
    public static string QueryOf(string id) => $"versionId={SigV4.Encode(id)}";

    S3Call ListCall(string prefix, (string Key, string Id)? after)
    {
        var key = after is null ? "" : $"&key-marker={SigV4.Encode(after.Value.Key)}";
        var id = after is not { Id.Length: > 0 } ? "" : $"&version-id-marker={SigV4.Encode(after.Value.Id)}";
        return new S3Call(HttpMethod.Get, "list versions", "")
        {
            Query = $"encoding-type=url{key}&max-keys={RowsPerPage}&prefix={SigV4.Encode(place.Prefix + prefix)}{id}&versions",
            Bytes = S3Xml.PageBytesMax / 8,
            Expected = [HttpStatusCode.OK],
        };
    }

    async Task<T> ReadAsync<T>(
        S3Call call, HttpResponseMessage response, Func<ReadOnlyMemory<byte>, T> read, S3Deadline deadline)
    {
        try
        {
            return read(await S3Client.ReadAllAsync(response, S3Xml.PageBytesMax, deadline));
        }
        catch (Exception e) when (e is XmlException or FormatException or OverflowException)
        {
            throw S3Errors.Foreign(place, call, "something else than was asked for", e);
        }
    }
}
