using Salvor.Sqlite;
using Salvor.Vault.Restore;

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

    /// <summary>What was last written down here of the source, if the point is the last one that was stored from here.</summary>
    static StatusRecord? StatusAt(DrillRequest request, RestorePoint point) => request.StateDirectory is { } state
        && StatusFile.Read(LocalState.StatusPath(state, request.DatabasePath)) is { } status
        && status.Position == point.Position.Value && status.Branch == point.Branch
            ? status
            : null;
}
