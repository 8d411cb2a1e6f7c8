using System.Text.RegularExpressions;
using Salvor.Vault;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Recovery;

/// <summary>
/// Makes a configuration that can be given out of one that has secrets: it names places and sources, and each secret is a variable to
/// fill in. Only settings that are known to be harmless are taken over, so that one that is added later is left out and not let out.
/// </summary>
static partial class KitConfig
{
    static readonly string[] DestinationKeys =
    [
        "type", "path", "bucket", "prefix", "region", "endpoint", "path_style", "allow_insecure", "storage_class", "sse", "kms_key",
        "profile", "account", "container", "auth", "host", "port", "user", "known_hosts", "host_key", "allow_weak", "required",
        "price_per_gb_month", "key_file",
    ];

    static readonly string[] SourceKeys =
    [
        "type", "path", "paths", "to", "batch", "max_block", "max_wal", "max_outbox", "max_total_size", "snapshot_every", "compression",
        "keep", "max_backups", "retention_days", "verify", "prune", "state_dir", "encryption", "exclude", "exclude_if_present",
        "exclude_caches", "one_file_system", "warn_of_anomalies", "databases", "restore", "schedule", "slot", "max_spool",
        "full_every",
    ];

    static readonly string[] EncryptionKeys = ["key_file", "passphrase_file", "passphrase_fd", "credential", "key_saved"];
    static readonly string[] PathKeys =
        ["path", "paths", "state_dir", "key_file", "known_hosts", "passphrase_file", "scratch", "owner_map"];


    static readonly string[] NotPathOf = ["sftp"];

    /// <summary>The text of the configuration, and the variables that have to be set before it can be used.</summary>
    public static (string Text, IReadOnlyList<string> Variables, IReadOnlyList<string> LeftOut) Write(YamlMappingNode root, string folder)
    {
        var writer = new Writer(folder);
        var made = new YamlMappingNode();
        foreach (var (key, value) in Pairs(root))
        {
            switch (key)
            {
                case "destinations":
                    made.Add(key, writer.Named(value, key, DestinationKeys));
                    break;
                case "sources":
                    made.Add(key, writer.Named(value, key, SourceKeys));
                    break;
                case "restore":
                    made.Add(key, writer.Taken((YamlMappingNode)value, key, ["scratch"], isLocal: true));
                    break;
                default:
                    writer.LeftOut.Add(key);
                    break;
            }
        }

        using var text = new StringWriter();
        new YamlStream(new YamlDocument(made)).Save(text, assignAnchors: false);
        var end = text.ToString().LastIndexOf("...", StringComparison.Ordinal);
        return (end < 0 ? text.ToString() : text.ToString()[..end], [.. writer.Variables.Distinct()], writer.LeftOut);
    }

    /// <summary>The keys of a mapping with what it takes from others; its own count first.</summary>
    static Dictionary<string, YamlNode> Pairs(YamlMappingNode node)
    {
        var pairs = new Dictionary<string, YamlNode>();
        foreach (var (key, value) in node.Children.Where(item => KeyOf(item.Key) != "<<"))
        {
            pairs[KeyOf(key)] = value;
        }

        foreach (var merged in node.Children.Where(item => KeyOf(item.Key) == "<<").Select(item => item.Value))
        {
            foreach (var other in merged is YamlSequenceNode list ? list.Children : [merged])
            {
                foreach (var (key, value) in Pairs((YamlMappingNode)other))
                {
                    pairs.TryAdd(key, value);
                }
            }
        }

        return pairs;
    }

    static string KeyOf(YamlNode node) => ((YamlScalarNode)node).Value!;

    sealed partial class Writer(string folder)
    {
        public List<string> Variables { get; } = [];

        public List<string> LeftOut { get; } = [];

