using Salvor.Jobs.Clusters;
using Salvor.Jobs.Drills;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Drills;

/// <summary>A drill of a cluster says no more of what could have been lost than somebody knew.</summary>
public sealed class SourceKnowledgeTests
{
    static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch.AddDays(20_000);
    static readonly DateTimeOffset LastCommit = Now.AddHours(-3);

    static readonly FollowRecord Complete = new()
    {
        Server = "pg", Slot = "salvor_pg", Connected = true, Timeline = 2, ServerEnd = "0/5000", UpdatedAt = Now.AddSeconds(-4),
    };

    [Fact]
    public void What_a_server_may_have_written_since_it_was_heard_counts_as_lost() =>
        Assert.Equal(Now.AddSeconds(-64), CompleteAsOf(Complete));

    [Fact]
    public void A_clock_that_was_set_back_makes_it_no_newer() =>
        Assert.Equal(Now.AddSeconds(-60), CompleteAsOf(Complete with { UpdatedAt = Now.AddHours(1) }));

    [Fact]
    public void Without_a_follower_that_has_it_all_only_the_last_transaction_counts()
    {
        Assert.Equal(LastCommit, CompleteAsOf(null));
        Assert.Equal(LastCommit, CompleteAsOf(Complete with { Connected = false }));
        Assert.Equal(LastCommit, CompleteAsOf(Complete with { Standby = true }));
        Assert.Equal(LastCommit, CompleteAsOf(Complete with { WaitingSince = Now.AddMinutes(-1) }));
        Assert.Equal(LastCommit, CompleteAsOf(Complete with { Timeline = 1 }));
        Assert.Equal(LastCommit, CompleteAsOf(Complete with { ServerEnd = "0/5001" }));
        Assert.Equal(LastCommit, CompleteAsOf(Complete with { ServerEnd = "0/0" }));
        Assert.Equal(LastCommit, CompleteAsOf(Complete with { UpdatedAt = LastCommit }));
    }

    static DateTimeOffset CompleteAsOf(FollowRecord? followed) =>
        SourceKnowledge.CompleteAsOf(followed, (2, new Lsn(0x5000)), LastCommit, Now);
}
