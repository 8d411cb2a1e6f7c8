using Salvor.Text;

namespace Salvor.Postgres.Protocol;

/// <summary>The words of connection settings, as libpq has them.</summary>
static class PostgresKeywords
{
    /// <summary>Each with the variable that stands in for it; empty where there is none.</summary>
    static readonly Dictionary<string, string> Known = new(StringComparer.Ordinal)
    {
        ["host"] = "PGHOST",
        ["hostaddr"] = "PGHOSTADDR",
        ["port"] = "PGPORT",
        ["dbname"] = "PGDATABASE",
        ["user"] = "PGUSER",
        ["password"] = "PGPASSWORD",
        ["passfile"] = "PGPASSFILE",
        ["service"] = "PGSERVICE",
        ["connect_timeout"] = "PGCONNECT_TIMEOUT",
        ["application_name"] = "PGAPPNAME",
        ["fallback_application_name"] = "",
        ["options"] = "PGOPTIONS",
        ["sslmode"] = "PGSSLMODE",
        ["sslrootcert"] = "PGSSLROOTCERT",
        ["sslcert"] = "PGSSLCERT",
        ["sslkey"] = "PGSSLKEY",
        ["sslpassword"] = "",
        ["channel_binding"] = "PGCHANNELBINDING",
        ["target_session_attrs"] = "PGTARGETSESSIONATTRS",
        ["keepalives"] = "",
        ["keepalives_idle"] = "",
        ["keepalives_interval"] = "",
        ["keepalives_count"] = "",
    };

    /// <summary>What is accepted with the values that change nothing, because others write it.</summary>
    static readonly Dictionary<string, string[]> Harmless = new(StringComparer.Ordinal)
    {
        ["gssencmode"] = ["disable", "prefer"],
        ["sslnegotiation"] = ["postgres"],
        ["sslcompression"] = ["0", "1"],
        ["sslsni"] = ["1"],
        ["client_encoding"] = ["auto", "UTF8", "utf8", "UTF-8", "utf-8"],
        ["load_balance_hosts"] = ["disable"],
        ["replication"] = ["0", "1", "true", "false", "on", "off", "yes", "no"],
    };

    /// <summary>What libpq knows, and this client does not do.</summary>
    static readonly string[] Foreign =
    [
        "gssdelegation", "gsslib", "krbsrvname", "max_protocol_version", "min_protocol_version", "oauth_client_id", "oauth_client_secret",
        "oauth_issuer", "oauth_scope", "require_auth", "requirepeer", "requiressl", "scram_client_key", "scram_server_key", "servicefile",
        "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcertmode", "sslcrl", "sslcrldir", "sslkeylogfile", "tcp_user_timeout",
    ];

    /// <summary>Throws a usage error where a word is none, or has a value that is not done.</summary>
    /// <param name="word">The word.</param>
    /// <param name="value">Its value.</param>
    /// <param name="place">Where it stands, for the message.</param>
    public static void Expect(string word, string value, string place)
    {
        if (Known.ContainsKey(word) || (Harmless.TryGetValue(word, out var values) && values.Contains(value)))
        {
            return;
        }

        if (values is not null)
        {
            throw PostgresSettings.Wrong(
                $"{word}={value} in {place} is not supported", $"Leave {word} out, or give it one of: {string.Join(", ", values)}.");
        }

        throw Foreign.Contains(word)
            ? PostgresSettings.Wrong($"{word} in {place} is not supported", $"Leave it out. Supported are {All}.")
            : PostgresSettings.Wrong(
                $"unknown word \"{word}\" in {place}", $"{Suggestion.Sentence(word, Known.Keys)}Supported are {All}.");
    }

    /// <summary>What variables say.</summary>
    public static IEnumerable<(string Word, string Value)> From(PostgresEnvironment environment) =>
        from item in Known
        where item.Value.Length > 0
        let value = environment.Variable(item.Value)
        where value is not null
        select (item.Key, value);

    static string All => Suggestion.Enumerate([.. Known.Keys.Order(StringComparer.Ordinal)]);
}
