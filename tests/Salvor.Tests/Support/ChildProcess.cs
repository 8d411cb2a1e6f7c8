using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Salvor.Tests.Support;

/// <summary>What a finished process left.</summary>
sealed record ProcessResult(int ExitCode, string Stdout, string Stderr)
{
    public override string ToString() => $"exit {ExitCode}\nstdout: {Stdout}\nstderr: {Stderr}";
}

/// <summary>Linux numbers of the signals that tests send.</summary>
public enum Signal
{
    Hangup = 1,
    Interrupt = 2,
    Kill = 9,
    Terminate = 15,
    Continue = 18,
    Stop = 19,
}

/// <summary>A process of a test: its output is captured as it comes, and it does not outlive the test.</summary>
sealed partial class ChildProcess : IAsyncDisposable
{
    static readonly TimeSpan ExitWait = TimeSpan.FromMinutes(3);

    /// <summary>
    /// Held while a process is started. Until it runs its own program it has a copy of every file that this one has open, with its locks:
    /// what is closed here meanwhile is still locked there.
    /// </summary>
    static readonly Lock Starting = new();

    readonly Process _process;
    readonly StringBuilder _stdout = new();
    readonly StringBuilder _stderr = new();

    ChildProcess(ProcessStartInfo start)
    {
        Command = string.Join(' ', start.ArgumentList.Prepend(start.FileName));
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Append(_stdout, line.Data);
        _process.ErrorDataReceived += (_, line) => Append(_stderr, line.Data);
        lock (Starting)
        {
            _process.Start();
        }

        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public string Command { get; }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public string Stdout => Read(_stdout);

    public string Stderr => Read(_stderr);

    public static ChildProcess Start(string file, IEnumerable<string> arguments, string? workingDirectory = null) =>
        new(new ProcessStartInfo(file, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = workingDirectory ?? "",
        });

    /// <summary>Returns when every process that is being started now runs its own program.</summary>
    public static void AwaitStarts()
    {
        lock (Starting)
        {
        }
    }

    public static async Task<ProcessResult> RunAsync(string file, IEnumerable<string> arguments, TimeSpan? within = null)
    {
        await using var process = Start(file, arguments);
        return await process.ExitAsync(within);
    }

    /// <summary>Sends a signal. One that meets a process which has just ended is not an error: that is the race under test.</summary>
    public void Send(Signal signal)
    {
        if (!_process.HasExited && Kill(_process.Id, (int)signal) != 0 && !_process.HasExited)
        {
            throw new InvalidOperationException($"cannot send {signal} to '{Command}': errno {Marshal.GetLastPInvokeError()}");
        }
    }

    public async Task<ProcessResult> ExitAsync(TimeSpan? within = null)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(within ?? ExitWait);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException(
                $"'{Command}' did not end within {(within ?? ExitWait).TotalSeconds} s\nstdout: {Stdout}\nstderr: {Stderr}");
        }

        return new(_process.ExitCode, Stdout, Stderr);
    }

    public async Task<ProcessResult> KillAsync()
    {
        Send(Signal.Kill);
        return await ExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            // With what it started: the end of its output is waited for, and a child that lives on would keep that open.
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        _process.Dispose();
    }

    static void Append(StringBuilder output, string? line)
    {
        if (line is not null)
        {
            lock (output)
            {
                output.Append(line).Append('\n');
            }
        }
    }

    static string Read(StringBuilder output)
    {
        lock (output)
        {
            return output.ToString();
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}
