namespace Salvor.Storage.Sftp;

/// <summary>Where a destination on an SFTP server is, and how its server is known. OpenSSH's client settings hold for the rest.</summary>
public sealed record SftpOptions
{
    /// <summary>What OpenSSH's client takes for an answer.</summary>
    const int SecretLengthMax = 512;

    /// <summary>A host name or address, or a <c>Host</c> of the user's SSH configuration.</summary>
    public required string Host { get; init; }

    /// <summary>Null: what the SSH configuration says, else 22.</summary>
    public int? Port { get; init; }

    /// <summary>Null: what the SSH configuration says, else the name of the user that runs Salvor.</summary>
    public string? User { get; init; }

    /// <summary>The directory; absolute, or relative to where a login begins.</summary>
    public required string Path { get; init; }

    /// <summary>The private key. Null: those of the SSH configuration and of the agent.</summary>
    public string? KeyFile { get; init; }

    /// <summary>What opens the private key; null where it is not sealed, or an agent has it.</summary>
    public SecretText? KeyPassphrase { get; init; }

    /// <summary>The password of the user. Null: keys alone.</summary>
    public SecretText? Password { get; init; }

    /// <summary>The file of known host keys. Null: those of the SSH configuration.</summary>
    public string? KnownHostsFile { get; init; }

    /// <summary>The only host key that is accepted, as type and base64; null where <see cref="KnownHostsFile"/> decides.</summary>
    public string? HostKey { get; init; }

    /// <summary>
    /// Whether to write where the server cannot promise what backups rest on: that an object survives a loss of power, and that of two
    /// writers only one creates it.
    /// </summary>
    public bool AllowWeak { get; init; }

    /// <summary>What messages call the place: a URL. A path that is relative to the login begins with <c>~</c>.</summary>
    public string Place
    {
        get
        {
            var host = Host.Contains(':') ? $"[{Host}]" : Host;
            var trimmed = Path.TrimEnd('/') is { Length: > 0 } some ? some : "/.";
            var path = string.Join('/', trimmed.Split('/').Select(Uri.EscapeDataString));
            return $"sftp://{(User is null ? "" : Uri.EscapeDataString(User) + "@")}{host}{(Port is null ? "" : $":{Port}")}"
                + (Path.StartsWith('/') ? path : "/~/" + path);
        }
    }

    /// <summary>A URL with which the place can be opened again. Nothing in it is secret.</summary>
    public string Location
    {
        get
        {
            (string Name, string? Value)[] all =
            [
                ("key_file", KeyFile), ("known_hosts", KnownHostsFile), ("host_key", HostKey), ("allow_weak", AllowWeak ? "true" : null),
            ];
            var given = all.Where(option => option.Value is not null)
                .Select(option => $"{option.Name}={Uri.EscapeDataString(option.Value!)}").ToList();
            return given.Count == 0 ? Place : $"{Place}?{string.Join('&', given)}";
        }
    }

    /// <summary>
    /// Why these options cannot be used, as the end of a sentence, or null. OpenSSH gives some characters a meaning of their own, and
    /// what begins with a hyphen would be an option.
    /// </summary>
    public string? Problem()
    {
        if (!IsName(Host, ".:_-"))
        {
            return $"host \"{Host}\" is not a host name or address";
        }

        if (Port is < 1 or > 65_535)
        {
            return $"port {Port} is not between 1 and 65535";
        }

        if (User is not null && !IsName(User, "._-@+\\"))
        {
            return $"user \"{User}\" has characters that SSH does not take";
        }

        if (Path.Length == 0 || Path.Any(char.IsControl))
        {
            return $"path \"{Path}\" is not a directory";
        }

        foreach (var (name, file) in (ReadOnlySpan<(string, string?)>)[("key_file", KeyFile), ("known_hosts", KnownHostsFile)])
        {
            if (file is not null && (file.Length == 0 || file.Any(c => char.IsControl(c) || c is '"' or '%' or '$' or '\\')))
            {
                return $"{name} \"{file}\" has characters that SSH gives a meaning of their own";
            }
        }

        if (KeyPassphrase is not null && KeyFile is null)
        {
            return "key_passphrase is there without the key_file that it opens";
        }

        foreach (var (name, secret) in (ReadOnlySpan<(string, SecretText?)>)[("password", Password), ("key_passphrase", KeyPassphrase)])
        {
            if (secret is not null && (secret.Value.Length is 0 or > SecretLengthMax || secret.Value.Any(char.IsControl)))
            {
                return $"{name} is empty, longer than {SecretLengthMax} characters, or has a control character in it";
            }
        }

        return HostKey is null || IsHostKey(HostKey)
            ? null
            : "host_key is not a public key: a type and a base64 text, as the last two words of a line of 'ssh-keyscan'";
    }

    static bool IsName(string text, string alsoAllowed) =>
        text.Length is > 0 and <= 255 && text[0] != '-' && text.All(c => char.IsAsciiLetterOrDigit(c) || alsoAllowed.Contains(c));

    static bool IsHostKey(string text) =>
        text.Split(' ') is [var type, var key] && IsName(type, "@.-") && key.Length > 0
            && key.All(c => char.IsAsciiLetterOrDigit(c) || c is '+' or '/' or '=');
}
