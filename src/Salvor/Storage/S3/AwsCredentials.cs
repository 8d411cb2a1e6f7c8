using System.Text;

namespace Salvor.Storage.S3;

/// <summary>Who signs requests. A class and not a record, so that nothing prints what is in it.</summary>
/// <param name="accessKeyId">The public half.</param>
/// <param name="secretAccessKey">The secret half.</param>
/// <param name="sessionToken">What goes with keys that were lent; null otherwise.</param>
/// <param name="origin">Where they come from, as messages say it: <c>variable AWS_ACCESS_KEY_ID</c>.</param>
/// <param name="expires">When they end; null where they do not.</param>
public sealed class AwsCredentials(
    string accessKeyId, string secretAccessKey, string? sessionToken, string origin, DateTimeOffset? expires = null)
{
    public string AccessKeyId => accessKeyId;

    public string SecretAccessKey => secretAccessKey;

    public string? SessionToken => sessionToken;

    public string Origin => origin;

    public DateTimeOffset? Expires => expires;

    /// <summary>The same keys are the same, wherever they were found.</summary>
    public override bool Equals(object? obj) =>
        obj is AwsCredentials other
        && (AccessKeyId, SecretAccessKey, SessionToken) == (other.AccessKeyId, other.SecretAccessKey, other.SessionToken);

    public override int GetHashCode() => HashCode.Combine(AccessKeyId, SecretAccessKey, SessionToken);

    /// <summary>Tells two from each other, and nothing of what is in them.</summary>
    public override string ToString() => $"credentials {SigV4.HashOf(Encoding.UTF8.GetBytes($"{accessKeyId}/{secretAccessKey}"))[..8]}";
}
