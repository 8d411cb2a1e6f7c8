using Salvor.Jobs.Commands;
using Salvor.Jobs.Keys;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>Reads commands, and what is run before and after something.</summary>
static class CommandReader
{
    const string HookExample = "[systemctl, stop, app]";

    /// <summary>
    /// A program with its arguments; null where the key is absent. Who only looks need not have the variables of arguments.
    /// </summary>
    public static ConfiguredCommand? Read(ConfigDocument document, ConfigMapping owner, string key, string example)
    {
        if (document.LocalOnly
            && owner.Value(key) is YamlSequenceNode { Children: [YamlScalarNode { Value: { Length: > 0 } program }, ..] })
        {
            return new ConfiguredCommand([program]);
        }

        if (owner.OptionalTexts(key, example) is not { } texts)
        {
            return null;
        }

        string[] arguments = [.. texts.Select(item => item.Text)];
        return ConfiguredCommand.Problem(arguments) is { } problem
            ? throw document.Error(texts[0].Node, $"{key} of {owner.Owner} {problem}", $"Write each argument by itself: {key}: {example}.")
            : new ConfiguredCommand(arguments);
    }

    /// <summary>Variables by their names. Each is itself, or says where it is: by <c>file:PATH</c> or <c>cmd:COMMAND</c>.</summary>
    public static IReadOnlyDictionary<string, SecretText> ReadEnvironment(ConfigDocument document, ConfigMapping owner)
    {
        const string Example = "{ PGPASSWORD: \"file:/etc/salvor/pg.password\" }";
        var variables = new Dictionary<string, SecretText>();
        if (document.LocalOnly || owner.OptionalMapping("environment") is not { } environment)
        {
            return variables;
        }

        foreach (var (name, entry) in environment.Entries)
        {
            if (char.IsAsciiDigit(name[0]) || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
            {
                throw document.Error(
                    entry.Key, $"\"{name}\" in {environment.Owner} is not the name of a variable",
                    $"Names are letters, digits and _: environment: {Example}.");
            }

            var text = environment.Text(name, Example);
            variables[name] = new SecretText(SecretValue.IsReference(text) ? environment.OptionalSecret(name, Example)! : text);
        }

        return variables;
    }

    /// <summary>What is run before and after backups and restores of a source.</summary>
    public static HooksConfig ReadHooks(ConfigDocument document, ConfigMapping source)
    {
        if (document.LocalOnly || source.OptionalMapping("hooks") is not { } hooks)
        {
            return new();
        }

        hooks.CheckKeys(ConfigKeys.Hooks);
        var limit = hooks.Duration("timeout", HooksConfig.LimitDefault, ConfiguredCommand.LimitMin, ConfiguredCommand.LimitMax);
        var commands = new Dictionary<string, ConfiguredCommand>();
        foreach (var name in HooksConfig.Names)
        {
            if (document.Attempt(() => Read(document, hooks, name, HookExample), null) is { } command)
            {
                commands[name] = command with { Limit = limit };
            }
        }

        return new HooksConfig { Commands = commands, Limit = limit };
    }
}
