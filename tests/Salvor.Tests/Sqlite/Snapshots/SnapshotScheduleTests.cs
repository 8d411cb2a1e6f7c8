using Salvor.Sqlite.Snapshots;

namespace Salvor.Tests.Sqlite.Snapshots;

public sealed class SnapshotScheduleTests
{
    const long MiB = 1 << 20;

    [Theory]
    [InlineData(true, 24, 0, 0, true)]
    [InlineData(true, 23.99, 0, 0, false)]
    [InlineData(false, 1000, 0, 0, false)]
    [InlineData(true, 0, 64, 0, false)]
    [InlineData(true, 0, 65, 0, true)]
    [InlineData(true, 0, 65, 130, false)]
    [InlineData(true, 0, 66, 130, true)]
    [InlineData(false, 0, 1000, 0, false)]
    [InlineData(true, -5, 0, 0, false)]
    public void A_snapshot_is_due_when_it_is_old_or_the_log_is_long(bool changed, double hours, long logMiB, long sizeMiB, bool expected)
    {
        var state = new SnapshotState(changed, TimeSpan.FromHours(hours), logMiB * MiB, sizeMiB * MiB);

        Assert.Equal(expected, SnapshotSchedule.IsDue(state, every: TimeSpan.FromHours(24)));
    }
}
