using Salvor.Jobs.Clusters;
using Salvor.Jobs.Config;
using Salvor.Jobs.Drills;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Sqlite.Snapshots;

namespace Salvor.Jobs.Health;

/// <summary>How a source is, as its local files and its process show it. Printed and stored in lower case.</summary>
public enum HealthState
{
    /// <summary>Configured, and never served from here.</summary>
    Unprotected,

    /// <summary>What is there cannot be believed.</summary>
    Unknown,

    /// <summary>Nothing serves it.</summary>
    Stopped,

    /// <summary>A process has it, and does not show that it works.</summary>
    Stale,

    /// <summary>A process has it, and has said nothing of it yet.</summary>
    Starting,

    /// <summary>The database does not exist yet, or is empty.</summary>
    Waiting,

    /// <summary>The first full copy, or a comparison of the whole database, is under way.</summary>
    Copying,

    /// <summary>Nothing is stored until the key of the new vault is elsewhere too.</summary>
    AwaitingExport,

    /// <summary>Commits are captured as they happen.</summary>
    Healthy,

    /// <summary>A rollback-journal database changes too often to be copied in between.</summary>
    Behind,

    /// <summary>The destination does not work; commits wait.</summary>
    BackingOff,

    /// <summary>The database cannot be read, or something else is wrong that will be tried again.</summary>
    Failing,

    /// <summary>Detached on request.</summary>
    Paused,
}

/// <summary>How the copy of a source at one destination is.</summary>
/// <param name="Name">What the configuration calls it; its location where it has no name.</param>
/// <param name="Location">Where it is.</param>
/// <param name="Required">Whether a commit counts as durable only when it is there.</param>
/// <param name="Lag">The age of the oldest commit that is not there yet.</param>
/// <param name="BackingOff">For how long it has not worked; null where it does.</param>
/// <param name="Verified">Whether the last verification found nothing there; null where it was not verified.</param>
sealed record DestinationHealth(string Name, string Location, bool Required, TimeSpan Lag, TimeSpan? BackingOff, bool? Verified);

/// <summary>When the daemon does something next, at the latest; null where it does not, or where that is not known.</summary>
sealed record NextRuns(DateTimeOffset? Backup, DateTimeOffset? Verify, DateTimeOffset? Prune);

/// <summary>How one source fares now: the one answer that the checks, the metrics and the texts are made of.</summary>
sealed record SourceHealth
{
    public required string Source { get; init; }

    public required string Path { get; init; }

    /// <summary>When it was looked at.</summary>
    public required DateTimeOffset Now { get; init; }

    public required HealthState State { get; init; }

    /// <summary>Why it is in this state, where that needs words.</summary>
    public string Detail { get; init; } = "";

    /// <summary>What to do about it.</summary>
    public string Hint { get; init; } = "";

    /// <summary>The living process that serves it; null where none does.</summary>
    public int? Pid { get; init; }

    /// <summary>Who holds its lock; null where nobody does.</summary>
    public LockHolder? Holder { get; init; }

    public StatusRecord? Last { get; init; }

    public VerifyRecord? Verified { get; init; }

    public PruneRecord? Pruned { get; init; }

    public BackupMark? Backup { get; init; }

    public DrillRecord? Drill { get; init; }

    /// <summary>What is allowed; for what is not configured, what is shipped.</summary>
    public required HealthLimits Limits { get; init; }

    public required NextRuns Next { get; init; }

    /// <summary>The destinations, the one that is written first in front; empty where it was never served.</summary>
    public IReadOnlyList<DestinationHealth> Destinations { get; init; } = [];

    /// <summary>Its configuration; null where it was named by its path.</summary>
    public SourceConfig? Config { get; init; }

    /// <summary>How the log of a cluster is followed; null where nobody did yet, and for other sources.</summary>
    public FollowRecord? Followed { get; init; }

    /// <summary>What to think of that; null for sources that are no clusters.</summary>
    public Verdict? OfLog { get; init; }

    /// <summary>What the backups of a source say that has snapshots; the same as its state where nothing follows it.</summary>
    public HealthState? OfBackups { get; init; }

    /// <summary>Whether it is backed up now and then, and not served.</summary>
    public bool HasSnapshotsOnly { get; init; }

    /// <summary>The copies at further destinations.</summary>
    public IReadOnlyList<CopyStatus> Copies => Followed is { Copies: { Count: > 0 } followed } ? followed
        : HasSnapshotsOnly ? [.. (Backup?.Copies ?? []).Skip(1)] : IsUp ? Last?.Copies ?? [] : [];

    /// <summary>Whether a living process serves it and shows that it works.</summary>
    public bool IsUp =>
        State is not (HealthState.Unprotected or HealthState.Unknown or HealthState.Stopped or HealthState.Stale);

    /// <summary>The age of the oldest commit that is not durable now; null where it was never served.</summary>
    public TimeSpan? Lag => Destinations.Count == 0 ? null : Destinations.Where(item => item.Required).Max(item => item.Lag);

    /// <summary>When a verification found nothing last; null where none did.</summary>
    public DateTimeOffset? VerifiedAt => Verified is { Ok: true } clean ? clean.FinishedAt : Verified?.CleanAt;

    /// <summary>The age of a moment that was written down; null for one that is not known, or lies ahead and so proves nothing.</summary>
    public TimeSpan? AgeOf(DateTimeOffset? time) =>
        time is not { } known || known > Now + HealthReader.ClockSlack ? null
        : known > Now ? TimeSpan.Zero
        : Now - known;
}
