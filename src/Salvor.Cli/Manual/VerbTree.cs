using System.CommandLine;
using System.CommandLine.Completions;

namespace Salvor.Cli.Manual;

/// <summary>One verb as manuals and completions see it: its words, its options with those that every verb has, its arguments.</summary>
sealed record VerbNode(
    IReadOnlyList<string> Words, string Description, IReadOnlyList<Option> Options, IReadOnlyList<Argument> Arguments,
    IReadOnlyList<VerbNode> Children)
{
    /// <summary>The verb's words with blanks between them; empty for the program itself.</summary>
    public string Name => string.Join(' ', Words);

    /// <summary>This verb, and all below it, in the order in which help shows them.</summary>
    public IEnumerable<VerbNode> All => Children.SelectMany(child => child.All).Prepend(this);
}

/// <summary>Reads the verbs from the command line itself, so that what is generated cannot fall behind.</summary>
static class VerbTree
{
    public static VerbNode Of(RootCommand root) => Of(root, []);

    /// <summary>What an option takes, where only some words will do; empty where anything does, or nothing.</summary>
    public static IReadOnlyList<string> ChoicesOf(Option option) =>
        option.ValueType == typeof(bool) ? [] : [.. option.GetCompletions(CompletionContext.Empty).Select(item => item.Label)];

    /// <summary>Whether a value follows an option.</summary>
    public static bool TakesValue(Option option) => option.ValueType != typeof(bool) && option.Arity.MaximumNumberOfValues > 0;

    /// <summary>Whether the value is a path, by what help calls it.</summary>
    public static bool TakesPath(string? helpName) => helpName is "FILE" or "DIR" or "PATH" or "DB" or "DEST" or "PLACE" or "PATH-or-URL";

    static VerbNode Of(Command command, IReadOnlyList<string> words) => new(
        words,
        command.Description ?? "",
        [.. command.Options.Where(option => !option.Hidden).Where(option => words.Count == 0 || !option.Recursive)],
        [.. command.Arguments.Where(argument => !argument.Hidden)],
        [.. command.Subcommands.Where(child => !child.Hidden).Select(child => Of(child, [.. words, child.Name]))]);
}
