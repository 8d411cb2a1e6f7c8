using Salvor.Jobs.Config;
using Salvor.Text;

namespace Salvor.Jobs.Doctor;

/// <summary>Judges who would be told that something is wrong. Nothing is sent: 'salvor notify test' does that.</summary>
static class NotifyChecks
{
    public static void Judge(ConfigFacts facts, CheckList list)
    {
        if (facts.Config.Notifications is not { } config)
        {
            list.Ok("nobody is told by Salvor itself", "no 'notifications': outside checks tell, or nobody does");
            return;
        }

        if (config.Notifiers.Count > 0)
        {
            list.Ok(
                $"people are told by {Suggestion.Enumerate([.. config.Notifiers.Select(notifier => notifier.Name)])}",
                $"{string.Join("; ", config.Notifiers.Select(Describe))}; all secrets are known");
        }

        list.Ok(
            config.Ping?.Url is not null ? "a dead man's switch hears from the daemon" : "no dead man's switch hears from the daemon",
            config.Ping is { Url.Value: { } url } ping
                ? $"{new Uri(url).Authority}, every {DurationText.Format(ping.Every)}"
                : "a daemon that is dead tells nobody: 'ping: { url: .. }', or a check from another machine");
        JudgeRules(config, list);
        JudgeWays(config, list);
        JudgeWaiting(facts, list);
    }

    static string Describe(NotifierConfig notifier) => notifier switch
    {
        EmailConfig email =>
            $"mail to {string.Join(", ", email.To)} by {email.Host}:{email.Port} ({email.Tls.ToString().ToLowerInvariant()})",
        WebhookConfig webhook => $"{webhook.Name} at {new Uri(webhook.Url.Value).Authority}",
        _ => notifier.Name,
    };

    static void JudgeRules(NotificationsConfig config, CheckList list)
    {
        if (config.Notifiers.Count > 0 && config.Notifiers.All(notifier => !notifier.Rules.Failure))
        {
            list.Warn(
                "nobody is told of failures", "every notifier has on_failure: false",
                "Remove 'on_failure: false' from at least one of them.");
        }
    }

    static void JudgeWays(NotificationsConfig config, CheckList list)
    {
        foreach (var notifier in config.Notifiers.Where(IsInClear))
        {
            list.Warn(
                $"messages by {notifier.Name} travel in clear", $"{Describe(notifier)}, and 'allow_insecure' allows it",
                "Use https, or 'tls: starttls' for mail.");
        }
    }

    static bool IsInClear(NotifierConfig notifier) => notifier.AllowInsecure && notifier switch
    {
        EmailConfig email => email.Tls == MailTls.None && !WebhookReader.IsLoopback(email.Host),
        WebhookConfig webhook => webhook.Url.Value.StartsWith("http:", StringComparison.OrdinalIgnoreCase)
            && !WebhookReader.IsLoopback(new Uri(webhook.Url.Value).Host),
        _ => false,
    };

    static void JudgeWaiting(ConfigFacts facts, CheckList list)
    {
        foreach (var notifier in facts.Notifiers.Where(notifier => notifier.Queued > 0))
        {
            list.Warn(
                $"{notifier.Queued} message(s) wait for {notifier.Name}", $"{notifier.Counts.Failed} attempt(s) to send failed up to now",
                $"Run 'salvor notify test {notifier.Name}' to see why.");
        }
    }
}
