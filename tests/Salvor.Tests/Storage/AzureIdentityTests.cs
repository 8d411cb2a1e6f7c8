using System.Net;
using Salvor.Storage;
using Salvor.Tests.Support;
using static Salvor.Tests.Support.ProxyFault;

namespace Salvor.Tests.Storage;

/// <summary>Logging in to Entra ID, whose answers a server on loopback gives as its description has them.</summary>
public sealed class AzureIdentityTests : IAsyncLifetime
{
    const string Token = "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"canary-token\"}";

    readonly ManualTime time = new();
    readonly ScratchDirectory scratch = new();
    LoopbackProxy entra = null!;

    public async ValueTask InitializeAsync() => entra = new((await AzuriteServer.SharedAsync()).Address);

    public ValueTask DisposeAsync()
    {
        scratch.Dispose();
        return entra.DisposeAsync();
    }

    [Fact]
    public async Task An_application_logs_in_with_its_secret_and_keeps_the_token_until_shortly_before_its_end()
    {
        entra.Add(new Answer("200 OK", [], Token));
        entra.Add(new Answer("200 OK", [], Token.Replace("canary-token", "next")));
        var tokens = Tokens(Application("AZURE_CLIENT_SECRET", "canary-secret"));

        Assert.Equal("canary-token", await tokens.GetAsync(default));
        time.Advance(TimeSpan.FromMinutes(50));
        Assert.Equal("canary-token", await tokens.GetAsync(default));
        time.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal("next", await tokens.GetAsync(default));
        Assert.Equal(["POST /tenant/oauth2/v2.0/token", "POST /tenant/oauth2/v2.0/token"], entra.Requests);
    }

