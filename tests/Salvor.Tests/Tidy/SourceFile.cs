using System.Text.RegularExpressions;

namespace Salvor.Tests.Tidy;

/// <summary>A C# file, whose rules look at the text without what only looks like code.</summary>
sealed partial record SourceFile(string Path, string Text)
{
    string? code;

    /// <summary>The text with comments and the insides of strings blanked out. Lines and columns stay.</summary>
    public string Code => code ??= NoCode().Replace(Text, match => Blank(match.Value));

    /// <summary>The same with the comments.</summary>
    public string CodeAndComments => NoCode().Replace(
        Text, match => match.Value.StartsWith('/') ? match.Value : Blank(match.Value));

    /// <summary><c>path:line</c> of every match.</summary>
    public IEnumerable<string> Find(Regex regex, string text) =>
        regex.Matches(text).Select(match => $"{Path}:{text.AsSpan(0, match.Index).Count('\n') + 1}: {match.Value.Trim()}");

    static string Blank(string value) => NotNewline().Replace(value, " ");

    [GeneratedRegex("""
        ("{3,})[\s\S]*?\1 | @"(?:[^"]|"")*" | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])+' | //[^\n]* | /\*[\s\S]*?\*/
        """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex NoCode();

    [GeneratedRegex("[^\n]")]
    private static partial Regex NotNewline();
}
