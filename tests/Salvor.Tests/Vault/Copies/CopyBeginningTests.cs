using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Copies;

namespace Salvor.Tests.Vault.Copies;

/// <summary>A further destination that lacks history, and what becomes of it.</summary>
public sealed class CopyBeginningTests
{
    [Fact]
    public async Task A_new_destination_is_refused_with_the_next_command_until_a_repair_filled_it_up()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: true);
        var copy = new MemoryStore();
        var mirror = new VaultMirror(grown.Vault, copy) { Incomplete = IncompleteCopy.Refuse };

        for (var i = 0; i < 2; i++)
        {
            var refused = await Assert.ThrowsAsync<IncompleteCopyException>(() => mirror.RunAsync(everything: true, default));
            Assert.EndsWith(
                ": nothing there can be restored; nothing is copied there, because of 'on_incomplete: refuse'", refused.Message,
                StringComparison.Ordinal);
            Assert.StartsWith("Fill it up with 'salvor repair app'", refused.Hint, StringComparison.Ordinal);
            Assert.False(await mirror.TryFollowAsync(default));
            Assert.Empty(await GrownVault.KeysOfAsync(copy));
        }

        await FillUpAsync(grown, copy);
        await grown.Model.CommitAsync(transactions: 1);
        await mirror.RunAsync(everything: true, default);

        Assert.Equal(await GrownVault.KeysOfAsync(grown.Store), await GrownVault.KeysOfAsync(copy));
    }

    [Fact]
    public async Task A_copy_that_is_only_behind_is_followed()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: false);
        var copy = await GrownVault.CopyAsync(grown.Store);
        await grown.Model.CommitAsync(transactions: 2);
        await grown.Model.MakeSnapshotAsync();
        await grown.Model.ForkAsync(grown.Model.Current.Points[^1], image: false);
        await grown.Model.CommitAsync(transactions: 1);

        await new VaultMirror(grown.Vault, copy) { Incomplete = IncompleteCopy.Refuse }.RunAsync(everything: true, default);

        Assert.Equal(await GrownVault.KeysOfAsync(grown.Store), await GrownVault.KeysOfAsync(copy));
    }

    [Fact]
    public async Task What_somebody_removed_from_a_copy_is_named_and_nothing_more_is_copied()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: false);
        var copy = await GrownVault.CopyAsync(grown.Store);
        var mirror = new VaultMirror(grown.Vault, copy) { Incomplete = IncompleteCopy.Refuse };
        await mirror.RunAsync(everything: true, default);

        await copy.DeleteAsync("app/" + VaultKeys.Log(1, 20), default);
        var hole = await Assert.ThrowsAsync<IncompleteCopyException>(() => mirror.RunAsync(everything: true, default));
        Assert.Contains(": log object 20 of branch 1 is missing there; ", hole.Message, StringComparison.Ordinal);
        await grown.Model.CommitAsync(transactions: 1);
        Assert.False(await mirror.TryFollowAsync(default));

        var first = (await GrownVault.KeysOfAsync(copy)).First(key => key.StartsWith(VaultKeys.Snapshots, StringComparison.Ordinal));
        await copy.DeleteAsync($"app/{first}", default);
        var late = await Assert.ThrowsAsync<IncompleteCopyException>(() => mirror.RunAsync(everything: true, default));
        Assert.Matches(@": it begins with position \d+ of branch 1, and the first with position \d+ of branch 1; ", late.Message);

        await FillUpAsync(grown, copy);
        await mirror.RunAsync(everything: true, default);
    }

    [Fact]
    public async Task One_that_is_to_be_told_of_is_filled_up_and_told_until_that_is_done()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: false);
        var (copy, told) = (new MemoryStore(), new List<(string? Lack, int Keys)>());
        var mirror = new VaultMirror(grown.Vault, copy)
        {
            Incomplete = IncompleteCopy.Warn, Lacks = lack => told.Add((lack, GrownVault.KeysOfAsync(copy).Result.Count)),
        };

        await mirror.RunAsync(everything: true, default);
        await mirror.RunAsync(everything: true, default);

        var all = await GrownVault.KeysOfAsync(grown.Store);
        Assert.Equal(all, await GrownVault.KeysOfAsync(copy));
        Assert.Equal([0, all.Count, all.Count], told.Select(item => item.Keys));
        Assert.EndsWith(": nothing there can be restored", told[0].Lack, StringComparison.Ordinal);
        Assert.Equal([null, null], told.Skip(1).Select(item => item.Lack));
    }

    static async Task FillUpAsync(GrownVault grown, MemoryStore copy)
    {
        var repair = new VaultRepair([grown.Vault, grown.Vault.At(copy)], 2);
        await foreach (var step in repair.PlanAsync(default))
        {
            Assert.Null((await repair.CarryOutAsync(step, default)).Failure);
        }
    }
}
