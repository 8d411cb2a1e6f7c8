namespace Salvor.Jobs.Config;

/// <summary>Who is told when something is wrong with a source, and when it is well again.</summary>
public sealed record NotificationsConfig
{
    /// <summary>The verbs that a scheduler runs, and that a dead man's switch can watch.</summary>
    public static readonly string[] Jobs = ["backup", "verify", "drill", "repair", "prune"];

    public static readonly TimeSpan AfterDefault = TimeSpan.FromMinutes(1);
    public static readonly TimeSpan AfterMax = TimeSpan.FromDays(1);
    public static readonly TimeSpan RemindDefault = TimeSpan.FromHours(24);
    public static readonly TimeSpan RemindMin = TimeSpan.FromMinutes(1);
    public static readonly TimeSpan RemindMax = TimeSpan.FromDays(365);

    /// <summary>All that messages are sent through, in the order of the file.</summary>
    public required IReadOnlyList<NotifierConfig> Notifiers { get; init; }

    /// <summary>What hears from us as long as we live; null where nothing does.</summary>
    public PingConfig? Ping { get; init; }

    /// <summary>Whether there is one, also where only that is known.</summary>
    public bool HasPing { get; init; }

    /// <summary>How long something must be wrong, or well again, before it is told.</summary>
    public TimeSpan After { get; init; } = AfterDefault;

    /// <summary>How often what lasts is told again; null: once.</summary>
    public TimeSpan? RemindEvery { get; init; } = RemindDefault;

    /// <summary>Where messages wait, absolute; null: in the local state of the first source.</summary>
    public string? StateDirectory { get; init; }
}

/// <summary>What a notifier is told.</summary>
/// <param name="Success">That a backup, a verification or a drill went well.</param>
/// <param name="Failure">That something fails.</param>
/// <param name="Recovery">That it is over.</param>
/// <param name="Missed">That a verification or a drill did not run in time.</param>
/// <param name="Stale">That something is older than it may be.</param>
public sealed record NotifyRules(bool Success, bool Failure, bool Recovery, bool Missed, bool Stale)
{
    public static NotifyRules Default { get; } = new(Success: false, Failure: true, Recovery: true, Missed: true, Stale: true);
}

/// <summary>One way in which people are told.</summary>
public abstract record NotifierConfig
{
    /// <summary>What messages, metrics and <c>notify test</c> call it.</summary>
    public required string Name { get; init; }

    public NotifyRules Rules { get; init; } = NotifyRules.Default;

    /// <summary>How its subjects read; null: as they are shipped.</summary>
    public string? Subject { get; init; }

    /// <summary>Whether what is sent may leave this machine unencrypted.</summary>
    public bool AllowInsecure { get; init; }
}

/// <summary>One of which only the name is known: whoever asks how the sources fare need not have its secrets.</summary>
public sealed record NamedNotifierConfig : NotifierConfig;

/// <summary>How a connection to a mail server is encrypted.</summary>
public enum MailTls
{
    /// <summary>After a greeting in clear. A server that does not offer it is refused.</summary>
    StartTls,

    /// <summary>From the first byte.</summary>
    Tls,

    /// <summary>Not at all.</summary>
    None,
}

/// <summary>Mail.</summary>
public sealed record EmailConfig : NotifierConfig
{
    public const string NotifierName = "email";

    public required string Host { get; init; }

    public required int Port { get; init; }

    public required MailTls Tls { get; init; }

    /// <summary>A file with the certificates that may vouch for the server, absolute; null: those of the system.</summary>
    public string? CaFile { get; init; }

    /// <summary>Who logs in; null with <see cref="Password"/>: nobody.</summary>
    public string? Username { get; init; }

    public SecretText? Password { get; init; }

    public required string From { get; init; }

    public required IReadOnlyList<string> To { get; init; }
}

/// <summary>Whose form a message takes.</summary>
public enum WebhookPreset
{
    /// <summary>Our own document, or a template.</summary>
    None,
    Slack,
    Discord,
    Teams,
    Ntfy,
    Gotify,
    Telegram,
    Healthchecks,
    UptimeKuma,
}

/// <summary>A request to a chat or a service.</summary>
public sealed record WebhookConfig : NotifierConfig
{
    /// <summary>Where to: a secret, for most services.</summary>
    public required SecretText Url { get; init; }

    public WebhookPreset Preset { get; init; }

    /// <summary>The body; null where the preset makes it.</summary>
    public string? Template { get; init; }

    public SecretText? Token { get; init; }

    /// <summary>The chat of Telegram; empty elsewhere.</summary>
    public string ChatId { get; init; } = "";

    public IReadOnlyList<(string Name, SecretText Value)> Headers { get; init; } = [];
}

/// <summary>A service that raises an alarm when it does not hear from us.</summary>
public sealed record PingConfig
{
    public static readonly TimeSpan EveryDefault = TimeSpan.FromMinutes(5);
    public static readonly TimeSpan EveryMin = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan EveryMax = TimeSpan.FromDays(1);

    /// <summary>Where the daemon tells that it lives; null where it does not.</summary>
    public SecretText? Url { get; init; }

    /// <summary>Healthchecks or UptimeKuma.</summary>
    public WebhookPreset Preset { get; init; } = WebhookPreset.Healthchecks;

    public TimeSpan Every { get; init; } = EveryDefault;

    /// <summary>Where verbs tell that they begin and how they ended.</summary>
    public IReadOnlyDictionary<string, SecretText> Jobs { get; init; } = new Dictionary<string, SecretText>();

    public bool AllowInsecure { get; init; }
}
