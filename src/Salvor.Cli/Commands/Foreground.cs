using System.Diagnostics;
using System.Runtime.InteropServices;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Platform;

namespace Salvor.Cli.Commands;

/// <summary>Runs a host until it is stopped, until it ends by itself, or until the app that it started ends.</summary>
static class Foreground
{
    /// <summary>How long the last commits of an app that ended may take to become durable.</summary>
    static readonly TimeSpan DrainMax = TimeSpan.FromSeconds(30);

    /// <summary>The exit code: 0 after a stop, the app's own where there is one. Disposing the host publishes what is left.</summary>
    /// <param name="invocation">Whose signals stop it.</param>
    /// <param name="host">What runs.</param>
    /// <param name="ended">Completes, with an error, where the host cannot go on.</param>
    /// <param name="command">The app, for a shell; null for none.</param>
    public static async Task<int> RunAsync(Invocation invocation, ProtectionHost host, Task ended, string? command)
    {
        using var app = command is null ? null : Start(command);
        ServiceManager.Notify(ServiceManager.Ready);

        // An app that runs here has the terminal for itself.
        using var progress = app is null ? CopyProgress.Of(invocation, host) : null;
        var stopped = Task.Delay(Timeout.Infinite, invocation.Cancellation);
        var exited = app?.WaitForExitAsync(CancellationToken.None) ?? Task.Delay(Timeout.Infinite, invocation.Cancellation);
        await Task.WhenAny(stopped, ended, exited);
        ServiceManager.Notify(ServiceManager.Stopping);
        if (app is not null)
        {
            await EndAsync(app, invocation.StopSignal);
        }

        await FailureOfAsync(ended, invocation.Cancellation);
        return await DrainAsync(host, app?.ExitCode ?? 0);
    }

    /// <summary>Throws where the host cannot go on; also where its work was cancelled and nobody asked it to stop.</summary>
    internal static async Task FailureOfAsync(Task ended, CancellationToken stop)
    {
        if (ended.IsCanceled && !stop.IsCancellationRequested)
        {
            throw new SalvorException(
                FailureKind.Failure, "a part of the daemon ended, and nobody had stopped it",
                "Start it again, which takes up what it left. This is a defect: please report it, with its log.");
        }

        if (ended.IsFaulted)
        {
            await ended;
        }
    }

    /// <summary>The app gets the signal that we got, and all the time it needs; its last commits are still captured.</summary>
    static async Task EndAsync(Process app, PosixSignal signal)
    {
        if (!app.HasExited)
        {
            Posix.Signal(app.Id, NumberOf(signal));
            await app.WaitForExitAsync(CancellationToken.None);
        }
    }

    /// <summary>
    /// What was committed up to the stop becomes durable first, also while a copy is still under way. If that does not succeed in time, the
    /// exit code says so: the commits are safe in the database, but not yet in the vault.
    /// </summary>
    static async Task<int> DrainAsync(ProtectionHost host, int exitCode)
    {
        using var limit = new CancellationTokenSource(DrainMax);
        var failures = await Task.WhenAll(host.Names.Select(name => TryDrainAsync(host, name, limit.Token)));
        foreach (var failure in failures.OfType<SalvorException>())
        {
            Verb.PrintError(failure);
            exitCode = exitCode == 0 ? (int)failure.Kind : exitCode;
        }

        return exitCode;
    }

    static async Task<SalvorException?> TryDrainAsync(ProtectionHost host, string name, CancellationToken limit)
    {
        try
        {
            await host.DrainAsync(name, limit);
            return null;
        }
        catch (SalvorException e)
        {
            return e;
        }
        catch (OperationCanceledException)
        {
            return new SalvorException(
                FailureKind.TimedOut,
                $"the last commits to {name} were not durable {DrainMax.TotalSeconds:0} s after the stop",
                "The commits are in the database, and the next start will copy them; 'salvor status' shows what it waited for.");
        }
    }

    static int NumberOf(PosixSignal signal) => signal switch
    {
        PosixSignal.SIGHUP => 1,
        PosixSignal.SIGINT => 2,
        _ => 15,
    };

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
