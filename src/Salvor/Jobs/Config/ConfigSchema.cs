using System.Text.Json.Nodes;

namespace Salvor.Jobs.Config;

/// <summary>The configuration as a JSON Schema (draft 2020-12), from <see cref="ConfigKeys"/>: for editors.</summary>
public static class ConfigSchema
{
    const string Variable = "\\$\\{";

    /// <summary>The schema.</summary>
    public static JsonObject Make()
    {
        var definitions = new JsonObject();
        var root = OfSection(ConfigKeys.Root, definitions);
        root["required"] = new JsonArray("destinations", "sources");
        var schema = new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = "The configuration of Salvor",
        };
        foreach (var (name, value) in root.ToList())
        {
            root.Remove(name);
            schema[name] = value;
        }

        schema["$defs"] = definitions;
        return schema;
    }

    static JsonObject OfSection(ConfigSection section, JsonObject definitions)
    {
        var properties = new JsonObject();
        foreach (var key in section.Keys)
        {
            var value = OfKey(key, definitions);
            value["description"] = key.Meaning;
            properties[key.Name] = value;
        }

        var schema = new JsonObject { ["type"] = "object", ["properties"] = properties, ["additionalProperties"] = false };
        if (section.Names.FirstOrDefault(name => name == "type" || name == section.Name) is { } decisive)
        {
            schema["required"] = new JsonArray(decisive);
        }

        return schema;
    }

    static JsonObject OfKey(ConfigKey key, JsonObject definitions) => key.Value switch
    {
        ConfigValue.Section => OfMapping(key, definitions),
        ConfigValue.Named => new()
        {
            ["type"] = "object",
            ["minProperties"] = 1,
            ["propertyNames"] = new JsonObject { ["pattern"] = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$" },
            ["additionalProperties"] = key.Sections is [var only] && !only.Names.Contains("type")
                ? Reference(only, definitions)
                : OneOf(key.Sections, definitions),
        },
        ConfigValue.Variables => new()
        {
            ["type"] = "object",
            ["propertyNames"] = new JsonObject { ["pattern"] = "^[A-Za-z_][A-Za-z0-9_]*$" },
            ["additionalProperties"] = new JsonObject { ["type"] = new JsonArray("string", "number", "boolean") },
        },
        ConfigValue.Texts => AnyOf(
            Typed("string"), new JsonObject { ["type"] = "array", ["items"] = Typed("string"), ["minItems"] = 1 }),
        ConfigValue.YesNo => AnyOf(new JsonObject { ["enum"] = new JsonArray(true, false) }, ByVariable()),
        ConfigValue.List => new()
        {
            ["type"] = "array",
            ["minItems"] = 1,
            ["items"] = AnyOf([.. key.Sections.Select(section => Reference(section, definitions))]),
        },
        ConfigValue.Duration => new()
        {
            ["type"] = "string",
            ["pattern"] = string.Concat(key.Words.Select(word => $"^{word}$|")) + $"^([0-9]+(y|w|d|h|m|s|ms|us))+$|{Variable}",
        },
        ConfigValue.Size => AnyOf(
            new JsonObject { ["type"] = "integer", ["minimum"] = 0 },
            new JsonObject { ["type"] = "string", ["pattern"] = $"^[0-9]+(\\.[0-9]+)? ?([KkMmGgTtPpEe][Ii]?)?[Bb]?$|{Variable}" }),
        ConfigValue.Rate => new() { ["type"] = "string", ["pattern"] = $"^[0-9]+(\\.[0-9]+)? ?([KkMmGgTt][Ii]?)?[Bb] ?/s$|{Variable}" },
        ConfigValue.Count => AnyOf(new JsonObject { ["type"] = "integer", ["minimum"] = 0 }, ByVariable()),
        ConfigValue.Amount => AnyOf(new JsonObject { ["type"] = "number", ["minimum"] = 0 }, ByVariable()),
        _ when key.Words.Count > 0 => Words(key),
        _ => new() { ["type"] = new JsonArray("string", "number", "boolean") },
    };

    static JsonObject OfMapping(ConfigKey key, JsonObject definitions)
    {
        var reference = Reference(key.Sections[0], definitions);
        return key.Words.Count == 0 ? reference : AnyOf([.. Words(key)["anyOf"]!.AsArray().Select(item => item!.DeepClone()), reference]);
    }

    /// <summary>A codec may have a level after a colon, and a schedule need be no word.</summary>
    static JsonObject Words(ConfigKey key) => AnyOf(
        new JsonObject { ["enum"] = new JsonArray([.. key.Words.Select(Word)]) },
        key.Name switch
        {
            "compression" => new JsonObject { ["type"] = "string", ["pattern"] = $"^(zstd|gzip):[0-9]+$|{Variable}" },
            "schedule" => new JsonObject { ["type"] = "string", ["pattern"] = $"^every .+|^[^ ]+( +[^ ]+){{4}}$|{Variable}" },
            _ => ByVariable(),
        });

    /// <summary>What an editor takes for true and false is written without quotes.</summary>
    static JsonNode Word(string word) => bool.TryParse(word, out var known) ? JsonValue.Create(known) : JsonValue.Create(word);

    /// <summary>By the type, so that an editor complains of one key and not of all types.</summary>
    static JsonObject OneOf(IReadOnlyList<ConfigSection> sections, JsonObject definitions) => new()
    {
        ["type"] = "object",
        ["required"] = new JsonArray("type"),
        ["properties"] = new JsonObject
        {
            ["type"] = new JsonObject { ["enum"] = new JsonArray([.. sections.Select(section => JsonValue.Create(section.Name))]) },
        },
        ["allOf"] = new JsonArray([.. sections.Select(section => new JsonObject
        {
            ["if"] = new JsonObject
            {
                ["properties"] = new JsonObject { ["type"] = new JsonObject { ["const"] = section.Name } },
            },
            ["then"] = Reference(section, definitions),
        })]),
    };

    static JsonObject Reference(ConfigSection section, JsonObject definitions)
    {
        definitions[section.Definition] ??= OfSection(section, definitions);
        return new() { ["$ref"] = $"#/$defs/{section.Definition}" };
    }

    static JsonObject AnyOf(params JsonNode[] alternatives) => new() { ["anyOf"] = new JsonArray(alternatives) };

    static JsonObject Typed(string type) => new() { ["type"] = type };

    static JsonObject ByVariable() => new() { ["type"] = "string", ["pattern"] = Variable };
}
