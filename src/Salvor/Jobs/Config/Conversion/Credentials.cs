using System.Buffers;
using System.Text.Json.Nodes;

namespace Salvor.Jobs.Config.Conversion;

/// <summary>Takes secrets over without writing them down again.</summary>
static class Credentials
{
    static readonly SearchValues<char> OfNames =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

    /// <summary>A variable stays one. A secret that stands in the old file becomes a variable, which is to be set.</summary>
    public static void Take(OldMapping from, string old, JsonObject to, string name, string variable)
    {
        if (from.Text(old) is not { } text)
        {
            return;
        }

        var known = Variables(text);
        var isVariable = known.StartsWith("${", StringComparison.Ordinal)
            && known.IndexOf('}', StringComparison.Ordinal) == known.Length - 1;
        to[name] = isVariable ? known : $"${{{variable}}}";
        from.Became(old, name, isVariable ? "" : $"the secret is not written down again: set the variable {variable} to it");
    }

    /// <summary><c>$NAME</c>, which others take for a variable too, as <c>${NAME}</c>.</summary>
    public static string Variables(string text)
    {
        for (var at = text.IndexOf('$', StringComparison.Ordinal); at >= 0; at = text.IndexOf('$', at + 1))
        {
            var length = text.AsSpan(at + 1).IndexOfAnyExcept(OfNames);
            length = length < 0 ? text.Length - at - 1 : length;
            if (length > 0)
            {
                text = $"{text[..at]}${{{text.Substring(at + 1, length)}}}{text[(at + 1 + length)..]}";
            }
        }

        return text;
    }
}
