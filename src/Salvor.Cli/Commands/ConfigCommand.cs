using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Salvor.Cli.Terminal;
using Salvor.Jobs.Config;
using Salvor.Jobs.Config.Conversion;

namespace Salvor.Cli.Commands;

/// <summary><c>config test|show|convert|schema</c>: what can be known of a configuration without starting anything.</summary>
static class ConfigCommand
{
    static readonly Argument<string> OldFile = new("FILE") { Description = "A configuration of Litestream, or the one of a Geode server." };

    static readonly Option<string?> SourcePath = new("--source")
    {
        Description = "The database, for a configuration that names none.", HelpName = "PATH",
    };

    public static Command Create() => new("config", "Test, show and convert configurations.")
    {
        new Command("test", "Read the configuration and print everything that is wrong with it.").WithAction(TestAsync),
        new Command("show", "Print the configuration with every default filled in, without secrets.").WithAction(ShowAsync),
        new Command("convert", "Print another tool's configuration as one of Salvor's, and what became of each key.")
        {
            OldFile, SourcePath,
        }.WithAction(ConvertAsync),
        new Command("schema", "Print the JSON Schema of the configuration, for editors.").WithAction(SchemaAsync),
    };

    static Task<int> TestAsync(Invocation invocation)
    {
        var path = invocation.ConfigPath();
        var (config, problems) = ConfigFile.Check(path, Environment.GetEnvironmentVariable);
        foreach (var problem in problems)
        {
            Verb.PrintError(problem);
        }

        var exposure = config is null ? null : ConfigFile.ExposureOf(config);
        if (exposure is not null)
        {
            invocation.Tell($"warning: {exposure}");
        }

        if (config is not null)
        {
            invocation.Print($"ok: {Count(config.SourceCount, "source")}, {Count(config.Destinations.Count, "destination")} in {path}");
        }

        invocation.PrintJson(
            new ConfigTestDocument(
                path, config is not null, config?.SourceCount, config?.Destinations.Count,
                [.. problems.Select(problem => Body(problem, path))], exposure is null ? [] : [exposure]),
            () => CliJson.Default.ConfigTestDocument);
        return Task.FromResult(config is null ? (int)FailureKind.Usage : 0);
    }

    static Task<int> ShowAsync(Invocation invocation)
    {
        var effective = EffectiveConfig.Of(invocation.LoadConfig());
        Console.Out.Write(invocation.Json ? Indented(effective) : YamlOutput.Write(effective));
        return Task.FromResult(0);
    }

    static Task<int> ConvertAsync(Invocation invocation)
    {
        var source = invocation.Get(SourcePath) is { } path ? Path.GetFullPath(path) : null;
        var converted = ConfigConversion.Convert(invocation.Get(OldFile), source);
        foreach (var key in converted.Keys)
        {
            var reason = key.Reason.Length > 0 ? $" ({key.Reason})" : "";
            invocation.Tell(key.To is null
                ? $"line {key.Line}: {key.From}: not taken over: {key.Reason}"
                : $"line {key.Line}: {key.From} {Symbols.Arrow} {key.To}{reason}");
        }

        if (!invocation.Json)
        {
            Console.Out.Write(converted.Yaml);
        }

        invocation.PrintJson(
            new ConfigConvertDocument(
                converted.From, converted.Yaml,
                [.. converted.Keys.Select(key => new ConvertedKeyBody(key.Line, key.From, key.To, key.Reason))]),
            () => CliJson.Default.ConfigConvertDocument);
        return Task.FromResult(0);
    }

    static Task<int> SchemaAsync(Invocation invocation)
    {
        Console.Out.Write(Indented(ConfigSchema.Make()));
        return Task.FromResult(0);
    }

    /// <summary>The place stands at the beginning of the message, where there is one.</summary>
    static ConfigProblemBody Body(SalvorException problem, string path)
    {
        var hasPlace = problem.Message.StartsWith($"{path}:", StringComparison.Ordinal);
        var rest = hasPlace ? problem.Message[(path.Length + 1)..].Split(':', 3) : [];
        return rest is [var line, var column, var message] && int.TryParse(line, out var l) && int.TryParse(column, out var c)
            ? new(l, c, message.TrimStart(), problem.Hint)
            : new(null, null, problem.Message, problem.Hint);
    }

    static string Count(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";

    public static string Indented(JsonNode node)
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes, new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            node.WriteTo(writer);
        }

        return Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length) + "\n";
    }
}
