using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Salvor.Jobs.Config;
using Salvor.Jobs.Health;
using Salvor.Jobs.Keys;
using Salvor.Jobs.Notify;

namespace Salvor.Server;

/// <summary>What a daemon answers with.</summary>
sealed record MetricsSources
{
    /// <summary>How its sources fare now.</summary>
    public required Func<IReadOnlyList<SourceHealth>> Read { get; init; }

    /// <summary>What its process has used.</summary>
    public required Func<ProcessFigures> Process { get; init; }

    /// <summary>What became of messages to people.</summary>
    public Func<IReadOnlyList<NotifierFigures>> Notifiers { get; init; } = () => [];

    /// <summary>Whether its capture still turns.</summary>
    public required Func<bool> Responds { get; init; }
}

/// <summary>
/// Answers to Prometheus (<c>/metrics</c>) and to probes (<c>/healthz</c>: does the process work, <c>/readyz</c>: is every source served).
/// Probes are public and say no more than they must; metrics are for this machine, or for who knows the token.
/// </summary>
sealed class MetricsServer : IAsyncDisposable
{
    const int ConnectionsMax = 100;
    const int RequestBytesMax = 16 << 10;

    readonly WebApplication app;

    MetricsServer(WebApplication app, string address) => (this.app, Address) = (app, address);

    /// <summary>Where it listens: <c>http://127.0.0.1:9188</c>.</summary>
    public string Address { get; }

    /// <summary>Begins to answer. Throws, naming the address, where it is taken.</summary>
    public static async Task<MetricsServer> StartAsync(MetricsConfig config, MetricsSources sources)
    {
        var listen = config.Listen ?? throw new ArgumentException("nothing to listen on", nameof(config));
        var token = config.TokenFile is { } file ? SecretReader.ReadText(file, $"token file {file}") : config.Token;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxConcurrentConnections = ConnectionsMax;
            kestrel.Limits.MaxRequestBodySize = 0;
            kestrel.Limits.MaxRequestHeadersTotalSize = RequestBytesMax;
            kestrel.Listen(listen);
        });
        var app = builder.Build();
        app.MapGet("/metrics", (RequestDelegate)(context => AnswerMetricsAsync(context, token, sources)));
        app.MapGet("/healthz", (RequestDelegate)(context => AnswerHealthAsync(context, sources)));
        app.MapGet("/readyz", (RequestDelegate)(context => AnswerReadyAsync(context, sources)));
        try
        {
            await app.StartAsync();
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            await app.DisposeAsync();
            throw CannotListen(listen, e);
        }

        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses;
        return new MetricsServer(app, addresses.First());
    }

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await app.StopAsync(now.Token);
        await app.DisposeAsync();
    }

    static Task AnswerMetricsAsync(HttpContext context, SecretText? token, MetricsSources sources)
    {
        if (!IsOfThisMachine(context) && !Knows(context, token))
        {
            context.Response.Headers.WWWAuthenticate = "Bearer";
            return AnswerAsync(context, HttpStatusCode.Unauthorized, "metrics are for this machine, or for who sends the token\n");
        }

        context.Response.ContentType = MetricsText.ContentType;
        return context.Response.WriteAsync(
            MetricsText.Write(sources.Read()) + MetricsText.WriteNotifiers(sources.Notifiers())
                + MetricsText.WriteProcess(sources.Process()),
            context.RequestAborted);
    }

    static Task AnswerHealthAsync(HttpContext context, MetricsSources sources) => sources.Responds()
        ? AnswerAsync(context, HttpStatusCode.OK, "ok\n")
        : AnswerAsync(context, HttpStatusCode.ServiceUnavailable, "the capture does not respond\n");

    /// <summary>Liveness of the sources alone: a limit that is exceeded gets no better by sending nobody here.</summary>
    static Task AnswerReadyAsync(HttpContext context, MetricsSources sources)
    {
        HealthProblem[] problems = [.. sources.Read().SelectMany(health => HealthCheck.Problems(health, HealthLimits.None))];
        return problems.Length == 0
            ? AnswerAsync(context, HttpStatusCode.OK, "ok\n")
            : AnswerAsync(
                context,
                HttpStatusCode.ServiceUnavailable,
                string.Concat(problems.Select(problem => $"{problem.Source}: {problem.Kind}\n")));
    }

    static Task AnswerAsync(HttpContext context, HttpStatusCode status, string text)
    {
        context.Response.StatusCode = (int)status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(text, context.RequestAborted);
    }

    /// <summary>A proxy on this machine passes on what others ask; it says so.</summary>
    static bool IsOfThisMachine(HttpContext context) =>
        context.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(address)
            && !context.Request.Headers.ContainsKey("X-Forwarded-For") && !context.Request.Headers.ContainsKey("Forwarded");

    /// <summary>Compares in a time that does not depend on how much of the token is right.</summary>
    static bool Knows(HttpContext context, SecretText? token) =>
        token is not null && CryptographicOperations.FixedTimeEquals(
            SHA256.HashData(Encoding.UTF8.GetBytes($"Bearer {token.Value}")),
            SHA256.HashData(Encoding.UTF8.GetBytes(context.Request.Headers.Authorization.ToString())));

    static SalvorException CannotListen(IPEndPoint listen, Exception e) =>
        e is IOException { InnerException.InnerException: SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse } }
            or IOException { InnerException: SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse } }
            or SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse }
            || e.InnerException?.GetType().Name == "AddressInUseException"
            ? new(
                FailureKind.Usage,
                $"metrics cannot listen on {listen}: the port is taken by another process",
                $"Run 'ss -ltnp sport = :{listen.Port}' to see which, or write another port in 'metrics: {{ listen: .. }}'.",
                e)
            : new(
                FailureKind.Usage,
                $"metrics cannot listen on {listen}: {e.Message}",
                "Write an address of this machine and a port from 1024 on in 'metrics: { listen: .. }'.",
                e);
}
