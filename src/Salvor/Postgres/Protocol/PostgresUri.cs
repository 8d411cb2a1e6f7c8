namespace Salvor.Postgres.Protocol;

/// <summary>Takes <c>postgresql://user:password@host:port,host:port/database?word=value</c> apart.</summary>
static class PostgresUri
{
    static readonly string[] Schemes = ["postgresql://", "postgres://"];

    const string Place = "the connection URI";

    /// <summary>Whether it is one.</summary>
    public static bool Is(string text) => Schemes.Any(scheme => text.StartsWith(scheme, StringComparison.Ordinal));

    /// <summary>Its words and values. Throws a usage error that does not have the text, which may hold a password.</summary>
    public static Dictionary<string, string> Read(string text)
    {
        var words = new Dictionary<string, string>(StringComparer.Ordinal);
        var rest = text[(text.IndexOf("://", StringComparison.Ordinal) + 3)..];
        var (beforeQuery, query) = Split(rest, '?');
        var authority = beforeQuery.Split('/', 2) is [var first, var database] ? first : beforeQuery;
        database = authority.Length < beforeQuery.Length ? beforeQuery[(authority.Length + 1)..] : "";

        // A password may have an unescaped @ in it; a host never has.
        if (authority.LastIndexOf('@') is >= 0 and var at)
        {
            var (user, password) = Split(authority[..at], ':');
            Put("user", user);
            Put("password", password);
            authority = authority[(at + 1)..];
        }

        // Host, port and database are told in messages, and none of them may be the end of a password.
        if (database.Contains('@', StringComparison.Ordinal))
        {
            throw PostgresSettings.Wrong(
                $"{Place} has an @ behind its first /", "Write %2F for / and %3F for ? in a password, and %40 for @ in a database.");
        }

        ReadHosts(authority);
        Put("dbname", database);
        foreach (var part in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part.Split('=') is not [{ Length: > 0 } word, var value])
            {
                throw PostgresSettings.Wrong(
                    $"{Place} has a part behind its ? that is not word=value", "Write & between parts, and = as %3D within a value.");
            }

            (word, value) = (Decode(word), Decode(value));
            (word, value) = word == "ssl" && value == "true" ? ("sslmode", "require") : (word, value);
            PostgresKeywords.Expect(word, value, Place);
            words[word] = value;
        }

        return words;

        void ReadHosts(string hosts)
        {
            var pairs = hosts.Split(',').Select(HostAndPort).ToArray();
            if (pairs.Any(pair => !Decode(pair.Port).All(char.IsAsciiDigit)))
            {
                throw PostgresSettings.Wrong(
                    $"{Place} has a port that is no number, or a ? or / in its password", "Write %2F for / and %3F for ? in a password.");
            }

            if (pairs.Any(pair => pair.Host.Length > 0))
            {
                words["host"] = string.Join(',', pairs.Select(pair => Decode(pair.Host)));
            }

            if (pairs.Any(pair => pair.Port.Length > 0))
            {
                words["port"] = string.Join(',', pairs.Select(pair => Decode(pair.Port)));
            }
        }

        void Put(string word, string value)
        {
            if (value.Length > 0)
            {
                words[word] = Decode(value);
            }
        }
    }

    static (string Host, string Port) HostAndPort(string text)
    {
        if (!text.StartsWith('['))
        {
            return Split(text, ':');
        }

        var end = text.IndexOf(']', StringComparison.Ordinal);
        return end < 0 || (end + 1 < text.Length && text[end + 1] != ':')
            ? throw PostgresSettings.Wrong($"{Place} has an address with [ and no ] before its port", "Write [::1]:5432.")
            : (text[1..end], text[Math.Min(end + 2, text.Length)..]);
    }

    static (string Before, string After) Split(string text, char separator) =>
        text.Split(separator, 2) is [var before, var after] ? (before, after) : (text, "");

    static string Decode(string text)
    {
        var value = Uri.UnescapeDataString(text);

        // What is left of a % that was none is not guessed at.
        for (var i = text.IndexOf('%', StringComparison.Ordinal); i >= 0; i = text.IndexOf('%', i + 1))
        {
            if (i + 2 >= text.Length || !char.IsAsciiHexDigit(text[i + 1]) || !char.IsAsciiHexDigit(text[i + 2])
                || text.AsSpan(i + 1, 2) is "00")
            {
                throw PostgresSettings.Wrong(
                    $"{Place} has a % that no two digits follow", "Write %25 for a percent sign, %40 for @, %2F for a slash.");
            }
        }

        return value;
    }
}
