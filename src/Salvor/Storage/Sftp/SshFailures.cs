namespace Salvor.Storage.Sftp;

/// <summary>What OpenSSH's client says when it ends, in words that name the next command. It has one exit code for all of it.</summary>
static class SshFailures
{
    const string FingerprintPrefix = "debug1: Server host key: ";

    /// <summary>Comes before the key is opened to prove that it is ours.</summary>
    const string AcceptedPrefix = "debug1: Server accepts key: ";

    /// <summary>What it says of every connection at the level of messages that it is called with.</summary>
    static readonly string[] noise =
        ["debug", "OpenSSH_", "Authenticated to ", "Transferred: ", "Bytes per second: ", "Authenticated using "];

    /// <summary>Whether a line is worth to be kept for <see cref="Explain"/>.</summary>
    public static bool IsTelling(string line) =>
        line.StartsWith(FingerprintPrefix, StringComparison.Ordinal) || line.StartsWith(AcceptedPrefix, StringComparison.Ordinal)
        || (line.Length > 0 && !noise.Any(start => line.StartsWith(start, StringComparison.Ordinal)));

    /// <summary>Why the connection ended; null where the client said nothing about it.</summary>
    /// <param name="lines">What it wrote to its standard error, as far as <see cref="IsTelling"/>.</param>
    public static SftpEnd? Explain(SftpOptions options, IReadOnlyList<string> lines)
    {
        if (Has("HOST IDENTIFICATION HAS CHANGED"))
        {
            return HostKeyChanged(options, FingerprintIn(lines));
        }

        if (Has("Host key verification failed"))
        {
            return HostKeyUnknown(options, FingerprintIn(lines));
        }

        if (lines.FirstOrDefault(line => line.StartsWith("Load key ", StringComparison.Ordinal)) is { } unusable)
        {
            return new(
                StorageFailure.Denied,
                $"the key cannot be used: {AfterColon(unusable)}",
                "Give its passphrase in key_passphrase, or use a key without one that only its owner may read "
                    + $"('chmod 600 {options.KeyFile ?? "KEYFILE"}'), or load it into ssh-agent.");
        }

        if (Has("ssh_askpass: exec("))
        {
            return new(
                StorageFailure.Denied,
                $"no program may be run in {Path.GetTempPath().TrimEnd('/')}, and ssh asks one for the password",
                "Set TMPDIR to a directory of a file system that is not mounted with noexec.");
        }

        if (lines.FirstOrDefault(line => line.Contains("Permission denied (", StringComparison.Ordinal)) is { } denied)
        {
            return options.KeyPassphrase is not null && Has(AcceptedPrefix) ? PassphraseWrong(options)
                : options.Password is null ? KeyRefused(options)
                : PasswordRefused(options, denied);
        }

        if (Has("Too many authentication failures"))
        {
            return KeyRefused(options);
        }

        if (Has("subsystem request failed"))
        {
            return new(
                StorageFailure.Denied,
                $"{options.Host} does not offer SFTP",
                "Add 'Subsystem sftp internal-sftp' to /etc/ssh/sshd_config there, and restart sshd.");
        }

        if (Has("Bad configuration option") || Has("Bad owner or permissions") || Has("terminating, "))
        {
            return new(
                StorageFailure.Denied,
                $"ssh refuses its configuration: {lines[^1]}",
                $"Correct it; '{Command("ssh", "-p", options)}' shows the same.");
        }

        var last = lines.LastOrDefault(line => !line.StartsWith("debug1: ", StringComparison.Ordinal));
        return last is null
            ? null
            : new(
                StorageFailure.Unreachable,
                last.StartsWith("ssh: ", StringComparison.Ordinal) ? LowerFirst(last["ssh: ".Length..]) : last,
                $"Check that {options.Host} is up and that its name and port are right: '{Command("ssh", "-p", options)}'.");

        bool Has(string text) => lines.Any(line => line.Contains(text, StringComparison.Ordinal));
    }

    public static SftpEnd NotInstalled() => new(
        StorageFailure.Denied,
        "there is no program ssh",
        "Install OpenSSH's client: 'apt-get install openssh-client'.");

