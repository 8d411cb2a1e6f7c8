using Salvor.Storage.Sftp;

namespace Salvor.Jobs.Config;

/// <summary>
/// A directory on an SFTP server as a command line names it: <c>sftp://user@host:port/path?key_file=...</c>. The path is absolute; after
/// <c>/~/</c> it is relative to where a login begins. The options have the names of the configuration's keys.
/// </summary>
static class SftpUrl
{
    const string Scheme = "sftp://";
    public const string PasswordVariable = "SALVOR_SFTP_PASSWORD";
    public const string PassphraseVariable = "SALVOR_SFTP_KEY_PASSPHRASE";
    const string Example = "sftp://user@host/srv/salvor?key_file=/etc/salvor/id_ed25519";

    /// <summary>Throws where it cannot be read. No message repeats the URL, which may have a password in it.</summary>
    /// <param name="environment">A variable of the process, or null.</param>
    public static SftpDestinationConfig Parse(string url, Func<string, string?> environment)
    {
        var (rest, query) = Cut(url[Scheme.Length..], '?');
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0)
        {
            throw Error("has no path");
        }

        var (user, host) = rest[..slash].LastIndexOf('@') is >= 0 and var at
            ? (Uri.UnescapeDataString(rest[..at]), rest[(at + 1)..slash])
            : (null, rest[..slash]);
        if (user?.Contains(':') == true)
        {
            throw Error(
                "has a password in it, which others can see on the command line",
                $"Put it into {PasswordVariable}, or let a key in with 'ssh-copy-id'; and leave it out.");
        }

        var path = Uri.UnescapeDataString(rest[slash..]);
        var (name, port) = HostAndPort(host);
        var options = WithQuery(query, new()
        {
            Host = name,
            Port = port,
            User = user,
            Password = Secret(PasswordVariable),
            Path = path.StartsWith("/~/", StringComparison.Ordinal) ? path["/~/".Length..] : path,
        });
        options = options with { KeyPassphrase = options.KeyFile is null ? null : Secret(PassphraseVariable) };
        return options.Problem() is { } problem
            ? throw Error($"is not right: {problem}")
            : new() { Name = options.Place, Options = options };

        SecretText? Secret(string variable) => environment(variable) is { Length: > 0 } text ? new SecretText(text) : null;
    }

    static (string Host, int? Port) HostAndPort(string text)
    {
        var end = text.StartsWith('[') ? text.IndexOf(']', StringComparison.Ordinal) + 1 : text.LastIndexOf(':');
        var (host, port) = end <= 0 || end == text.Length ? (text, "") : (text[..end], text[end..].TrimStart(':'));
        return port.Length > 0 && !int.TryParse(port, out _)
            ? throw Error($"has \"{port}\" for a port")
            : (host.Trim('[', ']'), port.Length > 0 ? int.Parse(port) : null);
    }

    static SftpOptions WithQuery(string? query, SftpOptions options)
    {
        foreach (var (name, value) in (query ?? "").Split('&', StringSplitOptions.RemoveEmptyEntries).Select(pair => Cut(pair, '=')))
        {
            var text = Uri.UnescapeDataString(value ?? "");
            options = name switch
            {
                "key_file" => options with { KeyFile = Path.GetFullPath(text) },
                "known_hosts" => options with { KnownHostsFile = Path.GetFullPath(text) },
                "host_key" => options with { HostKey = text },
                "allow_weak" => options with { AllowWeak = text == "true" },
                "password" or "key_passphrase" => throw Error(
                    $"has {name} in it, which others can see on the command line",
                    $"Put it into {(name == "password" ? PasswordVariable : PassphraseVariable)}, and leave it out."),
                _ => throw Error(
                    $"has an option \"{name}\", which is not known", "Known are key_file, known_hosts, host_key and allow_weak."),
            };
        }

        return options;
    }

    static (string Before, string? After) Cut(string text, char separator) =>
        text.IndexOf(separator) is >= 0 and var at ? (text[..at], text[(at + 1)..]) : (text, null);

    static SalvorException Error(string problem, string? hint = null) => new(
        FailureKind.Usage, $"the sftp:// URL {problem}", hint ?? $"Write it as {Example}.");
}
