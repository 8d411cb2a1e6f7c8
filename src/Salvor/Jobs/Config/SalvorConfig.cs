using Microsoft.Extensions.Logging;
using Salvor.Jobs.Keys;
using Salvor.Vault.Compaction;
using Salvor.Vault.Pruning;

namespace Salvor.Jobs.Config;

/// <summary>What the configuration file says, checked: names resolve, paths are absolute, values are within their limits.</summary>
public sealed record SalvorConfig
{
    /// <summary>The file's name, as messages show it.</summary>
    public required string FileName { get; init; }

    public required IReadOnlyDictionary<string, DestinationConfig> Destinations { get; init; }

    /// <summary>The databases.</summary>
    public required IReadOnlyDictionary<string, SqliteSourceConfig> Sources { get; init; }

    /// <summary>The sources of files. No name is in both.</summary>
    public IReadOnlyDictionary<string, TreeSourceConfig> Trees { get; init; } = new Dictionary<string, TreeSourceConfig>();

    /// <summary>The sources that have snapshots and nothing in between, whatever is in them.</summary>
    public IEnumerable<SnapshotSourceConfig> SnapshotSources => Trees.Values;

    /// <summary>How many sources there are, whatever their kind.</summary>
    public int SourceCount => Sources.Count + SnapshotSources.Count();

    public required RestoreConfig Restore { get; init; }

    public required LogConfig Log { get; init; }

    /// <summary>How others are told how the sources fare; null where nobody asks.</summary>
    public MetricsConfig? Metrics { get; init; }

    /// <summary>Who is told when something is wrong; null where nobody is.</summary>
    public NotificationsConfig? Notifications { get; init; }

    /// <summary>Where secrets stand in the file themselves, each as <c>line:column: key of owner</c>.</summary>
    public IReadOnlyList<string> PlainSecrets { get; init; } = [];
}

/// <summary>One SQLite database, or all that a pattern matches. Exactly one of <see cref="Path"/> and <see cref="Paths"/> is set.</summary>
public sealed record SqliteSourceConfig : SourceConfig
{
    public static readonly TimeSpan BatchDefault = TimeSpan.FromMilliseconds(50);

    /// <summary>Where each object is a request that is paid for and takes its time.</summary>
    public static readonly TimeSpan BatchRemoteDefault = TimeSpan.FromSeconds(1);

    public static readonly TimeSpan BatchMin = TimeSpan.FromMilliseconds(1);
    public static readonly TimeSpan BatchMax = TimeSpan.FromSeconds(10);
    public static readonly TimeSpan BlockMaxDefault = TimeSpan.FromMilliseconds(200);
    public static readonly TimeSpan BlockMaxMin = TimeSpan.FromMilliseconds(1);
    public static readonly TimeSpan BlockMaxMax = TimeSpan.FromSeconds(60);
    public const long WalMaxBytesDefault = 1L << 30;
    public const long WalMaxBytesMin = 1L << 20;
    public const long WalMaxBytesMax = 1L << 40;
    public const long OutboxBytesMaxDefault = 4L << 30;
    public const long OutboxBytesMaxMax = 1L << 40;
    public const long TotalSizeMaxMin = 1L << 20;
    public const long TotalSizeMaxMax = 1L << 50;

    public static readonly TimeSpan SnapshotEveryDefault = TimeSpan.FromDays(1);
    public static readonly TimeSpan SnapshotEveryMin = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan SnapshotEveryMax = TimeSpan.FromDays(30);

    public const int BackupsMaxMax = 1_000_000;

    /// <summary>The database file, absolute.</summary>
    public string? Path { get; init; }

    /// <summary>The databases of this source, each with a vault of its own, named by <see cref="PathGlob.MemberName"/>.</summary>
    public PathGlob? Paths { get; init; }

    /// <summary>How long commits are gathered before they are shipped together.</summary>
    public TimeSpan Batch { get; init; } = BatchDefault;

