namespace Salvor.Storage.Sftp;

/// <summary>How OpenSSH's client is called. No secret is an argument: keys are named by files, and passwords asked for.</summary>
static class SshCommand
{
    /// <summary>The name of the server in a file of known hosts that holds its pinned key alone.</summary>
    public const string PinnedName = "salvor-pinned";

    /// <summary>
    /// The arguments. Nobody is there to be asked, so what would ask fails. A host key that is not known, or another one than is
    /// known, ends the connection: whoever answers instead of the server would be given the backups.
    /// </summary>
    /// <param name="pinnedFile">The file with the pinned host key, where there is one.</param>
    public static IReadOnlyList<string> Arguments(SftpOptions options, string? pinnedFile)
    {
        // The first value counts, so these stand above what the user's configuration says. The messages at this level have the
        // fingerprint of a host key that is refused.
        List<string> arguments =
        [
            "-v", "-T",
            "-o", "StrictHostKeyChecking=yes",
            "-o", "UpdateHostKeys=no",
            "-o", "ConnectTimeout=15",
            "-o", "ServerAliveInterval=60",
            "-o", "ServerAliveCountMax=3",
            "-o", "ClearAllForwardings=yes",
            "-o", "ForwardAgent=no",
            "-o", "ForwardX11=no",
            "-o", "PermitLocalCommand=no",
            "-o", "ControlMaster=no",
            "-o", "ControlPath=none",
            "-o", "EscapeChar=none",
        ];
        arguments.AddRange(options.Password is null && options.KeyPassphrase is null
            ? ["-o", "BatchMode=yes"]
            : ["-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1"]);
        if (options.Password is not null && options.KeyFile is null)
        {
            // A server ends the connection after a few keys that it does not know, before it comes to the password.
            arguments.AddRange(["-o", "PubkeyAuthentication=no"]);
        }

        if (options.Port is { } port)
        {
            arguments.AddRange(["-p", $"{port}"]);
        }

        if (options.User is { } user)
        {
            arguments.AddRange(["-l", user]);
        }

        if (options.KeyFile is { } key)
        {
            arguments.AddRange(["-o", $"IdentityFile=\"{key}\"", "-o", "IdentitiesOnly=yes"]);
        }

        if (pinnedFile is not null)
        {
            arguments.AddRange(
                ["-o", $"UserKnownHostsFile=\"{pinnedFile}\"", "-o", "GlobalKnownHostsFile=none", "-o", $"HostKeyAlias={PinnedName}"]);
        }
        else if (options.KnownHostsFile is { } knownHosts)
        {
            arguments.AddRange(["-o", $"UserKnownHostsFile=\"{knownHosts}\""]);
        }

        arguments.AddRange(["-s", "--", options.Host, "sftp"]);
        return arguments;
    }
}
