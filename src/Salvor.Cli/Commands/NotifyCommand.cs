using System.CommandLine;
using Microsoft.Extensions.Logging;
using Salvor.Cli.Terminal;
using Salvor.Jobs.Config;
using Salvor.Jobs.Notify;
using Salvor.Text;

namespace Salvor.Cli.Commands;

/// <summary>Tells people something: that it works, or that a unit of systemd failed.</summary>
static class NotifyCommand
{
    const string ConfigureHint = "Add 'notifications: { webhooks: { team: { preset: slack, url: .. } } }' to the configuration.";

    static readonly Argument<string?> Name = new("NAME")
    {
        Description = "A notifier; default: all of them, and what is pinged.", Arity = ArgumentArity.ZeroOrOne,
    };

    static readonly Argument<string> Unit = new("UNIT") { Description = "The unit, as systemd calls it." };

    public static Command Create() => new("notify", "Tell people something, by the notifiers of the configuration.")
    {
        new Command("test", "Send a test message by each notifier, and print whether it arrived.") { Name }.WithAction(TestAsync),
        new Command("unit-failed", "Tell that a unit of systemd failed, with the end of its journal: for 'notify-failure@.service'.")
        {
            Unit,
        }.WithAction(UnitFailedAsync),
    };

    static async Task<int> TestAsync(Invocation invocation)
    {
        var notifications = Configured(invocation);
        var now = invocation.Time.GetUtcNow();
        var message = new NotifyMessage
        {
            Kind = NotifyKind.Test,
            What = "this is a test",
            Text = "Somebody ran 'salvor notify test'. What you read now is what you would read if something was wrong",
            Hint = "Nothing: it works.",
            Host = Environment.MachineName,
            Run = NotifyState.RunOf(invocation.Run, now),
            At = now,
        };
        var tries = Tries(invocation, notifications, message);
        if (invocation.Get(Name) is { } name)
        {
            string[] names = [.. tries.Select(item => item.Name)];
            tries = names.Contains(name) ? [.. tries.Where(item => item.Name == name)] : throw new SalvorException(
                FailureKind.Usage, $"no notifier is called {name}",
                $"{Suggestion.Sentence(name, names)}Configured are {Suggestion.Enumerate(names)}.");
        }

        var results = await Task.WhenAll(tries.Select(item => TryAsync(invocation, item.Name, item.Send)));
        return Report(invocation, results);
    }

    /// <summary>Each notifier, and each check that is pinged: of these a note is made, and no sign of life.</summary>
    static List<(string Name, Func<Task<string>> Send)> Tries(
        Invocation invocation, NotificationsConfig notifications, NotifyMessage message)
    {
        var tries = notifications.Notifiers.Select(notifier => (notifier.Name, (Func<Task<string>>)(() => NotifySender.SendAsync(
            notifier, message, invocation.Time, NotifySender.LimitDefault, invocation.Cancellation)))).ToList();
        if (notifications.Ping is { } ping)
        {
            IEnumerable<(string Name, SecretText Url)> checks =
            [
                .. ping.Url is { } own ? [(NotifyPing.Name, own)] : Array.Empty<(string, SecretText)>(),
                .. ping.Jobs.Select(job => ($"{NotifyPing.Name}.{job.Key}", job.Value)),
            ];
            tries.AddRange(checks.Select(check => (check.Name, (Func<Task<string>>)(async () =>
            {
                await NotifyPing.SendAsync(
                    check.Url, ping.Preset, PingSign.Note, "test by 'salvor notify test'\n", invocation.Time,
                    invocation.Cancellation);
                return "";
            }))));
        }

        return tries;
    }

    static async Task<NotifierResultBody> TryAsync(Invocation invocation, string name, Func<Task<string>> send)
    {
        var started = invocation.Time.GetTimestamp();
        var (error, hint) = ("", "");
        try
        {
            error = await send();
            hint = error.Length > 0 ? "Check the recipients." : "";
        }
        catch (SalvorException e)
        {
            (error, hint) = (e.Message, e.Hint);
        }

        var seconds = Math.Round(invocation.Time.GetElapsedTime(started).TotalSeconds, 3);
        return new(name, error.Length == 0, error, hint, seconds);
    }

    static int Report(Invocation invocation, IReadOnlyList<NotifierResultBody> results)
    {
        foreach (var result in results)
        {
            invocation.Print(result.Ok
                ? $"{Symbols.Ok} {result.Name}: OK ({result.Seconds:0.###}s)"
                : $"{result.Name}: FAILED: {result.Error}\n  hint: {result.Hint}");
        }

        var failed = results.Where(result => !result.Ok).ToList();
        invocation.PrintJson(new NotifyDocument(failed.Count == 0, results), () => CliJson.Default.NotifyDocument);
        if (failed.Count == 0)
        {
            return 0;
        }

        Verb.PrintError(new SalvorException(
            FailureKind.DestinationUnreachable,
            $"not told by {Suggestion.Enumerate([.. failed.Select(result => result.Name)])}: {failed[0].Error}",
            failed[0].Hint));
        return (int)FailureKind.DestinationUnreachable;
    }

    /// <summary>Sends at once; what does not arrive waits for the daemon.</summary>
    static async Task<int> UnitFailedAsync(Invocation invocation)
    {
        var config = invocation.LoadConfig();
        var notifications = Configured(invocation, config);
        var message = await UnitFailure.MessageAsync(invocation.Get(Unit), invocation.Run, invocation.Time, invocation.Cancellation);
        var directory = NotifyState.DirectoryOf(config);
        if (!UnitFailure.IsNew(directory, invocation.Get(Unit), message.At))
        {
            invocation.Print($"{message.Source} was told within the last hour");
            return Report(invocation, []);
        }

        var notifiers = notifications.Notifiers.Where(notifier => message.IsFor(notifier.Rules)).ToList();
        var results = await Task.WhenAll(notifiers.Select(notifier => TryAsync(invocation, notifier.Name, () => NotifySender.SendAsync(
            notifier, message, invocation.Time, NotifySender.LimitDefault, invocation.Cancellation))));
        var queue = new NotifyQueue(
            directory, invocation.Time, invocation.Random, invocation.CreateLog(LogLevel.Warning));
        foreach (var result in results.Where(result => !result.Ok))
        {
            queue.Add(result.Name, message);
        }

        return Report(invocation, results);
    }

    static NotificationsConfig Configured(Invocation invocation) => Configured(invocation, invocation.LoadConfig());

    static NotificationsConfig Configured(Invocation invocation, SalvorConfig config) =>
        config.Notifications is { } notifications && (notifications.Notifiers.Count > 0 || notifications.HasPing)
            ? notifications
            : throw new SalvorException(
                FailureKind.Usage, $"{invocation.ConfigPath()} has no notifications, so nobody is told", ConfigureHint);
}
