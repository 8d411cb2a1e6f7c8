using System.Diagnostics;
using System.Text;
using Salvor.Jobs.Keys;
using Salvor.Platform;

namespace Salvor.Cli.Demo;

/// <summary>This executable, started once more with another verb. It does not outlive the demo.</summary>
sealed class DemoProcess : IAsyncDisposable
{
    const int SigTerm = 15;

    readonly Process process;
    readonly string verb;
    readonly StringBuilder output = new();
    readonly StringBuilder errors = new();

    DemoProcess(string[] arguments)
    {
        verb = arguments[0];
        var start = new ProcessStartInfo(Environment.ProcessPath!)
        {
            UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        foreach (var argument in Own().Concat(arguments))
        {
            start.ArgumentList.Add(argument);
        }

        // Its vault is plain, whatever key the operator has for others.
        foreach (var variable in KeyVariables.Names(KeyVariables.Current))
        {
            start.Environment.Remove(variable);
        }

        process = new Process { StartInfo = start };
        process.OutputDataReceived += (_, line) => output.AppendLine(line.Data);
        process.ErrorDataReceived += (_, line) => errors.AppendLine(line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Pid => process.Id;

    public static DemoProcess Start(params string[] arguments) => new(arguments);

    /// <summary>Runs a verb to its end and returns what it printed. Throws what it said where it failed.</summary>
    public static async Task<string> RunAsync(CancellationToken cancellationToken, params string[] arguments)
    {
        await using var process = Start(arguments);
        return await process.EndAsync(cancellationToken);
    }

    /// <summary>Throws where it ended by itself, which it must not yet.</summary>
    public void ExpectRunning()
    {
        if (process.HasExited)
        {
            process.WaitForExit();
            throw Failure();
        }
    }

    /// <summary>Asks it to stop, and waits until it has done what is left to do.</summary>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        ExpectRunning();
        Posix.Signal(process.Id, SigTerm);
        return EndAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
        }

        process.Dispose();
    }

    /// <summary>What comes before the verb where the executable is the runtime and not this program itself.</summary>
    static IEnumerable<string> Own() =>
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? [Environment.GetCommandLineArgs()[0]] : [];

    async Task<string> EndAsync(CancellationToken cancellationToken)
    {
        await process.WaitForExitAsync(cancellationToken);
        return process.ExitCode == 0 ? output.ToString() : throw Failure();
    }

    SalvorException Failure() => new(
        FailureKind.Failure,
        $"'salvor {verb}' ended with {process.ExitCode}: {errors.ToString().Trim()}",
        "Run 'salvor demo --keep', then look at its folder.");
}
