using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Cli.Commands;

/// <summary>
/// Says on standard error what a command waits for, from the status that the process writes which serves the source: a command that waits
/// without a word cannot be told from one that hangs.
/// </summary>
static class WaitTelling
{
    static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);

    /// <summary>What passes sooner is not worth a line.</summary>
    static readonly TimeSpan After = TimeSpan.FromSeconds(2);

    /// <summary>Waits for the work, and tells what for: after a moment, and again when that changes.</summary>
    /// <param name="invocation">The command line.</param>
    /// <param name="statusPath">The status file of the source.</param>
    /// <param name="work">What is waited for.</param>
    public static async Task<T> RunAsync<T>(Invocation invocation, string statusPath, Task<T> work)
    {
        var began = invocation.Time.GetUtcNow();
        var told = "";
        while (await Task.WhenAny(work, Task.Delay(LookEvery, invocation.Time)) != work)
        {
            var now = invocation.Time.GetUtcNow();
            if (now - began < After)
            {
                continue;
            }

            var (obstacle, since, hint) = Obstacle(TryRead(statusPath), began);
            if (obstacle != told)
            {
                told = obstacle;
                var seconds = TimeSpan.FromSeconds(Math.Max(0, Math.Floor((now - since).TotalSeconds)));
                invocation.Tell($"salvor: waiting: {obstacle} (for {DurationText.FormatShort(seconds)})"
                    + (hint.Length > 0 ? $"\nhint: {hint}" : ""));
            }
        }

        return await work;
    }

    static (string What, DateTimeOffset Since, string Hint) Obstacle(StatusRecord? status, DateTimeOffset began)
    {
        if (status is null)
        {
            return ("the source was not looked at yet", began, "");
        }

        if (status.BackingOffSince is { } failed)
        {
            return (
                $"destination {NameOf(status.DestinationName, status.Destination)} does not work: {status.Detail}", failed, status.Hint);
        }

        if (status.Copies.FirstOrDefault(copy => copy is { Required: true, Error.Length: > 0 }) is { } copy)
        {
            return (
                $"destination {NameOf(copy.Name, copy.Destination)}, which is required, does not work: {copy.Error}",
                copy.BehindSince ?? began, copy.Hint);
        }

        var place = NameOf(status.DestinationName, status.Destination);
        return status.State == StatusRecord.StateName(SourceState.Copying)
            ? ($"source {status.Source} is being copied to {place}", began, "")
            : status.Detail.Length > 0 ? ($"source {status.Source} is {status.State}: {status.Detail}", began, status.Hint)
            : ($"destination {place} has not answered yet, or process {status.Pid} that writes to it", began, "");
    }

    static string NameOf(string name, string location) => name.Length > 0 ? name : location;

    /// <summary>A status that cannot be read stops nobody who waits for something else.</summary>
    static StatusRecord? TryRead(string path)
    {
        try
        {
            return StatusFile.Read(path);
        }
        catch (SalvorException)
        {
            return null;
        }
    }
}
