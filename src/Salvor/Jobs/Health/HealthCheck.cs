using Salvor.Jobs.Config;
using Salvor.Text;

namespace Salvor.Jobs.Health;

/// <summary>Who has to do something about a problem.</summary>
enum Severity
{
    /// <summary>Somebody, now.</summary>
    Page,

    /// <summary>Somebody, on a working day.</summary>
    Ticket,
}

/// <summary>One thing that is wrong with a source.</summary>
/// <param name="Kind">
/// One of: unprotected, unknown, stopped, stale, awaiting_export, behind, backing_off, failing, paused, lag, backup_age, incomplete,
/// verify_failed, verify_age, drill_age, backup_failed, backup_missed, partial, log_gap.
/// </param>
/// <param name="Source">The source.</param>
/// <param name="Severity">Who has to do something.</param>
/// <param name="Message">What is wrong, without a full stop.</param>
/// <param name="Hint">What to do about it.</param>
sealed record HealthProblem(string Kind, string Source, Severity Severity, string Message, string Hint)
{
    /// <summary>The destination that it is about; empty where it is about none, or about all.</summary>
    public string Destination { get; init; } = "";
}

/// <summary>What is wrong with sources: whether they live, which takes no limits, and whether they are within limits.</summary>
static class HealthCheck
{
    /// <summary>More than an operator reads in one line; <c>--json</c> has them all.</summary>
    const int MessagesMax = 5;

    /// <summary>What is wrong with a source.</summary>
    /// <param name="health">How it fares.</param>
    /// <param name="limits">What is allowed; <see cref="HealthLimits.None"/> where only that it lives is asked.</param>
    public static IEnumerable<HealthProblem> Problems(SourceHealth health, HealthLimits limits) =>
    [
        .. Liveness(health), .. Lag(health, limits.Lag), .. BackupAge(health, limits.BackupAge),
        .. VerifyAge(health, limits.VerifyAge), .. DrillAge(health, limits),
    ];

    /// <summary>All problems as the one error that a check ends with; null where there are none.</summary>
    public static SalvorException? Failure(IReadOnlyList<HealthProblem> problems)
    {
        if (problems.Count == 0)
        {
            return null;
        }

        string[] stopped = [.. problems.Where(problem => problem.Kind == "stopped").Select(problem => problem.Source)];
        string[] messages =
        [
            .. stopped.Length > 0 ? [$"nothing serves {Suggestion.Enumerate(stopped)}"] : Array.Empty<string>(),
            .. problems.Where(problem => problem.Kind != "stopped").Select(problem => problem.Message),
        ];
        var more = messages.Length > MessagesMax ? $"; and {messages.Length - MessagesMax} more" : "";
        var first = problems.FirstOrDefault(problem => problem.Kind == "stopped") ?? problems[0];
        return new SalvorException(FailureKind.Unhealthy, string.Join("; ", messages.Take(MessagesMax)) + more, first.Hint);
    }

    static IEnumerable<HealthProblem> Liveness(SourceHealth health)
    {
        var source = health.Source;
        if (OfLog(health) is { } ofLog)
        {
            yield return ofLog;
        }

        var state = health.OfBackups ?? health.State;
        var message = state switch
        {
            HealthState.Unprotected when health.HasSnapshotsOnly => $"{source} is configured and was never backed up from here",
            HealthState.Failing when health.HasSnapshotsOnly => $"the last backup of {source} failed: {health.Backup?.Failure}",
            HealthState.Stopped when health.OfLog is not null => $"a backup of {source} that was due was not made",
            HealthState.Stopped when health.HasSnapshotsOnly => health.Detail,
            HealthState.Unprotected => $"{source} is configured and was never served from here",
            HealthState.Unknown or HealthState.Stale => health.Detail,
            HealthState.Stopped => $"nothing serves {source}",
            HealthState.AwaitingExport => $"nothing is stored of {source} yet: {health.Detail}",
            HealthState.Behind => $"{source} is behind: writers change the database faster than it can be copied",
            HealthState.BackingOff => $"{source} backs off: {health.Detail}",
            HealthState.Failing => $"{source} is not captured: {health.Detail}",
            HealthState.Paused => $"{source} is paused, and nothing is captured of it",
            _ => null,
        };
        if (message is not null)
        {
            var kind = (health.HasSnapshotsOnly, state) switch
            {
                (true, HealthState.Failing) => "backup_failed",
                (true, HealthState.Stopped) => "backup_missed",
                _ => HealthJudge.NameOf(state),
            };
            yield return new(kind, source, Severity.Page, message, HintOf(health))
            {
                Destination = health is { State: HealthState.BackingOff, Destinations: [var first, ..] } ? first.Name : "",
            };
        }

        if (health.Backup is { PartialFiles: > 0 and var count })
        {
            yield return new(
                "partial", source, Severity.Ticket,
                $"the last backup of {source} lacks {count} name(s) that could not be read, or changed while they were read",
                $"Run 'salvor backup {source}', which names them; let it run as one who may read them, or leave them out with 'exclude'.");
        }

        foreach (var copy in health.Copies)
        {
            var name = copy.Name.Length > 0 ? copy.Name : copy.Destination;
            if (copy.Error.Length > 0)
            {
                yield return new("backing_off", source, Severity.Page, $"the copy of {source} at {name} backs off: {copy.Error}", copy.Hint)
                {
                    Destination = name,
                };
            }

            if (copy.Lack.Length > 0)
            {
                yield return new(
                    "incomplete", source, Severity.Ticket, $"the copy of {source} at {name} is incomplete: {copy.Lack}",
                    $"It is being filled up: 'salvor status {source}' says when that is done.")
                {
                    Destination = name,
                };
            }
        }
    }

