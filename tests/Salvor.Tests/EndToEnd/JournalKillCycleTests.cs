using Salvor.Tests.Support;

namespace Salvor.Tests.EndToEnd;

/// <summary>
/// The kills of <see cref="KillCycleTests" /> on a database without a write-ahead log. Its writers leave hardly a gap, so a copy of it
/// has to be made under a lock of at most 200 ms: beside many neighbours that take the processors it falls behind, as it should.
/// </summary>
[Collection(QuietMachine.Name)]
[Trait("Category", "EndToEnd")]
public sealed class JournalKillCycleTests
{
    [Fact]
    public Task A_journal_left_by_a_killed_app_is_not_taken_for_commits() =>
        KillCycleTests.KillAsync(
            TestSeed.Count("SALVOR_KILLS", KillCycleTests.KillsDefault) / 3,
            random => new()
            {
                // Half-written transactions lie in the database file itself until the journal is rolled back.
                Profile = "big",
                Journal = "delete",
                CacheKib = KillCycleTests.SpillingCacheKib,
                Rate = 20,
                Seed = random.Next(),
            });
}
