using System.ComponentModel;
using System.Diagnostics;

namespace Salvor.Storage.Sftp;

/// <summary>
/// OpenSSH's client as a child process, which carries SFTP over its standard input and output. When this process dies, however it
/// dies, the child's input ends, and the child ends with it.
/// </summary>
sealed class SshProcess : ISftpTransport
{
    /// <summary>So many lines of what it says are kept, the newest.</summary>
    const int LinesMax = 40;

    static readonly TimeSpan exitMax = TimeSpan.FromSeconds(2);

    readonly SftpOptions options;
    readonly TimeProvider time;
    readonly Process process;
    readonly string? pinnedDirectory;
    readonly Queue<string> lines = new();
    readonly Task said;

    SshProcess(SftpOptions options, TimeProvider time, Process process, string? pinnedDirectory)
    {
        (this.options, this.time, this.process, this.pinnedDirectory) = (options, time, process, pinnedDirectory);
        said = ListenAsync();
    }

    public Stream ToServer => process.StandardInput.BaseStream;

    public Stream FromServer => process.StandardOutput.BaseStream;

    /// <summary>Throws <see cref="SftpEndedException"/> where it cannot be started.</summary>
    public static SshProcess Start(SftpOptions options, TimeProvider time, string program = "ssh")
    {
        if (options.KeyFile is { } key && !File.Exists(key))
        {
            throw new SftpEndedException(SshFailures.KeyFileMissing(key));
        }

        var pinned = options.HostKey is { } hostKey ? WritePinned(hostKey) : null;
        var start = new ProcessStartInfo(program, SshCommand.Arguments(options, pinned))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["LC_ALL"] = "C";
        try
        {
            return new(options, time, Process.Start(start)!, Path.GetDirectoryName(pinned));
        }
        catch (Win32Exception)
        {
            Remove(Path.GetDirectoryName(pinned));
            throw new SftpEndedException(SshFailures.NotInstalled());
        }
    }

    /// <inheritdoc/>
    public async Task<SftpEnd> EndAsync(SftpEnd noticed)
    {
        try
        {
            process.StandardInput.BaseStream.Close();
        }
        catch (IOException)
        {
            // It has gone already.
        }

        using var patience = new CancellationTokenSource(exitMax, time);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
        }

        try
        {
            await said.WaitAsync(exitMax, time);
        }
        catch (TimeoutException)
        {
            // A program that the SSH configuration starts in between may hold the stream open; what it said so far has to do.
        }

        process.Dispose();
        Remove(pinnedDirectory);
        var isOurDecision = noticed.Failure != StorageFailure.Unreachable || noticed == SftpConnection.Idle;
        return isOurDecision ? noticed : SshFailures.Explain(options, Lines()) ?? noticed;
    }

    async Task ListenAsync()
    {
        while (await process.StandardError.ReadLineAsync() is { } line)
        {
            if (line.StartsWith("Authenticated to ", StringComparison.Ordinal))
            {
                Remove(pinnedDirectory);
            }

            if (!SshFailures.IsTelling(line))
            {
                continue;
            }

            lock (lines)
            {
                lines.Enqueue(line);
                if (lines.Count > LinesMax)
                {
                    lines.Dequeue();
                }
            }
        }
    }

    string[] Lines()
    {
        lock (lines)
        {
            return [.. lines];
        }
    }

    /// <summary>In a directory that nobody else can write to, because whoever can replace it chooses who is trusted.</summary>
    static string WritePinned(string hostKey)
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("salvor-ssh-").FullName, "known_hosts");
        File.WriteAllText(path, $"{SshCommand.PinnedName} {hostKey}\n");
        return path;
    }

    static void Remove(string? directory)
    {
        try
        {
            if (directory is not null && Directory.Exists(directory))
            {
                Directory.Delete(directory, recursive: true);
            }
        }
        catch (IOException)
        {
            // A public key that stays behind in a temporary directory does no harm.
        }
    }
}
