using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Salvor.Storage;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Support;

/// <summary>
/// Microsoft's emulator of Azure Blob Storage, which keeps all in its memory. One for all tests of a run, started with the first of them;
/// it ends when the test process does, however that ends. Every test has a container of its own.
/// </summary>
sealed partial class AzuriteServer
{
    public const string Account = "salvortest";

    static readonly Lazy<Task<AzuriteServer>> shared = new(StartAsync);
    static int containers;

    readonly Process process;

    AzuriteServer(Process process, IPEndPoint address) => (this.process, Address) = (process, address);

    public static Task<AzuriteServer> SharedAsync() => shared.Value;

    public IPEndPoint Address { get; }

    /// <summary>Made up, and the same in every run: the server is this machine's alone.</summary>
    public static byte[] Key { get; } = SHA256.HashData("the key of an account that exists in tests only"u8);

    /// <summary>Where the account's blobs are; behind a proxy, at its port.</summary>
    public Uri Endpoint(int? port = null) => new($"http://127.0.0.1:{port ?? Address.Port}/{Account}");

    /// <summary>A new container, by its options.</summary>
    public async Task<AzureBlobOptions> CreateContainerAsync(int? port = null)
    {
        var name = $"test-{Interlocked.Increment(ref containers)}";
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Put, $"{Endpoint()}/{name}?restype=container");
        request.Headers.Add("x-ms-version", "2021-12-02");
        request.Headers.Add("x-ms-date", TimeProvider.System.GetUtcNow().ToString("R"));
        request.Headers.TryAddWithoutValidation("Authorization", $"SharedKey {SharedKeySignature.Of(Account, Key, request)}");
        using var response = await http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        var endpoint = Endpoint(port);
        return new()
        {
            Account = Account,
            Container = name,
            Endpoint = endpoint,
            Location = $"azure://{name}?account={Account}&endpoint={endpoint}",
            Credential = new AzureCredential.SharedKey(Key),
        };
    }

    /// <summary>A shared access signature of a container.</summary>
    public static string Sas(string container, string permissions, DateTimeOffset expiry)
    {
        const string Version = "2021-12-02";
        var end = expiry.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'");
        string[] lines = [permissions, "", end, $"/blob/{Account}/{container}", "", "", "", Version, "c", "", "", "", "", "", "", ""];
        var signature = Convert.ToBase64String(HMACSHA256.HashData(Key, Encoding.UTF8.GetBytes(string.Join('\n', lines))));
        return $"sv={Version}&sr=c&sp={permissions}&se={Uri.EscapeDataString(end)}&sig={Uri.EscapeDataString(signature)}";
    }

    static async Task<AzuriteServer> StartAsync()
    {
        var program = Path.Combine(Checkout.Root, "artifacts/cache/azurite-3.35.0/node_modules/azurite/dist/src/blob/main.js");
        Assert.True(File.Exists(program), $"{program} is missing: './test' installs it");
        string[] arguments =
        [
            "-r", Tool.PathOf("end_with_stdin.js"), program, "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence",
            "--silent", "--skipApiVersionCheck", "--disableTelemetry",
        ];
        var start = new ProcessStartInfo("node", arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        start.Environment["AZURITE_ACCOUNTS"] = $"{Account}:{Convert.ToBase64String(Key)}";
        var process = Process.Start(start)!;

        // For commands that tests start, which inherit them; they count for this account only.
        Environment.SetEnvironmentVariable("AZURE_STORAGE_ACCOUNT", Account);
        Environment.SetEnvironmentVariable("AZURE_STORAGE_KEY", Convert.ToBase64String(Key));
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (Listening().Match(line) is { Success: true } match)
            {
                return new(process, new(IPAddress.Loopback, int.Parse(match.Groups["port"].Value)));
            }
        }

        throw new InvalidOperationException($"azurite ended with {process.ExitCode} before it listened");
    }

    [GeneratedRegex(@"listens on http://127\.0\.0\.1:(?<port>\d+)")]
    private static partial Regex Listening();
}