    public static SftpEnd KeyFileMissing(string path) => new(
        StorageFailure.Denied,
        $"key file {path} does not exist",
        $"Name another with key_file, or make one: 'ssh-keygen -t ed25519 -N \"\" -f {path}'.");

    static SftpEnd HostKeyUnknown(SftpOptions options, string fingerprint) => options.HostKey is null
        ? new(
            StorageFailure.Denied,
            $"the host key of {options.Host} is not known: {fingerprint}",
            $"Compare it with what 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub' prints on {options.Host}; if they are equal, add it: "
                + $"'{KeyScan(options)} >> {KnownHosts(options)}'.")
        : new(
            StorageFailure.Denied,
            $"{options.Host} has another kind of host key than the pinned one: {fingerprint}",
            $"Pin the key that '{KeyScan(options)}' prints for the pinned kind, after comparing it on {options.Host}.");

    static SftpEnd HostKeyChanged(SftpOptions options, string fingerprint) => new(
        StorageFailure.Denied,
        $"the host key of {options.Host} has changed: {fingerprint}",
        $"Somebody may be answering in its place. If the server was set up anew, {(options.HostKey is null
            ? $"forget the old key with 'ssh-keygen -R {KnownName(options)} -f {KnownHosts(options)}', then add the new one: "
                + $"'{KeyScan(options)} >> {KnownHosts(options)}'."
            : $"put the new key into host_key: '{KeyScan(options)}' prints it.")}");

    static SftpEnd KeyRefused(SftpOptions options)
    {
        var user = options.User is { } name ? $"user {name}" : "the user";
        return new(
            StorageFailure.Denied,
            $"{options.Host} refuses the key of {user}",
            $"Let it in: '{Command("ssh-copy-id" + (options.KeyFile is { } key ? $" -i {key}.pub" : ""), "-p", options)}'. "
                + "A password goes into 'password'.");
    }

    static SftpEnd PassphraseWrong(SftpOptions options) => new(
        StorageFailure.Denied,
        "the key cannot be used: its passphrase is not the right one",
        $"Correct key_passphrase; 'ssh-keygen -y -f {options.KeyFile}' asks for it and tells whether it is right.");

    /// <param name="denied">Has the ways to log in that the server offers, in parentheses.</param>
    static SftpEnd PasswordRefused(SftpOptions options, string denied)
    {
        var ways = denied[(denied.IndexOf('(') + 1)..].TrimEnd('.', ')', ' ');
        var takesPasswords = ways.Contains("password", StringComparison.Ordinal) || ways.Contains("keyboard", StringComparison.Ordinal);
        var user = options.User is { } name ? $"user {name}" : "the user";
        return takesPasswords
            ? new(
                StorageFailure.Denied,
                $"{options.Host} refuses the password of {user}",
                "Correct 'password' and 'user', or use a key_file.")
            : new(
                StorageFailure.Denied,
                $"{options.Host} takes no passwords of {user}, only {ways}",
                "Use a key_file, or set 'PasswordAuthentication yes' in /etc/ssh/sshd_config there.");
    }

    /// <summary>Kind and fingerprint, as ssh-keygen prints them too.</summary>
    static string FingerprintIn(IReadOnlyList<string> lines) =>
        lines.LastOrDefault(line => line.StartsWith(FingerprintPrefix, StringComparison.Ordinal))?[FingerprintPrefix.Length..]
            ?? "its fingerprint was not told";

    static string KeyScan(SftpOptions options) => $"ssh-keyscan{Port("-p", options)} {options.Host}";

    static string KnownHosts(SftpOptions options) => options.KnownHostsFile ?? "~/.ssh/known_hosts";

    static string KnownName(SftpOptions options) => options.Port is { } port and not 22 ? $"[{options.Host}]:{port}" : options.Host;

    static string Command(string program, string portOption, SftpOptions options) =>
        $"{program}{Port(portOption, options)} {(options.User is null ? "" : options.User + "@")}{options.Host}";

    static string Port(string option, SftpOptions options) => options.Port is { } port ? $" {option} {port}" : "";

    static string AfterColon(string line) => line[(line.LastIndexOf(": ", StringComparison.Ordinal) + 2)..];

    static string LowerFirst(string text) => text.Length == 0 ? text : char.ToLowerInvariant(text[0]) + text[1..];
}
