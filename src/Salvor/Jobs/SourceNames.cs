namespace Salvor.Jobs;

/// <summary>What a source may be called: its name is a folder at every destination.</summary>
public static class SourceNames
{
    const int LengthMax = 100;

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

    static bool IsSegment(string segment) =>
        segment.Length > 0 && char.IsAsciiLetterOrDigit(segment[0])
        && segment.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-' or '_');
}
