using System.Text.Json;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Sqlite.Snapshots;
using Salvor.Text;

namespace Salvor.Jobs.Health;

/// <summary>All that a state is judged by.</summary>
sealed record Evidence
{
    /// <summary>The source.</summary>
    public required string Name { get; init; }

    /// <summary>Its database.</summary>
    public required string Path { get; init; }

    /// <summary>Who holds its lock now; null where nobody does.</summary>
    public required LockHolder? Holder { get; init; }

    /// <summary>What a process wrote last; null where none did.</summary>
    public required StatusRecord? Last { get; init; }

    /// <summary>Whether that process certainly runs no more.</summary>
    public required bool IsDead { get; init; }

    /// <summary>Whether the process that holds the lock, or wrote last, shows that it works.</summary>
    public required bool Responds { get; init; }

    /// <summary>Who judges.</summary>
    public required ProcessIdentity Here { get; init; }

    public required DateTimeOffset Now { get; init; }
}

/// <summary>How a source is.</summary>
/// <param name="State">Its state.</param>
/// <param name="Pid">The living process that serves it; null where none does.</param>
/// <param name="Detail">Why, where that needs words.</param>
/// <param name="Hint">What to do about it.</param>
readonly record struct Verdict(HealthState State, int? Pid, string Detail, string Hint);

/// <summary>
/// What to believe of a status file. It is healthy only where a process that certainly wrote it certainly lives, and works; every doubt has
/// a state and words of its own.
/// </summary>
static class HealthJudge
{
    /// <summary>How long a process may have a source without having said anything of it.</summary>
    public static readonly TimeSpan StartMax = TimeSpan.FromMinutes(5);

    const string StartHint = "Start 'salvor daemon' or 'salvor replicate DB DEST', and look at its log for why it ended.";

    public static Verdict Judge(Evidence evidence) => evidence switch
    {
        { Last: { } last } when last.UpdatedAt > evidence.Now + HealthReader.ClockSlack => new(
            HealthState.Unknown,
            evidence.Holder?.Pid,
            $"the status of {evidence.Name} is from {InstantText.Format(last.UpdatedAt)}, which is ahead of the clock",
            "Set the clock right ('timedatectl' shows it), and restart the daemon, so that it writes its status anew."),
        { Holder: { } holder } => JudgeHeld(evidence, holder),
        { Last: null } => new(
            HealthState.Unprotected,
            null,
            SqliteDatabase.Obstacle(evidence.Path)?.Message ?? "",
            "Start 'salvor daemon' or 'salvor replicate DB DEST'."),
        { Last: { } last } => JudgeUnheld(evidence, last),
    };

    /// <summary>A source that has snapshots alone: by how the last backup went, and whether the next was made when due.</summary>
    public static Verdict Judge(
        SnapshotSourceConfig source, BackupMark? mark, LockHolder? holder, DateTimeOffset? due, DateTimeOffset now)
    {
        if (mark?.LastTriedAt > now + HealthReader.ClockSlack)
        {
            return new(
                HealthState.Unknown, holder?.Pid,
                $"the last backup of {source.Name} is from {InstantText.Format(mark.LastTriedAt.Value)}, which is ahead of the clock",
                "Set the clock right ('timedatectl' shows it), and run 'salvor backup'.");
        }

        if (mark is null)
        {
            return holder is null
                ? new(HealthState.Unprotected, null, "", $"Run 'salvor backup {source.Name}'.")
                : new(HealthState.Copying, holder.Pid, "", "");
        }

        if (mark.Failure.Length > 0)
        {
            return new(HealthState.Failing, holder?.Pid, mark.Failure, $"Run 'salvor backup {source.Name}' to see why.");
        }

        return holder is null && due is { } when && source.Schedule is { } schedule && now > when + schedule.Jitter + schedule.Slack
            ? new(
                HealthState.Stopped, null, $"the backup of {source.Name} that was due at {InstantText.Format(when)} was not made",
                "Start 'salvor daemon', which makes it, or look at its log for what keeps it.")
            : new(HealthState.Healthy, holder?.Pid, "", "");
    }

    static Verdict JudgeHeld(Evidence evidence, LockHolder holder)
    {
        if (!evidence.Responds)
        {
            return Frozen(evidence, holder.Pid);
        }

        if (evidence.Last is { State: not "stopped" } last && IsBy(last, holder))
        {
            return Said(last, holder.Pid);
        }

        return evidence.Now - holder.Since <= StartMax
            ? new(HealthState.Starting, holder.Pid, "", "")
            : new(
                HealthState.Stale,
                holder.Pid,
                $"pid {holder.Pid} has held {evidence.Name} since {InstantText.Format(holder.Since)} and never wrote how it fares",
                "Look at its log: it may not be allowed to write into the folder of the local state, or the disk is full.");
    }

    /// <summary>One that waits for its database, or failed, has no lock on it.</summary>
    static Verdict JudgeUnheld(Evidence evidence, StatusRecord last)
    {
        if (last.State == "stopped")
        {
            return new(HealthState.Stopped, null, "", StartHint);
        }

        if (last.Host != evidence.Here.Host || last.BootId.Length == 0 || last.StartTicks == 0)
        {
            return new(
                HealthState.Unknown,
                null,
                $"the status of {evidence.Name} was written on host {(last.Host.Length > 0 ? last.Host : "(unknown)")}, and nothing "
                    + "holds its lock here",
                $"Check it on that host; if the daemon moved to this one ({evidence.Here.Host}), start it here.");
        }

        if (last.BootId != evidence.Here.BootId)
        {
            return new(HealthState.Stopped, null, $"the machine was started again since pid {last.Pid} served it", StartHint);
        }

        if (evidence.IsDead)
        {
            return new(HealthState.Stopped, null, $"pid {last.Pid} ended without saying so", StartHint);
        }

        return evidence.Responds ? Said(last, last.Pid) : Frozen(evidence, last.Pid);
    }

    static bool IsBy(StatusRecord last, LockHolder holder) =>
        last.Pid == holder.Pid && last.Host == holder.Host && last.BootId == holder.BootId && last.StartTicks == holder.StartTicks;

    static Verdict Frozen(Evidence evidence, int pid) => new(
        HealthState.Stale,
        pid,
        $"pid {pid}, which serves {evidence.Name}, does not respond",
        $"Let it go on with 'kill -CONT {pid}', or end it with 'kill -KILL {pid}' and start it again: what was committed meanwhile is "
            + "caught up with.");

    static Verdict Said(StatusRecord last, int pid) =>
        Enum.TryParse<HealthState>(last.State.Replace("_", "", StringComparison.Ordinal), ignoreCase: true, out var state)
            && !char.IsAsciiDigit(last.State[0])
            ? new(state, pid, last.Detail, last.Hint)
            : new(
                HealthState.Unknown,
                pid,
                $"the status of {last.Source} says \"{last.State}\", which this version does not know",
                "Use the same version of Salvor for both.");

    /// <summary>As it is printed: <c>backing_off</c>.</summary>
    public static string NameOf(HealthState state) => JsonNamingPolicy.SnakeCaseLower.ConvertName(state.ToString());
}
