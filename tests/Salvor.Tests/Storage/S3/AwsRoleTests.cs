using System.Net;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Tests.Support;
using static Salvor.Tests.Support.AnswerHandler;

namespace Salvor.Tests.Storage.S3;

/// <summary>Profiles that take a role.</summary>
public sealed class AwsRoleTests : IDisposable
{
    const string Base = "[profile base]\naws_access_key_id = base-key\naws_secret_access_key = s\n";
    const string Role = "role_arn = arn:aws:iam::1:role/backups\n";

    readonly TemporaryDirectory home = new();
    readonly Dictionary<string, string> variables = [];
    readonly ManualTime time = new();
    readonly List<(string Form, string Authorization)> asked = [];

    public AwsRoleTests() => variables["HOME"] = home.Path;

    public void Dispose() => home.Dispose();

    [Fact]
    public async Task A_role_is_taken_with_the_keys_of_its_source_and_again_before_it_ends()
    {
        Configure($"{Base}[profile backups]\n{Role}source_profile = base\nexternal_id = x y\nrole_session_name = host-1\n");
        var chain = Chain("backups", Answering("lent-1", "lent-2"));

        var found = await chain.GetAsync(default);
        Assert.Equal(("lent-1", "t", "profile backups"), (found.AccessKeyId, found.SessionToken, found.Origin));
        Assert.Same(found, await chain.GetAsync(default));
        time.Advance(TimeSpan.FromMinutes(56));
        Assert.Equal("lent-2", (await chain.GetAsync(default)).AccessKeyId);

        Assert.Equal(
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fbackups&RoleSessionName=host-1&ExternalId=x+y",
            asked[0].Form);
        Assert.StartsWith(
            "AWS4-HMAC-SHA256 Credential=base-key/20260801/eu-west-1/sts/aws4_request,", asked[0].Authorization, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_source_may_be_a_role_itself_or_the_same_profile_with_keys()
    {
        Configure(
            $"{Base}[profile middle]\nrole_arn = arn:aws:iam::1:role/middle\nsource_profile = base\n[profile backups]\n{Role}"
                + $"source_profile = middle\n[profile self]\n{Role}source_profile = self\naws_access_key_id = own\n"
                + "aws_secret_access_key = s\n");

        Assert.Equal("lent-2", (await Chain("backups", Answering("lent-1", "lent-2")).GetAsync(default)).AccessKeyId);
        Assert.Contains("Credential=base-key/", asked[0].Authorization, StringComparison.Ordinal);
        Assert.Contains("Credential=lent-1/", asked[1].Authorization, StringComparison.Ordinal);

        asked.Clear();
        Assert.Equal("lent-3", (await Chain("self", Answering("lent-3")).GetAsync(default)).AccessKeyId);
        Assert.Contains("Credential=own/", asked[0].Authorization, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_source_may_be_variables_or_a_token_in_a_file()
    {
        File.WriteAllText(home["jwt"], "a.b.c");
        Configure(
            $"[profile backups]\n{Role}credential_source = Environment\n[profile token]\n{Role}web_identity_token_file = {home["jwt"]}\n");
        variables["AWS_ACCESS_KEY_ID"] = "of-variable";
        variables["AWS_SECRET_ACCESS_KEY"] = "s";

        Assert.Equal("lent-1", (await Chain("backups", Answering("lent-1")).GetAsync(default)).AccessKeyId);
        Assert.Contains("Credential=of-variable/", asked[0].Authorization, StringComparison.Ordinal);

        Assert.Equal("lent-2", (await Chain("token", Answering("lent-2")).GetAsync(default)).AccessKeyId);
        Assert.Equal("", asked[1].Authorization);
        Assert.EndsWith("&RoleSessionName=salvor&WebIdentityToken=a.b.c", asked[1].Form, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "has role_arn and does not say who may take that role",
        "Add source_profile = NAME, or credential_source = Environment, Ec2InstanceMetadata or EcsContainer.")]
    [InlineData("source_profile = nobody\n", "has role_arn, and its source nobody has no credentials",
        "Give it some: 'aws configure --profile nobody'.")]
    [InlineData("source_profile = backups\n", "has role_arn, and its source backups has no credentials",
        "Give it some: 'aws configure --profile backups'.")]
    [InlineData("credential_source = Magic\n", "has credential_source = Magic, which is none",
        "Known are Environment, Ec2InstanceMetadata and EcsContainer.")]
    [InlineData("source_profile = base\nmfa_serial = arn:mfa\n", "has mfa_serial, and nobody is here to read a code",
        "Let a role be used without one for backups.")]
    public async Task A_role_that_cannot_be_taken_says_why(string settings, string why, string hint)
    {
        Configure($"{Base}[profile backups]\n{Role}{settings}");

        var failure = await Assert.ThrowsAsync<StorageException>(() => Chain("backups", Answering("x")).GetAsync(default).AsTask());

        Assert.Equal((StorageFailure.Denied, $"profile backups {why}", hint), (failure.Failure, failure.Message, failure.Hint));
        Assert.Empty(asked);
    }

    [Fact]
    public async Task A_refusal_has_the_words_of_the_service()
    {
        Configure($"{Base}[profile backups]\n{Role}source_profile = base\n");
        using var handler = new AnswerHandler(_ => Answer(
            HttpStatusCode.Forbidden,
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User base may not.</Message></Error></ErrorResponse>"));

        var failure = await Assert.ThrowsAsync<StorageException>(() => Chain("backups", handler).GetAsync(default).AsTask());

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal(
            "cannot get credentials of profile backups: sts.eu-west-1.amazonaws.com answered 403 AccessDenied (User base may not)",
            failure.Message);
    }

    [Fact]
    public async Task A_role_of_a_real_service_opens_a_bucket_that_its_source_may_not()
    {
        var gateway = await CephGateway.StartedAsync();
        var bucket = await gateway.NewBucketAsync();
        Configure(
            "[profile other]\naws_access_key_id = otherkey\naws_secret_access_key = othersecret\n"
                + "[profile backups]\nrole_arn = arn:aws:iam:::role/backups\nsource_profile = other\n");
        variables["AWS_ENDPOINT_URL_STS"] = gateway.Endpoint;
        using var http = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false });
        S3Store Open(string profile) => new(
            bucket with { Credentials = null, Profile = profile }, _ => true, TimeProvider.System,
            new AwsEnvironment(variables.GetValueOrDefault), http, http);

        var refused = await Assert.ThrowsAsync<StorageException>(() => Open("other").PutAsync("log/1", new byte[] { 7 }, default));
        Assert.Contains("the credentials of profile other may not write", refused.Message, StringComparison.Ordinal);

        Assert.Equal(PutResult.Created, await Open("backups").PutAsync("log/1", new byte[] { 7 }, default));
        Assert.Equal([7], await Open("backups").GetAsync("log/1", 9, default));
    }

    AnswerHandler Answering(params string[] keys)
    {
        var next = 0;
        return new AnswerHandler(async (request, _) =>
        {
            var authorization = request.Headers.NonValidated.TryGetValues("Authorization", out var values) ? values.ToString() : "";
            asked.Add((await request.Content!.ReadAsStringAsync(default), authorization));
            return Answer(
                HttpStatusCode.OK,
                $"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>"
                    + $"<AccessKeyId>{keys[next++]}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
                    + $"<Expiration>{time.GetUtcNow().AddHours(1):yyyy-MM-dd'T'HH:mm:ss'Z'}</Expiration></Credentials></AssumeRoleResult>"
                    + "</AssumeRoleResponse>");
        });
    }

    AwsCredentialChain Chain(string profile, AnswerHandler remote)
    {
        var http = new HttpMessageInvoker(remote);
        return new(null, profile, "eu-west-1", new AwsEnvironment(variables.GetValueOrDefault), http, http, time);
    }

    void Configure(string text)
    {
        Directory.CreateDirectory(home[".aws"]);
        File.WriteAllText(home[".aws/config"], text);
    }
}
