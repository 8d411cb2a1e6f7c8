using System.CommandLine;
using System.CommandLine.Parsing;
using Salvor.Text;

namespace Salvor.Cli.Terminal;

/// <summary>What is wrong with a command line, as an operator would say it.</summary>
static class UsageErrors
{
    /// <summary>The first error, or null.</summary>
    public static SalvorException? Find(ParseResult parsed) =>
        parsed.Errors.Count == 0 && parsed.UnmatchedTokens.Count == 0
            && !BeforeDashes(parsed).Any(token => token.Type == TokenType.Argument && IsOption(token.Value))
            ? null
            : FindIn(parsed);

    static SalvorException? FindIn(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        if (IsHelp(parsed))
        {
            return null;
        }

        // A misspelled option that comes where an argument may stand would be taken for the argument.
        var tokens = parsed.CommandResult.Children.OfType<ArgumentResult>().SelectMany(argument => argument.Tokens)
            .Intersect(BeforeDashes(parsed), ReferenceEqualityComparer.Instance).Cast<Token>();
        if (tokens.Select(token => token.Value).Concat(parsed.UnmatchedTokens).FirstOrDefault(IsOption) is { } option)
        {
            return UnknownOption(parsed, option);
        }

        if (parsed.UnmatchedTokens is [var extra, ..])
        {
            return command.Subcommands.Count > 0
                ? UnknownCommand(command, extra)
                : Error(command, $"'{PathOf(command)}' takes no '{extra}'");
        }

        if (parsed.Errors.Count == 0)
        {
            return null;
        }

        if (command.Subcommands.Count > 0)
        {
            return new SalvorException(
                FailureKind.Usage,
                "no command is given",
                $"Run '{HelpOf(command)}' to see them: {Suggestion.Enumerate(Names(command))}.");
        }

        var missing = command.Arguments.Where(argument =>
            argument.Arity.MinimumNumberOfValues > 0 && parsed.GetResult(argument) is not { Tokens.Count: > 0 });
        string[] names = [.. missing.Select(argument => argument.Name)];
        return names.Length > 0
            ? Error(command, $"'{PathOf(command)}' needs {Suggestion.Enumerate(names)}")
            : Error(command, Lower(parsed.Errors[0].Message));
    }

    /// <summary>What follows <c>--</c> is what it looks like to somebody else.</summary>
    static IEnumerable<Token> BeforeDashes(ParseResult parsed) => parsed.Tokens.TakeWhile(token => token.Type != TokenType.DoubleDash);

    static bool IsHelp(ParseResult parsed) =>
        BeforeDashes(parsed).Any(token => token.Type == TokenType.Option && token.Value is "--help" or "-h" or "-?");

    static bool IsOption(string value) => value.Length > 1 && value[0] == '-';

    static SalvorException UnknownOption(ParseResult parsed, string option)
    {
        var command = parsed.CommandResult.Command;
        var name = option.Split('=')[0];
        var known = command.Options.Concat(parsed.RootCommandResult.Command.Options.Where(item => item.Recursive))
            .SelectMany(item => item.Aliases.Append(item.Name))
            .Where(alias => alias.StartsWith("--", StringComparison.Ordinal));
        return new SalvorException(
            FailureKind.Usage, $"unknown option '{name}'", $"{Suggestion.Sentence(name, known)}Run '{HelpOf(command)}' to see all.");
    }

    static SalvorException UnknownCommand(Command parent, string name) => new(
        FailureKind.Usage, $"unknown command '{name}'", $"{Suggestion.Sentence(name, Names(parent))}Run '{HelpOf(parent)}' to see all.");

    static SalvorException Error(Command command, string message) =>
        new(FailureKind.Usage, message, $"Run '{HelpOf(command)}' to see what it takes.");

    static string HelpOf(Command command) => $"{PathOf(command)} --help";

    /// <summary>How the command is called, with the verb that it belongs to.</summary>
    static string PathOf(Command command) => command is RootCommand
        ? "salvor"
        : $"{PathOf(command.Parents.OfType<Command>().First())} {command.Name}";

    static string[] Names(Command root) => [.. root.Subcommands.Where(command => !command.Hidden).Select(command => command.Name)];

    /// <summary>Messages of the library are sentences; ours are not.</summary>
    static string Lower(string message)
    {
        var line = string.Join(' ', message.Split((char[])['\n', '\r', '\t'], StringSplitOptions.RemoveEmptyEntries)).TrimEnd('.');
        return char.ToLowerInvariant(line[0]) + line[1..];
    }
}

/// <summary>Options whose values are more than text, with errors that name them.</summary>
static class TypedOptions
{
    /// <summary>An option that is a whole number.</summary>
    public static Option<int?> Number(string name, int min, int max, string description)
    {
        var option = new Option<int?>(name) { Description = description, HelpName = "N", Arity = ArgumentArity.ExactlyOne };
        option.CustomParser = result =>
        {
            if (int.TryParse(result.Tokens[0].Value, out var value) && value >= min && value <= max)
            {
                return value;
            }

            result.AddError($"'{name}' is \"{result.Tokens[0].Value}\", and takes a whole number from {min} to {max}");
            return null;
        };
        return option;
    }

    /// <summary>Refuses what is none of the words.</summary>
    public static Option<string> WithChoices(this Option<string> option, params string[] words)
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && !words.Contains(token.Value))
            {
                result.AddError($"'{option.Name}' is \"{token.Value}\", and takes {Suggestion.Enumerate(words)}");
            }
        });
        option.CompletionSources.Add(words);
        return option;
    }

    /// <summary>
    /// Options and arguments that are texts need no conversion, and the library's own table of conversions takes longer to compile than to
    /// parse a line.
    /// </summary>
    public static void TakeTextAsItIs(Command command)
    {
        foreach (var option in command.Options.OfType<Option<string?>>())
        {
            option.CustomParser ??= TextOf;
        }

        foreach (var argument in command.Arguments.OfType<Argument<string?>>())
        {
            argument.CustomParser ??= TextOf;
        }

        foreach (var child in command.Subcommands)
        {
            TakeTextAsItIs(child);
        }
    }

    static string? TextOf(ArgumentResult result) => result.Tokens is [var token, ..] ? token.Value : null;
}
