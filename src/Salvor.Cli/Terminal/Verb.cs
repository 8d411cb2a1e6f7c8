using System.CommandLine;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Salvor.Jobs;
using Salvor.Platform;

namespace Salvor.Cli.Terminal;

/// <summary>Makes verbs of functions: gives them an <see cref="Invocation"/>, and turns failures into a message and an exit code.</summary>
static class Verb
{
    /// <summary>Prints where an unexpected error came from, for a report.</summary>
    const string DebugVariable = "SALVOR_DEBUG";

    /// <summary>
    /// Kept until the process ends. Once a verb is done its outcome stands: a signal that arrives on the way out must not turn a finished
    /// restore into a killed one.
    /// </summary>
    static PosixSignalRegistration[] signals = [];

    public static Command WithAction(this Command command, Func<Invocation, Task<int>> action)
    {
        command.SetAction((parsed, cancellationToken) => RunAsync(parsed, action, cancellationToken));
        return command;
    }

    public static void PrintError(SalvorException e) => ErrorStream.Print(e);

    /// <summary>Prints the error for people, and as a document where that was asked for; the exit code.</summary>
    public static int Report(bool json, SalvorException e)
    {
        PrintError(e);
        if (json)
        {
            var document = new ErrorDocument(new ErrorBody(ErrorStream.NameOf(e.Kind), (int)e.Kind, e.Message, e.Hint));
            Invocation.PrintDocument(document, CliJson.Default.ErrorDocument);
        }

        return (int)e.Kind;
    }

    static async Task<int> RunAsync(ParseResult parsed, Func<Invocation, Task<int>> action, CancellationToken outer)
    {
#pragma warning disable CA2000 // Signals use it until the process ends.
        var stopping = CancellationTokenSource.CreateLinkedTokenSource(outer);
#pragma warning restore CA2000
        var (invocation, surroundings) = (new Invocation(parsed, stopping.Token), (Surroundings)parsed.InvocationConfiguration);
        if (invocation.Has(Invocation.LogFormatOption))
        {
            // What goes wrong before there is anything to log is told in the same way.
            invocation.CreateLog(LogLevel.Information);
        }

        Destinations.Warn = line => invocation.Tell($"salvor: warning: {line}");
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            if (context.Signal != PosixSignal.SIGHUP || invocation.StopsAtHangup)
            {
                invocation.StopSignal = context.Signal;
                stopping.Cancel();
            }
        }

        if (surroundings.HandlesSignals)
        {
            signals =
            [
                PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop), PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop),
                PosixSignalRegistration.Create(PosixSignal.SIGHUP, Stop),
            ];
        }

        try
        {
            return await action(invocation);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return surroundings.FailureCode ?? Report(
                invocation.Json,
                new SalvorException(FailureKind.Interrupted, "interrupted", "Nothing was left behind; run it again when ready."));
        }
#pragma warning disable CA1031 // This is the last place: whatever it is, an operator gets one line and what to do.
        catch (Exception e)
#pragma warning restore CA1031
        {
            if (e is not SalvorException && Environment.GetEnvironmentVariable(DebugVariable) is { Length: > 0 })
            {
                Console.Error.WriteLine(e);
            }

            var reported = Report(invocation.Json, Known(e));
            return surroundings.FailureCode ?? reported;
        }
    }

    /// <summary>What an operator can act on, whatever was thrown.</summary>
    static SalvorException Known(Exception e) => e switch
    {
        SalvorException known => known,
        IOException or UnauthorizedAccessException when Errno.Of(e) == Errno.NoSpace => new SalvorException(
            FailureKind.Failure,
            $"no space left on device: {OneLine(e.Message)}",
            "Free some ('df -h' shows where), then run the same command again.",
            e),
        IOException or UnauthorizedAccessException => new SalvorException(
            FailureKind.Failure,
            OneLine(e.Message),
            "Check the path and who may use it with 'namei -l PATH', then run the same command again.",
            e),
        DllNotFoundException => new SalvorException(
            FailureKind.Failure,
            $"a library is missing: {OneLine(e.Message)}",
            "Install it: 'apt-get install libsqlite3-0 libxxhash0 libzstd1 libargon2-1 liblz4-1', or what your system calls them.",
            e),
        _ => new SalvorException(
            FailureKind.Failure,
            $"unexpected error: {e.GetType().Name}: {OneLine(e.Message)}",
            $"This is a defect: please report it, with what the same command prints under {DebugVariable}=1.",
            e),
    };

    static string OneLine(string message) => message.ReplaceLineEndings(" ");
}
