using Salvor.Storage;
using Salvor.Storage.S3;
using static Salvor.Tests.Support.ProxyFault;

namespace Salvor.Tests.Support;

/// <summary>A real service behind a proxy that can do anything to what passes.</summary>
sealed class FaultyService : IAsyncDisposable
{
    public static readonly string[] Kinds = ["s3", "azure"];

    public required LoopbackProxy Proxy { get; init; }

    /// <summary>A store that reaches the service through the proxy.</summary>
    public required Func<TimeProvider, IObjectStore> Open { get; init; }

    /// <summary>The same place without the proxy.</summary>
    public required IObjectStore Direct { get; init; }

    /// <summary>The place behind the proxy, for command lines.</summary>
    public required string Url { get; init; }

    /// <summary>What the first line of a request for a listing has in it.</summary>
    public required string ListPart { get; init; }

    /// <summary>How the service refuses: the status, then the word for it at Amazon's and at Microsoft's.</summary>
    public required Func<string, string, string, Answer> Refusal { get; init; }

    public ValueTask DisposeAsync() => Proxy.DisposeAsync();

    public static Task<FaultyService> StartAsync(string kind) => kind == "s3" ? StartS3Async() : StartAzureAsync();

    static async Task<FaultyService> StartS3Async()
    {
        var gateway = await CephGateway.StartedAsync();
        var direct = await gateway.NewBucketAsync();
        var proxy = new LoopbackProxy(gateway.Address);
        var options = direct with { Endpoint = $"http://127.0.0.1:{proxy.Port}" };
        return new FaultyService
        {
            Proxy = proxy,
            Open = time => new S3Store(options, _ => true, time),
            Direct = CephGateway.Open(direct),
            Url = options.Location,
            ListPart = "list-type=2",
            Refusal = (status, word, _) => new Answer(
                status, ["Content-Type: application/xml"], $"<Error><Code>{word}</Code></Error>"),
        };
    }

    static async Task<FaultyService> StartAzureAsync()
    {
        var server = await AzuriteServer.SharedAsync();
        var proxy = new LoopbackProxy(server.Address);
        var options = await server.CreateContainerAsync(proxy.Port);
        return new FaultyService
        {
            Proxy = proxy,
            Open = time => new AzureBlobStore(options, time),
            Direct = new AzureBlobStore(options with { Endpoint = server.Endpoint() }),
            Url = options.Location,
            ListPart = "comp=list",
            Refusal = (status, _, word) => new Answer(status, [$"x-ms-error-code: {word}"]),
        };
    }
}

/// <summary>Something that goes wrong on the way.</summary>
/// <param name="Name">In words.</param>
/// <param name="Make">As it looks with a service.</param>
/// <param name="Put">What a put is told; null where it may hear nothing of it.</param>
/// <param name="Read">What a read of a long object is told.</param>
sealed record RemoteFault(string Name, Func<FaultyService, ProxyFault> Make, StorageFailure? Put, StorageFailure? Read)
{
    const StorageFailure Unreachable = StorageFailure.Unreachable;

    /// <summary>How long a body must be for those that break it off.</summary>
    public const int BodyBytesMin = 50_000;

    /// <summary>Whether nothing is heard for longer than a test in real time can wait.</summary>
    public bool IsSlow { get; private init; }

    /// <summary>Whether it is about what an answer brings, and so about reads and listings.</summary>
    public bool IsOfBodies { get; private init; }

    /// <summary>All that every service can do to us.</summary>
    public static IReadOnlyList<RemoteFault> All { get; } =
    [
        Answered("500", service => service.Refusal("500 Oops", "InternalError", "InternalError")),
        Answered("502 of a gateway between", _ => new Answer("502 Bad Gateway", [], "<html>nginx</html>")),
        Answered("503", service => service.Refusal("503 Slow Down", "SlowDown", "ServerBusy")),
        Answered("503 with Retry-After", _ => new Answer("503 Busy", ["Retry-After: 1"])),
        Answered("429", _ => new Answer("429 Slower", [])),
        Answered("429 with Retry-After", _ => new Answer("429 Slower", ["Retry-After: 1"])),
        Answered("408", service => service.Refusal("408 Slow", "RequestTimeout", "OperationTimedOut")),
        Answered("403", service => service.Refusal("403 No", "AccessDenied", "AuthorizationFailure"), StorageFailure.Denied),
        Answered(
            "expired credentials", service => service.Refusal("403 No", "ExpiredToken", "AuthenticationFailed"), StorageFailure.Denied),
        Answered(
            "a wrong clock", service => service.Refusal("403 No", "RequestTimeTooSkewed", "AuthenticationFailed"), StorageFailure.Denied),
        Answered("no room", service => service.Refusal("507 Full", "QuotaExceeded", "AccountQuotaExceeded"), StorageFailure.Full),
        new("a reset", _ => new Reset(), Unreachable, Unreachable),
        new("an answer that is lost", _ => new LoseAnswer(), Unreachable, Unreachable),
        new("a reset in the body", _ => new CutBody(BodyBytesMin / 2, IsReset: true), null, Unreachable) { IsOfBodies = true },
        new("a body that ends early", _ => new CutBody(BodyBytesMin / 2, IsReset: false), null, Unreachable) { IsOfBodies = true },
        new("a length that is too short", _ => new SetHeader("Content-Length", "7"), null, Unreachable) { IsOfBodies = true },
        new("a slow drip", _ => new Drip(100, TimeSpan.FromMilliseconds(10)), null, Unreachable) { IsSlow = true, IsOfBodies = true },
        new("silence", _ => new Silence(), Unreachable, Unreachable) { IsSlow = true },
        new("an answer of a moment ago", _ => new Stale(), null, null) { IsOfBodies = true },
    ];

    static RemoteFault Answered(string name, Func<FaultyService, ProxyFault> make, StorageFailure failure = Unreachable) =>
        new(name, make, failure, failure);
}
