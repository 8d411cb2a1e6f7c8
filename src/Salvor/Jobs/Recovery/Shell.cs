namespace Salvor.Jobs.Recovery;

/// <summary>Words of a shell.</summary>
public static class Shell
{
    /// <summary>A text as one word: as it is where nothing in it means something to a shell, else in quotes.</summary>
    public static string Quote(string text) =>
        text.Length > 0 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '_' or '-' or ':' or '=' or ',' or '@' or '+')
            ? text
            : $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
