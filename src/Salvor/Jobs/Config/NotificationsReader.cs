using System.Net.Mail;
using Salvor.Jobs.Notify;
using Salvor.Text;

namespace Salvor.Jobs.Config;

/// <summary>Reads <c>notifications</c>: who is told what.</summary>
sealed class NotificationsReader(ConfigDocument document)
{
    const string Owner = "notifications";
    const string AddressExample = "ops@example.com";

    static readonly (string Name, bool Value)[] YesOrNo = [("true", true), ("false", false)];

    static readonly (string Name, MailTls Value)[] TlsWords =
        [("starttls", MailTls.StartTls), ("tls", MailTls.Tls), ("none", MailTls.None)];

    /// <summary>Null where the configuration has none: nobody is told.</summary>
    public static NotificationsConfig? Read(ConfigDocument document, ConfigMapping root) => root.Value(Owner) is { } node
        ? new NotificationsReader(document).Read(new ConfigMapping(document, node, Owner))
        : null;

    NotificationsConfig Read(ConfigMapping notifications)
    {
        notifications.CheckKeys(ConfigKeys.Notifications);
        var remind = notifications.OptionalText("remind_every", "24h") == "off"
            ? (TimeSpan?)null
            : notifications.Duration(
                "remind_every", NotificationsConfig.RemindDefault, NotificationsConfig.RemindMin, NotificationsConfig.RemindMax);
        return new()
        {
            Notifiers = [.. Emails(notifications), .. Webhooks(notifications)],
            Ping = document.LocalOnly || notifications.OptionalMapping("ping") is not { } ping
                ? null
                : document.Attempt<PingConfig?>(() => WebhookReader.ReadPing(ping), null),
            HasPing = notifications.Has("ping"),
            After = notifications.Duration("after", NotificationsConfig.AfterDefault, TimeSpan.Zero, NotificationsConfig.AfterMax),
            RemindEvery = remind,
            StateDirectory = notifications.OptionalPath("state_dir", "/var/lib/salvor"),
        };
    }

    NotifierConfig[] Emails(ConfigMapping notifications) => notifications.OptionalMapping("email") is not { } email ? []
        : document.LocalOnly ? [new NamedNotifierConfig { Name = EmailConfig.NotifierName }]
        : document.Attempt<NotifierConfig[]>(() => [ReadEmail(email)], []);

    List<NotifierConfig> Webhooks(ConfigMapping notifications)
    {
        if (notifications.OptionalMapping("webhooks") is not { } webhooks)
        {
            return [];
        }

        var all = new List<NotifierConfig>();
        foreach (var (name, entry) in webhooks.Entries)
        {
            document.Attempt(() => Add(name, entry.Key, entry.Value), false);
        }

        return all;

        bool Add(string name, YamlDotNet.RepresentationModel.YamlScalarNode key, YamlDotNet.RepresentationModel.YamlNode value)
        {
            ConfigReader.CheckName(document, key, "webhook", name);
            if (name is EmailConfig.NotifierName or NotifyPing.Name)
            {
                throw document.Error(key, $"\"{name}\" cannot be the name of a webhook: it is one of ours", "Give it another name.");
            }

            all.Add(document.LocalOnly
                ? new NamedNotifierConfig { Name = name }
                : new WebhookReader(document).Read(name, new ConfigMapping(document, value, $"webhook {name}")));
            return true;
        }
    }

    static EmailConfig ReadEmail(ConfigMapping email)
    {
        email.CheckKeys(ConfigKeys.Email);
        var host = email.Text("host", "smtp.example.com");
        if (Uri.CheckHostName(host) == UriHostNameType.Unknown)
        {
            throw email.Error("host", $"host of {email.Owner} is \"{host}\", which is no server", "Write host: smtp.example.com.");
        }

        var tls = email.Choice("tls", MailTls.StartTls, TlsWords);
        var (username, password) = (email.OptionalText("username", "salvor"), email.OptionalSecret("password", "${SMTP_PASSWORD}"));
        if (username is null != password is null)
        {
            throw email.Error(
                username is null ? "password" : "username", $"{email.Owner} has only one of username and password",
                "Write both, or none where the server lets everybody in.");
        }

        var config = new EmailConfig
        {
            Name = EmailConfig.NotifierName,
            Host = host,
            Port = email.OptionalCount("port", 587, 65535) ?? tls switch { MailTls.StartTls => 587, MailTls.Tls => 465, _ => 25 },
            Tls = tls,
            CaFile = email.OptionalPath("ca_file", "/etc/salvor/ca.pem"),
            Username = username,
            Password = password is null ? null : new SecretText(password),
            From = Address(email, "from", email.Text("from", "salvor@example.com")),
            To = [.. (email.OptionalTexts("to", $"[{AddressExample}]") ?? throw email.Missing("to", $"[{AddressExample}]"))
                .Select(item => Address(email, "to", item.Text))],
            Rules = RulesOf(email),
            Subject = SubjectOf(email),
            AllowInsecure = email.Choice("allow_insecure", false, YesOrNo),
        };
        return tls == MailTls.None && !config.AllowInsecure && !WebhookReader.IsLoopback(host)
            ? throw email.Error(
                "tls", $"{email.Owner} goes to {host} unencrypted, and not on this machine",
                "Write tls: starttls, or say allow_insecure: true where the network between is yours: whoever is on it can read the mail.")
            : config;
    }

    /// <summary>What a server is told must be one address and nothing else.</summary>
    static string Address(ConfigMapping email, string key, string text) =>
        MailAddress.TryCreate(text, out var address) && text.All(c => c is > ' ' and < '\u007f' || (c == ' ' && address.DisplayName != ""))
            ? text
            : throw email.Error(key, $"{key} of {email.Owner} is \"{text}\", which is no address", $"Write it like {AddressExample}.");

    public static NotifyRules RulesOf(ConfigMapping notifier)
    {
        var otherwise = NotifyRules.Default;
        return new(
            notifier.Choice("on_success", otherwise.Success, YesOrNo), notifier.Choice("on_failure", otherwise.Failure, YesOrNo),
            notifier.Choice("on_recovery", otherwise.Recovery, YesOrNo), notifier.Choice("on_missed", otherwise.Missed, YesOrNo),
            notifier.Choice("on_stale", otherwise.Stale, YesOrNo));
    }

    public static string? SubjectOf(ConfigMapping notifier) => TemplateOf(notifier, "subject", "\"{tag} {host}: {source} {what}\"");

    /// <summary>A text with places in it; one that is not known would be sent as it is, at three in the morning.</summary>
    public static string? TemplateOf(ConfigMapping notifier, string key, string example)
    {
        if (notifier.OptionalText(key, example) is not { } text)
        {
            return null;
        }

        return NotifyTemplate.UnknownIn(text) is not { } unknown ? text : throw notifier.Error(
            key, $"{key} of {notifier.Owner} has {{{unknown}}}, which is not known",
            $"{Suggestion.Sentence(unknown, NotifyTemplate.Names)}Known are {Suggestion.Enumerate(NotifyTemplate.Names)}.");
    }
}
