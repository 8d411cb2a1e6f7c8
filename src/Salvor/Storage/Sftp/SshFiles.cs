using System.Text;
using Salvor.Platform;

namespace Salvor.Storage.Sftp;

/// <summary>
/// What OpenSSH's client takes from files only: the pinned host key, and a program that answers when it asks for a password. They are in a
/// directory that nobody else can enter, until the client has let us in. A password is in no file: the program reads it from a named pipe,
/// which holds it in memory.
/// </summary>
sealed class SshFiles : IDisposable
{
    /// <summary>A server may ask in two ways, and each key once; nobody who is asked oftener is given an answer.</summary>
    const int AnswersMax = 4;

    /// <summary>The client on the way through a jump host finds it too: that one was started by the first, and not by us.</summary>
    static readonly string program = $$"""
        #!/bin/sh
        read -r _ _ _ parent _ < "/proc/$PPID/stat"
        [ "$parent" = {{Environment.ProcessId}} ] || exit 1
        case "$1" in
            "Enter passphrase"*) pipe="${0%/*}/passphrase" ;;
            *) pipe="${0%/*}/password" ;;
        esac
        [ -p "$pipe" ] && IFS= read -r answer < "$pipe" && printf '%s\n' "$answer"
        """;

    readonly Lock gate = new();
    readonly List<FileStream> pipes = [];
    string? directory;

    SshFiles()
    {
    }

    /// <summary>The file with the pinned host key; null where none is pinned.</summary>
    public string? KnownHosts { get; private set; }

    /// <summary>The program that answers; null where nobody is to be asked.</summary>
    public string? Askpass { get; private set; }

    public static SshFiles Write(SftpOptions options)
    {
        var files = new SshFiles();
        try
        {
            files.Add(options);
            return files;
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    void Add(SftpOptions options)
    {
        if (options.HostKey is { } hostKey)
        {
            // Whoever can replace it chooses who is trusted.
            KnownHosts = PathOf("known_hosts");
            File.WriteAllText(KnownHosts, $"{SshCommand.PinnedName} {hostKey}\n");
        }

        if (options.Password is not null || options.KeyPassphrase is not null)
        {
            Askpass = PathOf("askpass");
            File.WriteAllText(Askpass, program + "\n");
            File.SetUnixFileMode(Askpass, UnixFileMode.UserRead | UnixFileMode.UserExecute);
            AddPipe("password", options.Password);
            AddPipe("passphrase", options.KeyPassphrase);
        }
    }

    /// <summary>Removes them. May be called again.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            pipes.ForEach(pipe => pipe.Dispose());
            pipes.Clear();
            try
            {
                if (directory is not null && Directory.Exists(directory))
                {
                    Directory.Delete(directory, recursive: true);
                }
            }
            catch (IOException)
            {
                // A public key and an empty pipe that stay behind in a temporary directory do no harm.
            }
        }
    }

    string PathOf(string name) => Path.Combine(directory ??= Directory.CreateTempSubdirectory("salvor-ssh-").FullName, name);

    /// <summary>Open for both ends, so that writing does not wait for a reader, and nothing is left when we are gone.</summary>
    void AddPipe(string name, SecretText? secret)
    {
        if (secret is null)
        {
            return;
        }

        var path = PathOf(name);
        Posix.MakePipe(path);
        var pipe = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        pipes.Add(pipe);
        pipe.Write(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(secret.Value + "\n", AnswersMax))));
    }
}
