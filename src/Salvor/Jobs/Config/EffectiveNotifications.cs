using System.Text.Json.Nodes;

namespace Salvor.Jobs.Config;

/// <summary>Who is told what, with all that is not said filled in. Of a URL only the server is shown: the rest is what lets in.</summary>
static class EffectiveNotifications
{
    public static JsonObject Of(NotificationsConfig config)
    {
        var keys = EffectiveConfig.Keys(
            ("after", config.After), ("remind_every", config.RemindEvery is { } every ? every : "off"),
            ("state_dir", config.StateDirectory));
        if (config.Notifiers.OfType<EmailConfig>().FirstOrDefault() is { } email)
        {
            keys["email"] = Of(email);
        }

        if (config.Notifiers.OfType<WebhookConfig>().Any())
        {
            var webhooks = new JsonObject();
            foreach (var webhook in config.Notifiers.OfType<WebhookConfig>())
            {
                webhooks[webhook.Name] = Of(webhook);
            }

            keys["webhooks"] = webhooks;
        }

        if (config.Ping is { } ping)
        {
            keys["ping"] = Of(ping);
        }

        return keys;
    }

    static JsonObject Of(EmailConfig email) => WithRules(
        EffectiveConfig.Keys(
            ("host", email.Host), ("port", email.Port), ("tls", email.Tls.ToString().ToLowerInvariant()), ("ca_file", email.CaFile),
            ("username", email.Username), ("password", email.Password is null ? null : EffectiveConfig.Masked), ("from", email.From),
            ("to", email.To),
            ("allow_insecure", email.AllowInsecure)),
        email);

    static JsonObject Of(WebhookConfig webhook) => WithRules(
        EffectiveConfig.Keys(
            ("url", Shown(webhook.Url)), ("preset", WebhookReader.Presets.FirstOrDefault(item => item.Value == webhook.Preset).Name),
            ("template", webhook.Template), ("headers", webhook.Headers.Count == 0 ? null : HeadersOf(webhook)),
            ("token", webhook.Token is null ? null : EffectiveConfig.Masked),
            ("chat_id", webhook.ChatId.Length == 0 ? null : webhook.ChatId), ("allow_insecure", webhook.AllowInsecure)),
        webhook);

    static JsonObject Of(PingConfig ping)
    {
        var keys = EffectiveConfig.Keys(
            ("url", ping.Url is { } url ? Shown(url) : null),
            ("preset", WebhookReader.Presets.First(item => item.Value == ping.Preset).Name), ("every", ping.Every),
            ("allow_insecure", ping.AllowInsecure));
        if (ping.Jobs.Count > 0)
        {
            keys["jobs"] = EffectiveConfig.Keys([.. ping.Jobs.Select(job => (job.Key, (object?)Shown(job.Value)))]);
        }

        return keys;
    }

    static JsonObject WithRules(JsonObject keys, NotifierConfig notifier)
    {
        var rules = notifier.Rules;
        (string, object?)[] further =
        [
            ("on_success", rules.Success), ("on_failure", rules.Failure), ("on_recovery", rules.Recovery), ("on_missed", rules.Missed),
            ("on_stale", rules.Stale), ("subject", notifier.Subject),
        ];
        foreach (var (name, value) in EffectiveConfig.Keys(further).ToList())
        {
            keys[name] = value!.DeepClone();
        }

        return keys;
    }

    static string[] HeadersOf(WebhookConfig webhook) =>
        [.. webhook.Headers.Select(item => $"{item.Name}: {EffectiveConfig.Masked}")];

    static string Shown(SecretText url) => $"{new Uri(url.Value).GetLeftPart(UriPartial.Authority)}/{EffectiveConfig.Masked}";
}
