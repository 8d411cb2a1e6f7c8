using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Salvor.Storage;
using Salvor.Storage.S3;

namespace Salvor.Tests.Support;

/// <summary>
/// A real service for S3 on loopback: Ceph's gateway, started when a test first asks for it, for all tests of a run. Each test has a bucket
/// of its own.
/// </summary>
sealed class CephGateway
{
    public const string Secret = "testsecret";

    static readonly Lazy<Task<CephGateway>> Shared = new(() => Task.Run(StartAsync));
    static int buckets;

    // Its standard input closes when this process ends, however it does, and that ends the script with all that it started.
    readonly Process script;

    CephGateway(Process script, int port)
    {
        this.script = script;
        Endpoint = $"http://127.0.0.1:{port}";
    }

    public string Endpoint { get; }

    public static AwsCredentials Owner => new("testkey", Secret, null, "the test");

    /// <summary>A user who may do what a policy of a bucket says.</summary>
    public static AwsCredentials Other => new("otherkey", "othersecret", null, "the test");

    /// <summary>The gateway, running. Processes that tests start find its keys in their environment.</summary>
    public static Task<CephGateway> StartedAsync() => Shared.Value;

    /// <summary>A new bucket of <see cref="Owner"/>.</summary>
    public async Task<S3Options> NewBucketAsync()
    {
        var bucket = $"bucket-{Interlocked.Increment(ref buckets)}";
        await ManageAsync(bucket, "", "");
        return new S3Options { Bucket = bucket, Endpoint = Endpoint, Credentials = Owner };
    }

    /// <summary>A new bucket as a URL, for command lines.</summary>
    public async Task<string> NewUrlAsync() => (await NewBucketAsync()).Location;

    /// <summary>What <see cref="Other"/> may do in a bucket, such as <c>s3:GetObject</c>.</summary>
    public Task AllowOtherAsync(string bucket, params IEnumerable<string> actions) => ManageAsync(
        bucket,
        "policy",
        $$"""
        {
          "Version": "2012-10-17",
          "Statement": [{
            "Effect": "Allow", "Principal": { "AWS": ["arn:aws:iam:::user/other"] },
            "Action": [{{string.Join(", ", actions.Select(action => $"\"{action}\""))}}],
            "Resource": ["arn:aws:s3:::{{bucket}}", "arn:aws:s3:::{{bucket}}/*"]
          }]
        }
        """);

    public static S3Store Open(S3Options options) => new(options, _ => true);

    /// <summary>Puts a setting of a bucket, or the bucket itself.</summary>
    async Task ManageAsync(string bucket, string setting, string content)
    {
        using var http = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false });
        var bytes = System.Text.Encoding.UTF8.GetBytes(content);
        using var request = new HttpRequestMessage(HttpMethod.Put, $"{Endpoint}/{bucket}/{(setting.Length == 0 ? "" : "?" + setting)}");
        request.Content = new ByteArrayContent(bytes);
        SigV4.Sign(request, Owner, "us-east-1", SigV4.HashOf(bytes), DateTimeOffset.UtcNow);
        using var response = await http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, $"{setting} of {bucket}: {await response.Content.ReadAsStringAsync()}");
    }

    static async Task<CephGateway> StartAsync()
    {
        var ports = FreePorts(3);
        var folder = Directory.CreateTempSubdirectory("salvor-ceph-").FullName;
        var script = Process.Start(new ProcessStartInfo("bash", [Tool.PathOf("ceph.sh"), folder, .. ports.Select(port => $"{port}")])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        if (await script.StandardOutput.ReadLineAsync() != "ready")
        {
            throw new InvalidOperationException("ceph did not start, and said why; its packages are in ./test");
        }

        Environment.SetEnvironmentVariable("AWS_ACCESS_KEY_ID", Owner.AccessKeyId);
        Environment.SetEnvironmentVariable("AWS_SECRET_ACCESS_KEY", Secret);
        return new CephGateway(script, ports[0]);
    }

    static int[] FreePorts(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToList();
        listeners.ForEach(listener => listener.Start());
        int[] ports = [.. listeners.Select(listener => ((IPEndPoint)listener.LocalEndpoint).Port)];
        listeners.ForEach(listener => listener.Stop());
        return ports;
    }
}
