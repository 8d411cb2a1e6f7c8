using System.Text.Json;

namespace Salvor.Tests.Cli;

/// <summary>As much of JSON Schema as the documents need: types, required and known members, members of any name, items, times.</summary>
static class JsonSchema
{
    public static IEnumerable<string> Violations(JsonElement schema, JsonElement value, string path)
    {
        string[] types = schema.GetProperty("type") is { ValueKind: JsonValueKind.Array } list
            ? [.. list.EnumerateArray().Select(item => item.GetString()!)]
            : [schema.GetProperty("type").GetString()!];
        if (!types.Contains(TypeOf(value)) && !(types.Contains("number") && TypeOf(value) == "integer"))
        {
            return [$"{path}: is {value}, not {string.Join(" or ", types)}"];
        }

        return value.ValueKind switch
        {
            JsonValueKind.Object => OfObject(schema, value, path),
            JsonValueKind.Array => value.EnumerateArray().Index()
                .SelectMany(item => Violations(schema.GetProperty("items"), item.Item, $"{path}/{item.Index}")),
            JsonValueKind.String when schema.TryGetProperty("format", out _) && !value.GetString()!.EndsWith('Z') =>
                [$"{path}: is {value}, not a time that ends in Z"],
            _ => [],
        };
    }

    static IEnumerable<string> OfObject(JsonElement schema, JsonElement value, string path)
    {
        if (schema.TryGetProperty("additionalProperties", out var each))
        {
            return value.EnumerateObject().SelectMany(member => Violations(each, member.Value, $"{path}/{member.Name}"));
        }

        var properties = schema.GetProperty("properties");
        var missing = schema.GetProperty("required").EnumerateArray().Select(name => name.GetString()!)
            .Where(name => !value.TryGetProperty(name, out _))
            .Select(name => $"{path}/{name}: missing");
        return missing.Concat(value.EnumerateObject().SelectMany(member => properties.TryGetProperty(member.Name, out var known)
            ? Violations(known, member.Value, $"{path}/{member.Name}")
            : [$"{path}/{member.Name}: not described"]));
    }

    static string TypeOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "object",
        JsonValueKind.Array => "array",
        JsonValueKind.String => "string",
        JsonValueKind.True or JsonValueKind.False => "boolean",
        JsonValueKind.Null => "null",
        _ => value.TryGetInt64(out _) || value.TryGetUInt64(out _) ? "integer" : "number",
    };
}
