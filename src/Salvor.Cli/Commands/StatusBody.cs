using Salvor.Cli.Terminal;
using Salvor.Jobs.Health;

namespace Salvor.Cli.Commands;

/// <summary>How a source fares, as a document.</summary>
static class StatusBody
{
    public static SourceStatusBody Of(SourceHealth health, IReadOnlyList<HealthProblem> problems) => new(
        health.Source,
        health.Path,
        HealthJudge.NameOf(health.State),
        health.Detail,
        health.Pid is not null,
        health.Pid,
        health.Pid is not null && health.State != HealthState.Stale,
        Seconds(health.Lag),
        [
            .. health.Destinations.Select(item => new DestinationStatusBody(
                item.Name, item.Location, item.Required, Seconds(item.Lag)!.Value, Seconds(item.BackingOff), item.Verified)),
        ],
        health.Last,
        health.Verified is { } verified
            ? new VerifiedBody(
                verified.Kind, verified.FinishedAt, Seconds(health.Now - verified.FinishedAt)!.Value, verified.Ok, verified.Position,
                health.VerifiedAt, verified.NotRecovered ?? "")
            : null,
        health.Verified is { Ok: true, Restore: { } restore } ? new ProvedBody(restore.Branch, restore.Position, restore.Time) : null,
        health.Backup is { } backup
            ? new BackupStatusBody(
                backup.LastSuccessAt, Seconds(health.AgeOf(backup.LastSuccessAt)), backup.LastFailureAt, backup.Failure, backup.BackupId,
                backup.BackupAt, backup.SizeBytes, backup.AddedBytes, backup.DurationSeconds, backup.Succeeded, backup.Failed,
                backup.Files, backup.PartialFiles, AnomalyBody.Of(backup.Anomaly, health.Source))
            : null,
        health.Followed,
        health.Pruned,
        new NextRunsBody(health.Next.Backup, health.Next.Verify, health.Next.Prune),
        [.. problems.Select(Of)]);

    static ProblemBody Of(HealthProblem problem) =>
        new(problem.Kind, problem.Severity == Severity.Page ? "page" : "ticket", problem.Message, problem.Hint);

    static double? Seconds(TimeSpan? time) => time is { } known ? Math.Round(known.TotalSeconds, 3) : null;
}
