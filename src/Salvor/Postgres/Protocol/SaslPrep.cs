using System.Globalization;
using System.Text;

namespace Salvor.Postgres.Protocol;

/// <summary>
/// Brings a password into the one form that both sides hash (RFC 4013). One that the rule forbids is taken as it is, as the server does. A
/// program without the tables of Unicode, as ours is, composes no letters: there a password must be typed in composed form.
/// </summary>
static class SaslPrep
{
    public static string Prepare(string password)
    {
        if (password.All(char.IsAscii))
        {
            return password;
        }

        var mapped = new StringBuilder(password.Length);
        foreach (var character in password)
        {
            if (char.GetUnicodeCategory(character) == UnicodeCategory.SpaceSeparator)
            {
                mapped.Append(' ');
            }
            else if (!IsMappedToNothing(character))
            {
                mapped.Append(character);
            }
        }

        try
        {
            var prepared = mapped.ToString().Normalize(NormalizationForm.FormKC);
            return prepared.Length == 0 || prepared.Any(IsProhibited) ? password : prepared;
        }
        catch (ArgumentException)
        {
            // Half of a surrogate pair.
            return password;
        }
    }

    /// <summary>Table B.1 of RFC 3454.</summary>
    static bool IsMappedToNothing(char character) =>
        character is '\u00AD' or '\u034F' or '\u1806' or (>= '\u180B' and <= '\u180D') or (>= '\u200B' and <= '\u200D') or '\u2060'
            or (>= '\uFE00' and <= '\uFE0F') or '\uFEFF';

    /// <summary>Controls, private use, what is no character, and what changes how text is shown.</summary>
    static bool IsProhibited(char character) =>
        char.GetUnicodeCategory(character) is UnicodeCategory.Control or UnicodeCategory.PrivateUse or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator
        || character is '\u0340' or '\u0341' or '\u06DD' or '\u070F' or '\u180E' or (>= '\u200E' and <= '\u200F')
            or (>= '\u202A' and <= '\u202E') or (>= '\u2061' and <= '\u2063') or (>= '\u206A' and <= '\u206F')
            or (>= '\u2FF0' and <= '\u2FFB') or (>= '\uFDD0' and <= '\uFDEF') or (>= '\uFFF9' and <= '\uFFFF');
}
