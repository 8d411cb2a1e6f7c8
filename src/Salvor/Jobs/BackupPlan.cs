using Salvor.Jobs.Config;
using Salvor.Sqlite.Snapshots;

namespace Salvor.Jobs;

/// <summary>When a source is backed up next.</summary>
/// <param name="Due">When.</param>
/// <param name="Trigger">Why.</param>
/// <param name="Missed">What was due meanwhile and not made, for the history; null where nothing was.</param>
sealed record BackupPlan(DateTimeOffset Due, RunTrigger Trigger, RunRecord? Missed)
{
    /// <summary>So late a run is on time: a daemon was started again.</summary>
    static readonly TimeSpan OnTime = TimeSpan.FromMinutes(1);

    const int MissedMax = 10_000;

    /// <summary>Plans after a time in which nothing ran. However much was missed, it is made up for by one run.</summary>
    /// <param name="schedule">When it is to be made.</param>
    /// <param name="mark">How backups went so far; null where there was none.</param>
    /// <param name="last">The last run in the history; null where there is none.</param>
    /// <param name="now">The time now.</param>
    public static BackupPlan Make(ScheduleConfig schedule, BackupMark? mark, RunRecord? last, DateTimeOffset now)
    {
        if (mark?.LastSuccessAt is not { } noted)
        {
            return new(schedule.CatchesUp ? now : schedule.NextAfter(now), RunTrigger.Schedule, null);
        }

        // One that lies ahead was noted by a clock that was: waiting for that time would be no backup for as long.
        var success = noted < now ? noted : now;
        var first = schedule.NextAfter(success);
        if (now - first <= OnTime)
        {
            return new(first, RunTrigger.Schedule, null);
        }

        var missed = MissedOf(schedule, last?.EndedAt > success ? last.EndedAt : success, now - OnTime);
        return schedule.CatchesUp
            ? new(now, RunTrigger.CatchUp, missed)
            : new(schedule.NextAfter(now), RunTrigger.Schedule, missed);
    }

    /// <summary>What was due between two times; null where nothing was.</summary>
    static RunRecord? MissedOf(ScheduleConfig schedule, DateTimeOffset from, DateTimeOffset until)
    {
        var first = schedule.NextAfter(from);
        var (count, last) = (0, first);
        for (var due = first; due < until && count < MissedMax; due = schedule.NextAfter(due))
        {
            (count, last) = (count + 1, due);
        }

        return count == 0 ? null : new()
        {
            Trigger = RunTrigger.Schedule, Outcome = RunOutcome.Missed, StartedAt = first, EndedAt = last, Missed = count,
        };
    }
}
