using System.Net;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Tests.Support;
using static Salvor.Tests.Support.AnswerHandler;

namespace Salvor.Tests.Storage.S3;

/// <summary>Who we are, by what other tools for Amazon's services read too.</summary>
public sealed class AwsCredentialTests : IDisposable
{
    const string Lent =
        """{ "Version": 1, "AccessKeyId": "lent", "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-08-01T11:30:00Z" }""";

    readonly TemporaryDirectory home = new();
    readonly Dictionary<string, string> variables = new() { ["AWS_EC2_METADATA_DISABLED"] = "true" };
    readonly ManualTime time = new();

    public AwsCredentialTests() => variables["HOME"] = home.Path;

    public void Dispose() => home.Dispose();

    [Fact]
    public async Task What_is_configured_comes_before_variables_and_these_before_a_profile()
    {
        WriteCredentials("[default]\naws_access_key_id = of-profile\naws_secret_access_key = s\n");
        Assert.Equal("of-profile", (await FindAsync()).AccessKeyId);

        variables["AWS_ACCESS_KEY_ID"] = "of-variable";
        variables["AWS_SECRET_ACCESS_KEY"] = "s";
        variables["AWS_SESSION_TOKEN"] = "t";
        Assert.Equal(("of-variable", "t"), ((await FindAsync()).AccessKeyId, (await FindAsync()).SessionToken));

        var configured = new AwsCredentials("of-configuration", "s", null, "destination offsite");
        Assert.Same(configured, await Chain(configured: configured).GetAsync(default));
    }

    [Fact]
    public async Task A_profile_that_the_configuration_names_comes_before_variables()
    {
        WriteCredentials("[other]\naws_access_key_id=wrong\naws_secret_access_key=s\n[backups]\n# me\naws_access_key_id =right\n"
            + "aws_secret_access_key= s==\naws_session_token = t\n");
        variables["AWS_ACCESS_KEY_ID"] = "of-variable";
        variables["AWS_SECRET_ACCESS_KEY"] = "s";

        var found = await Chain(profile: "backups").GetAsync(default);

        Assert.Equal(
            ("right", "s==", "t", "profile backups"), (found.AccessKeyId, found.SecretAccessKey, found.SessionToken, found.Origin));
    }

    [Fact]
    public async Task A_command_of_a_profile_gives_credentials_again_when_they_end()
    {
        var count = home["count"];
        var document = Lent.Replace("\"lent\"", "\"lent-'$(wc -l < " + count + ")'\"", StringComparison.Ordinal);
        WriteConfig($"[profile backups]\nregion = eu-west-3\ncredential_process = echo x >> {count}; echo '{document}'\n");
        variables["AWS_PROFILE"] = "backups";
        var chain = Chain();

        Assert.Equal("lent-1", (await chain.GetAsync(default)).AccessKeyId);
        Assert.Equal("lent-1", (await chain.GetAsync(default)).AccessKeyId);
        time.Advance(TimeSpan.FromMinutes(56));
        Assert.Equal("lent-2", (await chain.GetAsync(default)).AccessKeyId);
        Assert.Equal("eu-west-3", new AwsEnvironment(Variable).Region(null));
    }

    [Fact]
    public async Task What_a_service_calls_ended_is_asked_for_again()
    {
        using var local = new AnswerHandler(_ => Answer(HttpStatusCode.OK, Lent));
        using var remote = new AnswerHandler(_ => Answer(HttpStatusCode.BadRequest, "<Error><Code>ExpiredToken</Code></Error>"));
        variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/credentials";
        var store = new S3Store(
            new S3Options { Bucket = "acme" }, _ => true, time, new AwsEnvironment(Variable), new HttpMessageInvoker(remote),
            new HttpMessageInvoker(local));

        for (var i = 1; i <= 2; i++)
        {
            var failure = await Assert.ThrowsAsync<StorageException>(() => store.ReadAsync("log/1", 0, new byte[1], default));
            Assert.Equal("cannot read log/1 at s3://acme: the credentials of the container's role have ended", failure.Message);
            Assert.Equal(i, local.Requests.Count);
        }
    }

    [Fact]
    public async Task A_container_says_who_it_is_to_who_shows_its_token()
    {
        File.WriteAllText(home["token"], "Bearer x\n");
        variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://169.254.170.23/v1/credentials";
        variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = home["token"];
        using var local = new AnswerHandler(Answer(HttpStatusCode.OK, Lent));

        Assert.Equal("lent", (await Chain(local: local).GetAsync(default)).AccessKeyId);

        var request = local.Requests.Single();
        Assert.Equal("http://169.254.170.23/v1/credentials", request.RequestUri!.AbsoluteUri);
        Assert.Equal(["Bearer x"], request.Headers.NonValidated["Authorization"]);
    }

