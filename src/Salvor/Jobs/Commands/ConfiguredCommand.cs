using Salvor.Platform;

namespace Salvor.Jobs.Commands;

/// <summary>A command of a configuration or of a command line, with what it is given.</summary>
/// <param name="Arguments">The program, and its arguments as they are: no shell looks at them.</param>
public sealed record ConfiguredCommand(IReadOnlyList<string> Arguments)
{
    public static readonly TimeSpan LimitMin = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan LimitMax = TimeSpan.FromDays(7);

    /// <summary>Variables besides those of this process.</summary>
    public IReadOnlyDictionary<string, SecretText> Environment { get; init; } = new Dictionary<string, SecretText>();

    /// <summary>How long it may take.</summary>
    public TimeSpan Limit { get; init; } = LimitMax;

    /// <summary>What messages call it: its arguments may hold what is not to be shown.</summary>
    public string Name => Arguments[0];

    /// <summary>What is wrong with the arguments; null where they can be run.</summary>
    public static string? Problem(IReadOnlyList<string> arguments) =>
        arguments[0].Any(char.IsWhiteSpace) && arguments.Count == 1 ? "is one text with blanks, and no shell takes it apart"
        : arguments.Any(argument => argument.Contains('\0', StringComparison.Ordinal)) ? "has a zero byte"
        : null;

    internal ProgramStart ToStart(bool isFed = false) => new(Arguments)
    {
        Environment = Environment.ToDictionary(item => item.Key, item => item.Value.Value), IsFed = isFed,
    };

    /// <summary>The last lines of what it printed, without what it was given in secret.</summary>
    internal IReadOnlyList<string> LastLines(string printed)
    {
        foreach (var secret in Environment.Values.Where(secret => secret.Value.Length > 0))
        {
            printed = printed.Replace(secret.Value, "(secret)", StringComparison.Ordinal);
        }

        return OutputTail.LastLines(printed);
    }

    /// <summary>Those lines at the end of a message.</summary>
    internal string Said(string printed) => LastLines(printed) is { Count: > 0 } lines ? $": {string.Join(" | ", lines)}" : "";
}
