using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Vault.Pruning;

/// <summary>A prune beside the merging of the log.</summary>
public sealed class PrunedMergesTests
{
    static readonly TimeSpan Week = TimeSpan.FromDays(7);

    [Fact]
    public async Task What_a_writer_merged_and_did_not_live_to_remove_goes_when_it_is_a_day_old()
    {
        var aged = await AgedVault.CreateAsync();
        await new LogMerger(aged.Model.Vault, epoch: 1, aged.Time).RunAsync(default);
        var offered = await aged.OfferedAsync();
        var all = new PrunePolicy(new Ladder(TimeSpan.FromDays(1000), null, null, null));
        var young = aged.Model.Points.Last(point => aged.Time.GetUtcNow() - point.Time > TimeSpan.FromDays(1)).Position.Value;

        var (plan, _) = await (await aged.OpenAsync()).CondemnAsync(all, null, Week, default);

        Assert.Equal(["merged into a larger object"], plan.Condemned.Select(group => group.Reason).Distinct());
        Assert.Equal(young, (ulong)plan.Condemned.Sum(group => group.Keys.Count));
        aged.Time.Advance(Week);
        await (await aged.OpenAsync()).CondemnAsync(all, null, Week, default);
        aged.Time.Advance(Week);
        await aged.DeleteAsync();
        var log = (await VaultReading.OpenAsync(aged.Store)).Logs(1);
        Assert.Equal(log.Chain, log.Entries);
        Assert.Equal(offered, await aged.OfferedAsync());
        await aged.ExpectRestorableAsync(some: new Random(1));
        var report = await new VaultVerifier(aged.Model.Vault, new VerifyOptions()).RunAsync(default);
        Assert.Empty(report.Findings);
    }

    [Fact]
    public async Task A_larger_object_stands_for_one_that_merging_took_into_it()
    {
        var aged = await AgedVault.CreateAsync();
        var offered = await aged.OfferedAsync();
        var singles = await MergeAsync(aged, 1, 20);
        var (small, large) = (VaultKeys.Log(1, new LogEntry(1, 20, 0)), VaultKeys.Log(1, new LogEntry(1, 40, 0)));
        await aged.ForgeAsync(Record(small, singles));
        await MergeAsync(aged, 1, 40);
        await aged.Model.Vault.DeleteAsync(small, default);
        var whole = (await aged.Store.GetAsync("app/" + large, 1 << 24, default))!;
        await aged.Store.ReplaceAsync("app/" + large, Forge.Change(whole, bytes => bytes[ObjectHeader.SizeBytes + 3] ^= 1), default);
        aged.Time.Advance(Week);

        Assert.Equal(FailureKind.Integrity, (await Assert.ThrowsAsync<SalvorException>(aged.DeleteAsync)).Kind);

        await aged.Store.ReplaceAsync("app/" + large, whole, default);
        Assert.Equal(20, (await aged.DeleteAsync()).Objects);
        Assert.Equal(offered, await aged.OfferedAsync());
    }

    [Fact]
    public async Task Nothing_stands_for_an_object_that_merging_took_into_one_that_has_expired_since()
    {
        var aged = await AgedVault.CreateAsync();
        var singles = await MergeAsync(aged, 1, 20);
        var small = VaultKeys.Log(1, new LogEntry(1, 20, 0));
        await aged.ForgeAsync(Record(small, singles));
        await MergeAsync(aged, 1, 40);
        await aged.Model.Vault.DeleteAsync(small, default);
        var (plan, _) = await aged.CondemnAsync();
        Assert.Equal(1UL, plan.Pruned[0].First);
        var offered = await aged.OfferedAsync();
        aged.Time.Advance(Week);

        await aged.DeleteAsync();

        Assert.DoesNotContain("app/" + singles[0], await AgedVault.KeysAsync(aged.Store));
        Assert.Equal(offered, await aged.OfferedAsync());
    }

    static CondemnedRecord Record(string by, IReadOnlyList<string> keys) => new()
    {
        At = DateTimeOffset.UnixEpoch,
        Host = "h",
        Pid = 1,
        GraceSeconds = 0,
        Groups = [new CondemnedGroup("because", by, keys)],
        Pruned = [],
    };

    /// <summary>Merges these numbers of the first branch without a loss. Returns the keys of the objects that are merged.</summary>
    static async Task<List<string>> MergeAsync(AgedVault aged, ulong first, ulong last)
    {
        var catalog = await VaultReading.OpenAsync(aged.Store);
        var entries = catalog.Logs(1).Within(first, last);
        Assert.Single(await new Compactor(catalog).RunAsync(1, new CompactionRun(entries, Kept: null), default));
        return [.. entries.Select(entry => VaultKeys.Log(1, entry))];
    }
}
