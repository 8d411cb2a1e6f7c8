using System.ComponentModel;
using System.Diagnostics;
using System.IO.Pipes;

namespace Salvor.Platform;

/// <summary>What a <see cref="GuardedProcess"/> runs.</summary>
/// <param name="Command">The program, and its arguments as they are: no shell looks at them.</param>
sealed record ProgramStart(IReadOnlyList<string> Command)
{
    /// <summary>Variables besides those of this process.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether <see cref="GuardedProcess.Input"/> is written to; there is nothing to read for it otherwise.</summary>
    public bool IsFed { get; init; }
}

/// <summary>A program that could not be started.</summary>
sealed class ProgramException(string message, string hint) : SalvorException(FailureKind.Failure, message, hint);

/// <summary>
/// A program that runs in a session and process group of its own, which is stopped as a whole: by <see cref="StopAsync"/>, and when this
/// process dies, however it does, by a guard that waits for that.
/// </summary>
sealed class GuardedProcess : IAsyncDisposable
{
    const int Terminate = 15;
    const int Kill = 9;

    /// <summary>How long a group that was asked to end may take. The guard waits as long.</summary>
    static readonly TimeSpan EndMax = TimeSpan.FromSeconds(5);

    /// <summary>What is left in a pipe is there at once; a program that goes on in the background may keep it open for ever.</summary>
    static readonly TimeSpan RestMax = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Becomes the program, when a guard stands beside it: that waits for the end of a pipe whose other end this process holds. A line in
    /// it says that all is over, and an end without one that this process died. The guard is no child of the program, which may wait for
    /// its own.
    /// </summary>
    const string Wrapper = "exec 9< \"$1\" || exit 126; shift; "
        + "(( trap '' INT TERM HUP; read -r over && exit 0; kill -TERM 0; sleep 5; kill -KILL 0 ) <&9 >/dev/null 2>&1 & ); "
        + "exec 9<&-; exec \"$@\"";

    readonly Process process;
    readonly AnonymousPipeServerStream life;

    GuardedProcess(Process process, AnonymousPipeServerStream life, string name) => (this.process, this.life, Name) = (process, life, name);

    /// <summary>What messages call it: the program, without its arguments, which may hold what is not to be shown.</summary>
    public string Name { get; }

    public int Id => process.Id;

    public bool HasExited => process.HasExited;

    public Stream Input => process.StandardInput.BaseStream;

    public Stream Output => process.StandardOutput.BaseStream;

    public StreamReader OutputText => process.StandardOutput;

    public StreamReader ErrorText => process.StandardError;

    /// <summary>128 and the number of a signal, where that ended it. Known after <see cref="WaitAsync"/>.</summary>
    public int ExitCode => process.ExitCode;

    /// <summary>Starts it. Throws a <see cref="ProgramException"/> where that cannot be.</summary>
    public static GuardedProcess Start(ProgramStart program)
    {
        var name = program.Command[0];
        var path = Find(name, program.Environment.GetValueOrDefault("PATH") ?? Environment.GetEnvironmentVariable("PATH") ?? "");
        var life = new AnonymousPipeServerStream(PipeDirection.Out, HandleInheritability.None);
        var lifePath = $"/proc/{Environment.ProcessId}/fd/{life.ClientSafePipeHandle.DangerousGetHandle()}";
        var start = new ProcessStartInfo("setsid", ["/bin/sh", "-c", Wrapper, "sh", lifePath, path, .. program.Command.Skip(1)])
        {
            UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        foreach (var (variable, value) in program.Environment)
        {
            start.Environment[variable] = value;
        }

        try
        {
            var process = Process.Start(start)!;
            if (!program.IsFed)
            {
                process.StandardInput.Close();
            }

            return new GuardedProcess(process, life, name);
        }
        catch (Win32Exception e) when (e.NativeErrorCode == Errno.NoEntry)
        {
            life.Dispose();
            throw new ProgramException(
                $"'{name}' cannot be started, because 'setsid' is not there", "Install util-linux, which has it.");
        }
        catch (Win32Exception e)
        {
            life.Dispose();
            throw new ProgramException(
                $"'{name}' cannot be started: {Errno.Describe(e.NativeErrorCode)}",
                "Look with 'ulimit -a' at what this user may have, with 'free' at the memory, and at how long the arguments are.");
        }
    }

    /// <summary>Waits until it has ended, and for what is left of its output. What it started may go on.</summary>
    public async Task WaitAsync(IEnumerable<OutputTail> output, CancellationToken cancellationToken)
    {
        await process.WaitForExitAsync(cancellationToken);
        await Task.WhenAny(Task.WhenAll(output.Select(tail => tail.Ended)), Task.Delay(RestMax, cancellationToken));
    }

    /// <summary>Asks the whole group to end, and kills what has not done so soon.</summary>
    public async Task StopAsync()
    {
        Posix.Signal(-process.Id, Terminate);
        using var limit = new CancellationTokenSource(EndMax);
        await process.WaitForExitAsync(limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Posix.Signal(-process.Id, Kill);
        await process.WaitForExitAsync(CancellationToken.None);
    }

    /// <summary>Stops it where it still runs.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            await StopAsync();
        }

        try
        {
            life.Write("over\n"u8);
        }
        catch (IOException)
        {
            // The guard ended with the group.
        }

        await life.DisposeAsync();
        process.Dispose();
    }

    /// <summary>As the system finds programs; asked here, because what starts it could not say why it does not start.</summary>
    static string Find(string name, string folders)
    {
        IEnumerable<string> places = name.Contains('/', StringComparison.Ordinal)
            ? [name]
            : folders.Split(':').Select(folder => Path.Combine(folder, name));
        string[] there = [.. places.Where(File.Exists)];
        return there.FirstOrDefault(place => Posix.MayAccess(place, Posix.MayEnter))
            ?? throw (there is [var first, ..]
                ? new ProgramException($"'{first}' may not be run", $"Run 'chmod +x {first}', or name another program.")
                : new ProgramException($"'{name}' is not there", "Install it, or write its full path."));
    }
}
