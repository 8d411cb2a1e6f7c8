using System.Text;
using System.Text.Json.Nodes;
using Salvor.Jobs.Config;

namespace Salvor.Jobs.Setup;

/// <summary>What was decided about a new configuration.</summary>
public sealed record SetupConfig
{
    /// <summary>The name of the file with the schema for editors, beside the configuration.</summary>
    public const string SchemaFile = "salvor.schema.json";

    public required Recipe Recipe { get; init; }

    public required IReadOnlyList<SetupSource> Sources { get; init; }

    /// <summary>Names of destinations with what each is.</summary>
    public required IReadOnlyList<(string Name, DestinationConfig Destination)> Destinations { get; init; }

    /// <summary>The key file; null where nothing is encrypted.</summary>
    public string? KeyFile { get; init; }

    /// <summary>Whether the operator said that the key is safe, so that no export is waited for.</summary>
    public bool KeySaved { get; init; }

    /// <summary>The file. Secrets are never in it: they come from the environment, from profiles or from files.</summary>
    public string ToYaml()
    {
        var destinations = new JsonObject();
        foreach (var (name, destination) in Destinations)
        {
            destinations[name] = KeysOf(destination);
        }

        var sources = new JsonObject();
        foreach (var source in Sources)
        {
            sources[source.Name] = KeysOf(source);
        }

        var text = new StringBuilder($"""
            # yaml-language-server: $schema=./{SchemaFile}
            # Written by 'salvor init'. Every key: salvor config show; after a change: salvor config test.
            # What stays restorable: {Recipe.Keeps}.


            """);
        return text.Append(YamlOutput.Write(new() { ["destinations"] = destinations, ["sources"] = sources })).ToString();
    }

    JsonObject KeysOf(DestinationConfig destination)
    {
        var all = EffectiveConfig.Of(destination);
        var keys = new JsonObject();
        foreach (var (key, value) in all.Where(item => item.Key is not ("required" or "account_key" or "sas_token")))
        {
            var isDefault = value is JsonValue known && known.TryGetValue<bool>(out var flag) && !flag && key is not "path_style";
            isDefault |= destination is AzureDestinationConfig && key is "auth" or "endpoint" && IsAzureDefault(destination);
            if (!isDefault)
            {
                keys[key] = VariableOf(key) is { } variable ? $"${{{variable}}}" : value!.DeepClone();
            }
        }

        if (Recipe.StorageClass is { } storageClass && destination is S3DestinationConfig)
        {
            keys["storage_class"] ??= storageClass;
        }

        if (Recipe.Locks && destination is S3DestinationConfig)
        {
            keys["object_lock"] ??= new JsonObject { ["mode"] = "governance", ["days"] = "30" };
        }

        return keys;
    }

    /// <summary>Where a URL took a secret from, the configuration takes it from too.</summary>
    static string? VariableOf(string key) => key switch
    {
        "password" => SftpUrl.PasswordVariable,
        "key_passphrase" => SftpUrl.PassphraseVariable,
        _ => null,
    };

    /// <summary>How a storage account lets us in is found in the environment again, and its usual place needs no word.</summary>
    static bool IsAzureDefault(DestinationConfig destination) =>
        destination is AzureDestinationConfig azure && azure.Endpoint == Storage.AzureBlobOptions.PublicEndpoint(azure.Account);

    JsonObject KeysOf(SetupSource source)
    {
        var keys = (Recipe.Kind, source.Path) switch
        {
            (_, null) => new JsonObject { ["type"] = "command", ["command"] = Literals(source.Command) },
            (SetupKind.Files, { } path) => new JsonObject { ["type"] = "files", ["paths"] = Literals([path]) },
            (_, { } path) => new JsonObject { ["type"] = "sqlite", [source.IsPattern ? "paths" : "path"] = YamlOutput.Literal(path) },
        };
        keys["to"] = new JsonArray([.. Destinations.Select(item => JsonValue.Create(item.Name))]);
        foreach (var (key, value) in Recipe.Keys)
        {
            keys[key] = value.StartsWith('{') ? Mapping(value) : value;
        }

        if (KeyFile is not null)
        {
            var encryption = new JsonObject { ["key_file"] = YamlOutput.Literal(KeyFile) };
            if (KeySaved)
            {
                encryption["key_saved"] = true;
            }

            keys["encryption"] = encryption;
        }

        return keys;
    }

    static JsonArray Literals(IReadOnlyList<string> texts) =>
        new([.. texts.Select(text => (JsonNode)JsonValue.Create(YamlOutput.Literal(text)))]);

    /// <summary>A mapping of words, as the recipes write them.</summary>
    static JsonObject Mapping(string text)
    {
        var mapping = new JsonObject();
        foreach (var pair in text.Trim('{', '}', ' ').Split(", "))
        {
            mapping[pair.Split(": ")[0]] = pair.Split(": ")[1];
        }

        return mapping;
    }

    /// <summary>Whether a path is a pattern.</summary>
    public static bool IsPattern(string path) => path.AsSpan().IndexOfAny("*?[") >= 0;
}
