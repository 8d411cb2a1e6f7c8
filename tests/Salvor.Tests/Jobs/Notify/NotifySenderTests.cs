using Salvor.Jobs.Config;
using Salvor.Jobs.Notify;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Notify;

public sealed class NotifySenderTests : IAsyncDisposable
{
    readonly HookServer server = new();

    public ValueTask DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task A_message_is_posted_with_the_headers_that_are_configured()
    {
        await SendAsync(Messages.Hook($"{server.Url}/hook") with
        {
            Headers = [("X-Team", new SecretText("ops")), ("Content-Type", new SecretText("text/x"))],
        });

        var got = await server.NextAsync();
        Assert.Equal("POST /hook", got.Line);
        Assert.Equal(["ops", "text/x", "salvor"], ((string[])["X-Team", "Content-Type", "User-Agent"]).Select(got.Message.Header));
        Assert.Contains("\"event\":\"failure\"", got.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refusal_is_said_without_what_lets_in()
    {
        server.Answer = _ => 403;
        var url = $"{server.Url}/services/SECRETPART/other";
        server.Said = "no entry for /services/SECRETPART/other,\ntoken tk_very_secret" + new string('x', 100_000);
        var e = await FailsAsync(Messages.Hook(url) with { Token = new SecretText("tk_very_secret") });

        Assert.StartsWith(
            $"127.0.0.1:{server.Port} answered 403: no entry for /(secret), token (secret)xxx", e.Message, StringComparison.Ordinal);
        Assert.True(e.Message.Length < 300);
        Assert.Equal("Check the token, and whether it may post there.", e.Hint);
    }

    [Fact]
    public async Task Where_it_is_sent_on_to_nothing_is_told()
    {
        await using var other = new HookServer();
        server.Answer = _ => 307;
        server.Head = $"Location: {other.Url}/elsewhere\r\n";

        var e = await FailsAsync(Messages.Hook(server.Url + "/hook"));

        Assert.Equal($"127.0.0.1:{server.Port} answered 307", e.Message);
        Assert.Equal("It sends on to another place, which is not followed: write the URL that takes the message.", e.Hint);
        Assert.Empty(other.Hooks);
    }

    [Fact]
    public async Task One_that_never_answers_is_given_up()
    {
        server.Answer = _ => -1;

        var e = await Assert.ThrowsAsync<SalvorException>(() => NotifySender.SendAsync(
            Messages.Hook(server.Url), Messages.Failure(), TimeProvider.System, TimeSpan.FromMilliseconds(200),
            TestContext.Current.CancellationToken));

        Assert.Equal($"127.0.0.1:{server.Port} did not answer within 0.2 s", e.Message);
    }

    [Theory]
    [InlineData("start", "/check/start")]
    [InlineData("success", "/check")]
    [InlineData("fail", "/check/fail")]
    [InlineData("exit", "/check/5")]
    [InlineData("note", "/check/log")]
    public async Task A_dead_mans_switch_hears_how_it_is(string sign, string path)
    {
        var said = sign switch
        {
            "start" => PingSign.Start,
            "success" => PingSign.Success,
            "fail" => PingSign.Failure,
            "exit" => PingSign.Ended(5),
            _ => PingSign.Note,
        };
        await NotifyPing.SendAsync(
            new SecretText($"{server.Url}/check"), WebhookPreset.Healthchecks, said, "the log", TimeProvider.System,
            TestContext.Current.CancellationToken);

        var got = await server.NextAsync();
        Assert.Equal(($"POST {path}", "the log"), (got.Line, got.Body));
    }

    static Task<string> SendAsync(WebhookConfig hook) => NotifySender.SendAsync(
        hook, Messages.Failure(), TimeProvider.System, TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);

    static Task<SalvorException> FailsAsync(WebhookConfig hook) => Assert.ThrowsAsync<SalvorException>(() => SendAsync(hook));
}
