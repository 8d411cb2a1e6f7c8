namespace Salvor.Jobs.Setup;

/// <summary>What a source of a new configuration is.</summary>
public enum SetupKind
{
    Database,

    /// <summary>A pattern of many databases.</summary>
    Pattern,

    /// <summary>A directory or a file.</summary>
    Files,

    /// <summary>What a command prints.</summary>
    Command,
}

/// <summary>A source of a new configuration.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Path">A database, a pattern, a directory or a file, absolute; null where it is what a command prints.</param>
public sealed record SetupSource(string Name, string? Path)
{
    /// <summary>The program with its arguments, where there is no path.</summary>
    public IReadOnlyList<string> Command { get; init; } = [];

    /// <summary>Whether the path is a pattern.</summary>
    public bool IsPattern => Path is not null && SetupConfig.IsPattern(Path);
}
