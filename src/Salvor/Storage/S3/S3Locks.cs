using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace Salvor.Storage.S3;

/// <summary>
/// What a service is asked about locks: for each put, for a longer time, and by a probe. Salvor never asks to get past one.
/// </summary>
public sealed class S3Locks
{
    internal const string ModeHeader = "x-amz-object-lock-mode";
    const string UntilHeader = "x-amz-object-lock-retain-until-date";

    readonly S3Client client;
    readonly S3Versions versions;
    readonly TimeProvider time;

    internal S3Locks(S3Client client, S3Versions versions, TimeProvider time) =>
        (this.client, this.versions, this.time) = (client, versions, time);

    /// <summary>Throws where the bucket has no object lock, and says how to get one.</summary>
    public async Task ExpectAsync(CancellationToken cancellationToken)
    {
        var call = new S3Call(HttpMethod.Get, "look for object lock", "") { Query = "object-lock", Expected = [HttpStatusCode.OK] };
        await client.SendAsync(call, (_, _) => Task.FromResult(true), cancellationToken);
    }

    /// <summary>Every content below a prefix that is kept, with its version: what a longer lock has to be asked for.</summary>
    public IAsyncEnumerable<(string Key, string Version, DateTimeOffset? StoredAt)> ListAsync(
        string prefix, CancellationToken cancellationToken) =>
        versions.ListAsync(prefix, after: null, cancellationToken)
            .Where(row => !row.IsMark).Select(row => (row.Key, row.Id, row.StoredAt));

    /// <summary>Locks a version until a time. A time before that of its lock is refused, where nobody may end it.</summary>
    public Task ExtendAsync(string key, string version, S3LockMode mode, DateTimeOffset until, CancellationToken cancellationToken)
    {
        var content = Encoding.UTF8.GetBytes(
            $"<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{NameOf(mode)}</Mode>"
                + $"<RetainUntilDate>{Text(until)}</RetainUntilDate></Retention>");
        var call = new S3Call(HttpMethod.Put, "extend the lock of", key)
        {
            Query = $"retention&{S3Versions.QueryOf(version)}", Content = content, Bytes = content.Length, HasDigest = true,
            Expected = [HttpStatusCode.OK],
        };
        return client.SendAsync(call, (_, _) => Task.FromResult(true), cancellationToken);
    }

    /// <summary>Puts an object with a lock of its own length, over whatever is there. For a probe.</summary>
    public Task PutAsync(string key, ReadOnlyMemory<byte> content, S3Lock? only, CancellationToken cancellationToken)
    {
        var call = new S3Call(HttpMethod.Put, "write", key)
        {
            Headers = only is null ? [] : HeadersOf(only), HasDigest = only is not null, Content = content, Bytes = content.Length,
            Expected = [HttpStatusCode.OK],
        };
        return client.SendAsync(call, (_, _) => Task.FromResult(true), cancellationToken);
    }

    /// <summary>Every version of a key that has a content, the newest first.</summary>
    public async Task<IReadOnlyList<ObjectVersion>> VersionsAsync(string key, CancellationToken cancellationToken) =>
        [.. (await versions.OfAsync(key, cancellationToken)).Where(row => !row.IsMark)
            .Select(row => new ObjectVersion(row.Id, row.SizeBytes))];

    /// <summary>Deletes one version for good.</summary>
    public Task DeleteVersionAsync(string key, string version, CancellationToken cancellationToken) =>
        versions.DeleteAsync(key, version, cancellationToken);

    /// <summary>Deletes as one does who names no version: it hides what is there where versions are kept. For a probe.</summary>
    public Task HideAsync(string key, CancellationToken cancellationToken)
    {
        var call = new S3Call(HttpMethod.Delete, "delete", key) { Expected = [HttpStatusCode.NoContent, HttpStatusCode.OK] };
        return client.SendAsync(call, (_, _) => Task.FromResult(true), cancellationToken);
    }

    /// <summary>What a put has to say for this lock.</summary>
    internal IReadOnlyList<(string Name, string Value)> HeadersOf(S3Lock only) =>
        [(ModeHeader, NameOf(only.Mode)), (UntilHeader, Text(time.GetUtcNow() + only.Time))];

    [SuppressMessage("Security", "CA5351", Justification = "The protocol wants it, against faults on the way; nothing rests on it.")]
    internal static byte[] DigestOf(ReadOnlySpan<byte> content) => MD5.HashData(content);

    static string NameOf(S3LockMode mode) => mode == S3LockMode.Compliance ? "COMPLIANCE" : "GOVERNANCE";

    static string Text(DateTimeOffset at) => at.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
