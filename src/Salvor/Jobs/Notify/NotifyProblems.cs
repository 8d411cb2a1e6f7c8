using Salvor.Jobs.Drills;
using Salvor.Jobs.Health;
using Salvor.Text;

namespace Salvor.Jobs.Notify;

/// <summary>One thing that is wrong with a source now.</summary>
/// <param name="Kind">Failure, missed or stale.</param>
/// <param name="Problem">What kind of problem it is, as <c>status --json</c> calls it where that knows it.</param>
/// <param name="Source">The source.</param>
/// <param name="Destination">The destination; empty where it is about none.</param>
/// <param name="Text">What is wrong, without a full stop.</param>
/// <param name="Hint">What to do about it.</param>
sealed record NotifyProblem(NotifyKind Kind, string Problem, string Source, string Destination, string Text, string Hint);

/// <summary>
/// What people are told of: all that a check by the policy finds, what a record says that failed, and what should have run and did not.
/// </summary>
static class NotifyProblems
{
    static readonly string[] Stale = ["lag", "backup_age", "verify_age", "drill_age", "drill_stale"];

    /// <summary>A machine with many sources verifies them one after the other, and the first time comes within an hour.</summary>
    static readonly TimeSpan SlackMin = TimeSpan.FromHours(1);

    /// <param name="health">How the source fares.</param>
    /// <param name="firstSeen">Since when it is watched: what never happened cannot be late before that.</param>
    public static IReadOnlyList<NotifyProblem> Of(SourceHealth health, DateTimeOffset firstSeen)
    {
        NotifyProblem[] all =
        [
            .. HealthCheck.Problems(health, health.Limits)
                .Where(problem => !IsTooEarly(problem.Kind, health, firstSeen))
                .Select(problem => Make(problem.Kind, health, problem.Destination, problem.Message, problem.Hint)),
            .. Records(health), .. Missed(health, firstSeen),
        ];

        // What was missed is too old too.
        string[] missed =
        [
            .. all.Where(item => item.Kind == NotifyKind.Missed)
                .Select(item => item.Problem.Replace("_missed", "_age", StringComparison.Ordinal)),
        ];
        return [.. all.Where(item => !missed.Contains(item.Problem))];
    }

    /// <summary>What files say that failed last.</summary>
    static IEnumerable<NotifyProblem> Records(SourceHealth health)
    {
        var source = health.Source;
        if (health is { HasSnapshotsOnly: false, Backup.Failure: { Length: > 0 } failure })
        {
            yield return Make(
                "backup_failed", health, "", $"the last backup of {source} failed: {failure}", $"Run 'salvor backup {source}' to see why.");
        }

        if (health.Backup?.Anomaly is { } anomaly)
        {
            yield return Make(
                "anomaly", health, "", $"backup {anomaly.BackupId} of {source} looks as if ransomware had been there: {anomaly.Text}",
                anomaly.Hint(source));
        }

        if (health.Pruned is { Error.Length: > 0 } pruned)
        {
            yield return Make("prune_failed", health, "", $"{source} was not pruned: {pruned.Error}", pruned.Hint);
        }

        if (health.Drill is { Result: not DrillResult.Pass } drill)
        {
            yield return Make(
                drill.Result == DrillResult.Fail ? "drill_failed" : "drill_stale", health, drill.Destination,
                $"the last drill of {source} did not pass: {drill.Reason}",
                drill.Hint.Length > 0 ? drill.Hint : $"Run 'salvor drill {source}' again when it is mended.");
        }
    }

    /// <summary>What the daemon should have done by now.</summary>
    static IEnumerable<NotifyProblem> Missed(SourceHealth health, DateTimeOffset firstSeen)
    {
        var config = health.Config;
        if (IsLate(config?.Verify.Every, health.Verified?.FinishedAt))
        {
            yield return Make(
                "verify_missed", health, "", Said("verified", health.Verified?.FinishedAt, config!.Verify.Every!.Value),
                $"Run 'salvor verify {health.Source} --deep', and look at the log of the daemon for what keeps it.");
        }

        if (IsLate(config?.Drill.Every, health.Drill?.FinishedAt))
        {
            yield return Make(
                "drill_missed", health, "", Said("drilled", health.Drill?.FinishedAt, config!.Drill.Every!.Value),
                $"Run 'salvor drill {health.Source}', and look at the log of the daemon for what keeps it.");
        }

        bool IsLate(TimeSpan? every, DateTimeOffset? last)
        {
            // Where nothing is stored yet there is nothing to verify, and other problems say that.
            if (every is not { } often || health.Backup is null)
            {
                return false;
            }

            var slack = often / 2 > SlackMin ? often / 2 : SlackMin;
            return health.Now > (last > firstSeen ? last.Value : firstSeen) + often + slack;
        }

        string Said(string what, DateTimeOffset? last, TimeSpan every) =>
            (last is { } then ? $"{health.Source} was {what} last at {InstantText.Format(then)}" : $"{health.Source} was never {what}")
                + $"; it is to be every {DurationText.Format(every)}";
    }

    /// <summary>Whether an age is too great only because there was no time yet.</summary>
    static bool IsTooEarly(string problem, SourceHealth health, DateTimeOffset firstSeen)
    {
        var (last, limit) = problem switch
        {
            "backup_age" => (health.Backup?.LastSuccessAt, health.Limits.BackupAge),
            "verify_age" => (health.VerifiedAt, health.Limits.VerifyAge),
            "drill_age" => (health.Drill?.LastPassedAt, health.Limits.DrillAge),
            _ => (DateTimeOffset.MinValue, null),
        };
        return last is null && health.Now - firstSeen <= limit;
    }

    static NotifyProblem Make(string problem, SourceHealth health, string destination, string text, string hint) => new(
        problem.EndsWith("_missed", StringComparison.Ordinal) ? NotifyKind.Missed
            : Stale.Contains(problem) ? NotifyKind.Stale
            : NotifyKind.Failure,
        problem, health.Source, destination, text, hint);

    /// <summary>What is wrong, in words that follow the name of the source.</summary>
    public static string What(string problem) => problem switch
    {
        "unprotected" => "is not protected",
        "unknown" => "cannot be judged",
        "stopped" => "is not served",
        "stale" => "is not responding",
        "awaiting_export" => "waits for its key to be exported",
        "behind" => "is behind",
        "backing_off" => "backs off",
        "incomplete" => "has an incomplete copy",
        "failing" => "is not captured",
        "paused" => "is paused",
        "lag" => "lags",
        "backup_age" => "has no recent backup",
        "backup_failed" => "was not backed up",
        "backup_missed" => "was not backed up in time",
        "log_gap" => "has log that no backup leads to",
        "partial" => "has a partial backup",
        "anomaly" => "looks as if ransomware had been there",
        "verify_age" => "has no recent verification",
        "verify_failed" => "failed its verification",
        "verify_missed" => "was not verified in time",
        "drill_age" => "has no recent drill",
        "drill_failed" => "failed its drill",
        "drill_stale" => "was too old in its drill",
        "drill_missed" => "was not drilled in time",
        "prune_failed" => "was not pruned",
        _ when problem.EndsWith("_job", StringComparison.Ordinal) => "failed",
        _ => problem.Replace('_', ' '),
    };
}
