using System.Globalization;
using Salvor.Text;

namespace Salvor.Postgres.Protocol;

/// <summary>How much of the way to the server is encrypted, and what of the server is checked. As libpq has it.</summary>
public enum SslMode
{
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// <summary>Whether the log-in is bound to the encryption that it goes through.</summary>
public enum ChannelBinding
{
    Disable,
    Prefer,
    Require,
}

/// <summary>Which of several servers is wanted.</summary>
public enum SessionTarget
{
    Any,
    Primary,
    Standby,
}

/// <summary>A server to try.</summary>
/// <param name="Name">Its name, or the folder of its socket, which begins with a slash.</param>
/// <param name="Address">Where it is, when no name is to be looked up; else null.</param>
/// <param name="Port">Its port.</param>
public sealed record PostgresHost(string Name, string? Address, int Port)
{
    /// <summary>Whether it is reached without a network.</summary>
    public bool IsSocket => Name.StartsWith('/');

    public override string ToString() => IsSocket ? $"{Name}/.s.PGSQL.{Port}" : $"{(Name.Length > 0 ? Name : Address)}:{Port}";
}

/// <summary>When the system asks whether the other side is still there.</summary>
/// <param name="Idle">After so much silence.</param>
/// <param name="Interval">Between one question and the next.</param>
/// <param name="Count">How many questions stay unanswered before the connection counts as lost.</param>
public sealed record KeepAlives(TimeSpan Idle, TimeSpan Interval, int Count);

/// <summary>Whom to connect to, and as whom: all that <c>psql</c> would know of it. Printing it prints no secret.</summary>
public sealed record PostgresSettings
{
    const int PortDefault = 5432;

    static readonly string[] SocketFolders = ["/var/run/postgresql", "/tmp"];

    static readonly Dictionary<string, SslMode> SslModes = new()
    {
        ["disable"] = SslMode.Disable,
        ["allow"] = SslMode.Allow,
        ["prefer"] = SslMode.Prefer,
        ["require"] = SslMode.Require,
        ["verify-ca"] = SslMode.VerifyCa,
        ["verify-full"] = SslMode.VerifyFull,
    };

    static readonly Dictionary<string, ChannelBinding> Bindings = new()
    {
        ["disable"] = ChannelBinding.Disable,
        ["prefer"] = ChannelBinding.Prefer,
        ["require"] = ChannelBinding.Require,
    };

    static readonly Dictionary<string, SessionTarget> Targets = new()
    {
        ["any"] = SessionTarget.Any,
        ["primary"] = SessionTarget.Primary,
        ["read-write"] = SessionTarget.Primary,
        ["standby"] = SessionTarget.Standby,
    };

    /// <summary>In the order in which they are tried.</summary>
    public required IReadOnlyList<PostgresHost> Hosts { get; init; }

    public required string User { get; init; }

    /// <summary>Of no meaning for replication.</summary>
    public required string Database { get; init; }

    /// <summary>Null where <see cref="PasswordFile"/> may have one.</summary>
    public SecretText? Password { get; init; }

    public required string PasswordFile { get; init; }

    public SslMode SslMode { get; init; } = SslMode.Prefer;

    /// <summary>Who may vouch for the server, a PEM file; <c>system</c>: whom the system trusts; null for nobody.</summary>
    public string? SslRootFile { get; init; }

    /// <summary>What identifies this client, in PEM; null for nothing.</summary>
    public string? SslCertificateFile { get; init; }

    public string? SslKeyFile { get; init; }

    /// <summary>Opens <see cref="SslKeyFile"/>.</summary>
    public SecretText? SslPassword { get; init; }

    public ChannelBinding ChannelBinding { get; init; } = ChannelBinding.Prefer;

    public SessionTarget Target { get; init; }

    /// <summary>For each host; null waits for ever.</summary>
    public TimeSpan? ConnectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    public string ApplicationName { get; init; } = "salvor";

    /// <summary>Settings for the session, as on a server's command line.</summary>
    public string Options { get; init; } = "";

    /// <summary>Null for none.</summary>
    public KeepAlives? KeepAlives { get; init; } = new(TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(10), 6);

    /// <summary>All hosts, for messages.</summary>
    public string Place => string.Join(", ", Hosts);

