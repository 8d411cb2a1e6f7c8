using System.Xml;
using System.Xml.Linq;

namespace Salvor.Storage.S3;

/// <summary>
/// Credentials of a role, lent by Amazon's token service to who shows keys or a token. Sources: "AssumeRole" and
/// "AssumeRoleWithWebIdentity" of the STS reference; "Assume role credential provider" of the SDK reference guide for the settings.
/// </summary>
static class AwsRoles
{
    static readonly S3Dialect Words = S3Dialect.Amazon with { Name = "sts" };

    /// <summary>The role of a profile, by the keys of whoever it names as its source.</summary>
    /// <param name="settings">Of the profile; with <c>role_arn</c>.</param>
    /// <param name="source">Who asks.</param>
    public static Task<AwsCredentials> OfProfileAsync(
        string profile, IReadOnlyDictionary<string, string> settings, AwsCredentials source, AwsEnvironment environment, string region,
        HttpMessageInvoker http, DateTimeOffset now)
    {
        var form = FormOf("AssumeRole", settings["role_arn"], settings.GetValueOrDefault("role_session_name"));
        Add(form, "ExternalId", settings.GetValueOrDefault("external_id"));
        Add(form, "DurationSeconds", settings.GetValueOrDefault("duration_seconds"));
        return AskAsync(form, $"profile {profile}", source, environment, region, http, now);
    }

    /// <summary>The role of a token in a file, as clusters give it to what runs in them.</summary>
    public static Task<AwsCredentials> OfTokenAsync(
        string file, string role, string? session, string origin, AwsEnvironment environment, string region, HttpMessageInvoker http)
    {
        var form = FormOf("AssumeRoleWithWebIdentity", role, session);
        Add(form, "WebIdentityToken", AwsTokens.ReadToken(file));
        return AskAsync(form, origin, null, environment, region, http, default);
    }

    static List<KeyValuePair<string, string>> FormOf(string action, string role, string? session) =>
    [
        new("Action", action), new("Version", "2011-06-15"), new("RoleArn", role), new("RoleSessionName", session ?? "salvor"),
    ];

    static void Add(List<KeyValuePair<string, string>> form, string name, string? value)
    {
        if (value is not null)
        {
            form.Add(new(name, value));
        }
    }

    static async Task<AwsCredentials> AskAsync(
        List<KeyValuePair<string, string>> form, string origin, AwsCredentials? signer, AwsEnvironment environment, string region,
        HttpMessageInvoker http, DateTimeOffset now)
    {
        var suffix = region.StartsWith("cn-", StringComparison.Ordinal) ? "amazonaws.com.cn" : "amazonaws.com";
        var host = environment.Variable("AWS_ENDPOINT_URL_STS") ?? $"https://sts.{region}.{suffix}";
        var request = new HttpRequestMessage(HttpMethod.Post, host) { Content = new FormUrlEncodedContent(form) };
        if (signer is not null)
        {
            var content = await request.Content.ReadAsByteArrayAsync();
            SigV4.Sign(request, signer, region, SigV4.HashOf(content), now, Words);
        }

        return Read(await AwsTokens.AskAsync(http, request, origin, AwsTokens.RemoteWait), origin);
    }

    static AwsCredentials Read(string answer, string origin)
    {
        try
        {
            var fields = XDocument.Parse(answer).Descendants().Where(element => !element.HasElements)
                .GroupBy(element => element.Name.LocalName).ToDictionary(group => group.Key, group => group.First().Value);
            return new AwsCredentials(
                fields["AccessKeyId"], fields["SecretAccessKey"], fields["SessionToken"], origin,
                XmlConvert.ToDateTimeOffset(fields["Expiration"]));
        }
        catch (Exception e) when (e is XmlException or KeyNotFoundException or FormatException)
        {
            throw AwsTokens.Foreign(origin);
        }
    }
}
