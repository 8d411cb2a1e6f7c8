using Salvor.Jobs.Clusters;
using Salvor.Jobs.Config;

namespace Salvor.Jobs.Health;

/// <summary>One figure of one source.</summary>
/// <param name="Value">The figure; infinite for an age where it never happened.</param>
/// <param name="Labels">What it is about, besides the source.</param>
readonly record struct MetricSample(double Value, params (string Name, string Value)[] Labels);

/// <summary>What one metric means, and how it follows from how a source fares.</summary>
/// <param name="Name">Its name, with its unit.</param>
/// <param name="Type">gauge or counter.</param>
/// <param name="Help">What it means.</param>
/// <param name="Samples">The figures of one source; none where it has none.</param>
sealed record MetricFamily(string Name, string Type, string Help, Func<SourceHealth, IEnumerable<MetricSample>> Samples)
{
    public static MetricFamily Gauge(string name, string help, Func<SourceHealth, IEnumerable<MetricSample>> samples) =>
        new(name, "gauge", help, samples);
}

/// <summary>
/// Every metric of a source. All of them follow from <see cref="SourceHealth"/>, as the checks do, so that the two cannot disagree.
/// </summary>
static class MetricFamilies
{
    public static readonly MetricFamily[] All =
    [
        MetricFamily.Gauge(
            "salvor_up",
            "Whether a living process serves the source and shows that it works.",
            health => PerDestination(health, _ => health.IsUp ? 1 : 0)),
        MetricFamily.Gauge(
            "salvor_check_ok",
            "Whether 'salvor status --check' finds nothing wrong with the source.",
            health => One(HealthCheck.Problems(health, HealthLimits.None).Any() ? 0 : 1)),
        MetricFamily.Gauge(
            "salvor_state",
            "1 for the state that the source is in.",
            health => [new(1, ("state", HealthJudge.NameOf(health.State)))]),
        MetricFamily.Gauge(
            "salvor_replica_lag_seconds",
            "The age of the oldest commit that is not durable at the destination; 0 when none waits.",
            health => health.Destinations.Select(item => new MetricSample(item.Lag.TotalSeconds, ("destination", item.Name)))),
        MetricFamily.Gauge(
            "salvor_replica_lag_max_seconds",
            "What the lag is allowed to be ('rpo').",
            health => One(health.Limits.Lag?.TotalSeconds)),
        MetricFamily.Gauge(
            "salvor_backing_off_seconds",
            "For how long the destination has not worked; absent while it does.",
            health => health.Destinations.Where(item => item.BackingOff is not null)
                .Select(item => new MetricSample(item.BackingOff!.Value.TotalSeconds, ("destination", item.Name)))),
        MetricFamily.Gauge(
            "salvor_outbox_bytes",
            "What waits on the local disk for the first destination.",
            health => One(health.Last?.OutboxBytes)),
        MetricFamily.Gauge(
            "salvor_wal_connected",
            "Whether the server of a cluster sends its log.",
            health => Followed(health, followed => followed.Connected && health.IsUp ? 1 : 0)),
        MetricFamily.Gauge(
            "salvor_wal_lag_bytes",
            "How much log of a cluster the vault lacks, as far as the server told.",
            health => Followed(health, followed => followed.LagBytes)),
        MetricFamily.Gauge(
            "salvor_wal_spool_bytes",
            "What is kept of the log of a cluster on this machine.",
            health => Followed(health, followed => followed.SpoolBytes)),
        MetricFamily.Gauge(
            "salvor_wal_stored_timestamp",
            "When log of a cluster was stored last; 0 before the first.",
            health => Followed(health, followed => Unix(followed.PublishedAt))),
        MetricFamily.Gauge(
            "salvor_wal_gaps",
            "How many gaps the log of a cluster has in the vault.",
            health => Followed(health, followed => followed.Gaps.Count)),
        MetricFamily.Gauge(
            "salvor_wal_backup_needed",
            "Whether no base backup of a cluster leads to its newest log.",
            health => Followed(health, followed => followed.BackupNeeded.Length > 0 ? 1 : 0)),
        MetricFamily.Gauge(
            "salvor_verify_ok",
            "Whether the last verification found nothing at the destination; absent before the first.",
            health => health.Destinations.Where(item => item.Verified is not null)
                .Select(item => new MetricSample(item.Verified!.Value ? 1 : 0, ("destination", item.Name)))),
        MetricFamily.Gauge(
            "salvor_verify_age_seconds",
            "The age of the last verification that found nothing; infinite where there was none.",
            health => One(SecondsSince(health, health.VerifiedAt))),
        MetricFamily.Gauge(
            "salvor_verify_age_max_seconds",
            "What that age is allowed to be ('max_verify_age').",
            health => One(health.Limits.VerifyAge?.TotalSeconds)),
        MetricFamily.Gauge(
            "salvor_backup_last_success_timestamp",
            "When a snapshot or backup was made last, or due and not needed; 0 before the first.",
            health => First(health, Unix(health.Backup?.LastSuccessAt))),
        MetricFamily.Gauge(
            "salvor_backup_last_failure_timestamp",
            "When a snapshot or backup failed last; 0 where none did.",
            health => First(health, Unix(health.Backup?.LastFailureAt))),
        MetricFamily.Gauge(
            "salvor_backup_duration_seconds",
            "How long the last snapshot or backup took.",
            health => First(health, health.Backup?.DurationSeconds ?? 0)),
        MetricFamily.Gauge(
            "salvor_backup_size_bytes",
            "The size of what is in the last snapshot or backup.",
            health => First(health, health.Backup?.SizeBytes ?? 0)),
        MetricFamily.Gauge(
            "salvor_backup_age_hours",
            "The age of the last snapshot or backup in hours; infinite where there is none.",
            health => First(health, SecondsSince(health, health.Backup?.LastSuccessAt) / 3600)),
        MetricFamily.Gauge(
            "salvor_backup_age_max_hours",
            "What that age is allowed to be ('max_backup_age').",
            health => One(health.Limits.BackupAge?.TotalHours)),
        MetricFamily.Gauge(
            "salvor_backup_files",
            "How many files are in the last backup; absent for databases.",
            health => One(health.Backup?.Files)),
        MetricFamily.Gauge(
            "salvor_backup_partial_files",
            "How many names of the last backup could not be read, or changed while they were read; absent for databases.",
            health => health.HasSnapshotsOnly ? One(health.Backup?.PartialFiles) : []),
        MetricFamily.Gauge(
            "salvor_backup_anomalies",
            "Whether the last backup, or one of the day before it, looks as if ransomware had been there; absent for databases.",
            health => health.Backup?.Files is null ? [] : One(health.Backup.Anomaly is null ? 0 : 1)),
        MetricFamily.Gauge(
            "salvor_backup_next_timestamp",
            "When the next snapshot or backup is due; absent where the daemon makes none.",
            health => health.Next.Backup is { } next ? One(Unix(next)) : []),
        MetricFamily.Gauge(
            "salvor_prune_age_seconds",
            "The age of the last prune by the daemon; absent before the first.",
            health => One(health.AgeOf(health.Pruned?.At)?.TotalSeconds)),
        new("salvor_backup_total", "counter", "Snapshots and backups since the first, by how they ended.", Totals),
        MetricFamily.Gauge(
            "salvor_drill_age_seconds",
            "The age of the last drill that passed; infinite where none of them did, absent where there was none.",
            health => health.Drill is null ? [] : One(SecondsSince(health, health.Drill.LastPassedAt))),
        MetricFamily.Gauge(
            "salvor_drill_age_max_seconds",
            "What that age is allowed to be ('max_drill_age').",
            health => One(health.Limits.DrillAge?.TotalSeconds)),
        MetricFamily.Gauge(
            "salvor_drill_rto_seconds",
            "How long the last drill took to recover.",
            health => One(health.Drill?.RtoSeconds)),
        MetricFamily.Gauge(
            "salvor_drill_rto_target_seconds",
            "How long it may take.",
            health => One(health.Drill?.RtoTargetSeconds)),
        MetricFamily.Gauge(
            "salvor_drill_rpo_seconds",
            "How much of the newest work would have been lost at the last drill.",
            health => One(health.Drill?.RpoSeconds)),
        MetricFamily.Gauge(
            "salvor_drill_rpo_target_seconds",
            "How much may be lost.",
            health => One(health.Drill?.RpoTargetSeconds)),
        MetricFamily.Gauge(
            "salvor_lock_age_seconds",
            "For how long a process has held the source.",
            health => health.Holder is { } holder
            ? [new(Math.Max(0, (health.Now - holder.Since).TotalSeconds), ("holder", $"{holder.Host}:{holder.Pid}"))]
            : []),
    ];

