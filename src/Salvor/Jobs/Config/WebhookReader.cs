using System.Net;
using Salvor.Jobs.Keys;
using Salvor.Vault.Keys;

namespace Salvor.Jobs.Config;

/// <summary>Reads where requests go: webhooks, and what is pinged. No message repeats a URL, which mostly is the secret.</summary>
sealed class WebhookReader(ConfigDocument document)
{
    const string UrlExample = "https://hooks.example.com/services/${HOOK_TOKEN}";
    const string TelegramUrl = "https://api.telegram.org";
    const int HeadersMax = 20;

    static readonly (string Name, bool Value)[] YesOrNo = [("true", true), ("false", false)];

    /// <summary>As they are written.</summary>
    public static readonly (string Name, WebhookPreset Value)[] Presets =
    [
        ("slack", WebhookPreset.Slack), ("discord", WebhookPreset.Discord), ("teams", WebhookPreset.Teams), ("ntfy", WebhookPreset.Ntfy),
        ("gotify", WebhookPreset.Gotify), ("telegram", WebhookPreset.Telegram), ("healthchecks", WebhookPreset.Healthchecks),
        ("uptime-kuma", WebhookPreset.UptimeKuma),
    ];

    /// <summary>A name or an address of this machine.</summary>
    public static bool IsLoopback(string host) =>
        host == "localhost" || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    public WebhookConfig Read(string name, ConfigMapping webhook)
    {
        webhook.CheckKeys(ConfigKeys.Webhook);
        var insecure = webhook.Choice("allow_insecure", false, YesOrNo);
        var preset = webhook.Choice("preset", WebhookPreset.None, Presets);
        var config = new WebhookConfig
        {
            Name = name,
            Url = Url(webhook, "url", insecure, preset == WebhookPreset.Telegram ? TelegramUrl : null),
            Preset = preset,
            Template = NotificationsReader.TemplateOf(webhook, "template", "'{\"text\": \"{subject}\"}'"),
            Token = webhook.OptionalSecret("token", "${HOOK_TOKEN}") is { } token ? new SecretText(token) : null,
            ChatId = webhook.OptionalText("chat_id", "-1001234567890") ?? "",
            Headers = Headers(webhook),
            Rules = NotificationsReader.RulesOf(webhook),
            Subject = NotificationsReader.SubjectOf(webhook),
            AllowInsecure = insecure,
        };
        CheckSense(webhook, config);
        return config;
    }

    public static PingConfig ReadPing(ConfigMapping ping)
    {
        ping.CheckKeys(ConfigKeys.Ping);
        var insecure = ping.Choice("allow_insecure", false, YesOrNo);
        var jobs = ping.OptionalMapping("jobs");
        jobs?.CheckKeys(ConfigKeys.PingJobs);
        if (!ping.Has("url") && jobs is null)
        {
            throw ping.Missing("url", "https://hc-ping.com/${DAEMON_CHECK}");
        }

        return new()
        {
            Url = ping.Has("url") ? Url(ping, "url", insecure, null) : null,
            Preset = ping.Choice("preset", WebhookPreset.Healthchecks, Presets[^2], Presets[^1]),
            Every = ping.Duration("every", PingConfig.EveryDefault, PingConfig.EveryMin, PingConfig.EveryMax),
            Jobs = NotificationsConfig.Jobs.Where(job => jobs?.Has(job) == true)
                .ToDictionary(job => job, job => Url(jobs!, job, insecure, null)),
            AllowInsecure = insecure,
        };
    }

    static SecretText Url(ConfigMapping owner, string key, bool allowsInsecure, string? otherwise)
    {
        var text = owner.OptionalSecret(key, UrlExample) ?? otherwise ?? throw owner.Missing(key, UrlExample);
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https") || url.UserInfo.Length > 0)
        {
            throw owner.Error(
                key, $"{key} of {owner.Owner} is no http or https URL without a user in it",
                "Copy it from the service that takes the message.");
        }

        return url.Scheme == Uri.UriSchemeHttp && !allowsInsecure && !IsLoopback(url.Host)
            ? throw owner.Error(
                key, $"{key} of {owner.Owner} is http to {url.Host}, and not on this machine",
                "Use https, or say allow_insecure: true where the network between is yours: whoever is on it can read and send messages.")
            : new SecretText(text);
    }

    List<(string, SecretText)> Headers(ConfigMapping webhook)
    {
        const string Example = "[\"X-Team: ops\"]";
        var headers = new List<(string, SecretText)>();
        foreach (var (node, text) in webhook.OptionalTexts("headers", Example) ?? [])
        {
            var colon = text.IndexOf(':', StringComparison.Ordinal);
            var name = colon < 0 ? "" : text[..colon];
            var isOfBody = name.StartsWith("Content-", StringComparison.OrdinalIgnoreCase)
                && !name.Equals("Content-Type", StringComparison.OrdinalIgnoreCase);
            if (name.Length == 0 || isOfBody || headers.Count == HeadersMax
                || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
            {
                throw document.Error(
                    node, $"headers of {webhook.Owner} has one that is no header, or more than {HeadersMax}", $"Write headers: {Example}.");
            }

            headers.Add((name, new SecretText(HeaderValue(webhook, node, name, text[(colon + 1)..].Trim()))));
        }

        return headers;
    }

    string HeaderValue(ConfigMapping webhook, YamlDotNet.RepresentationModel.YamlNode node, string name, string text)
    {
        try
        {
            var what = $"header {name} of {webhook.Owner}";
            var value = SecretValue.Read(text, path => document.FullPath(node, path), what);
            return value.All(c => c is >= ' ' and < '\u007f')
                ? value
                : throw document.Error(node, $"{what} has characters that no header may have", "Use letters, digits and signs of ASCII.");
        }
        catch (KeyException e)
        {
            throw document.Error(node, e.Message, e.Hint);
        }
    }

    /// <summary>What is written and would be ignored, or is missing.</summary>
    static void CheckSense(ConfigMapping webhook, WebhookConfig config)
    {
        var name = Presets.FirstOrDefault(item => item.Value == config.Preset).Name;
        if (config.Template is not null && config.Preset != WebhookPreset.None)
        {
            throw webhook.Error("template", $"{webhook.Owner} has both preset and template", "Keep one of them.");
        }

        if (config.Token is null && config.Preset is WebhookPreset.Gotify or WebhookPreset.Telegram)
        {
            throw webhook.Error("preset", $"{webhook.Owner} has no token, which {name} needs", "Add token: ${HOOK_TOKEN}.");
        }

        if (config.Preset == WebhookPreset.Telegram != config.ChatId.Length > 0)
        {
            throw webhook.Error(
                "preset",
                config.ChatId.Length > 0 ? $"{webhook.Owner} has chat_id without preset: telegram" : $"{webhook.Owner} has no chat_id",
                "Write preset: telegram, token and chat_id together.");
        }

        if (config.Preset == WebhookPreset.Ntfy && new Uri(config.Url.Value).AbsolutePath.Trim('/') is "" or "json")
        {
            throw webhook.Error("url", $"url of {webhook.Owner} names no topic", "Write url: https://ntfy.sh/TOPIC.");
        }
    }
}
