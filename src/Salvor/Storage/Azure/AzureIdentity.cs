using System.ComponentModel;
using System.Diagnostics;
using System.Text;

namespace Salvor.Storage;

/// <summary>
/// Logs in to Entra ID with what the environment has, in the order of Azure's own tools: a secret or a token of a workload in variables,
/// the identity of the service or the machine, and at last whoever is logged in with <c>az</c>.
/// </summary>
sealed class AzureIdentity
{
    const string Resource = "https://storage.azure.com/";

    /// <summary>How long to wait for a token.</summary>
    static readonly TimeSpan FetchMax = TimeSpan.FromSeconds(30);

    /// <summary>Elsewhere than in Azure nothing answers at the address of the machine's identity, and often nothing says so.</summary>
    static readonly TimeSpan MachineConnectMax = TimeSpan.FromSeconds(2);

    readonly Func<string, string?> environment;
    readonly TimeProvider time;
    readonly string cli;

    AzureIdentity(Func<string, string?> environment, TimeProvider time, string cli)
    {
        (this.environment, this.time, this.cli) = (environment, time, cli);
    }

    /// <param name="environment">The variables of the process.</param>
    /// <param name="time">Tells when a token ends.</param>
    /// <param name="cli">Azure's command line.</param>
    public static AzureTokens TokensOf(Func<string, string?> environment, TimeProvider time, string cli = "az") =>
        new(new AzureIdentity(environment, time, cli).FetchAsync, time);

    async Task<AzureToken> FetchAsync()
    {
        using var late = new CancellationTokenSource(FetchMax, time);
        var (tenant, client) = (Variable("AZURE_TENANT_ID"), Variable("AZURE_CLIENT_ID"));
        if (tenant is not null && client is not null && Variable("AZURE_CLIENT_SECRET") is { } secret)
        {
            return await LogInAsync(tenant, client, [new("client_secret", secret)], late.Token);
        }

        if (tenant is not null && client is not null && Variable("AZURE_FEDERATED_TOKEN_FILE") is { } file)
        {
            return await LogInAsync(tenant, client, await AssertionAsync(file, late.Token), late.Token);
        }

        if (Variable("IDENTITY_ENDPOINT") is { } service && Variable("IDENTITY_HEADER") is { } header)
        {
            return await AskAsync(
                "the identity of this service", new($"{service}?api-version=2019-08-01&{Wanted(client)}"), "X-IDENTITY-HEADER", header,
                late.Token);
        }

        return await FromMachineAsync(client, late.Token) ?? await FromCommandLineAsync(late.Token);
    }

    static async Task<KeyValuePair<string, string>[]> AssertionAsync(string file, CancellationToken cancellationToken)
    {
        try
        {
            return
            [
                new("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                new("client_assertion", (await File.ReadAllTextAsync(file, cancellationToken)).Trim()),
            ];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException(
                StorageFailure.Unreachable, $"cannot read the token of this workload in {file}",
                "Check that AZURE_FEDERATED_TOKEN_FILE names a file that this process may read.", e);
        }
    }

    async Task<AzureToken> LogInAsync(
        string tenant, string client, KeyValuePair<string, string>[] proof, CancellationToken cancellationToken)
    {
        var authority = new Uri(Variable("AZURE_AUTHORITY_HOST") ?? "https://login.microsoftonline.com");
        if (authority.Scheme != Uri.UriSchemeHttps && !authority.IsLoopback)
        {
            throw new StorageException(
                StorageFailure.Denied, $"AZURE_AUTHORITY_HOST is {authority}, to which a secret would be sent in the open",
                "Set it to a URL that begins with https://, or unset it.");
        }

        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(authority, $"{Uri.EscapeDataString(tenant)}/oauth2/v2.0/token"))
        {
            Content = new FormUrlEncodedContent(
                [new("client_id", client), new("scope", $"{Resource}.default"), new("grant_type", "client_credentials"), .. proof]),
        };
        return await SendAsync($"application {client}", request, HttpTransport.Remote, cancellationToken);
    }

    /// <summary>Null where nothing answers, because the machine is not one of Azure's.</summary>
    async Task<AzureToken?> FromMachineAsync(string? client, CancellationToken cancellationToken)
    {
        var host = Variable("AZURE_POD_IDENTITY_AUTHORITY_HOST") ?? "http://169.254.169.254";
        var url = new Uri($"{host.TrimEnd('/')}/metadata/identity/oauth2/token?api-version=2018-02-01&{Wanted(client)}");
        try
        {
            return await AskAsync("the identity of this machine", url, "Metadata", "true", cancellationToken);
        }
        catch (StorageException e) when (e.InnerException is HttpRequestException or OperationCanceledException
            && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    async Task<AzureToken> AskAsync(string who, Uri url, string header, string value, CancellationToken cancellationToken)
    {
        // Never by a proxy: the address means this machine.
        using var http = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false, ConnectTimeout = MachineConnectMax });
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.TryAddWithoutValidation(header, value);
        return await SendAsync(who, request, http, cancellationToken);
    }

    async Task<AzureToken> SendAsync(
        string who, HttpRequestMessage request, HttpMessageInvoker http, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await http.SendAsync(request, cancellationToken);
            var body = await AzureTokenAnswer.ReadAsync(response.Content, cancellationToken);
            if (response.IsSuccessStatusCode && AzureTokenAnswer.TokenOf(body, time) is { } token)
            {
                return token;
            }

            var failure = (int)response.StatusCode is 429 or >= 500 ? StorageFailure.Unreachable : StorageFailure.Denied;
            throw new StorageException(
                failure, $"cannot log in to Azure as {who}: {request.RequestUri!.Host} answered {(int)response.StatusCode}"
                    + AzureTokenAnswer.ReasonOf(body),
                "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and what belongs to them, or the identity that is assigned to this machine.");
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            throw new StorageException(
                StorageFailure.Unreachable, $"cannot log in to Azure as {who}: {request.RequestUri!.Host} did not answer",
                $"Check the network on the way to it: 'curl -v {request.RequestUri.GetLeftPart(UriPartial.Authority)}'.", e);
        }
    }

    async Task<AzureToken> FromCommandLineAsync(CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(cli, ["account", "get-access-token", "--resource", Resource, "--output", "json"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        try
        {
            using var process = Process.Start(start)!;
            process.StandardInput.Close();
            var output = AzureTokenAnswer.ReadAsync(process.StandardOutput.BaseStream, cancellationToken);
            var complaint = process.StandardError.ReadToEndAsync(cancellationToken);
            var body = await output;
            await complaint;
            await process.WaitForExitAsync(cancellationToken);
            return AzureTokenAnswer.TokenOf(body, time) ?? throw new StorageException(
                StorageFailure.Denied, $"cannot log in to Azure: '{cli} account get-access-token' ended with {process.ExitCode}",
                "Run 'az login' as the user that runs salvor, or set account_key or sas_token.");
        }
        catch (Exception e) when (e is Win32Exception or IOException or OperationCanceledException)
        {
            throw new StorageException(
                StorageFailure.Denied, "cannot log in to Azure: no identity in the variables, of this machine, or of 'az'",
                "Set account_key or sas_token, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET.", e);
        }
    }

    static string Wanted(string? client)
    {
        var query = new StringBuilder("resource=").Append(Uri.EscapeDataString(Resource));
        return (client is null ? query : query.Append("&client_id=").Append(Uri.EscapeDataString(client))).ToString();
    }

    string? Variable(string name) => environment(name) is { Length: > 0 } value ? value : null;
}
