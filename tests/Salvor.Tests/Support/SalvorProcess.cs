namespace Salvor.Tests.Support;

/// <summary>
/// The command line as an operator runs it: the real executable in a process of its own. <c>SALVOR_CLI</c> names another
/// one to be tested, such as a published single file.
/// </summary>
static class SalvorProcess
{
    /// <summary>Runs a command to its end: in this process, but where all tests run or another executable is named.</summary>
    public static Task<ProcessResult> RunAsync(params IEnumerable<string> arguments)
    {
        IReadOnlyList<string> all = [.. arguments];
        return AlwaysApart || all.Any(OfProcesses.Contains) ? RunApartAsync(all) : SalvorHere.RunAsync(all);
    }

    /// <summary>Runs a command to its end in a process of its own, for tests of the process itself.</summary>
    public static async Task<ProcessResult> RunApartAsync(params IEnumerable<string> arguments)
    {
        await using var process = Start(arguments);
        return await process.ExitAsync();
    }

    public static ChildProcess Start(params IEnumerable<string> arguments) => StartIn("", arguments);

    public static ChildProcess StartIn(string workingDirectory, params IEnumerable<string> arguments) =>
        ChildProcess.Start(CommandLine[0], [.. CommandLine.Skip(1), .. arguments], workingDirectory);

    /// <summary>Verbs that live long, or start the program anew.</summary>
    static readonly string[] OfProcesses = ["daemon", "replicate", "demo"];

    static bool AlwaysApart => Array.Exists(
        ["SALVOR_CLI", "SALVOR_ALL"], name => Environment.GetEnvironmentVariable(name) is { Length: > 0 });

    /// <summary>What comes before the arguments.</summary>
    public static IReadOnlyList<string> CommandLine =>
        Environment.GetEnvironmentVariable("SALVOR_CLI") is { Length: > 0 } executable
            ? [executable]
            : ["dotnet", Path.Combine(AppContext.BaseDirectory, "Salvor.Cli.dll")];
}
