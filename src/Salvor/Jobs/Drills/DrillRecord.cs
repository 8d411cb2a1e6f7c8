using System.Text.Json.Serialization;

namespace Salvor.Jobs.Drills;

/// <summary>What a drill says of a source.</summary>
public enum DrillResult
{
    /// <summary>It was restored, and every check passed within its targets.</summary>
    [JsonStringEnumMemberName("PASS")]
    Pass,

    /// <summary>It could not be restored, or a check or a target failed.</summary>
    [JsonStringEnumMemberName("FAIL")]
    Fail,

    /// <summary>All is well with it but its age.</summary>
    [JsonStringEnumMemberName("STALE")]
    Stale,
}

/// <summary>How one check of a drill ended.</summary>
public enum CheckOutcome
{
    [JsonStringEnumMemberName("PASS")]
    Pass,

    /// <summary>Worth a look, and no reason to call the drill failed.</summary>
    [JsonStringEnumMemberName("WARN")]
    Warn,

    [JsonStringEnumMemberName("STALE")]
    Stale,

    [JsonStringEnumMemberName("FAIL")]
    Fail,

    /// <summary>Not made, because what it needs was not there.</summary>
    [JsonStringEnumMemberName("SKIPPED")]
    Skipped,
}

/// <summary>
/// One drill: a real restore into scratch, checked and timed. It is the answer of <c>salvor drill --json</c> for one source, the file
/// that says when it was drilled last, and a line of its history.
/// </summary>
public sealed record DrillRecord
{
    public required string Source { get; init; }

    public required DrillResult Result { get; init; }

    /// <summary>Why it is not PASS, in one line; empty where it is.</summary>
    public string Reason { get; init; } = "";

    /// <summary>What to do about that.</summary>
    public string Hint { get; init; } = "";

    /// <summary>The exit code that tells the same.</summary>
    public int ExitCode { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    public required DateTimeOffset FinishedAt { get; init; }

    /// <summary>The machine that it ran on.</summary>
    public string Host { get; init; } = "";

    /// <summary>The release that made it.</summary>
    public string Version { get; init; } = "";

    /// <summary>Where it was restored from.</summary>
    public string Destination { get; init; } = "";

    /// <summary>The moment that was asked for; null where it was the newest restore point.</summary>
    public DateTimeOffset? RequestedTime { get; init; }

    /// <summary>With the next two, the point that was restored; 0 and null where none was.</summary>
    public uint Branch { get; init; }

    public ulong Position { get; init; }

    public DateTimeOffset? Time { get; init; }

    /// <summary>How long ago the destination was complete when the drill began; null where that is not known.</summary>
    public double? BackupAgeSeconds { get; init; }

    /// <summary>More than this is STALE; null where any age will do.</summary>
    public double? MaxAgeSeconds { get; init; }

    /// <summary>The time from the first look at the destination to the end of the last check; null where it was not restored.</summary>
    public double? RtoSeconds { get; init; }

    public double? RtoTargetSeconds { get; init; }

    /// <summary>
    /// How much of the newest work a loss of the source at the start of the drill could have cost; 0 where nothing changed since the
    /// newest restore point; null where that is not known, or where an older point was asked for.
    /// </summary>
    public double? RpoSeconds { get; init; }

    public double? RpoTargetSeconds { get; init; }

    /// <summary>Where the time went, in the order fetch, apply, recover, check, smoke.</summary>
    public IReadOnlyList<DrillPhase> Phases { get; init; } = [];

    public long SizeBytes { get; init; }

    public long FetchedBytes { get; init; }

    public ulong ChangeSets { get; init; }

    /// <summary>The checksum of the whole database, as the source had it at that commit; empty where nothing was restored.</summary>
    public string Checksum { get; init; } = "";

    /// <summary>How a cluster was recovered; its address is empty where that did not come to an end. Null for other sources.</summary>
    public VerifiedCluster? Cluster { get; init; }

    public IReadOnlyList<DrillCheck> Checks { get; init; } = [];

    /// <summary>The rows of each table of the restored database; of a cluster by database, schema and table.</summary>
    public IReadOnlyDictionary<string, long> Rows { get; init; } = new Dictionary<string, long>();

    /// <summary>Where the restored database was left; empty where it was removed again.</summary>
    public string KeptAt { get; init; } = "";

    /// <summary>When a drill of the newest restore point passed last; null where none did. A failed drill does not move it.</summary>
    public DateTimeOffset? LastPassedAt { get; init; }

    /// <summary>The rows that the next drill is compared with: those of the drill that passed last.</summary>
    public IReadOnlyDictionary<string, long>? RowsBaseline { get; init; }

    /// <summary>The moment whose rows <see cref="RowsBaseline"/> has.</summary>
    public DateTimeOffset? BaselineTime { get; init; }
}

/// <summary>A part of the time to recover.</summary>
/// <param name="Name">
/// One of: fetch (the destination was waited for), apply, recover (a server applied its log), check (the database's own, and the rows),
/// smoke (the checks that are configured).
/// </param>
/// <param name="Seconds">How long it took.</param>
public sealed record DrillPhase(string Name, double Seconds);

/// <summary>One check of a drill.</summary>
/// <param name="Name">What was checked, as the configuration spells it.</param>
/// <param name="Kind">
/// One of: destination, free_space, freshness, restore, server, recovery, integrity_check, rows, files, sql, command, url, exists, rto,
/// rpo.
/// </param>
/// <param name="Outcome">How it ended.</param>
/// <param name="Expected">What was expected; empty where the name says it.</param>
/// <param name="Found">What was found.</param>
/// <param name="Seconds">How long it took.</param>
public sealed record DrillCheck(string Name, string Kind, CheckOutcome Outcome, string Expected, string Found, double Seconds)
{
    /// <summary>The end of what it printed, where it failed.</summary>
    public string Output { get; init; } = "";
}
