using System.Net;
using System.Security.Cryptography;
using System.Text;
using Salvor.Storage.S3;

namespace Salvor.Tests.Support;

/// <summary>
/// Google's words in front of Ceph's gateway: requests are checked and understood as Google's service does it, as far as documents and
/// reports say, and sent on in Amazon's. What is stored, listed and refused is the gateway's.
/// </summary>
sealed class GoogleGateway
{
    public const string KeyId = "GOOG1ETEST";
    public const string Secret = "google-secret";

    static readonly Lazy<Task<GoogleGateway>> Shared = new(() => Task.Run(StartAsync));

    static readonly HttpMessageInvoker Http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false });
    readonly string behind;

    GoogleGateway(string behind, int port) => (this.behind, Endpoint) = (behind, $"http://127.0.0.1:{port}");

    public string Endpoint { get; }

    /// <summary>Running until this process ends. Processes that tests start find its keys in their environment.</summary>
    public static Task<GoogleGateway> StartedAsync() => Shared.Value;

    /// <summary>A new bucket.</summary>
    public async Task<S3Options> NewBucketAsync()
    {
        var bucket = await (await CephGateway.StartedAsync()).NewBucketAsync();
        return new S3Options
        {
            Service = S3Service.Google, Bucket = bucket.Bucket, Endpoint = Endpoint, Credentials = new(KeyId, Secret, null, "the test"),
        };
    }

    static async Task<GoogleGateway> StartAsync()
    {
        var gateway = new GoogleGateway((await CephGateway.StartedAsync()).Endpoint, FreePort());
        Environment.SetEnvironmentVariable("GCS_ACCESS_KEY_ID", KeyId);
        Environment.SetEnvironmentVariable("GCS_SECRET_ACCESS_KEY", Secret);
#pragma warning disable CA2000 // It serves until this process ends.
        var listener = new HttpListener { Prefixes = { gateway.Endpoint + "/" } };
#pragma warning restore CA2000
        listener.Start();
        _ = gateway.ServeAsync(listener);
        return gateway;
    }

    async Task ServeAsync(HttpListener listener)
    {
        while (true)
        {
            _ = AnswerAsync(await listener.GetContextAsync());
        }
    }

    async Task AnswerAsync(HttpListenerContext context)
    {
        using var body = new MemoryStream();
        await context.Request.InputStream.CopyToAsync(body);
        var content = body.ToArray();
        var response = context.Response;
        if (Objection(context.Request, content) is { } objection)
        {
            response.StatusCode = objection.Status;
            await response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes($"<Error><Code>{objection.Code}</Code></Error>"));
            response.Close();
            return;
        }

        using var request = Translated(context.Request, content);
        using var answer = await Http.SendAsync(request, default);
        var bytes = await answer.Content.ReadAsByteArrayAsync();
        response.StatusCode = (int)answer.StatusCode;
        if (answer.Content.Headers.ContentRange is { } range)
        {
            response.Headers["Content-Range"] = range.ToString();
        }

        response.ContentLength64 = answer.Content.Headers.ContentLength ?? bytes.Length;
        await response.OutputStream.WriteAsync(bytes);
        response.Close();
    }

    HttpRequestMessage Translated(HttpListenerRequest asked, byte[] content)
    {
        var request = new HttpRequestMessage(new HttpMethod(asked.HttpMethod), behind + asked.RawUrl);
        if (asked.HttpMethod == "PUT")
        {
            request.Content = new ByteArrayContent(content);
        }

        (string Name, string Translated)[] headers = [("Range", "Range"), ("x-goog-storage-class", "x-amz-storage-class")];
        foreach (var (name, translated) in headers)
        {
            if (asked.Headers[name] is { } value)
            {
                request.Headers.TryAddWithoutValidation(translated, value == "NEARLINE" ? "STANDARD_IA" : value);
            }
        }

        // Amazon's condition is passed over, without a word.
        if (asked.Headers["x-goog-if-generation-match"] == "0")
        {
            request.Headers.TryAddWithoutValidation("If-None-Match", "*");
        }

        SigV4.Sign(request, CephGateway.Owner, "us-east-1", SigV4.HashOf(content), DateTimeOffset.UtcNow);
        return request;
    }

    static (int Status, string Code)? Objection(HttpListenerRequest request, byte[] content)
    {
        var names = request.Headers.AllKeys.Select(name => name!.ToLowerInvariant()).ToList();
        var authorization = request.Headers["Authorization"] ?? "";
        return names.Any(name => name.StartsWith("x-amz-", StringComparison.Ordinal))
            && names.Any(name => name.StartsWith("x-goog-", StringComparison.Ordinal)) ? (400, "ExcessHeaderValues")
            : !authorization.Contains($"Credential={KeyId}/", StringComparison.Ordinal) ? (403, "InvalidAccessKeyId")
            : request.Headers["x-goog-content-sha256"] != SigV4.HashOf(content) ? (400, "BadDigest")
            : !authorization.EndsWith($"Signature={SignatureOf(request, authorization)}", StringComparison.Ordinal)
                ? (403, "SignatureDoesNotMatch")
            : null;
    }

    /// <summary>By Google's page on signatures, and not by the code under test.</summary>
    static string SignatureOf(HttpListenerRequest request, string authorization)
    {
        var signed = authorization.Split("SignedHeaders=")[1].Split(',')[0];
        var scope = authorization.Split("Credential=")[1].Split(',')[0][(KeyId.Length + 1)..];
        var target = request.RawUrl!.Split('?');
        var query = string.Join('&', (target.ElementAtOrDefault(1) ?? "").Split('&').Order(StringComparer.Ordinal));
        var headers = string.Concat(signed.Split(';').Select(name => $"{name}:{request.Headers[name]}\n"));
        var canonical = $"{request.HttpMethod}\n{target[0]}\n{query}\n{headers}\n{signed}\n{request.Headers["x-goog-content-sha256"]}";
        var text = $"GOOG4-HMAC-SHA256\n{request.Headers["x-goog-date"]}\n{scope}\n{SigV4.HashOf(Encoding.UTF8.GetBytes(canonical))}";
        var key = Encoding.UTF8.GetBytes("GOOG4" + Secret);
        foreach (var part in (ReadOnlySpan<string>)[scope.Split('/')[0], "auto", "storage", "goog4_request"])
        {
            key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(part));
        }

        return Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text)));
    }

    static int FreePort()
    {
        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
