using Salvor.Files;
using Salvor.Jobs.Commands;
using Salvor.Vault.Format;

namespace Salvor.Jobs.Config;

/// <summary>What every source has, whatever its kind.</summary>
public abstract record SourceConfig
{
    public required string Name { get; init; }

    /// <summary>
    /// Names of destinations, without repetition, never empty: the first is written to, and the others follow it. Directories come first,
    /// because a commit is durable there soonest, and then each in the order of the file.
    /// </summary>
    public required IReadOnlyList<string> To { get; init; }

    /// <summary>How what is stored from now on is compressed.</summary>
    public FrameCompression Compression { get; init; } = FrameCompression.Default;

    /// <summary>How many backups stay that did not ask for days of their own; null where there is no limit.</summary>
    public int? BackupsMax { get; init; }

    /// <summary>For how many days backups stay that did not ask for days of their own; null where there is no limit.</summary>
    public int? RetentionDays { get; init; }

    /// <summary>How the daemon proves that the source can be restored.</summary>
    public VerifyConfig Verify { get; init; } = new();

    /// <summary>How its restore is rehearsed.</summary>
    public DrillConfig Drill { get; init; } = new();

    /// <summary>How what nothing keeps is dropped.</summary>
    public PruneConfig Prune { get; init; } = new();

    /// <summary>What is allowed before the source counts as unhealthy under a policy.</summary>
    public HealthLimits Limits { get; init; } = new();

    /// <summary>Where local state lives, absolute. Null: in <c>.salvor/</c> beside the database, or beside the configuration.</summary>
    public string? StateDirectory { get; init; }

    /// <summary>What is run before and after backups and restores.</summary>
    public HooksConfig Hooks { get; init; } = new();

    /// <summary>How the vaults of this source are encrypted. Null: not at all.</summary>
    public EncryptionConfig? Encryption { get; init; }
}

/// <summary>What is backed up now and then, each time whole: its snapshots are its restore points.</summary>
public abstract record SnapshotSourceConfig : SourceConfig
{
    /// <summary>What is backed up, for people.</summary>
    public abstract string Subject { get; }

    /// <summary>When the daemon makes backups; null where it makes none.</summary>
    public ScheduleConfig? Schedule { get; init; }
}

/// <summary>What is backed up as a tree: files, what a command prints, or a cluster of PostgreSQL.</summary>
public abstract record TreeSourceConfig : SnapshotSourceConfig
{
    /// <summary>What its vaults are of, as they say it.</summary>
    public abstract string Kind { get; }
}

/// <summary>Directories and files that are backed up together.</summary>
public sealed record FilesSourceConfig : TreeSourceConfig
{
    /// <summary>What is kept, without what the destinations of the configuration are.</summary>
    public required TreeOptions Options { get; init; }

    /// <summary>The patterns of what is left out, as they are written.</summary>
    public IReadOnlyList<string> Exclude { get; init; } = [];

    /// <summary>Whether databases that apps write to are copied as of one commit, and not read as files.</summary>
    public bool CopiesDatabases { get; init; } = true;

    /// <summary>How what is restored is made.</summary>
    public RestoreProfile Restore { get; init; } = new();

    public override string Kind => TreeBackup.Kind;

    public override string Subject => string.Join(", ", Options.Paths);
}

/// <summary>What a command prints, or what is given to <c>salvor backup --stdin</c>.</summary>
public sealed record CommandSourceConfig : TreeSourceConfig
{
    public static readonly TimeSpan LimitDefault = TimeSpan.FromHours(1);

    /// <summary>The command; null where there is none, and each backup is given what it keeps.</summary>
    public ConfiguredCommand? Command { get; init; }

    /// <summary>What the stream is called in its backups.</summary>
    public string? FileName { get; init; }

    /// <summary>Whether nothing at all is something to keep.</summary>
    public bool AllowsEmpty { get; init; }

    public override string Kind => StreamBackup.Kind;

    public override string Subject => Command is null ? "standard input" : $"command {Command.Name}";
}