    [Fact]
    public async Task Many_calls_wait_for_one_token()
    {
        entra.Latency = TimeSpan.FromMilliseconds(50);
        entra.Add(new Answer("200 OK", [], Token));
        var tokens = Tokens(Application("AZURE_CLIENT_SECRET", "canary-secret"));

        Assert.All(
            await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => tokens.GetAsync(default))),
            token => Assert.Equal("canary-token", token));
        Assert.Single(entra.Requests);
    }

    [Fact]
    public async Task A_workload_logs_in_with_the_token_of_its_file()
    {
        File.WriteAllText(scratch["token"], "assertion\n");
        entra.Add(new Answer("200 OK", [], Token));

        Assert.Equal("canary-token", await Tokens(Application("AZURE_FEDERATED_TOKEN_FILE", scratch["token"])).GetAsync(default));

        var failure = await FailureAsync(Application("AZURE_FEDERATED_TOKEN_FILE", scratch["absent"]));
        Assert.Equal($"cannot read the token of this workload in {scratch["absent"]}", failure.Message);
    }

    [Fact]
    public async Task A_machine_is_asked_for_its_own_identity()
    {
        var end = time.GetUtcNow().AddHours(1).ToUnixTimeSeconds();
        entra.Add(new Answer("200 OK", [], $"{{\"access_token\":\"of-the-machine\",\"expires_on\":\"{end}\"}}"));

        Assert.Equal("of-the-machine", await Tokens([("AZURE_POD_IDENTITY_AUTHORITY_HOST", Entra)]).GetAsync(default));
        Assert.StartsWith(
            "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F",
            entra.Requests.Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_is_asked_for_its_own_identity()
    {
        entra.Add(new Answer("200 OK", [], Token));

        Assert.Equal(
            "canary-token", await Tokens([("IDENTITY_ENDPOINT", $"{Entra}/msi"), ("IDENTITY_HEADER", "canary-header")]).GetAsync(default));
        Assert.StartsWith("GET /msi?api-version=2019-08-01&resource=", entra.Requests.Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_no_machine_answers_whoever_is_logged_in_is_asked()
    {
        var az = scratch["az"];
        var end = time.GetUtcNow().AddHours(1).ToUnixTimeSeconds();
        File.WriteAllText(az, $"#!/bin/sh\necho '{{ \"accessToken\": \"of-az\", \"expires_on\": {end} }}'\n");
        File.SetUnixFileMode(az, UnixFileMode.UserRead | UnixFileMode.UserExecute);

        Assert.Equal("of-az", await Tokens(NoMachine, az).GetAsync(default));
    }

    [Fact]
    public async Task Whoever_is_not_logged_in_is_told_how_to()
    {
        var az = scratch["az"];
        File.WriteAllText(az, "#!/bin/sh\necho 'Please run az login' >&2\nexit 1\n");
        File.SetUnixFileMode(az, UnixFileMode.UserRead | UnixFileMode.UserExecute);

        var refused = await FailureAsync(NoMachine, az);
        Assert.Equal($"cannot log in to Azure: '{az} account get-access-token' ended with 1", refused.Message);
        Assert.Equal("Run 'az login' as the user that runs salvor, or set account_key or sas_token.", refused.Hint);

        var absent = await FailureAsync(NoMachine, scratch["no-az"]);
        Assert.Equal("cannot log in to Azure: no identity in the variables, of this machine, or of 'az'", absent.Message);
        Assert.Equal("Set account_key or sas_token, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET.", absent.Hint);
    }

    [Fact]
    public async Task A_wrong_secret_is_told_by_the_number_of_the_service_and_not_by_itself()
    {
        const string Body =
            "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client secret provided: canary-secret\"}";
        entra.Add(new Answer("401 No", [], Body));

        var failure = await FailureAsync(Application("AZURE_CLIENT_SECRET", "canary-secret"));

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal(
            "cannot log in to Azure as application client: 127.0.0.1 answered 401 invalid_client (AADSTS7000215)", failure.Message);
        Assert.DoesNotContain("canary", $"{failure} {failure.Hint}", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("503 Busy", "")]
    [InlineData("200 OK", "{\"access_token\":\"x\"}")]
    [InlineData("200 OK", "[]")]
    [InlineData("200 OK", "{\"access_token\":\"two words\",\"expires_in\":10}")]
    [InlineData("200 OK", "{\"access_token\":\"x\",\"expires_in\":1e300}")]
    [InlineData("200 OK", "<html>")]
    public async Task An_answer_without_a_token_is_a_failure(string status, string body)
    {
        entra.Add(new Answer(status, [], body));

        var failure = await FailureAsync(Application("AZURE_CLIENT_SECRET", "canary-secret"));

        Assert.StartsWith("cannot log in to Azure as application client: 127.0.0.1 answered ", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_secret_is_not_sent_in_the_open()
    {
        var failure = await FailureAsync([("AZURE_AUTHORITY_HOST", "http://10.0.0.1"), .. Application("AZURE_CLIENT_SECRET", "s")]);

        Assert.Equal("AZURE_AUTHORITY_HOST is http://10.0.0.1/, to which a secret would be sent in the open", failure.Message);
    }

    [Fact]
    public async Task A_token_that_the_account_does_not_take_is_replaced()
    {
        entra.Add(new Answer("200 OK", [], Token));
        entra.Add(new Answer("200 OK", [], Token.Replace("canary-token", "next")));
        var service = new Doorman();
        var store = new AzureBlobStore(
            new()
            {
                Account = "acme",
                Container = "box",
                Endpoint = AzureBlobOptions.PublicEndpoint("acme"),
                Location = "azure://box?account=acme",
                Credential = new AzureCredential.Identity(Tokens(Application("AZURE_CLIENT_SECRET", "canary-secret"))),
            },
            time, new HttpMessageInvoker(service));

        var failure = await Assert.ThrowsAsync<StorageException>(() => store.SizeAsync("a", default));
        Assert.Equal(
            "cannot read a at azure://box?account=acme: account acme does not accept the identity (401 InvalidAuthenticationInfo)",
            failure.Message);
        Assert.Equal(3, await store.SizeAsync("a", default));
        Assert.Equal(["Bearer canary-token", "Bearer next"], service.Seen);
    }

    string Entra => $"http://127.0.0.1:{entra.Port}";

    static readonly (string, string)[] NoMachine = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")];

    /// <summary>Before what is given, so that what is given wins.</summary>
    (string Name, string Value)[] Application(string name, string value) =>
        [("AZURE_TENANT_ID", "tenant"), ("AZURE_CLIENT_ID", "client"), (name, value), ("AZURE_AUTHORITY_HOST", Entra)];

    AzureTokens Tokens((string Name, string Value)[] variables, string cli = "az-that-does-not-exist") => AzureIdentity.TokensOf(
        name => variables.FirstOrDefault(variable => variable.Name == name).Value, time, cli);

    Task<StorageException> FailureAsync((string, string)[] variables, string cli = "az-that-does-not-exist") =>
        Assert.ThrowsAsync<StorageException>(() => Tokens(variables, cli).GetAsync(default));

    /// <summary>Lets nobody in who has the first token.</summary>
    sealed class Doorman : HttpMessageHandler
    {
        public List<string> Seen { get; } = [];

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Seen.Add(request.Headers.Authorization!.ToString());
            var isIn = Seen.Count > 1;
            var response = new HttpResponseMessage(isIn ? HttpStatusCode.OK : HttpStatusCode.Unauthorized)
            {
                Content = new ByteArrayContent(new byte[3]),
            };
            if (!isIn)
            {
                response.Headers.Add("x-ms-error-code", "InvalidAuthenticationInfo");
            }

            return Task.FromResult(response);
        }
    }
}
