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
    readonly SshFiles files;
    readonly Queue<string> lines = new();
    readonly Task said;

    SshProcess(SftpOptions options, TimeProvider time, Process process, SshFiles files)
    {
        (this.options, this.time, this.process, this.files) = (options, time, process, files);
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

        var files = SshFiles.Write(options);
        var start = new ProcessStartInfo(program, SshCommand.Arguments(options, files.KnownHosts))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["LC_ALL"] = "C";
        if (files.Askpass is { } askpass)
        {
            start.Environment["SSH_ASKPASS"] = askpass;
            start.Environment["SSH_ASKPASS_REQUIRE"] = "force";
        }

        try
        {
            return new(options, time, Process.Start(start)!, files);
        }
        catch (Win32Exception)
        {
            files.Dispose();
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
        files.Dispose();
        var isOurDecision = noticed.Failure != StorageFailure.Unreachable || noticed == SftpConnection.Idle;
        return isOurDecision ? noticed : SshFailures.Explain(options, Lines()) ?? noticed;
    }

    async Task ListenAsync()
    {
        while (await process.StandardError.ReadLineAsync() is { } line)
        {
            if (line.StartsWith("Authenticated to ", StringComparison.Ordinal))
            {
                files.Dispose();
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
}
