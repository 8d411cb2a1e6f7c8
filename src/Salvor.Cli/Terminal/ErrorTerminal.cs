using Salvor.Platform;

namespace Salvor.Cli.Terminal;

/// <summary>The terminal that standard error is, if it is one, and what it is asked for in the environment.</summary>
static class ErrorTerminal
{
    const int ColumnsDefault = 80;

    /// <summary>Whether a line can be drawn over; a file, a pipe and a terminal that knows no control characters cannot do that.</summary>
    public static bool CanRedraw => !Console.IsErrorRedirected && Variable("TERM") is { Length: > 0 } and not "dumb";

    /// <summary>Whether it is to be written to in colours and bold.</summary>
    public static bool IsColored => CanRedraw && Variable("NO_COLOR") is not { Length: > 0 } && Variable("CLICOLOR") != "0";

    /// <summary>How wide it is now.</summary>
    public static int Columns => Posix.TerminalColumns(StandardError) is var columns and > 0 ? columns : ColumnsDefault;

    const int StandardError = 2;

    static string? Variable(string name) => Environment.GetEnvironmentVariable(name);
}
