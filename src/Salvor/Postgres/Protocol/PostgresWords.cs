using System.Text;

namespace Salvor.Postgres.Protocol;

/// <summary>Takes <c>host=db port=5433 password='with space'</c> apart, and a section of a service file.</summary>
static class PostgresWords
{
    const string Place = "the connection settings";

    /// <summary>Words and values of a text; a backslash takes the next character as it is, quotes keep spaces.</summary>
    public static Dictionary<string, string> Read(string text)
    {
        var words = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var at = 0; SkipSpace(text, ref at);)
        {
            var start = at;
            while (at < text.Length && text[at] != '=' && !char.IsWhiteSpace(text[at]))
            {
                at++;
            }

            var word = text[start..at];
            if (!SkipSpace(text, ref at) || text[at] != '=' || word.Length == 0)
            {
                throw PostgresSettings.Wrong(
                    $"{Place} have no = where one is expected",
                    "Write host=NAME user=NAME dbname=NAME, or postgresql://USER@HOST/DATABASE; quote values with spaces.");
            }

            at++;
            SkipSpace(text, ref at);
            var value = ReadValue(text, ref at);
            PostgresKeywords.Expect(word, value, Place);
            words[word] = value;
        }

        return words;
    }

    /// <summary>The section of a service: that of the user's file, or of the system's. Throws where there is none.</summary>
    public static Dictionary<string, string> ReadService(string name, PostgresEnvironment environment)
    {
        string[] paths =
        [
            environment.Variable("PGSERVICEFILE") ?? environment.InHome(".pg_service.conf"),
            Path.Combine(environment.Variable("PGSYSCONFDIR") ?? "/etc/postgresql-common", "pg_service.conf"),
        ];
        foreach (var path in paths)
        {
            if (PostgresEnvironment.ReadLines(path) is { } lines && ReadSection(path, lines, name) is { } words)
            {
                return words;
            }
        }

        throw PostgresSettings.Wrong(
            $"service \"{name}\" is defined in neither {paths[0]} nor {paths[1]}",
            $"Add a section [{name}] to one of them, or set PGSERVICEFILE.");
    }

    static Dictionary<string, string>? ReadSection(string path, string[] lines, string name)
    {
        Dictionary<string, string>? words = null;
        foreach (var (index, raw) in lines.Index())
        {
            var line = raw.Trim();
            if (line.Length == 0 || line.StartsWith('#'))
            {
                continue;
            }

            if (line.StartsWith('['))
            {
                if (words is not null)
                {
                    break;
                }

                words = line == $"[{name}]" ? new(StringComparer.Ordinal) : null;
            }
            else if (words is not null)
            {
                if (line.Split('=', 2) is not [var word, var value] || word == "service")
                {
                    throw PostgresSettings.Wrong(
                        $"line {index + 1} of {path} is not word=value",
                        "A service has lines such as host=NAME, and names no other service.");
                }

                PostgresKeywords.Expect(word, value, path);
                words.TryAdd(word, value);
            }
        }

        return words;
    }

    static bool SkipSpace(string text, ref int at)
    {
        while (at < text.Length && char.IsWhiteSpace(text[at]))
        {
            at++;
        }

        return at < text.Length;
    }

    static string ReadValue(string text, ref int at)
    {
        var value = new StringBuilder();
        var quoted = at < text.Length && text[at] == '\'';
        at += quoted ? 1 : 0;
        for (; at < text.Length; at++)
        {
            if (quoted ? text[at] == '\'' : char.IsWhiteSpace(text[at]))
            {
                at++;
                return value.ToString();
            }

            at += text[at] == '\\' && at + 1 < text.Length ? 1 : 0;
            value.Append(text[at]);
        }

        return quoted ? throw PostgresSettings.Wrong($"{Place} have a quote that does not end", "Write '...'.") : value.ToString();
    }
}
