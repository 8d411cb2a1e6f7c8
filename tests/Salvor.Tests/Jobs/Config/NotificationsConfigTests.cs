using Salvor.Jobs.Config;
using Salvor.Jobs.Notify;
using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

public sealed class NotificationsConfigTests
{
    const string Head = Minimal + "\nnotifications:\n";

    [Fact]
    public void Mail_has_defaults_that_are_safe()
    {
        var config = Parse(Head + "  email: { host: mail.example.com, from: a@example.com, to: b@example.com }").Notifications!;

        var email = Assert.IsType<EmailConfig>(Assert.Single(config.Notifiers));
        Assert.Equal((587, MailTls.StartTls), (email.Port, email.Tls));
        Assert.Equal(new NotifyRules(Success: false, Failure: true, Recovery: true, Missed: true, Stale: true), email.Rules);
        Assert.Equal((TimeSpan.FromMinutes(1), TimeSpan.FromHours(24)), (config.After, config.RemindEvery));
    }

    [Fact]
    public void Secrets_come_from_variables_and_are_never_shown()
    {
        const string Text = Head + """
              remind_every: off
              email:
                { host: m.example.com, tls: tls, username: u, password: "${P}", from: a@example.com, to: [b@example.com], on_success: true }
              webhooks:
                team: { preset: slack, url: "https://hooks.example.com/${P}", subject: "{tag} {source}" }
                own: { url: "https://api.example.com/x", template: '{"a": "{message}"}', headers: ["X-Key: ${P}"], token: "${P}" }
                chat: { preset: telegram, token: "${P}", chat_id: "-1" }
              ping: { url: "https://hc.example.com/${P}", every: 1m, jobs: { verify: "https://hc.example.com/v-${P}" } }
            """;
        var config = Parse(Text, ("P", "hunter2-hunter2"));

        Assert.Equal("https://hooks.example.com/hunter2-hunter2", ((WebhookConfig)config.Notifications!.Notifiers[1]).Url.Value);
        Assert.Equal("hunter2-hunter2", ((WebhookConfig)config.Notifications.Notifiers[2]).Headers[0].Value.Value);
        Assert.Null(config.Notifications.RemindEvery);
        var shown = YamlOutput.Write(EffectiveConfig.Of(config));
        Assert.DoesNotContain("hunter2", shown + config, StringComparison.Ordinal);
        Assert.Contains("url: https://hooks.example.com/(secret)", shown, StringComparison.Ordinal);
        Assert.Equal(shown, YamlOutput.Write(EffectiveConfig.Of(Parse(shown))));
    }

    [Theory]
    [InlineData(
        "email: { host: m.example.com, tls: none, from: a@b.c, to: d@e.f }", "6:38",
        "email of notifications goes to m.example.com unencrypted, and not on this machine",
        "Write tls: starttls, or say allow_insecure: true where the network between is yours: whoever is on it can read the mail.")]
    [InlineData(
        "email: { host: m.example.com, username: u, from: a@b.c, to: d@e.f }", "6:43",
        "email of notifications has only one of username and password",
        "Write both, or none where the server lets everybody in.")]
    [InlineData(
        "email: { host: m.example.com, from: \"a@b.c\\r\\nRCPT TO: x@y.z\", to: d@e.f }", "6:39",
        "from of email of notifications is \"a@b.c\r\nRCPT TO: x@y.z\", which is no address", "Write it like ops@example.com.")]
    [InlineData(
        "webhooks: { a: { url: \"http://example.com/1\" } }", "6:25", "url of webhook a is http to example.com, and not on this machine",
        "Use https, or say allow_insecure: true where the network between is yours: whoever is on it can read and send messages.")]
    [InlineData(
        "webhooks: { a: { url: \"ftp://example.com/SECRET\" } }", "6:25", "url of webhook a is no http or https URL without a user in it",
        "Copy it from the service that takes the message.")]
    [InlineData(
        "webhooks: { a: { url: \"https://example.com/\", template: \"{sourc}\" } }", "6:59",
        "template of webhook a has {sourc}, which is not known",
        "Did you mean \"source\"? Known are tag, event, problem, source, destination, what, message, hint, host, run, time, since, log, "
            + "subject and body.")]
    [InlineData(
        "webhooks: { a: { url: \"https://example.com/\", preset: gotify } }", "6:57", "webhook a has no token, which gotify needs",
        "Add token: ${HOOK_TOKEN}.")]
    [InlineData(
        "webhooks: { email: { url: \"https://example.com/\" } }", "6:15",
        "\"email\" cannot be the name of a webhook: it is one of ours", "Give it another name.")]
    [InlineData(
        "webhooks: { a: { url: \"https://ntfy.sh/\", preset: ntfy } }", "6:25", "url of webhook a names no topic",
        "Write url: https://ntfy.sh/TOPIC.")]
    [InlineData(
        "webhooks: { a: { url: \"https://example.com/\", headers: \"X-A\" } }", "6:58",
        "headers of webhook a has one that is no header, or more than 20", "Write headers: [\"X-Team: ops\"].")]
    [InlineData("ping: { every: 1m }", "6:9", "ping of notifications has no url", "Add url: https://hc-ping.com/${DAEMON_CHECK}.")]
    public void What_is_wrong_is_said_with_its_place(string keys, string place, string message, string hint) =>
        AssertError(place, message, hint, $"{Head}  {keys}");

    [Theory]
    [InlineData("email: { host: localhost, tls: none, from: a@b.c, to: d@e.f }")]
    [InlineData("email: { host: m.example.com, tls: none, allow_insecure: true, from: a@b.c, to: d@e.f }")]
    [InlineData("webhooks: { a: { url: \"http://127.0.0.1:8080/1\" } }")]
    [InlineData("webhooks: { a: { url: \"http://example.com/1\", allow_insecure: true } }")]
    public void In_clear_it_may_stay_on_this_machine_or_go_where_that_is_allowed(string keys) =>
        Assert.Single(Parse($"{Head}  {keys}").Notifications!.Notifiers);

    [Fact]
    public void Who_asks_how_sources_fare_need_not_have_the_secrets()
    {
        var path = Path.GetTempFileName();
        File.WriteAllText(
            path, Head + "  webhooks: { team: { url: \"${NO_SUCH_VARIABLE}\" } }\n  ping: { url: \"${NO_SUCH_VARIABLE}\" }\n");

        Assert.Equal(["team", "ping"], NotifyState.ReadFigures(ConfigFile.LoadLocal(path)).Select(item => item.Name));
        File.Delete(path);
    }
}
