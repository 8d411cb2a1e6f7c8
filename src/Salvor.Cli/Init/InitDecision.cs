using Salvor.Jobs.Setup;

namespace Salvor.Cli.Init;

/// <summary>All that was said before anything is done.</summary>
sealed record InitDecision
{
    /// <summary>The configuration file, absolute.</summary>
    public required string ConfigPath { get; init; }

    public required SetupConfig Setup { get; init; }

    /// <summary>Whether a configuration that is there already is replaced.</summary>
    public required bool Replaces { get; init; }

    /// <summary>Where the key is exported to; null where it is saved already, and where nothing is encrypted.</summary>
    public string? ExportFile { get; init; }

    /// <summary>The folder of units; null where no drop-in is written.</summary>
    public string? UnitFolder { get; init; }

    /// <summary>As whom the daemon is to run: name, name of the group, and their numbers.</summary>
    public required ServiceAccount Account { get; init; }

    public required bool BacksUp { get; init; }
}

/// <summary>As whom the daemon is to run.</summary>
sealed record ServiceAccount(string User, string Group, uint UserId, uint GroupId);
