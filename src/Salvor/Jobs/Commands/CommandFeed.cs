using Salvor.Platform;
using Salvor.Text;

namespace Salvor.Jobs.Commands;

/// <summary>Gives a stream to a command, whose exit code decides.</summary>
public static class CommandFeed
{
    /// <summary>
    /// Runs it. Throws where it fails, and where the stream cannot be written to its end: then the command is stopped before its input
    /// ends, so that it never takes a part for the whole. Returns whether it read all of it.
    /// </summary>
    /// <param name="command">The command.</param>
    /// <param name="time">The clock.</param>
    /// <param name="write">Writes the stream.</param>
    /// <param name="copy">Where all that it prints goes.</param>
    /// <param name="cancellationToken">Stops both.</param>
    public static async Task<bool> RunAsync(
        ConfiguredCommand command, TimeProvider time, Func<Stream, CancellationToken, Task> write, TextWriter? copy,
        CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(command.Limit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        await using var process = GuardedProcess.Start(command.ToStart(isFed: true));
        var (printed, told) = (new OutputTail(process.OutputText, copy), new OutputTail(process.ErrorText, copy));
        try
        {
            var readsAll = await FeedAsync(process, write, both.Token);
            await process.WaitAsync([printed, told], both.Token);
            return process.ExitCode == 0 ? readsAll : throw Failed($"ended with {ProgramEnd.Describe(process.ExitCode)}");
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            await process.StopAsync();
            throw new SalvorException(
                FailureKind.TimedOut,
                $"the command '{command.Name}' did not end within {DurationText.Format(command.Limit)}; what it did with a part is its own",
                "Give it more time by '--command-timeout', or run it by itself to see what it waits for.");
        }

        SalvorException Failed(string how) => new(
            FailureKind.Failure, $"the command '{command.Name}' {how}{command.Said(told.Text)}",
            "What it was given was whole as far as it read it. Run it by itself to see why.");
    }

    /// <summary>
    /// Whether it read all; it may end before that, and well. A vault has errors of its own kind: this one is of the pipe.
    /// </summary>
    static async Task<bool> FeedAsync(
        GuardedProcess process, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        try
        {
            await write(process.Input, cancellationToken);
        }
        catch (IOException)
        {
            return false;
        }

        process.Input.Close();
        return true;
    }
}
