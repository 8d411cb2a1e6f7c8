namespace Salvor.Platform;

/// <summary>How a program ended.</summary>
/// <param name="ExitCode">128 and the number of a signal, where that ended it.</param>
/// <param name="Printed">The end of what it printed on standard output.</param>
/// <param name="Told">The same of standard error.</param>
sealed record ProgramEnd(int ExitCode, string Printed, string Told)
{
    /// <summary>Runs a program to its end, with nothing to read. Stops it, and all that it started, where that is cancelled.</summary>
    public static async Task<ProgramEnd> RunAsync(ProgramStart program, CancellationToken cancellationToken)
    {
        await using var process = GuardedProcess.Start(program);
        var (printed, told) = (new OutputTail(process.OutputText), new OutputTail(process.ErrorText));
        await process.WaitAsync([printed, told], cancellationToken);
        return new ProgramEnd(process.ExitCode, printed.Text, told.Text);
    }

    /// <summary>An exit code as messages say it.</summary>
    public static string Describe(int exitCode)
    {
        const int SignalBase = 128, SignalMax = 64;
        var signal = exitCode - SignalBase;
        var name = signal switch { 9 => ", KILL", 11 => ", SEGV", 13 => ", PIPE", 15 => ", TERM", _ => "" };
        return $"exit code {exitCode}{(signal is > 0 and <= SignalMax ? $" (signal {signal}{name})" : "")}";
    }
}