    [Fact]
    public async Task A_machine_says_who_it_is_to_who_asked_for_a_token_first()
    {
        variables.Remove("AWS_EC2_METADATA_DISABLED");
        using var local = new AnswerHandler(request => Answer(HttpStatusCode.OK, request.RequestUri!.AbsolutePath switch
        {
            "/latest/api/token" => "token-1",
            "/latest/meta-data/iam/security-credentials/" => "backups\n",
            _ => Lent,
        }));

        var found = await Chain(local: local).GetAsync(default);

        Assert.Equal(("lent", "the machine's role"), (found.AccessKeyId, found.Origin));
        Assert.Equal(
            ["/latest/api/token", "/latest/meta-data/iam/security-credentials/", "/latest/meta-data/iam/security-credentials/backups"],
            local.Requests.Select(request => request.RequestUri!.AbsolutePath));
        Assert.Equal(["token-1"], local.Requests[2].Headers.NonValidated["X-aws-ec2-metadata-token"]);
    }

    [Fact]
    public async Task A_token_of_a_cluster_is_changed_for_a_role()
    {
        File.WriteAllText(home["jwt"], "a.b.c");
        variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = home["jwt"];
        variables["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/backups";
        var form = "";
        using var remote = new AnswerHandler(async (request, _) =>
        {
            form = await request.Content!.ReadAsStringAsync(default);
            return Answer(
                HttpStatusCode.OK,
                "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>"
                    + "<Credentials><SessionToken>t</SessionToken><SecretAccessKey>s</SecretAccessKey>"
                    + "<Expiration>2026-08-01T11:30:00Z</Expiration><AccessKeyId>lent</AccessKeyId></Credentials>"
                    + "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
        });

        var found = await Chain(remote: remote).GetAsync(default);

        Assert.Equal(("lent", "t", time.GetUtcNow().AddHours(1)), (found.AccessKeyId, found.SessionToken, found.Expires!.Value));
        Assert.Equal("sts.eu-west-1.amazonaws.com", remote.Requests.Single().RequestUri!.Host);
        Assert.Equal(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fbackups"
                + "&RoleSessionName=salvor&WebIdentityToken=a.b.c",
            form);
    }

    [Fact]
    public async Task Nobody_anywhere_is_a_refusal_with_what_to_do()
    {
        await AssertRefusedAsync(
            "there are no credentials for S3",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws/credentials.");

        variables["AWS_ACCESS_KEY_ID"] = "id";
        await AssertRefusedAsync("variable AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not", "Set both or none.");
    }

    [Fact]
    public async Task A_profile_that_cannot_be_used_says_why()
    {
        await AssertRefusedAsync(
            "profile backups has no credentials",
            $"Add aws_access_key_id and aws_secret_access_key to [backups] in {home[".aws/credentials"]}.",
            "backups");

        WriteConfig("[profile backups]\nsso_session = acme\n[profile broken]\ncredential_process = echo canary; exit 3\n");
        await AssertRefusedAsync(
            "profile backups has sso_session, which needs Amazon's own tool",
            "Run 'aws sso login --profile backups', and name a profile with "
                + "'credential_process = aws configure export-credentials --profile backups --format process' instead.",
            "backups");
        await AssertRefusedAsync(
            "the credential_process of profile broken failed: it ended with 3",
            "Run the command of that line by hand: it must print one JSON document with AccessKeyId and SecretAccessKey.",
            "broken");
    }

    async Task AssertRefusedAsync(string message, string hint, string? profile = null)
    {
        var failure = await Assert.ThrowsAsync<StorageException>(() => Chain(profile: profile).GetAsync(default).AsTask());
        Assert.Equal((StorageFailure.Denied, message, hint), (failure.Failure, failure.Message, failure.Hint));
    }

    string? Variable(string name) => variables.GetValueOrDefault(name);

    async Task<AwsCredentials> FindAsync() => await Chain().GetAsync(default);

    AwsCredentialChain Chain(
        AwsCredentials? configured = null, string? profile = null, AnswerHandler? local = null, AnswerHandler? remote = null) => new(
            configured, profile, "eu-west-1", new AwsEnvironment(Variable), Http(local), Http(remote), time);

    static HttpMessageInvoker Http(AnswerHandler? handler) =>
        new(handler ?? new AnswerHandler(_ => throw new HttpRequestException(HttpRequestError.ConnectionError, "nobody")));

    void WriteCredentials(string text) => Write(".aws/credentials", text);

    void WriteConfig(string text) => Write(".aws/config", text);

    void Write(string name, string text)
    {
        Directory.CreateDirectory(home[".aws"]);
        File.WriteAllText(home[name], text);
    }
}
