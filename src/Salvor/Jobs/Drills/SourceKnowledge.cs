using Salvor.Jobs.Clusters;
using Salvor.Postgres.Protocol;
using Salvor.Sqlite;
using Salvor.Vault.Restore;
using Salvor.Vault.Wal;

namespace Salvor.Jobs.Drills;

/// <summary>What this machine knows of a source beside its vault: whether anything is newer than what a destination has.</summary>
static class SourceKnowledge
{
    /// <summary>
    /// A daemon that lives, has nothing waiting and is at this very point says that the destination is complete now, also where the source
    /// is idle and the destination has no word of that.
    /// </summary>
    public static DateTimeOffset CompleteAsOf(DrillRequest request, RestorePoint point, DateTimeOffset known, DateTimeOffset now)
    {
        if (StatusAt(request, point) is not { State: "healthy", LagSeconds: 0 } status)
        {
            return known;
        }

        var lives = !status.IsFromTheDead() && Heartbeat.IsSeen(status.Pid, status.Socket, now);
        return lives && now > known ? now : known;
    }

    /// <summary>
    /// When the files of the source were written last; null where they are not here. A file of that name that was not copied to this very
    /// point from here may be another one, on a machine that stands by.
    /// </summary>
    public static DateTimeOffset? WrittenAt(DrillRequest request, RestorePoint point)
    {
        if (StatusAt(request, point) is null || !File.Exists(request.DatabasePath))
        {
            return null;
        }

        string[] files = [request.DatabasePath, request.DatabasePath + "-wal", request.DatabasePath + "-journal"];
        return files.Where(File.Exists).Select(file => new DateTimeOffset(File.GetLastWriteTimeUtc(file), TimeSpan.Zero)).Max();
    }

    /// <summary>What whoever follows the log of a cluster wrote down last; null where nobody does here.</summary>
    public static FollowRecord? Followed(DrillRequest request) => request.StateDirectory is { } state
        ? FollowFile.Read(LocalState.FollowPath(state, request.DatabasePath))
        : null;

    /// <summary>
    /// Up to when all that was committed is in what a recovery brings back: not only up to its last transaction, where a follower had
    /// nothing waiting and the recovery reaches all that the server had said to have. What a server wrote since it was heard is not known,
    /// and it may have been silent for a while. A standby does not say what its primary has.
    /// </summary>
    /// <param name="followed">What was written down before the vault was listed.</param>
    /// <param name="reach">The timeline, and up to where its log is recovered.</param>
    /// <param name="known">When the last transaction in that was committed.</param>
    /// <param name="now">When the drill began.</param>
    public static DateTimeOffset CompleteAsOf(
        FollowRecord? followed, (uint Timeline, Lsn End) reach, DateTimeOffset known, DateTimeOffset now)
    {
        if (followed is not { Connected: true, WaitingSince: null, Standby: false } || followed.Timeline != reach.Timeline
            || !Lsn.TryParse(followed.ServerEnd, out var end) || end == Lsn.None || end > reach.End)
        {
            return known;
        }

        var heard = (followed.UpdatedAt < now ? followed.UpdatedAt : now) - WalStream.SilenceMaxDefault;
        return heard > known ? heard : known;
    }

    /// <summary>What was last written down here of the source, if the point is the last one that was stored from here.</summary>
    static StatusRecord? StatusAt(DrillRequest request, RestorePoint point) => request.StateDirectory is { } state
        && StatusFile.Read(LocalState.StatusPath(state, request.DatabasePath)) is { } status
        && status.Position == point.Position.Value && status.Branch == point.Branch
            ? status
            : null;
}
