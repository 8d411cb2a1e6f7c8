using System.Text.Json;

namespace Salvor.Tests.Support;

/// <summary>What a person at a terminal saw of a command.</summary>
/// <param name="Code">The exit code.</param>
/// <param name="Seen">Every line that was ever drawn.</param>
/// <param name="Screen">What is on the screen at the end.</param>
sealed record TerminalResult(int Code, string[] Seen, string Screen);

/// <summary>A terminal on which commands run in a process of their own.</summary>
static class TestTerminal
{
    static readonly JsonSerializerOptions Names = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <param name="columns">How wide it is.</param>
    /// <param name="environment">Variables, as <c>NAME=value</c>; the locale and the kind of terminal have values of their own.</param>
    /// <param name="interruptAt">Ctrl-C is pressed when the terminal shows this; empty for never.</param>
    /// <param name="arguments">Of Salvor.</param>
    public static async Task<TerminalResult> RunAsync(
        int columns, string[] environment, string interruptAt, params IEnumerable<string> arguments)
    {
        string[] command =
        [
            Tool.PathOf("terminal.py"), $"{columns}", interruptAt, "env", "TERM=xterm", "LC_ALL=C.UTF-8", .. environment,
            .. SalvorProcess.CommandLine, .. arguments,
        ];
        var result = await ChildProcess.RunAsync(Tool.Python, command);
        Assert.True(result.ExitCode == 0, $"{result}");
        return JsonSerializer.Deserialize<TerminalResult>(result.Stdout, Names)!;
    }
}