        public YamlMappingNode Named(YamlNode section, string place, string[] known)
        {
            var made = new YamlMappingNode();
            foreach (var (name, value) in Pairs((YamlMappingNode)section))
            {
                var thing = (YamlMappingNode)value;
                var type = Pairs(thing).TryGetValue("type", out var node) ? (node as YamlScalarNode)?.Value : null;

                // What a command prints is restored without the command, which may have secrets; and without that there is no schedule.
                var taken = type == "command" ? [.. known.Except(["schedule"]), "file_name", "allow_empty"] : known;
                var written = Taken(thing, $"{place}.{name}", taken, !NotPathOf.Contains(type));
                if (type == VaultIdentity.Postgres)
                {
                    // That of the old server leads nowhere, and may hold a password; a recovery needs none.
                    written.Add("connection", "host=localhost user=postgres");
                }

                made.Add(name, written);
            }

            return made;
        }

        public YamlMappingNode Taken(YamlMappingNode from, string place, string[] known, bool isLocal)
        {
            var made = new YamlMappingNode();
            foreach (var (key, value) in Pairs(from))
            {
                if (key == "encryption" && known.Contains(key))
                {
                    made.Add(key, Encryption((YamlMappingNode)value, $"{place}.{key}"));
                }
                else if (known.Contains(key))
                {
                    made.Add(key, Copy(value, PathKeys.Contains(key) && (isLocal || key != "path")));
                }
                else if (IsSecret(key))
                {
                    made.Add(key, Placeholder(value, $"{place}.{key}"));
                }
                else
                {
                    LeftOut.Add($"{place}.{key}");
                }
            }

            return made;
        }

        YamlMappingNode Encryption(YamlMappingNode from, string place)
        {
            var made = new YamlMappingNode();
            foreach (var (key, value) in Pairs(from))
            {
                if (EncryptionKeys.Contains(key))
                {
                    made.Add(key, Copy(value, PathKeys.Contains(key)));
                }
                else
                {
                    // A command may hold a secret too; whoever recovers has the passphrase itself.
                    made.Add("passphrase", Placeholder(key == "passphrase" ? value : new YamlScalarNode(), $"{place}.passphrase"));
                }
            }

            return made;
        }

        /// <summary>Without these a destination cannot be opened.</summary>
        static bool IsSecret(string key) => key is "access_key_id" or "secret_access_key" or "session_token" or "account_key"
            or "sas_token" or "password" or "key_passphrase";

        /// <summary>A variable stays itself, and anything else becomes one.</summary>
        YamlScalarNode Placeholder(YamlNode value, string place)
        {
            var text = (value as YamlScalarNode)?.Value ?? "";
            var isVariable = text.StartsWith("${", StringComparison.Ordinal)
                && text.IndexOf('}', StringComparison.Ordinal) == text.Length - 1;
            var name = isVariable
                ? text[2..^1]
                : "SALVOR_" + new string([.. place.ToUpperInvariant().Select(c => char.IsAsciiLetterOrDigit(c) ? c : '_')]);
            Variables.Add(name);
            return new YamlScalarNode($"${{{name}}}") { Style = YamlDotNet.Core.ScalarStyle.DoubleQuoted };
        }

        YamlNode Copy(YamlNode value, bool isPath) => value switch
        {
            YamlMappingNode mapping => new YamlMappingNode(Pairs(mapping).Select(item =>
                KeyValuePair.Create<YamlNode, YamlNode>(new YamlScalarNode(item.Key), Copy(item.Value, isPath: false)))),
            YamlSequenceNode list => new YamlSequenceNode(list.Children.Select(item => Copy(item, isPath))),
            YamlScalarNode scalar => Scalar(scalar, isPath),
            _ => new YamlScalarNode(""),
        };

        /// <summary>A path is read from another folder than that of the configuration it was written in.</summary>
        YamlScalarNode Scalar(YamlScalarNode scalar, bool isPath)
        {
            var text = scalar.Value ?? "";
            foreach (Match match in Variable().Matches(text))
            {
                Variables.Add(match.Groups[1].Value);
            }

            var isRelative = isPath && !text.StartsWith('/') && !text.StartsWith("${", StringComparison.Ordinal);
            return new YamlScalarNode(isRelative ? Path.GetFullPath(text, folder) : text)
            {
                Style = YamlDotNet.Core.ScalarStyle.DoubleQuoted,
            };
        }

        [GeneratedRegex(@"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")]
        private static partial Regex Variable();
    }
}
