using Salvor.Jobs.Drills;
using Salvor.Platform;
using Salvor.Sqlite;

namespace Salvor.Jobs.Doctor;

/// <summary>What the files of local state say of the process that serves a database, and of what it last did.</summary>
sealed record DaemonFacts
{
    public required string Source { get; init; }

    /// <summary>Who holds the lock now; null where nobody does.</summary>
    public LockHolder? Holder { get; init; }

    /// <summary>What the last one wrote down; null where there is nothing that can be read.</summary>
    public StatusRecord? Last { get; init; }

    /// <summary>Whether the one that wrote it ended without saying so.</summary>
    public bool IsFromTheDead { get; init; }

    /// <summary>Whether the holder shows that it works.</summary>
    public bool Responds { get; init; }

    public VerifyRecord? Verified { get; init; }

    /// <summary>When a drill restored the newest point and passed; null where none did.</summary>
    public DateTimeOffset? DrilledAt { get; init; }

    public PruneRecord? Pruned { get; init; }

    /// <summary>How often it is to be verified; null where the daemon does not do it.</summary>
    public TimeSpan? VerifyEvery { get; init; }

    /// <summary>Why local state cannot be read; null where it can.</summary>
    public SalvorException? Failure { get; init; }

    /// <param name="name">The source.</param>
    /// <param name="path">Its database.</param>
    /// <param name="state">The folder of its local state.</param>
    /// <param name="now">The time now.</param>
    public static DaemonFacts Gather(string name, string path, string state, DateTimeOffset now)
    {
        var facts = new DaemonFacts { Source = name };
        try
        {
            var holder = LockFile.HolderOf(LocalState.LockPath(state, path));
            var last = StatusFile.Read(LocalState.StatusPath(state, path));
            return facts with
            {
                Holder = holder,
                Last = last,
                IsFromTheDead = holder is null && last is { State: not "stopped" } && last.IsFromTheDead(),
                Responds = holder is not null && Heartbeat.IsSeen(holder.Pid, holder.Socket, now),
                Verified = VerifyFile.Read(LocalState.VerifyPath(state, path)),
                DrilledAt = DrillFile.Read(LocalState.DrillPath(state, path))?.LastPassedAt,
                Pruned = PruneFile.Read(LocalState.PrunePath(state, path)),
            };
        }
        catch (SalvorException e)
        {
            return facts with { Failure = e };
        }
    }
}
