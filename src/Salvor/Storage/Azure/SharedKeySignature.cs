using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;

namespace Salvor.Storage;

/// <summary>
/// How a request to a storage account is signed with one of its keys, as
/// <see href="https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key">Microsoft describes it</see> for versions
/// from 2015-02-21 on.
/// </summary>
static class SharedKeySignature
{
    /// <summary>What stands in the header <c>Authorization</c>, after the word <c>SharedKey</c>.</summary>
    public static string Of(string account, byte[] key, HttpRequestMessage request) =>
        $"{account}:{Convert.ToBase64String(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(TextOf(account, request))))}";

    /// <summary>The text that is signed: the method, some headers in a fixed order, all of Microsoft's own sorted, and the place.</summary>
    public static string TextOf(string account, HttpRequestMessage request)
    {
        var length = request.Content?.Headers.ContentLength is > 0 and { } bytes ? $"{bytes}" : "";
        string[] lines =
        [
            request.Method.Method,
            ContentHeader(request, "Content-Encoding"),
            ContentHeader(request, "Content-Language"),
            length,
            ContentHeader(request, "Content-MD5"),
            ContentHeader(request, "Content-Type"),
            // The date stands in x-ms-date.
            "",
            Header(request.Headers, "If-Modified-Since"),
            Header(request.Headers, "If-Match"),
            Header(request.Headers, "If-None-Match"),
            Header(request.Headers, "If-Unmodified-Since"),
            Header(request.Headers, "Range"),
            .. OwnHeaders(request),
            Resource(account, request.RequestUri!),
        ];
        return string.Join('\n', lines);
    }

    static IEnumerable<string> OwnHeaders(HttpRequestMessage request) => request.Headers.NonValidated
        .Select(header => (Name: header.Key.ToLowerInvariant(), header.Value))
        .Where(header => header.Name.StartsWith("x-ms-", StringComparison.Ordinal))
        .OrderBy(header => header.Name, StringComparer.Ordinal)
        .Select(header => $"{header.Name}:{header.Value}");

    /// <summary>The account, the path as it is sent, and each parameter of the query on a line of its own.</summary>
    static string Resource(string account, Uri uri)
    {
        var parameters = uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries)
            .Select(part => part.Split('=', 2))
            .OrderBy(pair => pair[0], StringComparer.Ordinal)
            .Select(pair => $"\n{pair[0]}:{Uri.UnescapeDataString(pair[1])}");
        return $"/{account}{uri.AbsolutePath}{string.Concat(parameters)}";
    }

    static string ContentHeader(HttpRequestMessage request, string name) =>
        request.Content is { } content ? Header(content.Headers, name) : "";

    static string Header(HttpHeaders headers, string name) =>
        headers.NonValidated.TryGetValues(name, out var values) ? values.ToString() : "";
}
