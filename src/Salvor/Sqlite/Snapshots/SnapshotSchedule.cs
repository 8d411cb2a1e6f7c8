namespace Salvor.Sqlite.Snapshots;

/// <summary>How the newest snapshot of a source stands to what came since.</summary>
/// <param name="Changed">Whether anything was committed since.</param>
/// <param name="Age">The time since the state that it holds.</param>
/// <param name="LogBytes">What the log stored since.</param>
/// <param name="SizeBytes">The size of the database in it.</param>
public readonly record struct SnapshotState(bool Changed, TimeSpan Age, long LogBytes, long SizeBytes);

/// <summary>When the next snapshot is made.</summary>
public static class SnapshotSchedule
{
    /// <summary>However small a database is: below this a restore reads the log in a moment.</summary>
    public const long LogBytesMin = 64 << 20;

    /// <summary>
    /// After some time, so that old log need not be kept for the sake of what follows; and when a restore would spend more on the log
    /// than on the snapshot.
    /// </summary>
    public static bool IsDue(SnapshotState state, TimeSpan every) =>
        state.Changed && (state.Age >= every || state.LogBytes > Math.Max(LogBytesMin, state.SizeBytes / 2));
}
