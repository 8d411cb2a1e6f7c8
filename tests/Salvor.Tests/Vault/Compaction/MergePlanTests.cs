using Salvor.Vault;
using Salvor.Vault.Compaction;

namespace Salvor.Tests.Vault.Compaction;

public sealed class MergePlanTests
{
    static readonly DateTimeOffset Now = new(2026, 8, 20, 10, 30, 0, TimeSpan.Zero);
    static readonly HashSet<Position> None = [];

    [Fact]
    public void Sixteen_fresh_objects_are_merged_and_fifteen_are_not()
    {
        Assert.Empty(Runs(Fresh(15 + 1)));
        Assert.Equal([(1, 16)], Runs(Fresh(16 + 1)));
    }

    [Fact]
    public void The_last_half_minute_and_the_last_object_stay()
    {
        MergeCandidate[] chain = [.. Fresh(40).Select((item, index) => index < 30 ? item : item with { TimeLast = Now.AddSeconds(-29) })];
        Assert.Equal([(1, 30)], Runs(chain));
        Assert.Equal([(1, 39)], Runs(Fresh(40)));
    }

    [Fact]
    public void A_merged_object_has_about_eight_MiB()
    {
        Assert.Equal([(1, 16), (17, 32)], Runs(Fresh(41, bytes: 512 << 10)));
        Assert.Empty(Runs(Fresh(41, bytes: 4 << 20)));
    }

    [Fact]
    public void An_hour_that_settled_is_merged_once_and_merged_objects_with_it()
    {
        var old = new DateTimeOffset(2026, 8, 20, 8, 59, 0, TimeSpan.Zero);
        MergeCandidate[] chain =
        [
            Candidate(new LogEntry(1, 16, 1000), 16, old.AddMinutes(-30)), Candidate(LogEntry.Of(17, 1000), 17, old),
            Candidate(LogEntry.Of(18, 1000), 18, old.AddMinutes(2)), Candidate(LogEntry.Of(19, 1000), 19, old.AddMinutes(3)),
            Candidate(LogEntry.Of(20, 1000), 20, Now.AddMinutes(-5)),
        ];

        // Of the hour from 9 on, which has not settled, two are too few.
        Assert.Equal([(1, 17)], Runs(chain));
        Assert.Empty(Runs([Candidate(new LogEntry(1, 17, 2000), 17, old.AddMinutes(-30)), .. chain[2..]]));
    }

    [Fact]
    public void Nothing_is_merged_across_an_edge_a_hole_or_through_a_change_set()
    {
        var chain = Fresh(60);
        Assert.Equal([(1, 20), (21, 59)], Runs(chain, new HashSet<Position> { new(20) }));
        chain[30] = chain[30] with { Entry = LogEntry.Of(31, -1) };
        Assert.Equal([(1, 30), (32, 59)], Runs(chain));
        chain = Fresh(60);
        (chain[57], chain[58]) = (chain[57] with { IsFinal = false }, chain[58] with { IsFinal = false });
        Assert.Equal([(1, 57)], Runs(chain));
    }

    [Fact]
    public void What_a_merged_object_covers_is_superseded_and_what_one_with_fewer_points_covers_is_not()
    {
        var log = new BranchLog(
        [
            .. Enumerable.Range(1, 30).Select(number => LogEntry.Of((ulong)number, 100)),
            new LogEntry(1, 10, 500), new LogEntry(11, 20, 300), new LogEntry(12, 14, 300),
        ]);

        var found = Superseded.Find(log, entry => entry.First != 11);

        Assert.Equal<ulong>([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14], [.. found.Select(item => item.Entry.First).Order()]);
        Assert.All(found, item => Assert.False(item.Entry.IsCompacted));
        Assert.Equal([(1UL, 10UL)], log.Chain.Take(1).Select(entry => (entry.First, entry.Last)));
    }

    static MergeCandidate[] Fresh(int count, long bytes = 1000) =>
        [.. Enumerable.Range(1, count).Select(number => Candidate(LogEntry.Of((ulong)number, bytes), (ulong)number, Now.AddMinutes(-1)))];

    static MergeCandidate Candidate(LogEntry entry, ulong position, DateTimeOffset time) =>
        new(entry, true, new Position(position), time, time);

    static (int, int)[] Runs(MergeCandidate[] chain, HashSet<Position>? edges = null) =>
        [.. MergePlan.Find(chain, edges ?? None, Now).Select(run => ((int)run.Entries[0].First, (int)run.Entries[^1].Last))];
}
