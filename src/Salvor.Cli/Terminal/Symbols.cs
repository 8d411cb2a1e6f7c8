namespace Salvor.Cli.Terminal;

/// <summary>Signs that not every terminal can show.</summary>
static class Symbols
{
    public static readonly bool IsUtf8 = new[] { "LC_ALL", "LC_CTYPE", "LANG" }
        .Select(Environment.GetEnvironmentVariable)
        .FirstOrDefault(value => !string.IsNullOrEmpty(value))
        ?.Contains("UTF", StringComparison.OrdinalIgnoreCase) == true;

    public static string Ok => IsUtf8 ? "✓" : "[ok]";

    public static string Arrow => IsUtf8 ? "→" : "->";

    public static string Ellipsis => IsUtf8 ? "…" : "...";

    public static string Dash => IsUtf8 ? "–" : "-";
}