    /// <summary>Both from the start, at 0: what appears with its first failure never increased.</summary>
    static MetricSample[] Totals(SourceHealth health) =>
    [
        new(health.Backup?.Succeeded ?? 0, ("status", "success")),
        new(health.Backup?.Failed ?? 0, ("status", "failure")),
    ];

    static IEnumerable<MetricSample> PerDestination(SourceHealth health, Func<DestinationHealth, double> value) =>
        health.Destinations.Count == 0
            ? [new(0, ("destination", ""))]
            : health.Destinations.Select(item => new MetricSample(value(item), ("destination", item.Name)));

    static IEnumerable<MetricSample> Followed(SourceHealth health, Func<FollowRecord, double> value) =>
        health.Followed is { } followed ? [new(value(followed))] : [];

    static IEnumerable<MetricSample> First(SourceHealth health, double value) =>
        [new(value, ("destination", health.Destinations.Count == 0 ? "" : health.Destinations[0].Name))];

    static IEnumerable<MetricSample> One(double? value) => value is { } known ? [new(known)] : [];

    static double SecondsSince(SourceHealth health, DateTimeOffset? time) =>
        health.AgeOf(time)?.TotalSeconds ?? double.PositiveInfinity;

    static double Unix(DateTimeOffset? time) => time is { } known ? known.ToUnixTimeMilliseconds() / 1000.0 : 0;
}
