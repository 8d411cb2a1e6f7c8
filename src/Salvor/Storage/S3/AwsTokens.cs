using System.Net;
using System.Text.Json;

namespace Salvor.Storage.S3;

/// <summary>
/// Credentials that are lent for hours: to a container, to a machine. Sources: "Container credential provider" of the SDK reference guide,
/// "Use IMDSv2" of the EC2 guide.
/// </summary>
static class AwsTokens
{
    const int AnswerBytesMax = 64 << 10;
    const string ContainerHost = "http://169.254.170.2";
    const string MachineHost = "http://169.254.169.254";
    const string MachineTokenLife = "21600";

    /// <summary>What answers on the machine itself answers at once; elsewhere nobody does.</summary>
    static readonly TimeSpan LocalWait = TimeSpan.FromSeconds(2);

    public static readonly TimeSpan RemoteWait = TimeSpan.FromSeconds(20);

    /// <summary>Credentials in the JSON that a command, a container or a machine gives; null where it is something else.</summary>
    public static AwsCredentials? Parse(string json, string origin)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement;
            return Text(root, "AccessKeyId") is { } id && Text(root, "SecretAccessKey") is { } secret
                ? new AwsCredentials(id, secret, Text(root, "SessionToken") ?? Text(root, "Token"), origin, Time(root, "Expiration"))
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public static async Task<AwsCredentials?> OfWebIdentityAsync(
        AwsEnvironment environment, string region, HttpMessageInvoker http) =>
        environment.Variable("AWS_WEB_IDENTITY_TOKEN_FILE") is { } file && environment.Variable("AWS_ROLE_ARN") is { } role
            ? await AwsRoles.OfTokenAsync(
                file, role, environment.Variable("AWS_ROLE_SESSION_NAME"), "the role of AWS_ROLE_ARN", environment, region, http)
            : null;

    public static async Task<AwsCredentials?> OfContainerAsync(
        AwsEnvironment environment, HttpMessageInvoker http)
    {
        const string Origin = "the container's role";
        var address = environment.Variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") is { } relative
            ? ContainerHost + relative
            : environment.Variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        if (address is null || !Uri.TryCreate(address, UriKind.Absolute, out var uri))
        {
            return null;
        }

        var request = new HttpRequestMessage(HttpMethod.Get, uri);
        var token = environment.Variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") is { } file
            ? ReadToken(file)
            : environment.Variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        if (token is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", token);
        }

        return Parse(await AskAsync(http, request, Origin, LocalWait), Origin) ?? throw Foreign(Origin);
    }

    /// <summary>Null where this is no machine of Amazon's, or one without a role.</summary>
    public static async Task<AwsCredentials?> OfMachineAsync(
        AwsEnvironment environment, HttpMessageInvoker http)
    {
        const string Origin = "the machine's role";
        const string Path = "/latest/meta-data/iam/security-credentials/";
        if (string.Equals(environment.Variable("AWS_EC2_METADATA_DISABLED"), "true", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var host = (environment.Variable("AWS_EC2_METADATA_SERVICE_ENDPOINT") ?? MachineHost).TrimEnd('/');
        try
        {
            var token = await AskAsync(
                http, With(new(HttpMethod.Put, $"{host}/latest/api/token"), "X-aws-ec2-metadata-token-ttl-seconds", MachineTokenLife),
                Origin, LocalWait);
            var role = (await AskAsync(http, Get(host + Path, token), Origin, LocalWait)).Split('\n')[0].Trim();
            return Parse(
                await AskAsync(http, Get(host + Path + Uri.EscapeDataString(role), token), Origin, LocalWait), Origin);
        }
        catch (StorageException)
        {
            // Most machines are not Amazon's; then nobody answers, or somebody else does.
            return null;
        }

        static HttpRequestMessage Get(string address, string token) =>
            With(new(HttpMethod.Get, address), "X-aws-ec2-metadata-token", token);
    }

    static HttpRequestMessage With(HttpRequestMessage request, string header, string value)
    {
        request.Headers.TryAddWithoutValidation(header, value);
        return request;
    }

    /// <summary>One request, one answer of success; anything else is a failure. Throws <see cref="StorageException"/>.</summary>
    public static async Task<string> AskAsync(
        HttpMessageInvoker http, HttpRequestMessage request, string origin, TimeSpan wait)
    {
        using var deadline = new CancellationTokenSource(wait);
        using (request)
        {
            try
            {
                using var response = await http.SendAsync(request, deadline.Token);
                await response.Content.LoadIntoBufferAsync(AnswerBytesMax, deadline.Token);
                return response.IsSuccessStatusCode
                    ? await response.Content.ReadAsStringAsync(deadline.Token)
                    : throw Refused(
                        origin, request, response.StatusCode,
                        S3Xml.ReadRefusal(await response.Content.ReadAsByteArrayAsync(deadline.Token)));
            }
            catch (OperationCanceledException)
            {
                throw Unanswered(origin, request, $"nothing within {wait.TotalSeconds:0} s", null);
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                throw Unanswered(origin, request, e.Message, e);
            }
        }
    }

    /// <summary>What was refused to us, and not to whoever comes at a bad moment, does not pass by itself.</summary>
    static StorageException Refused(string origin, HttpRequestMessage request, HttpStatusCode status, S3Refusal refusal)
    {
        var failure = status is HttpStatusCode.BadRequest or HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden
            ? StorageFailure.Denied
            : StorageFailure.Unreachable;
        return Unanswered(origin, request, S3Errors.Words(status, refusal), null, failure);
    }

    static StorageException Unanswered(
        string origin, HttpRequestMessage request, string what, Exception? inner,
        StorageFailure failure = StorageFailure.Unreachable) => new(
        failure,
        $"cannot get credentials of {origin}: {request.RequestUri!.Authority} answered {what}",
        "Check the role, and that this machine may reach that address; or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        inner);

    /// <summary>The answer has no credentials in it.</summary>
    public static StorageException Foreign(string origin) => new(
        StorageFailure.Denied,
        $"cannot get credentials of {origin}: the answer has none in it",
        "Check the role; or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.");

    /// <summary>A token that somebody keeps fresh in a file.</summary>
    public static string ReadToken(string path)
    {
        try
        {
            return System.IO.File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException(
                StorageFailure.Denied,
                $"cannot read the token in {path}: {e.Message}",
                "Give the user that runs salvor read access to it.",
                e);
        }
    }

    static string? Text(JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    static DateTimeOffset? Time(JsonElement parent, string name) =>
        DateTimeOffset.TryParse(Text(parent, name), System.Globalization.CultureInfo.InvariantCulture, out var time) ? time : null;
}
