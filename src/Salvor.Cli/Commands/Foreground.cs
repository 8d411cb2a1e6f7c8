using System.Diagnostics;
using System.Runtime.InteropServices;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Platform;

namespace Salvor.Cli.Commands;

/// <summary>Runs a host until it is stopped, until it ends by itself, or until the app that it started ends.</summary>
static class Foreground
{
    const int SigTerm = 15;

    /// <summary>
    /// The exit code: 0 after a stop, the app's own where there is one. Everything committed is published before this returns.
    /// </summary>
    public static async Task<int> RunAsync(Invocation invocation, ProtectionHost host, Task ended, string? command)
    {
        using var app = command is null ? null : Start(command);
        var stopped = Task.Delay(Timeout.Infinite, invocation.Cancellation);
        var exited = app?.WaitForExitAsync(CancellationToken.None) ?? Task.Delay(Timeout.Infinite, invocation.Cancellation);
        var first = await Task.WhenAny(stopped, ended, exited);
        if (first == ended && ended.IsFaulted)
        {
            await ended;
        }

        if (app is not null)
        {
            if (!app.HasExited)
            {
                // The app gets the signal that we got, and all the time it needs; its last commits are still captured.
                Posix.Signal(app.Id, SigTerm);
                await app.WaitForExitAsync(CancellationToken.None);
            }

            await host.DisposeAsync();
            return app.ExitCode;
        }

        await host.DisposeAsync();
        return 0;
    }

    static Process Start(string command)
    {
        // "exec" makes the shell become the app, so that signals reach the app itself.
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("exec " + command);
        return Process.Start(start)
            ?? throw new SalvorException(FailureKind.Failure, $"'{command}' did not start", "Run it by itself to see why.");
    }
}
