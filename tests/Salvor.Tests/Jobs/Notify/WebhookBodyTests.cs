using System.Text.Json;
using Salvor.Jobs.Config;
using Salvor.Jobs.Notify;

namespace Salvor.Tests.Jobs.Notify;

public sealed class WebhookBodyTests
{
    const string Subject = "[ALERT] salvor: app backs off";

    [Fact]
    public void Without_a_preset_it_is_a_document_with_all_that_is_known()
    {
        var body = Json(Of(WebhookPreset.None));

        Assert.Equal("failure", body.GetProperty("event").GetString());
        Assert.Equal("backing_off", body.GetProperty("problem").GetString());
        Assert.Equal(("app", "offsite"), (body.GetProperty("source").GetString(), body.GetProperty("destination").GetString()));
        Assert.Equal(Subject, body.GetProperty("subject").GetString());
        Assert.Equal("Free some room.", body.GetProperty("hint").GetString());
        Assert.Equal(["one", "two"], body.GetProperty("log").EnumerateArray().Select(line => line.GetString()));
    }

    [Fact]
    public void Slack_takes_nothing_in_it_for_a_command()
    {
        var request = WebhookBody.Of(
            Messages.Hook("https://hooks.example.com/x", WebhookPreset.Slack), Messages.Failure() with { Text = "<!channel> & co" });

        var text = Json(request).GetProperty("text").GetString()!;
        Assert.StartsWith(Subject + "\n&lt;!channel&gt; &amp; co\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Discord_calls_nobody_and_gets_no_more_than_it_takes()
    {
        var body = Json(Of(WebhookPreset.Discord, Messages.Failure() with { Text = new string('x', 5000) }));

        Assert.Equal(2000, body.GetProperty("content").GetString()!.Length);
        Assert.Empty(body.GetProperty("allowed_mentions").GetProperty("parse").EnumerateArray());
    }

    [Fact]
    public void Teams_gets_a_card()
    {
        var card = Json(Of(WebhookPreset.Teams)).GetProperty("attachments")[0].GetProperty("content");

        Assert.Equal("AdaptiveCard", card.GetProperty("type").GetString());
        Assert.Equal(Subject, card.GetProperty("body")[0].GetProperty("text").GetString());
    }

    [Fact]
    public void Ntfy_gets_JSON_at_its_root_because_headers_are_ASCII()
    {
        var hook = Messages.Hook("https://ntfy.example.com/my-topic", WebhookPreset.Ntfy) with { Token = new SecretText("tk_1") };
        var request = WebhookBody.Of(hook, Messages.Failure("größe") with { Text = new string('ß', 4000) });

        Assert.Equal("https://ntfy.example.com/", request.Url.AbsoluteUri);
        Assert.Equal("my-topic", Json(request).GetProperty("topic").GetString());
        Assert.Equal("[ALERT] salvor: größe backs off", Json(request).GetProperty("title").GetString());
        Assert.True(System.Text.Encoding.UTF8.GetByteCount(Json(request).GetProperty("message").GetString()!) <= 4096);
        Assert.Contains(("Authorization", "Bearer tk_1"), request.Headers);
    }

    [Fact]
    public void Gotify_and_Telegram_are_let_in_by_their_token()
    {
        var gotify = WebhookBody.Of(
            Messages.Hook("https://push.example.com/", WebhookPreset.Gotify) with { Token = new SecretText("A1") }, Messages.Failure());
        var telegram = WebhookBody.Of(
            Messages.Hook("https://api.telegram.org", WebhookPreset.Telegram) with { Token = new SecretText("9:z"), ChatId = "-100" },
            Messages.Failure());

        Assert.Equal("https://push.example.com/message", gotify.Url.AbsoluteUri);
        Assert.Contains(("X-Gotify-Key", "A1"), gotify.Headers);
        Assert.Equal(Subject, Json(gotify).GetProperty("title").GetString());
        Assert.Equal("https://api.telegram.org/bot9:z/sendMessage", telegram.Url.AbsoluteUri);
        Assert.Equal("-100", Json(telegram).GetProperty("chat_id").GetString());
    }

    [Theory]
    [InlineData(NotifyKind.Failure, "https://hc.example.com/ping/1/fail?rid=2")]
    [InlineData(NotifyKind.Stale, "https://hc.example.com/ping/1/fail?rid=2")]
    [InlineData(NotifyKind.Recovery, "https://hc.example.com/ping/1?rid=2")]
    [InlineData(NotifyKind.Test, "https://hc.example.com/ping/1/log?rid=2")]
    public void Healthchecks_is_told_by_its_path_and_a_test_is_no_success(NotifyKind kind, string url)
    {
        var request = WebhookBody.Of(
            Messages.Hook("https://hc.example.com/ping/1?rid=2", WebhookPreset.Healthchecks), Messages.Failure(kind: kind));

        Assert.Equal(url, request.Url.AbsoluteUri);
        Assert.Contains("\n  two\n", request.Body, StringComparison.Ordinal);
    }

    [Fact]
    public void Uptime_Kuma_is_asked_and_not_posted_to()
    {
        var request = Of(WebhookPreset.UptimeKuma);

        Assert.Equal("https://example.com/a?status=down&msg=%5BALERT%5D%20salvor%3A%20app%20backs%20off", request.Url.AbsoluteUri);
        Assert.Empty(request.ContentType);
    }

    [Fact]
    public void In_a_template_of_JSON_what_is_put_in_stays_a_text()
    {
        const string Template = """{"a": {"b": "{message}"}, "log": "{log}", "tag": "{tag}"}""";
        var request = WebhookBody.Of(Messages.Hook("https://example.com") with { Template = Template }, Messages.Failure());

        Assert.Equal("application/json", request.ContentType);
        Assert.Equal("app backs off: \"disk\" is full", Json(request).GetProperty("a").GetProperty("b").GetString());
        Assert.Equal("one\ntwo", Json(request).GetProperty("log").GetString());
    }

    [Fact]
    public void In_a_template_of_text_it_is_itself()
    {
        var hook = Messages.Hook("https://example.com") with { Template = "{subject}: {message}", Subject = "{host}\r\n{source}" };

        Assert.Equal("web1 app: app backs off: \"disk\" is full", WebhookBody.Of(hook, Messages.Failure()).Body);
    }

    static WebhookRequest Of(WebhookPreset preset, NotifyMessage? message = null) =>
        WebhookBody.Of(Messages.Hook("https://example.com/a", preset), message ?? Messages.Failure());

    static JsonElement Json(WebhookRequest request) => JsonElement.Parse(request.Body);
}
