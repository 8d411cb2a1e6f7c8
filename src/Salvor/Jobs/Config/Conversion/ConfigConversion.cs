using System.Text.Json.Nodes;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config.Conversion;

/// <summary>A configuration of another tool as one of ours.</summary>
/// <param name="From">Which tool's it was.</param>
/// <param name="Yaml">Ours, which was read once to see that it is right.</param>
/// <param name="Keys">What became of each key, in the order of the old file.</param>
public sealed record ConfigConversion(string From, string Yaml, IReadOnlyList<ConvertedKey> Keys)
{
    /// <summary>
    /// Reads another tool's file. What it does not know it refuses with <see cref="FailureKind.Usage"/>, line and column: a key that was
    /// passed over in silence would be a protection that somebody believes in.
    /// </summary>
    /// <param name="path">The old file.</param>
    /// <param name="source">The database, for a tool whose configuration names none; null for a placeholder.</param>
    public static ConfigConversion Convert(string path, string? source)
    {
        // Variables stay variables, whether they are set here or not.
        var document = new ConfigDocument(path, name => $"${{{name}}}");
        var root = YamlText.Read(ConfigFile.ReadText(path), document);
        var result = new ConversionResult(document);
        var (from, ours) = root.Children.Keys.OfType<YamlScalarNode>().Select(key => key.Value).ToList() switch
        {
            var keys when keys.Contains("dbs") => ("Litestream", new LitestreamConversion(result).Convert(root)),
            var keys when keys.Contains("backup") => ("Geode", new GeodeConversion(result).Convert(root, source)),
            _ => throw document.Error(
                root, "this is neither a configuration of Litestream (dbs:) nor of Geode (backup:)", "Only those two can be converted."),
        };
        return document.Problems.Count == 0
            ? new(from, Write(from, path, ours, result), result.Keys)
            : throw document.Problems[0];
    }

    /// <summary>A value that most keys take: variables need not be set where a file is converted.</summary>
    static string StandIn(string variable) =>
        Environment.GetEnvironmentVariable(variable)
            ?? (variable.Contains("ENDPOINT", StringComparison.Ordinal) || variable.Contains("URL", StringComparison.Ordinal)
                || variable.Contains("WEBHOOK", StringComparison.Ordinal) ? "https://example.com/a" : "aaaa");

    static string Write(string from, string path, JsonObject ours, ConversionResult result)
    {
        var dropped = result.Keys.Where(key => key.To is null).Select(key => $"# not taken over: {key.From}: {key.Reason}\n");
        var yaml = $"# Converted from {Path.GetFileName(path)}, which was {from}'s.\n{string.Concat(dropped)}\n{YamlOutput.Write(ours)}";
        var (_, problems) = ConfigFile.Check(yaml, "/converted.yaml", StandIn);
        return problems.Count == 0
            ? yaml
            : throw new SalvorException(
                FailureKind.Usage,
                $"{path} becomes a configuration that is not right: {problems[0].Message["/converted.yaml:".Length..]}",
                problems[0].Hint);
    }
}

/// <summary>What became of a key of the old file.</summary>
/// <param name="Line">Where it is, from 1.</param>
/// <param name="From">The key, with those it is in.</param>
/// <param name="To">What it is in ours; null where it has no equivalent.</param>
/// <param name="Reason">What differs, or why it was not taken over; empty where nothing is to be said.</param>
public sealed record ConvertedKey(int Line, string From, string? To, string Reason);

/// <summary>Collects what becomes of each key.</summary>
sealed class ConversionResult(ConfigDocument document)
{
    public List<ConvertedKey> Keys { get; } = [];

    public ConfigDocument Document => document;

    public OldMapping Root(YamlNode node) => new(this, node, "");
}
