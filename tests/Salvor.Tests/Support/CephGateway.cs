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
    readonly string folder;

    CephGateway(Process script, string folder, int port)
    {
        (this.script, this.folder) = (script, folder);
        Address = new(IPAddress.Loopback, port);
        Endpoint = $"http://{Address}";
    }

    public IPEndPoint Address { get; }

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

    /// <summary>A new bucket of <see cref="Owner"/> that keeps versions, and locks those that are put with a lock.</summary>
    public async Task<S3Options> NewLockableBucketAsync()
    {
        var bucket = $"lockable-{Interlocked.Increment(ref buckets)}";
        await ManageAsync(bucket, "", "", ("x-amz-bucket-object-lock-enabled", "true"));
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

    /// <summary>One more gateway to the same buckets, which a test may end and start again, by its port.</summary>
    public async Task<ChildProcess> StartAnotherAsync(int port)
    {
        var another = ChildProcess.Start(
            "radosgw",
            [
                "-f", "-c", Path.Combine(folder, "ceph.conf"), "-n", "client.rgw", "--keyring", Path.Combine(folder, "rgw/keyring"),
                $"--rgw-frontends=beast endpoint=127.0.0.1:{port} tcp_nodelay=1", $"--admin-socket={folder}/another-{port}.asok",
                $"--pid-file={folder}/another-{port}.pid", $"--log-file={folder}/log/another-{port}.log",
                "--rgw-bucket-quota-ttl=0", "--rgw-user-quota-bucket-sync-interval=1",
            ]);
        await Eventually.HoldsAsync(
            () => another.HasExited ? throw new InvalidOperationException($"it ended: {another.Stderr}") : IsOpen(port),
            () => $"no second gateway: {another.Stderr}", Eventually.StartMax);
        return another;
    }

    /// <summary>How many objects a bucket may have; null for any number.</summary>
    public async Task LimitAsync(string bucket, int? objectsMax)
    {
        string[] on = ["-c", Path.Combine(folder, "ceph.conf"), "--quota-scope=bucket", $"--bucket={bucket}"];
        string[][] commands = objectsMax is { } max
            ? [["quota", "set", .. on, $"--max-objects={max}"], ["quota", "enable", .. on]]
            : [["quota", "disable", .. on]];
        foreach (var command in commands)
        {
            var result = await ChildProcess.RunAsync("radosgw-admin", command);
            Assert.True(result.ExitCode == 0, $"{result}");
        }
    }

    public static int FreePort() => FreePorts(1)[0];

    static bool IsOpen(int port)
    {
        try
        {
            using var client = new TcpClient();
            client.Connect(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Puts a setting of a bucket, or the bucket itself.</summary>
    async Task ManageAsync(string bucket, string setting, string content, params (string Name, string Value)[] headers)
    {
        using var http = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false });
        var bytes = System.Text.Encoding.UTF8.GetBytes(content);
        using var request = new HttpRequestMessage(HttpMethod.Put, $"{Endpoint}/{bucket}/{(setting.Length == 0 ? "" : "?" + setting)}");
        request.Content = new ByteArrayContent(bytes);
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

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
        return new CephGateway(script, folder, ports[0]);
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
