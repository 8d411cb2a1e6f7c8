using Salvor.Files;
using Salvor.Platform;
using Salvor.Text;

namespace Salvor.Jobs.Commands;

/// <summary>What a command prints, as a stream to back up: whole only where the command ends well.</summary>
static class CommandDump
{
    /// <summary>A producer that runs the command. What it says on standard error, and ends well, is returned.</summary>
    public static StreamProducer Of(string source, ConfiguredCommand command, TimeProvider time) =>
        (readToEnd, cancel) => RunAsync(source, command, time, readToEnd, cancel);

    static async Task<IReadOnlyList<string>> RunAsync(
        string source, ConfiguredCommand command, TimeProvider time, Func<Stream, CancellationToken, Task> readToEnd,
        CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(command.Limit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        await using var process = Start(source, command);
        var told = new OutputTail(process.ErrorText);
        try
        {
            await readToEnd(process.Output, both.Token);
            await process.WaitAsync([told], both.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            await process.StopAsync();
            throw new SalvorException(
                FailureKind.TimedOut,
                $"the command '{command.Name}' of source {source} did not end within {DurationText.Format(command.Limit)}; "
                    + $"no backup was made{command.Said(told.Text)}",
                "Give it more time by 'timeout', or run it by itself to see what it waits for.");
        }

        return process.ExitCode == 0
            ? [.. command.LastLines(told.Text).Select(line => $"{command.Name}: {line}")]
            : throw new SalvorException(
                FailureKind.SourceUnreadable,
                $"the command '{command.Name}' of source {source} ended with {ProgramEnd.Describe(process.ExitCode)}; "
                    + $"no backup was made{command.Said(told.Text)}",
                "Run it by itself, as the user that Salvor runs as, to see why.");
    }

    static GuardedProcess Start(string source, ConfiguredCommand command)
    {
        try
        {
            return GuardedProcess.Start(command.ToStart());
        }
        catch (ProgramException e)
        {
            throw new SalvorException(
                FailureKind.SourceUnreadable, $"the command of source {source} was not run: {e.Message}; no backup was made", e.Hint, e);
        }
    }
}
