using static Salvor.Jobs.Config.ConfigValue;

namespace Salvor.Jobs.Config;

/// <summary>Those of <c>notifications</c>.</summary>
static partial class ConfigKeys
{
    /// <summary>What each notifier is told, and how its subjects read.</summary>
    static readonly ConfigKey[] OfEveryNotifier =
    [
        new("on_success", YesNo, "true", "Whether it is told that a backup, a verification or a drill went well (default: false)."),
        new("on_failure", YesNo, "false", "Whether it is told that something fails (default: true)."),
        new("on_recovery", YesNo, "false", "Whether it is told that this is over (default: true)."),
        new("on_missed", YesNo, "false", "Whether it is told that a verification or a drill did not run in time (default: true)."),
        new("on_stale", YesNo, "false", "Whether it is told that something is older than it may be (default: true)."),
        new("subject", Plain, "\"{tag} {host}: {source} {what}\"", "The subject, with {tag}, {source}, {what}, {host} and others."),
    ];

    public static readonly ConfigSection Email = new(
        "email",
        [
            new("host", Plain, "smtp.example.com", "The mail server."),
            new("port", Count, "587", "Its port (default: 587 with starttls, 465 with tls, 25 with none)."),
            new("tls", Plain, "starttls", "How the connection is encrypted (default: starttls).") { Words = ["starttls", "tls", "none"] },
            new("ca_file", ConfigValue.Path, "/etc/salvor/ca.pem", "Who may vouch for the server, where the system does not know them."),
            new("username", Plain, "salvor", "Who logs in (default: nobody)."),
            new("password", Secret, "${SMTP_PASSWORD}", "As ${NAME}, file:PATH or cmd:COMMAND."),
            new("from", Plain, "salvor@example.com", "The sender."),
            new("to", Texts, "[ops@example.com]", "The recipients."),
            new("allow_insecure", YesNo, "true", "Whether unencrypted mail may leave this machine (default: false)."),
            .. OfEveryNotifier,
        ]);

    public static readonly ConfigSection Webhook = new(
        "webhook",
        [
            new("url", Secret, "https://hooks.example.com/services/${HOOK_TOKEN}", "Where to; never printed."),
            new("preset", Plain, "slack", "Whose form the message takes (default: a JSON document of our own).")
            {
                Words = ["slack", "discord", "teams", "ntfy", "gotify", "telegram", "healthchecks", "uptime-kuma"],
            },
            new("template", Plain, "'{\"text\": \"{subject}\"}'", "The body, with {subject}, {body} and others; in JSON they are escaped."),
            new("headers", Texts, "[\"X-Team: ops\"]", "Further headers, each Name: value; a value may be file:PATH or cmd:COMMAND."),
            new("token", Secret, "${NTFY_TOKEN}", "What lets in, as ${NAME}, file:PATH or cmd:COMMAND."),
            new("chat_id", Plain, "-1001234567890", "With preset: telegram, the chat."),
            new("allow_insecure", YesNo, "true", "Whether http may leave this machine (default: false)."),
            .. OfEveryNotifier,
        ]);

    /// <summary>What a scheduler runs, each with a check of its own, because each has a time of its own.</summary>
    public static readonly ConfigSection PingJobs = new(
        "jobs", [.. NotificationsConfig.Jobs.Select(job => new ConfigKey(
            job, Secret, "https://hc-ping.com/${JOB_CHECK}", $"What is told when 'salvor {job}' begins, and how it ended."))]);

    public static readonly ConfigSection Ping = new(
        "ping",
        [
            new("url", Secret, "https://hc-ping.com/${DAEMON_CHECK}", "What hears from the daemon as long as it lives; never printed."),
            new("preset", Plain, "healthchecks", "How it is told (default: healthchecks).") { Words = ["healthchecks", "uptime-kuma"] },
            new("every", Duration, "5m", "How often (default: 5m)."),
            new("jobs", Section, "{ verify: \"https://hc-ping.com/0\" }", "What hears from verbs that a scheduler runs.")
            {
                Sections = [PingJobs],
            },
            new("allow_insecure", YesNo, "true", "Whether http may leave this machine (default: false)."),
        ]);

    public static readonly ConfigSection Notifications = new(
        "notifications",
        [
            new("email", Section, "{ host: smtp.example.com, from: a@example.com, to: [b@example.com] }", "Mail.") { Sections = [Email] },
            new("webhooks", Named, "{ team: { preset: slack, url: \"https://hooks.example.com/1\" } }", "Chats and services.")
            {
                Sections = [Webhook],
            },
            new("ping", Section, "{ url: \"https://hc-ping.com/1\" }", "The dead man's switch.") { Sections = [Ping] },
            new("after", Duration, "1m", "How long something must be wrong, or well again, before it is told (default: 1m)."),
            new("remind_every", Duration, "24h", "How often it is told again while it lasts (default: 24h).") { Words = Off },
            new("state_dir", ConfigValue.Path, "/var/lib/salvor", "Where messages wait (default: the local state of the first source)."),
        ]);
}