    /// <summary>What is wrong with how a cluster is followed.</summary>
    static HealthProblem? OfLog(SourceHealth health) => health.OfLog switch
    {
        null or { State: HealthState.Healthy or HealthState.Starting or HealthState.Copying } => null,
        { State: HealthState.Failing, Detail: var lack, Hint: var hint } when health.Followed?.Problem.Length == 0 => new(
            "log_gap", health.Source, Severity.Page, $"{health.Source} cannot be restored to its newest state: {lack}", hint),
        { } log => new(
            HealthJudge.NameOf(log.State), health.Source, Severity.Page,
            log.State switch
            {
                HealthState.Failing => $"the log of {health.Source} is not received: {log.Detail}",
                HealthState.BackingOff => $"the log of {health.Source} is not stored: {log.Detail}",
                _ => log.Detail,
            },
            log.Hint),
    };

    static string HintOf(SourceHealth health) => health.State switch
    {
        HealthState.Behind => "Let the app run 'PRAGMA journal_mode=WAL', or allow a longer lock with 'max_block'.",
        HealthState.Paused => "A restore in place resumes it when it ends; restart the daemon if none runs.",
        _ when health.Hint.Length > 0 => health.Hint,
        _ => $"Run 'salvor status {health.Source}' and look at the log of the daemon.",
    };

    static IEnumerable<HealthProblem> Lag(SourceHealth health, TimeSpan? limit) =>
        from destination in health.Destinations
        where destination.Lag > limit
        select new HealthProblem(
            "lag",
            health.Source,
            Severity.Page,
            $"{health.Source} lags {Age(destination.Lag)} at {destination.Name}; at most {Limit(limit!.Value)} is allowed",
            $"Run 'salvor status {health.Source}' to see what it waits for.")
        {
            Destination = destination.Name,
        };

    static IEnumerable<HealthProblem> BackupAge(SourceHealth health, TimeSpan? limit)
    {
        if (limit is not { } allowed || health.AgeOf(health.Backup?.LastSuccessAt) <= allowed)
        {
            yield break;
        }

        var why = health.Backup?.Failure is { Length: > 0 } failure ? $" ({failure})" : "";
        yield return new(
            "backup_age",
            health.Source,
            Severity.Page,
            $"{Said(health, health.Backup?.LastSuccessAt, "backed up")}{why}; at most {Limit(allowed)} is allowed",
            health.HasSnapshotsOnly
                ? $"Run 'salvor backup {health.Source}' to see why, and look whether what runs it does."
                : $"Run 'salvor backup {health.Source}' to see why; the daemon makes one every 'snapshot_every'.");
    }

    static IEnumerable<HealthProblem> VerifyAge(SourceHealth health, TimeSpan? limit)
    {
        if (limit is not { } allowed)
        {
            yield break;
        }

        if (health.Verified is { Ok: false })
        {
            yield return new(
                "verify_failed",
                health.Source,
                Severity.Page,
                $"the last verification of {health.Source} found damage or failed",

                // One that reads less does not make it undone.
                $"Run 'salvor repair {health.Source}', then 'salvor verify {health.Source} --deep --full', which reads everything.");
        }
        else if (health.AgeOf(health.VerifiedAt) is not { } age || age > allowed)
        {
            var text = Said(health, health.VerifiedAt, "verified");
            yield return new(
                "verify_age",
                health.Source,
                Severity.Page,
                $"{text}; at most {Limit(allowed)} is allowed",
                "Run 'salvor verify --deep', and let the daemon do it with 'verify: { every: 24h }'.");
        }
    }

    /// <summary>Drills are made on request: that there was none yet is a problem only where they are asked for.</summary>
    static IEnumerable<HealthProblem> DrillAge(SourceHealth health, HealthLimits limits)
    {
        var isAsked = health.Drill is not null || limits.NeedsDrill;
        if (limits.DrillAge is { } allowed && isAsked && !(health.AgeOf(health.Drill?.LastPassedAt) <= allowed))
        {
            yield return new(
                "drill_age",
                health.Source,
                Severity.Ticket,
                $"{Said(health, health.Drill?.LastPassedAt, "drilled with success")}; at most {Limit(allowed)} is allowed",
                $"Run 'salvor drill {health.Source}'.");
        }
    }

    static string Said(SourceHealth health, DateTimeOffset? time, string what) => (time, health.AgeOf(time)) switch
    {
        (null, _) => $"{health.Source} was never {what}",
        ({ } ahead, null) => $"{health.Source} was {what} at {InstantText.Format(ahead)}, which is ahead of the clock",
        (_, { } age) => $"{health.Source} was {what} {Age(age)} ago",
    };

    /// <summary>As limits are written: 26h says more than 1d2h.</summary>
    static string Limit(TimeSpan limit) =>
        limit < TimeSpan.FromHours(100) && limit.Ticks % TimeSpan.TicksPerHour == 0 ? $"{limit.TotalHours:0}h" : DurationText.Format(limit);

    static string Age(TimeSpan age) => DurationText.FormatShort(TimeSpan.FromSeconds(Math.Round(age.TotalSeconds)));
}