    /// <summary>
    /// Reads a URI, or words with values; what it does not say comes from the service that is named, from variables, and is what libpq
    /// would take, in this order. Throws a usage error without the text, which may have a password in it.
    /// </summary>
    public static PostgresSettings Parse(string text, PostgresEnvironment environment)
    {
        var words = PostgresUri.Is(text) ? PostgresUri.Read(text) : PostgresWords.Read(text);
        if (words.GetValueOrDefault("service", environment.Variable("PGSERVICE") ?? "") is { Length: > 0 } service)
        {
            Add(PostgresWords.ReadService(service, environment).Select(item => (item.Key, item.Value)));
        }

        Add(PostgresKeywords.From(environment));
        var user = words.GetValueOrDefault("user") is { Length: > 0 } given ? given : PostgresEnvironment.User;
        var (root, mode) = Trust(words, environment);
        return new PostgresSettings
        {
            Hosts = HostsOf(words),
            User = user,
            Database = words.GetValueOrDefault("dbname") is { Length: > 0 } database ? database : user,
            Password = words.GetValueOrDefault("password") is { Length: > 0 } password ? new SecretText(password) : null,
            PasswordFile = words.GetValueOrDefault("passfile") ?? environment.InHome(".pgpass"),
            SslMode = mode,
            SslRootFile = root,
            SslCertificateFile = words.GetValueOrDefault("sslcert") ?? IfThere(environment.InHome(".postgresql/postgresql.crt")),
            SslKeyFile = words.GetValueOrDefault("sslkey") ?? environment.InHome(".postgresql/postgresql.key"),
            SslPassword = words.GetValueOrDefault("sslpassword") is { } secret ? new SecretText(secret) : null,
            ChannelBinding = OneOf(words, "channel_binding", "prefer", Bindings),
            Target = OneOf(words, "target_session_attrs", "any", Targets),
            ConnectTimeout = TimeoutOf(words),
            ApplicationName = words.GetValueOrDefault("application_name")
                ?? words.GetValueOrDefault("fallback_application_name") ?? "salvor",
            Options = words.GetValueOrDefault("options", ""),
            KeepAlives = Number(words, "keepalives", 1) == 0 ? null : new(
                Seconds(words, "keepalives_idle", 30), Seconds(words, "keepalives_interval", 10),
                Math.Max(1, Number(words, "keepalives_count", 6))),
        };

        void Add(IEnumerable<(string Word, string Value)> others)
        {
            foreach (var (word, value) in others)
            {
                words.TryAdd(word, value);
            }
        }
    }

    /// <summary>A usage error of connection settings.</summary>
    internal static SalvorException Wrong(string message, string hint) => new(FailureKind.Usage, message, hint);

    /// <summary>The password for a host; null where none is known.</summary>
    internal SecretText? PasswordFor(PostgresHost host, string database) => Password ?? PostgresPasswordFile.Find(
        PasswordFile, host.IsSocket && SocketFolders.Contains(host.Name) ? "localhost" : host.Name.Length > 0 ? host.Name : host.Address!,
        host.Port, database, User);

    static PostgresHost[] HostsOf(Dictionary<string, string> words)
    {
        var addresses = List("hostaddr");
        var names = List("host") is { Length: > 0 } named ? named : addresses.Length > 0 ? new string[addresses.Length] : [""];
        var ports = List("port");
        if ((addresses.Length > 0 && addresses.Length != names.Length) || (ports.Length > 1 && ports.Length != names.Length))
        {
            throw Wrong(
                $"there are {names.Length} hosts, {addresses.Length} addresses and {ports.Length} ports",
                "Give as many ports and addresses as hosts, or one port for all.");
        }

        return
        [
            .. names.Select((name, i) => new PostgresHost(
                name is { Length: > 0 } ? name
                    : addresses.Length > 0 ? ""
                    : SocketFolders.FirstOrDefault(Directory.Exists, SocketFolders[^1]),
                addresses.Length > 0 && addresses[i].Length > 0 ? addresses[i] : null,
                PortOf(ports.Length == 0 ? "" : ports[Math.Min(i, ports.Length - 1)]))),
        ];

        string[] List(string word) => words.GetValueOrDefault(word) is { Length: > 0 } text ? text.Split(',') : [];
    }

    static int PortOf(string text) =>
        text.Length == 0 ? PortDefault
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is >= 1 and <= 65535 ? port
        : throw Wrong($"port {text} is none", "A port is a number from 1 to 65535.");

    /// <summary>Who may vouch for the server, and what follows for the mode.</summary>
    static (string? Root, SslMode Mode) Trust(Dictionary<string, string> words, PostgresEnvironment environment)
    {
        var root = words.GetValueOrDefault("sslrootcert");
        var mode = OneOf(words, "sslmode", root == "system" ? "verify-full" : "prefer", SslModes);
        if (root == "system" && mode != SslMode.VerifyFull)
        {
            throw Wrong(
                "sslrootcert=system goes with sslmode=verify-full alone",
                "Whom the system trusts may vouch for any name. Leave sslmode out.");
        }

        root ??= IfThere(environment.InHome(".postgresql/root.crt"));

        // As libpq: whoever gives roots and asks for no less than encryption wants them made use of.
        return (root, mode == SslMode.Require && root is not null && File.Exists(root) ? SslMode.VerifyCa : mode);
    }

    static T OneOf<T>(Dictionary<string, string> words, string word, string otherwise, Dictionary<string, T> values)
    {
        var text = words.GetValueOrDefault(word) is { Length: > 0 } given ? given : otherwise;
        return values.TryGetValue(text, out var value)
            ? value
            : throw Wrong(
                $"{word}={text} is not known",
                $"{Suggestion.Sentence(text, values.Keys)}It is one of {Suggestion.Enumerate([.. values.Keys])}.");
    }

    /// <summary>Below two seconds it would fail where nothing is wrong; zero waits for ever.</summary>
    static TimeSpan? TimeoutOf(Dictionary<string, string> words) => Number(words, "connect_timeout", 30) switch
    {
        <= 0 => null,
        var seconds => TimeSpan.FromSeconds(Math.Max(2, seconds)),
    };

    static TimeSpan Seconds(Dictionary<string, string> words, string word, int otherwise) =>
        TimeSpan.FromSeconds(Number(words, word, otherwise) is > 0 and var seconds ? seconds : otherwise);

    static int Number(Dictionary<string, string> words, string word, int otherwise) =>
        words.GetValueOrDefault(word) is not { Length: > 0 } text ? otherwise
        : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number
        : throw Wrong($"{word}={text} is no number", $"Write {word}={otherwise}, for example.");

    static string? IfThere(string path) => File.Exists(path) ? path : null;
}