    /// <summary>How long commits are gathered for this destination, where nothing else is said.</summary>
    public static TimeSpan BatchFor(DestinationConfig? first) => first is FileDestinationConfig ? BatchDefault : BatchRemoteDefault;

    /// <summary>How long a writer of a rollback-journal database may be kept waiting when nothing else catches up.</summary>
    public TimeSpan BlockMax { get; init; } = BlockMaxDefault;

    /// <summary>How large the application's WAL may grow before Salvor lets go of it.</summary>
    public long WalMaxBytes { get; init; } = WalMaxBytesDefault;

    /// <summary>How much may wait on the local disk for a destination that does not work; 0 where nothing may.</summary>
    public long OutboxBytesMax { get; init; } = OutboxBytesMaxDefault;

    /// <summary>How many bytes each vault of this source may have; null where there is no limit.</summary>
    public long? TotalSizeMax { get; init; }

    /// <summary>How long after a snapshot the next one is made, where something changed.</summary>
    public TimeSpan SnapshotEvery { get; init; } = SnapshotEveryDefault;

    /// <summary>How fine restore points stay as they age.</summary>
    public Ladder Keep { get; init; } = Ladder.Default;
}

/// <summary>How vaults are encrypted.</summary>
/// <param name="Key">Where the secret is.</param>
/// <param name="KeySaved">Whether the operator says that the key is safe, so that no export is waited for.</param>
public sealed record EncryptionConfig(KeySource Key, bool KeySaved);

/// <summary>How often and how deeply the daemon verifies a source.</summary>
public sealed record VerifyConfig
{
    public static readonly TimeSpan EveryDefault = TimeSpan.FromHours(24);
    public static readonly TimeSpan EveryMin = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan EveryMax = TimeSpan.FromDays(365);

    /// <summary>The time between two verifications; null: the daemon does not verify.</summary>
    public TimeSpan? Every { get; init; } = EveryDefault;

    /// <summary>Whether it restores, and does not only read.</summary>
    public bool Deep { get; init; } = true;

    /// <summary>Whether what was restored is kept, so that the next time only what is new is applied.</summary>
    public bool KeepImage { get; init; } = true;
}

/// <summary>How often the daemon prunes a source.</summary>
public sealed record PruneConfig
{
    public static readonly TimeSpan EveryDefault = TimeSpan.FromHours(24);
    public static readonly TimeSpan EveryMin = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan EveryMax = TimeSpan.FromDays(365);
    public static readonly TimeSpan GraceMax = TimeSpan.FromDays(365);

    /// <summary>The time between two prunes; null: the daemon does not prune.</summary>
    public TimeSpan? Every { get; init; }

    /// <summary>How long what was condemned can be taken back; not below <see cref="Pruner.GraceMin"/>.</summary>
    public TimeSpan Grace { get; init; } = Pruner.GraceDefault;
}

/// <summary>Who gets the metrics of the daemon.</summary>
/// <param name="Listen">Where it answers; null: nowhere.</param>
/// <param name="Token">What others than this machine must know.</param>
/// <param name="TokenFile">The file with it.</param>
/// <param name="Otlp">The collector that they are sent to; null: the one that the environment names, if it does.</param>
public sealed record MetricsConfig(System.Net.IPEndPoint? Listen, SecretText? Token, string? TokenFile, Uri? Otlp);

/// <summary>Where restores go.</summary>
public sealed record RestoreConfig
{
    /// <summary>
    /// The directory in which a restore without <c>--output</c> makes its own, absolute. Null: <c>./restored</c> of whoever restores,
    /// because the folder of the configuration is rarely a place for data.
    /// </summary>
    public string? Scratch { get; init; }
}

/// <summary>How a line of the log is written.</summary>
public enum LogFormat
{
    /// <summary>For people: a time, a level, a message.</summary>
    Text,

    /// <summary>For programs: a JSON document, with what the message is made of in fields of its own.</summary>
    Json,
}

/// <summary>How much the log tells, and how.</summary>
public sealed record LogConfig
{
    public required LogLevel Level { get; init; }

    public LogFormat Format { get; init; }
}
