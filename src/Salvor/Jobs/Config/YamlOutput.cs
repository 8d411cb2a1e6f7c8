using System.Text;
using System.Text.Json.Nodes;

namespace Salvor.Jobs.Config;

/// <summary>Writes what <see cref="ConfigFile"/> reads back as the same.</summary>
public static class YamlOutput
{
    /// <summary>A mapping as lines, each mapping in it two spaces deeper; those without mappings of their own on one line.</summary>
    public static string Write(JsonObject mapping, int depth = 0)
    {
        var text = new StringBuilder();
        foreach (var (key, value) in mapping)
        {
            var isDeep = value is JsonObject inner && inner.Any(item => item.Value is JsonObject);
            text.Append(' ', depth * 2).Append(Quote(key)).Append(':');
            if (isDeep || (depth < 2 && value is JsonObject))
            {
                text.Append('\n').Append(Write((JsonObject)value!, depth + 1));
            }
            else
            {
                text.Append(' ').Append(Flow(value)).Append('\n');
            }
        }

        return text.ToString();
    }

    /// <summary>A value on one line.</summary>
    public static string Flow(JsonNode? value) => value switch
    {
        JsonObject mapping => $"{{ {string.Join(", ", mapping.Select(item => $"{Quote(item.Key)}: {Flow(item.Value)}"))} }}",
        JsonArray list => $"[{string.Join(", ", list.Select(Flow))}]",
        _ => Quote(value!.ToString()),
    };

    /// <summary>A text, in quotes where YAML or a reader of it could take it for something else.</summary>
    public static string Quote(string text)
    {
        var isPlain = text.Length > 0
            && (char.IsAsciiLetterOrDigit(text[0]) || text[0] is '/' or '.' or '_')
            && text[^1] != ':'
            && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '_' or '-' or ':' or '@' or '+' or '=' or '(' or ')');
        return isPlain
            ? text
            : $"\"{string.Concat(text.Select(Escaped))}\"";
    }

    static string Escaped(char c) => c switch
    {
        '"' or '\\' => $"\\{c}",
        < ' ' or '\u007f' => $"\\x{(int)c:x2}",
        _ => c.ToString(),
    };

    /// <summary>A text whose dollar signs are themselves.</summary>
    public static string Literal(string text) => text.Replace("$", "$$", StringComparison.Ordinal);
}
