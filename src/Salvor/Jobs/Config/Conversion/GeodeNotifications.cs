using System.Text.Json.Nodes;

namespace Salvor.Jobs.Config.Conversion;

/// <summary>The <c>notifications:</c> of a Geode server: mail, and a webhook of Slack.</summary>
static class GeodeNotifications
{
    const string NotEnabled = "it was not enabled";

    /// <summary>Null where nobody was told.</summary>
    public static JsonObject? Read(OldMapping? notifications)
    {
        if (notifications is null)
        {
            return null;
        }

        var ours = new JsonObject();
        if (notifications.Section("email") is { } email && ReadEmail(email) is { } mail)
        {
            ours["email"] = mail;
        }

        if (notifications.Section("webhook") is { } webhook && ReadWebhook(webhook) is { } hook)
        {
            ours["webhooks"] = new JsonObject { ["webhook"] = hook };
        }

        notifications.End();
        return ours.Count > 0 ? ours : null;
    }

    static JsonObject? ReadEmail(OldMapping email)
    {
        if (!IsEnabled(email, "recipients"))
        {
            return null;
        }

        var recipients = email.Texts("recipients");
        var ours = new JsonObject
        {
            ["host"] = "localhost",
            ["tls"] = "none",
            ["from"] = "salvor@localhost",
            ["to"] = new JsonArray([.. recipients.Select(item => JsonValue.Create(item))]),
        };
        email.Became(
            "recipients", "notifications.email.to",
            "the old file names no mail server: this machine's own is written, name yours as 'host'");
        ReadRules(email, ours, "email");
        email.End();
        return ours;
    }

    static JsonObject? ReadWebhook(OldMapping webhook)
    {
        if (!IsEnabled(webhook, "url"))
        {
            return null;
        }

        var isDiscord = webhook.Text("url")?.Contains("discord", StringComparison.OrdinalIgnoreCase) == true;
        var ours = new JsonObject { ["preset"] = isDiscord ? "discord" : "slack" };
        Credentials.Take(webhook, "url", ours, "url", "NOTIFY_WEBHOOK_URL");
        ReadRules(webhook, ours, "webhooks.webhook");
        webhook.End();
        return ours;
    }

    static bool IsEnabled(OldMapping part, string besides)
    {
        var isEnabled = part.YesNo("enabled") != false;
        if (!isEnabled)
        {
            foreach (var key in (string[])["enabled", besides, "on_success", "on_failure"])
            {
                part.Drop(key, NotEnabled);
            }

            part.End();
            return false;
        }

        part.Became("enabled", "(nothing)", "what is configured is told");
        return true;
    }

    static void ReadRules(OldMapping part, JsonObject ours, string owner)
    {
        foreach (var rule in (string[])["on_success", "on_failure"])
        {
            if (part.YesNo(rule) is { } value)
            {
                ours[rule] = value;
                part.Became(rule, $"notifications.{owner}.{rule}");
            }
        }
    }
}
