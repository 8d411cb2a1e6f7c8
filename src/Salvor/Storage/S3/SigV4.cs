using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Salvor.Storage.S3;

/// <summary>
/// Amazon's signature, version 4, in the header <c>Authorization</c>: over the method, the address, all headers and the hash of the
/// content. Source: "Signature Version 4 signing process" of the S3 API reference, whose examples are the tests. Google's is the same with
/// other constants.
/// </summary>
static class SigV4
{
    /// <summary>Of no content.</summary>
    public const string EmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    public static string HashOf(ReadOnlySpan<byte> content) => Convert.ToHexStringLower(SHA256.HashData(content));

    /// <summary>Percent-encodes all but letters, digits and <c>-._~</c>, as the signature wants names and values of a query.</summary>
    public static string Encode(string text) => Uri.EscapeDataString(text);

    /// <summary>Adds the headers that prove who sends the request. What is added to its headers later is not covered.</summary>
    /// <param name="request">With an absolute address whose path and query are encoded by <see cref="Encode"/>.</param>
    /// <param name="contentHash">SHA-256 of the content, in hexadecimal digits.</param>
    /// <param name="dialect">The words of the service; Amazon's where it is left out.</param>
    public static void Sign(
        HttpRequestMessage request, AwsCredentials credentials, string region, string contentHash, DateTimeOffset now,
        S3Dialect? dialect = null)
    {
        var words = dialect ?? S3Dialect.Amazon;
        var time = now.ToUniversalTime().ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        request.Headers.TryAddWithoutValidation($"{words.HeaderPrefix}date", time);
        request.Headers.TryAddWithoutValidation($"{words.HeaderPrefix}content-sha256", contentHash);
        if (credentials.SessionToken is { } token)
        {
            request.Headers.TryAddWithoutValidation($"{words.HeaderPrefix}security-token", token);
        }

        var headers = HeadersOf(request);
        var names = string.Join(';', headers.Keys);
        var scope = $"{time[..8]}/{region}/{words.Name}/{words.Terminator}";
        var canonical = Canonical(request, headers, names, contentHash);
        var toSign = $"{words.Algorithm}\n{time}\n{scope}\n{HashOf(Encoding.UTF8.GetBytes(canonical))}";
        var key = KeyOf(credentials.SecretAccessKey, words, time[..8], region);
        var signature = Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(toSign)));
        request.Headers.TryAddWithoutValidation(
            "Authorization",
            $"{words.Algorithm} Credential={credentials.AccessKeyId}/{scope}, SignedHeaders={names}, Signature={signature}");
    }

    /// <summary>All but what speaks of the connection and not of the request.</summary>
    static SortedDictionary<string, string> HeadersOf(HttpRequestMessage request)
    {
        var headers = new SortedDictionary<string, string>(StringComparer.Ordinal) { ["host"] = request.RequestUri!.Authority };
        foreach (var (name, values) in request.Headers.NonValidated)
        {
            if (!name.Equals("Expect", StringComparison.OrdinalIgnoreCase))
            {
                headers[name.ToLowerInvariant()] = string.Join(',', values).Trim();
            }
        }

        return headers;
    }

    static string Canonical(HttpRequestMessage request, SortedDictionary<string, string> headers, string names, string contentHash)
    {
        var text = new StringBuilder()
            .Append(request.Method.Method).Append('\n')
            .Append(request.RequestUri!.AbsolutePath).Append('\n')
            .Append(CanonicalQuery(request.RequestUri.Query)).Append('\n');
        foreach (var (name, value) in headers)
        {
            text.Append(name).Append(':').Append(value).Append('\n');
        }

        return text.Append('\n').Append(names).Append('\n').Append(contentHash).ToString();
    }

    static string CanonicalQuery(string query) => string.Join('&', query
        .TrimStart('?')
        .Split('&', StringSplitOptions.RemoveEmptyEntries)
        .Select(pair => pair.Contains('=', StringComparison.Ordinal) ? pair : pair + "=")
        .Order(StringComparer.Ordinal));

    static byte[] KeyOf(string secret, S3Dialect words, string day, string region)
    {
        var key = Encoding.UTF8.GetBytes(words.KeyPrefix + secret);
        foreach (var part in (ReadOnlySpan<string>)[day, region, words.Name, words.Terminator])
        {
            key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(part));
        }

        return key;
    }
}
