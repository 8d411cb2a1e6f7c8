namespace Salvor.Storage.S3;

/// <summary>Whose words a service understands, besides the protocol that all of them share.</summary>
public enum S3Service
{
    /// <summary>Amazon's, which most others speak too.</summary>
    Amazon,

    /// <summary>
    /// Google Cloud Storage's, by keys for interoperability (HMAC). It takes requests in Amazon's words too, but then passes over the
    /// condition of a put without a word, and its own condition it refuses beside any of Amazon's headers.
    /// </summary>
    Google,
}

/// <summary>
/// The words of a service: the signature is the same but for its constants, and the headers but for their prefix. Sources: "Authenticating
/// Requests" of Amazon's reference, "Signatures" and "HTTP headers and query string parameters for XML API" of Google's.
/// </summary>
/// <param name="Algorithm">Names the signature.</param>
/// <param name="KeyPrefix">What stands before the secret.</param>
/// <param name="Name">The service in the scope of a signature.</param>
/// <param name="Terminator">The end of the scope.</param>
/// <param name="HeaderPrefix">Of every header that is not one of HTTP.</param>
/// <param name="CreateOnly">Lets a put succeed only where the key does not exist.</param>
sealed record S3Dialect(
    string Algorithm, string KeyPrefix, string Name, string Terminator, string HeaderPrefix, (string Name, string Value) CreateOnly)
{
    public static readonly S3Dialect Amazon = new("AWS4-HMAC-SHA256", "AWS4", "s3", "aws4_request", "x-amz-", ("If-None-Match", "*"));

    public static readonly S3Dialect Google =
        new("GOOG4-HMAC-SHA256", "GOOG4", "storage", "goog4_request", "x-goog-", ("x-goog-if-generation-match", "0"));

    public static S3Dialect Of(S3Service service) => service == S3Service.Google ? Google : Amazon;
}
