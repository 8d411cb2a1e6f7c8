namespace Salvor.Tests.Support;

/// <summary>
/// The command line as an operator runs it: the real executable in a process of its own. <c>SALVOR_CLI</c> names another
/// one to be tested, such as a published single file.
/// </summary>
static class SalvorProcess
{
    /// <summary>Runs a command to its end.</summary>
    public static async Task<ProcessResult> RunAsync(params IEnumerable<string> arguments)
    {
        await using var process = Start(arguments);
        return await process.ExitAsync();
    }

    public static ChildProcess Start(params IEnumerable<string> arguments) => StartIn("", arguments);

    public static ChildProcess StartIn(string workingDirectory, params IEnumerable<string> arguments)
    {
        var (file, first) = Environment.GetEnvironmentVariable("SALVOR_CLI") is { Length: > 0 } executable
            ? (executable, Array.Empty<string>())
            : ("dotnet", [Path.Combine(AppContext.BaseDirectory, "Salvor.Cli.dll")]);
        return ChildProcess.Start(file, [.. first, .. arguments], workingDirectory);
    }
}
