using Salvor.Jobs.Clusters;
using Salvor.Platform;
using Salvor.Text;

namespace Salvor.Jobs.Health;

/// <summary>What to believe of what a follower of a cluster wrote: as with a status file, every doubt has a state and words.</summary>
static class FollowJudge
{
    const string StartHint = "Start 'salvor daemon', and look at its log for why it ended.";

    /// <summary>A follower writes every few seconds. A busy machine may be late.</summary>
    static readonly TimeSpan Silent = TimeSpan.FromSeconds(90);

    /// <param name="name">The source.</param>
    /// <param name="record">What was written; null for nothing.</param>
    /// <param name="isBackedUp">Whether it has a base backup.</param>
    /// <param name="isHeld">Whether somebody makes a backup now.</param>
    /// <param name="signs">What processes show.</param>
    public static Verdict Judge(string name, FollowRecord? record, bool isBackedUp, bool isHeld, ProcessSigns signs) => record switch
    {
        null => new(HealthState.Stopped, null, $"nothing follows the log of {name}", StartHint),
        _ when record.UpdatedAt > signs.Now + HealthReader.ClockSlack => new(
            HealthState.Unknown, null,
            $"what follows {name} wrote at {InstantText.Format(record.UpdatedAt)}, which is ahead of the clock",
            "Set the clock right ('timedatectl' shows it), and restart the daemon."),
        { Stopped: true } => new(HealthState.Stopped, null, $"nothing follows the log of {name}", StartHint),
        _ when record.Host != ProcessIdentity.Current().Host => new(
            HealthState.Unknown, null, $"the log of {name} was last followed on host {record.Host}",
            "Check it on that host; if the daemon moved to this one, start it here."),
        _ when record.BootId != ProcessIdentity.Current().BootId || record.Writer.IsProvablyDead() => new(
            HealthState.Stopped, null, $"nothing follows the log of {name}: pid {record.Pid} ended without saying so", StartHint),
        _ when signs.Now - record.UpdatedAt > Silent && signs.Responds(record.Pid, "") => new(
            HealthState.Stale, record.Pid,
            $"pid {record.Pid} has written nothing of {name} since {InstantText.Format(record.UpdatedAt)}",
            "Look at its log, and whether the disk with its state is full ('df -h') or hangs."),
        _ when !signs.Responds(record.Pid, "") => new(
            HealthState.Stale, record.Pid, $"pid {record.Pid}, which follows {name}, does not respond",
            $"Let it go on with 'kill -CONT {record.Pid}', or end it with 'kill -KILL {record.Pid}' and start it again: the slot keeps "
                + "what the server writes meanwhile."),
        _ => Said(name, record, isBackedUp, isHeld, signs.Now),
    };

    static Verdict Said(string name, FollowRecord record, bool isBackedUp, bool isHeld, DateTimeOffset now) => record switch
    {
        { Problem.Length: > 0 } => new(HealthState.Failing, record.Pid, record.Problem, record.Hint),
        { StoreProblem.Length: > 0 } => new(HealthState.BackingOff, record.Pid, record.StoreProblem, record.StoreHint),
        { WaitingSince: { } since } when now - since > HealthJudge.StartMax => new(
            HealthState.BackingOff, record.Pid,
            $"log of {name} has waited since {InstantText.Format(since)} to be {(record.Connected ? "stored" : "received")}",
            "Look whether the server and the first destination answer, and restart the daemon where they do."),
        { Connected: false } => new(HealthState.Starting, record.Pid, "", ""),
        { BackupNeeded.Length: > 0 } when !isBackedUp && isHeld => new(HealthState.Copying, record.Pid, "", ""),
        { BackupNeeded.Length: > 0 } => new(
            HealthState.Failing, record.Pid, record.BackupNeeded,
            $"The daemon makes a base backup at once, and again where that fails: its log says why. 'salvor backup {name}' makes one too."),
        _ => new(HealthState.Healthy, record.Pid, "", ""),
    };
}
