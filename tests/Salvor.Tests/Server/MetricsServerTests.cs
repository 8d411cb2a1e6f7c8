using System.Net;
using System.Net.Sockets;
using Salvor.Jobs.Config;
using Salvor.Jobs.Health;
using Salvor.Jobs.Keys;
using Salvor.Server;
using Salvor.Tests.Jobs.Health;

namespace Salvor.Tests.Server;

public sealed class MetricsServerTests : IDisposable
{
    const string Token = "0123456789abcdef";

    readonly HealthRig rig = new();
    readonly HttpClient http = new();

    public void Dispose()
    {
        http.Dispose();
        rig.Dispose();
    }

    [Fact]
    public async Task This_machine_may_ask_for_metrics_without_a_token()
    {
        rig.WriteHealthy();
        await using var server = await StartAsync(token: null);

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, "/metrics"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, "/healthz"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, "/readyz"));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(server, "/"));
        using var answer = await http.GetAsync(new Uri(server.Address + "/metrics"), TestContext.Current.CancellationToken);
        Assert.Equal(MetricsText.ContentType, answer.Content.Headers.GetValues("Content-Type").Single());
        Assert.False(answer.Headers.Contains("Server"));
    }

    [Theory]
    [InlineData("Bearer 0123456789abcdef", HttpStatusCode.OK)]
    [InlineData("Bearer 0123456789abcdeF", HttpStatusCode.Unauthorized)]
    [InlineData("0123456789abcdef", HttpStatusCode.Unauthorized)]
    [InlineData("", HttpStatusCode.Unauthorized)]
    public async Task What_a_proxy_passes_on_from_elsewhere_needs_the_token(string authorization, HttpStatusCode expected)
    {
        rig.WriteHealthy();
        await using var server = await StartAsync(new SecretText(Token));

        Assert.Equal(expected, await StatusAsync(server, "/metrics", authorization, forwarded: true));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, "/healthz", authorization, forwarded: true));
    }

    [Fact]
    public async Task Without_a_token_nobody_from_elsewhere_gets_in()
    {
        await using var server = await StartAsync(token: null);

        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(server, "/metrics", "Bearer ", forwarded: true));
    }

    [Fact]
    public async Task Probes_tell_which_source_is_not_served_and_no_more()
    {
        rig.WriteHealthy();
        rig.Write(HealthRig.Record(rig.Now) with { State = "failing", Detail = "a secret place" });
        await using var server = await StartAsync(token: null);

        using var answer = await http.GetAsync(new Uri(server.Address + "/readyz"), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("app: failing\n", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Limits_do_not_make_a_process_unready()
    {
        rig.WriteHealthy();
        rig.Write(HealthRig.Record(rig.Now) with { WaitingSince = rig.Now.AddDays(-1) });
        rig.Write(HealthRig.Verified(rig.Now, ok: false));
        await using var server = await StartAsync(token: null);

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server, "/readyz"));
    }

    [Fact]
    public async Task A_capture_that_hangs_is_told_to_probes()
    {
        await using var server = await StartAsync(token: null, responds: false);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, await StatusAsync(server, "/healthz"));
    }

    [Fact]
    public async Task A_port_that_is_taken_is_named()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var endpoint = (IPEndPoint)taken.LocalEndpoint;

        var e = await Assert.ThrowsAsync<SalvorException>(() => StartAsync(token: null, endpoint));

        Assert.Equal(FailureKind.Usage, e.Kind);
        Assert.Equal($"metrics cannot listen on {endpoint}: the port is taken by another process", e.Message);
        Assert.Equal(
            $"Run 'ss -ltnp sport = :{endpoint.Port}' to see which, or write another port in 'metrics: {{ listen: .. }}'.", e.Hint);
    }

    [Fact]
    public async Task An_address_of_another_machine_is_named()
    {
        var endpoint = new IPEndPoint(IPAddress.Parse("192.0.2.1"), 9188);

        var e = await Assert.ThrowsAsync<SalvorException>(() => StartAsync(new SecretText(Token), endpoint));

        Assert.StartsWith("metrics cannot listen on 192.0.2.1:9188: ", e.Message, StringComparison.Ordinal);
    }

    async Task<HttpStatusCode> StatusAsync(MetricsServer server, string path, string authorization = "", bool forwarded = false)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, server.Address + path);
        if (authorization.Length > 0)
        {
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        }

        if (forwarded)
        {
            request.Headers.Add("X-Forwarded-For", "203.0.113.7");
        }

        using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }

    Task<MetricsServer> StartAsync(SecretText? token, IPEndPoint? endpoint = null, bool responds = true) => MetricsServer.StartAsync(
        new MetricsConfig(endpoint ?? new IPEndPoint(IPAddress.Loopback, 0), token, TokenFile: null, Otlp: null),
        new MetricsSources
        {
            Read = () => [rig.Read()],
            Process = () => new ProcessFigures(rig.Now, TimeSpan.Zero, 1),
            Responds = () => responds,
        });
}
