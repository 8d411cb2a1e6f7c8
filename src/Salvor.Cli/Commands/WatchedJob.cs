using System.CommandLine;
using System.Runtime.ExceptionServices;
using Microsoft.Extensions.Logging;
using Salvor.Cli.Terminal;
using Salvor.Jobs.Config;
using Salvor.Jobs.Notify;

namespace Salvor.Cli.Commands;

/// <summary>
/// A verb that a scheduler runs: its check of a dead man's switch hears when it begins and how it ended, and where no daemon runs, people
/// are told what it found. Neither changes how it ends.
/// </summary>
static class WatchedJob
{
    /// <summary>How long all messages together may keep a verb that is done.</summary>
    static readonly TimeSpan TellingMax = TimeSpan.FromSeconds(20);

    /// <param name="command">The verb.</param>
    /// <param name="action">What it does.</param>
    /// <param name="isConfigured">Whether it is about configured sources, and not about a place that was named.</param>
    public static Command WithWatchedAction(
        this Command command, Func<Invocation, Task<int>> action, Func<Invocation, bool> isConfigured) =>
        command.WithAction(invocation => RunAsync(invocation, command.Name, action, isConfigured));

    static async Task<int> RunAsync(
        Invocation invocation, string job, Func<Invocation, Task<int>> action, Func<Invocation, bool> isConfigured)
    {
        if (!isConfigured(invocation) || TryLoad(invocation) is not { Notifications: { } notifications } config)
        {
            return await action(invocation);
        }

        var tail = new LogTail(invocation.CreateLog(LogLevel.Warning), invocation.Time);
        invocation.Tail = tail;
        var begun = PingAsync(invocation, notifications, job, PingSign.Start, "");
        var (code, thrown) = await OutcomeAsync(invocation, action);
        await begun;
        var said = string.Join('\n', tail.Lines);
        await PingAsync(invocation, notifications, job, PingSign.Ended(code), $"salvor {job} ended with {code}\n\n{said}\n");
        var known = thrown?.SourceException as SalvorException;
        await TellAsync(invocation, config, tail, new JobOutcome(
            job, code, known?.Message ?? thrown?.SourceException.Message ?? (tail.Lines is [.., var last] ? last : ""),
            known?.Hint ?? $"Run 'salvor {job}' by itself to see why."));
        thrown?.Throw();
        return code;
    }

    static async Task<(int Code, ExceptionDispatchInfo? Thrown)> OutcomeAsync(
        Invocation invocation, Func<Invocation, Task<int>> action)
    {
        try
        {
            return (await action(invocation), null);
        }
#pragma warning disable CA1031 // It is thrown on when it has been told.
        catch (Exception e)
#pragma warning restore CA1031
        {
            var code = e switch
            {
                SalvorException known => (int)known.Kind,
                OperationCanceledException => (int)FailureKind.Interrupted,
                _ => (int)FailureKind.Failure,
            };
            invocation.Tail?.Add(e is SalvorException { Hint: var hint } ? $"salvor: {e.Message}. hint: {hint}" : $"salvor: {e.Message}");
            return (code, ExceptionDispatchInfo.Capture(e));
        }
    }

    /// <summary>What is wrong with a configuration the verb says itself.</summary>
    static SalvorConfig? TryLoad(Invocation invocation)
    {
        try
        {
            return invocation.LoadConfig();
        }
        catch (SalvorException)
        {
            // Also where there is none, and the verb needs none.
            return null;
        }
    }

    static async Task PingAsync(
        Invocation invocation, NotificationsConfig notifications, string job, PingSign sign, string body)
    {
        if (notifications.Ping is not { } ping || !ping.Jobs.TryGetValue(job, out var url))
        {
            return;
        }

        try
        {
            await NotifyPing.SendAsync(url, ping.Preset, sign, body, invocation.Time, CancellationToken.None);
        }
        catch (SalvorException e)
        {
            invocation.Tell($"salvor: warning: ping.{job}: {e.Message}. hint: {e.Hint}");
        }
    }

    static async Task TellAsync(Invocation invocation, SalvorConfig config, LogTail tail, JobOutcome outcome)
    {
        using var limit = new CancellationTokenSource(TellingMax, invocation.Time);
        try
        {
            var waiting = await new NotifyOnce(config, tail, invocation.Time, invocation.Random, invocation.Run)
                .RunAsync(outcome, limit.Token);
            if (waiting > 0)
            {
                invocation.Tell($"salvor: {waiting} message(s) wait to be sent; the next run tries again");
            }
        }
#pragma warning disable CA1031 // What the verb did stands, whoever could not be told.
        catch (Exception e)
#pragma warning restore CA1031
        {
            invocation.Tell($"salvor: warning: nobody could be told how {outcome.Name} ended: {e.Message}");
        }
    }
}
