using Salvor.Jobs.Commands;

namespace Salvor.Jobs.Config;

/// <summary>What is run before and after something is done with a source; nothing where nothing is said.</summary>
public sealed record HooksConfig
{
    public static readonly TimeSpan LimitDefault = TimeSpan.FromMinutes(5);

    /// <summary>When there are hooks, in the order in which they are run.</summary>
    public static readonly IReadOnlyList<string> Names = ["before_backup", "after_backup", "before_restore", "after_restore"];

    /// <summary>The commands, by the names of <see cref="Names"/>.</summary>
    public IReadOnlyDictionary<string, ConfiguredCommand> Commands { get; init; } = new Dictionary<string, ConfiguredCommand>();

    /// <summary>How long each may take.</summary>
    public TimeSpan Limit { get; init; } = LimitDefault;

    /// <summary>The hook of this name; null where there is none.</summary>
    public ConfiguredCommand? Of(string name) => Commands.GetValueOrDefault(name);
}
