using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Vault.Pruning;

/// <summary>What records say of which no reader may be the worse; <c>tests/vectors</c> has many more of them.</summary>
public sealed class CondemnationsTests
{
    public static TheoryData<string> Nulls => ["group", "key", "range", "retired"];

    [Theory]
    [MemberData(nameof(Nulls))]
    public async Task A_record_with_null_in_a_list_is_damaged_and_hides_nothing(string where)
    {
        var aged = await AgedVault.CreateAsync();
        var before = await aged.OfferedAsync();
        await aged.ForgeAsync(new CondemnedRecord
        {
            At = DateTimeOffset.UnixEpoch,
            Host = "h",
            Pid = 1,
            GraceSeconds = 0,
            Groups = where == "group" ? [null!] : where == "key" ? [new CondemnedGroup("because", "", [null!])] : [],
            Pruned = where == "range" ? [null!] : [new PrunedRange(1, 1, 9)],
            Retired = where == "retired" ? [null!] : [],
        });

        Assert.Equal(before, await aged.OfferedAsync());
        var vault = (await VaultAccess.FindAsync(aged.Store, "app", default))!;
        var finding = Assert.Single((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(default)).Findings);
        Assert.Equal(
            (VaultKeys.CondemnedBy(1), FindingLayer.Details, "it says nothing where it should name what goes"),
            (finding.Key, finding.Layer, finding.What));
    }

    [Fact]
    public void Where_more_is_gone_than_was_pruned_the_first_number_that_should_be_there_is_named()
    {
        var log = new BranchLog([LogEntry.Of(7, 100), LogEntry.Of(9, 100)], [(1, 2), (3, 3)]);

        Assert.Equal([4UL, 7UL, 8UL, 9UL], log.Chain.Select(entry => entry.First));
        Assert.Equal([true, false, true, false], log.Chain.Select(entry => entry.IsMissing));
        Assert.Equal([4UL, 5UL, 6UL, 8UL], log.Missing);
    }

    [Fact]
    public void Where_only_what_was_pruned_is_gone_nothing_is_missing()
    {
        var log = new BranchLog([LogEntry.Of(7, 100)], [(3, 6), (1, 4)]);

        Assert.Equal([7UL], log.Chain.Select(entry => entry.First));
        Assert.Empty(log.Missing);
    }
}
