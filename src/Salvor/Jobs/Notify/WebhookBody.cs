using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Salvor.Jobs.Config;

namespace Salvor.Jobs.Notify;

/// <summary>A request, before it is sent.</summary>
/// <param name="Url">Where to, with its secrets.</param>
/// <param name="ContentType">The type of the body; empty where there is none, and it is a GET.</param>
/// <param name="Body">The body.</param>
/// <param name="Headers">Further headers.</param>
readonly record struct WebhookRequest(Uri Url, string ContentType, string Body, IReadOnlyList<(string Name, string Value)> Headers);

/// <summary>What each service takes. Limits are theirs: what is longer would be refused.</summary>
static class WebhookBody
{
    const string Json = "application/json";
    const string PlainText = "text/plain; charset=utf-8";
    const int SlackMax = 3000;
    const int DiscordMax = 2000;
    const int TeamsMax = 8000;
    const int NtfyMax = 3500;
    const int TelegramMax = 4096;
    const int GotifyMax = 8000;
    const int KumaMax = 250;
    public const int HealthchecksMax = 100_000;

    static readonly JsonSerializerOptions Written = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The request that tells a message.</summary>
    public static WebhookRequest Of(WebhookConfig webhook, NotifyMessage message)
    {
        var subject = NotifyText.Subject(message, webhook.Subject);
        var body = NotifyText.Body(message);
        var url = new Uri(webhook.Url.Value);
        (string Name, string Value)[] own = [.. webhook.Headers.Select(item => (item.Name, item.Value.Value))];
        (string Name, string Value)[] bearer = webhook.Token is { } token ? [("Authorization", $"Bearer {token.Value}")] : [];
        return webhook.Preset switch
        {
            WebhookPreset.Slack => Post(url, new() { ["text"] = SlackText(subject, body) }, [.. bearer, .. own]),
            WebhookPreset.Discord => Post(url, Discord(subject, body), [.. bearer, .. own]),
            WebhookPreset.Teams => Post(url, Teams(subject, body), [.. bearer, .. own]),
            WebhookPreset.Ntfy => Post(new Uri(url, "/"), Ntfy(url, subject, body, message.Kind), [.. bearer, .. own]),
            WebhookPreset.Gotify => Post(
                Below(url, "message"),
                new() { ["title"] = subject, ["message"] = NotifyText.Cut(body, GotifyMax), ["priority"] = IsAlert(message.Kind) ? 8 : 3 },
                [("X-Gotify-Key", webhook.Token!.Value), .. own]),
            WebhookPreset.Telegram => Post(
                Below(url, $"bot{webhook.Token!.Value}/sendMessage"),
                new()
                {
                    ["chat_id"] = webhook.ChatId, ["text"] = NotifyText.Cut($"{subject}\n\n{body}", TelegramMax),
                    ["disable_web_page_preview"] = true,
                },
                own),
            WebhookPreset.Healthchecks => new(
                Below(url, HealthchecksPath(message.Kind)), PlainText, NotifyText.Cut($"{subject}\n\n{body}", HealthchecksMax),
                [.. bearer, .. own]),
            WebhookPreset.UptimeKuma => Kuma(url, !IsAlert(message.Kind), subject, [.. bearer, .. own]),
            _ => Own(webhook, message, subject, [.. bearer, .. own]),
        };
    }

    /// <summary>Tells Uptime Kuma.</summary>
    public static WebhookRequest Kuma(Uri url, bool isUp, string text, IReadOnlyList<(string, string)> headers)
    {
        var said = $"status={(isUp ? "up" : "down")}&msg={Uri.EscapeDataString(NotifyText.Cut(text, KumaMax))}";
        return new(new Uri($"{url.GetLeftPart(UriPartial.Path)}?{said}"), "", "", headers);
    }

    /// <summary>The URL with a further step, before its query.</summary>
    public static Uri Below(Uri url, string step) =>
        step.Length == 0 ? url : new Uri($"{url.GetLeftPart(UriPartial.Path).TrimEnd('/')}/{step}{url.Query}");

    /// <summary>What nobody may take for a success is only noted there.</summary>
    static string HealthchecksPath(NotifyKind kind) => IsAlert(kind) ? "fail" : kind == NotifyKind.Test ? "log" : "";

    static bool IsAlert(NotifyKind kind) => kind is NotifyKind.Failure or NotifyKind.Missed or NotifyKind.Stale;

    static WebhookRequest Post(Uri url, JsonObject body, IReadOnlyList<(string, string)> headers) =>
        new(url, Json, body.ToJsonString(Written), headers);

    /// <summary>Three characters mean something there: a log must not call everybody of a channel.</summary>
    static string SlackText(string subject, string body) => NotifyText.Cut(
            $"{subject}\n{body}".Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal)
                .Replace(">", "&gt;", StringComparison.Ordinal),
            SlackMax);

    static JsonObject Discord(string subject, string body) => new()
    {
        ["content"] = NotifyText.Cut($"**{subject}**\n{body}", DiscordMax),
        ["allowed_mentions"] = new JsonObject { ["parse"] = new JsonArray() },
    };

    static JsonObject Teams(string subject, string body) => new()
    {
        ["type"] = "message",
        ["attachments"] = new JsonArray(new JsonObject
        {
            ["contentType"] = "application/vnd.microsoft.card.adaptive",
            ["content"] = new JsonObject
            {
                ["$schema"] = "http://adaptivecards.io/schemas/adaptive-card.json",
                ["type"] = "AdaptiveCard",
                ["version"] = "1.4",
                ["body"] = new JsonArray(
                    new JsonObject { ["type"] = "TextBlock", ["text"] = subject, ["weight"] = "Bolder", ["wrap"] = true },
                    new JsonObject
                    {
                        ["type"] = "TextBlock", ["text"] = NotifyText.Cut(body, TeamsMax), ["fontType"] = "Monospace", ["wrap"] = true,
                    }),
            },
        }),
    };

    /// <summary>As JSON to the server's root, because headers can only be ASCII.</summary>
    static JsonObject Ntfy(Uri url, string subject, string body, NotifyKind kind) => new()
    {
        ["topic"] = Uri.UnescapeDataString(url.AbsolutePath.Trim('/')),
        ["title"] = subject,
        ["message"] = CutBytes(body, NtfyMax),
        ["priority"] = IsAlert(kind) ? 4 : 3,
        ["tags"] = new JsonArray(IsAlert(kind) ? "rotating_light" : "white_check_mark"),
    };

    static string CutBytes(string text, int bytesMax)
    {
        while (Encoding.UTF8.GetByteCount(text) > bytesMax)
        {
            text = NotifyText.Cut(text, text.Length * 3 / 4);
        }

        return text;
    }

    static WebhookRequest Own(
        WebhookConfig webhook, NotifyMessage message, string subject, IReadOnlyList<(string Name, string Value)> headers)
    {
        var url = new Uri(webhook.Url.Value);
        if (webhook.Template is not { } template)
        {
            return Post(url, Document(message, subject), headers);
        }

        var isJson = NotifyTemplate.IsJson(template);
        return new(url, isJson ? Json : PlainText, NotifyTemplate.Fill(template, message, subject, isJson), headers);
    }

    static JsonObject Document(NotifyMessage message, string subject)
    {
        var document = JsonSerializer.SerializeToNode(message, NotifyJson.Default.NotifyMessage)!.AsObject();
        document.Remove("of");
        document.Remove("kind");
        document.Remove("text");
        document["message"] = message.Text;
        document["event"] = NotifyText.NameOf(message.Kind);
        document["subject"] = subject;
        return document;
    }
}
