using System.Globalization;
using System.Text;

namespace Salvor.Jobs;

/// <summary>What a source may be called: its name is a folder at every destination.</summary>
public static class SourceNames
{
    const int LengthMax = 100;
    const string EscapeStart = "__";

    /// <summary>Throws where the name is not one or more segments of letters, digits, dots, dashes and underscores.</summary>
    public static void Check(string name)
    {
        if (name.Length is 0 or > LengthMax || name.Split('/').Any(segment => !IsSegment(segment)))
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"'{name}' cannot be the name of a source",
                "Use letters, digits, dots, dashes and underscores, beginning with a letter or digit: give one with '--name NAME'.");
        }
    }

    /// <summary>
    /// The name of a file as part of the name of a source. What a name may not contain, and a dot at the front, becomes two underscores and
    /// two hexadecimal digits for each byte of its UTF-8: <c>b b.db</c> is <c>b__20b.db</c>. Two files never get one name.
    /// </summary>
    public static string Escape(string relativePath)
    {
        var name = new StringBuilder();
        var bytes = Encoding.UTF8.GetBytes(relativePath);
        for (var i = 0; i < bytes.Length; i++)
        {
            var letter = (char)bytes[i];
            var isFront = i == 0 || bytes[i - 1] == '/';
            if (letter == '/' || ((IsLegal(letter) && !(isFront && letter == '.')) && !LooksEscaped(bytes.AsSpan(i))))
            {
                name.Append(letter);
            }
            else
            {
                name.Append(CultureInfo.InvariantCulture, $"{EscapeStart}{bytes[i]:X2}");
            }
        }

        return name.ToString();
    }

    /// <summary>The file that was called so by <see cref="Escape"/>.</summary>
    public static string Unescape(string name)
    {
        var bytes = Encoding.UTF8.GetBytes(name);
        var path = new List<byte>(bytes.Length);
        for (var i = 0; i < bytes.Length; i++)
        {
            if (LooksEscaped(bytes.AsSpan(i)))
            {
                path.Add(Convert.FromHexString(Encoding.ASCII.GetString(bytes, i + EscapeStart.Length, 2))[0]);
                i += EscapeStart.Length + 1;
            }
            else
            {
                path.Add(bytes[i]);
            }
        }

        return Encoding.UTF8.GetString([.. path]);
    }

    static bool LooksEscaped(ReadOnlySpan<byte> bytes) =>
        bytes.Length >= 4 && bytes[0] == '_' && bytes[1] == '_'
        && char.IsAsciiHexDigitUpper((char)bytes[2]) && char.IsAsciiHexDigitUpper((char)bytes[3]);

    static bool IsSegment(string segment) =>
        segment.Length > 0 && char.IsAsciiLetterOrDigit(segment[0]) && segment.All(IsLegal);

    static bool IsLegal(char letter) => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-' or '_';
}
