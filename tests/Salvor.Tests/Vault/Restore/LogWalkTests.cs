using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault.Restore;

/// <summary>What the lineage and the positions find although no page is affected, so that no checksum of content can.</summary>
public sealed class LogWalkTests
{
    [Fact]
    public async Task Details_that_the_own_link_does_not_cover_are_named()
    {
        var (model, whole) = await ModelAsync();

        var forged = await ForgeDetailsAsync(whole, model.Tip.Number, relink: false);

        Assert.Equal(
            $"object {Key(model.Tip.Number)} is damaged: its lineage does not cover what it holds", await RefusalAsync(forged, model));
    }

    [Fact]
    public async Task An_object_that_was_sealed_again_is_found_by_the_next_one()
    {
        var (model, whole) = await ModelAsync();

        var forged = await ForgeDetailsAsync(whole, model.Tip.Number - 1, relink: true);

        Assert.Equal(
            $"object {Key(model.Tip.Number)} is damaged: it does not continue the lineage of the object before it",
            await RefusalAsync(forged, model));
    }

    [Fact]
    public async Task A_parent_that_was_sealed_again_is_found_by_its_branch()
    {
        var (model, _) = await ModelAsync();
        var forkNumber = model.Tip.Number;
        await model.ForkAsync(model.Points.Last(), image: false);
        await model.CommitAsync(transactions: 1);

        var forged = await ForgeDetailsAsync(await FrozenStore.CopyAsync(model.Vault.Store), forkNumber, relink: true);

        Assert.Equal(
            "object log/000002/0000000000000001 is damaged: it does not continue the lineage of the object before it",
            await RefusalAsync(forged, model));
    }

    [Fact]
    public async Task An_object_after_a_snapshot_continues_the_link_of_that()
    {
        var (model, whole) = await ModelAsync(snapshotBeforeLast: 1);
        var key = Snapshot(model, before: 1);

        var forged = whole.With(
            key, await Forge.ResealAsync(whole, key, header => header with { LineageAfter = Hash256.Of([1]) }));

        Assert.Equal(
            $"object {Key(model.Tip.Number)} is damaged: it does not continue the lineage of the object before it",
            await RefusalAsync(forged, model));
    }

    [Fact]
    public async Task A_snapshot_that_claims_a_later_place_in_the_log_makes_a_gap_of_positions()
    {
        var (model, whole) = await ModelAsync(snapshotBeforeLast: 2);
        var (key, skipped) = (Snapshot(model, before: 2), await Forge.OpenAsync(whole, "app/" + Key(model.Tip.Number - 1)));

        var forged = whole.With(key, await Forge.ResealAsync(whole, key, header => header with
        {
            Number = skipped.Header.Number,
            LineageAfter = skipped.Header.LineageAfter,
        }));

        var (first, before) = (model.Tip.Position, model.Tip.Position.Value - 2);
        Assert.Equal(
            $"object {Key(model.Tip.Number)} is damaged: it begins at position {first}, and what comes before it ends at {before}",
            await RefusalAsync(forged, model));
    }

    [Fact]
    public async Task A_snapshot_that_claims_to_stand_at_the_end_of_the_log_does_not_lead_to_its_target()
    {
        var (model, whole) = await ModelAsync(snapshotBeforeLast: 1);
        var key = Snapshot(model, before: 1);

        var forged = whole.With(key, await Forge.ResealAsync(whole, key, header => header with { Number = model.Tip.Number }));

        var (target, before) = (model.Tip.Position, model.Tip.Position.Value - 1);
        Assert.Equal(
            $"object {key["app/".Length..]} is damaged: the log after it ends at position {before}, and position {target} should follow",
            await RefusalAsync(forged, model));
    }

    [Fact]
    public async Task A_position_that_no_object_holds_is_a_gap_with_a_name()
    {
        var (model, whole) = await ModelAsync();
        var key = "app/" + Key(model.Tip.Number);
        var forged = whole.With(
            key, await Forge.ResealAsync(whole, key, header => header with { PositionFirst = 100, PositionLast = 100 }));

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(() => VaultReading.RestoreAsync(forged, 1, new Position(50)));

        Assert.Equal(
            $"object {Key(model.Tip.Number)} is damaged: it begins at position 100, and none before it holds 50", failure.Message);
    }

    [Fact]
    public async Task A_page_that_does_not_match_its_hash_is_named_with_its_object()
    {
        var (model, whole) = await ModelAsync();
        var key = "app/" + Key(model.Tip.Number);
        var page = 0u;
        var forged = whole.With(key, await Forge.ResealAsync(whole, key, changeDetails: bytes =>
        {
            // The version that counts of a page that is in the database.
            var details = LogDetails.Read(key, bytes);
            var index = Enumerable.Range(0, details.Pages.Count).Last(i => details.Pages[i].Number <= details.Commits[^1].PageCount);
            page = details.Pages[index].Number;
            PageEntry[] pages = [.. details.Pages];
            pages[index] = pages[index] with { Hash = 1 };
            return (details with { Pages = pages }).ToBytes().ToArray();
        }));

        Assert.Equal($"object {Key(model.Tip.Number)} is damaged: page {page} does not match its hash", await RefusalAsync(forged, model));
    }

    /// <summary>Four transactions of an object each, and a snapshot before the last so many.</summary>
    static async Task<(VaultModel Model, FrozenStore Whole)> ModelAsync(int snapshotBeforeLast = 0)
    {
        var store = new MemoryStore();
        var model = await VaultModel.CreateAsync(store, new Random(3), 512);
        await model.BeginAsync();
        for (var left = 4; left > 0; left--)
        {
            if (left == snapshotBeforeLast)
            {
                await model.SnapshotAsync();
            }

            await model.CommitAsync(transactions: 1);
        }

        return (model, await FrozenStore.CopyAsync(store));
    }

    /// <summary>Another inode: it changes nothing that a restore writes.</summary>
    static async Task<FrozenStore> ForgeDetailsAsync(FrozenStore whole, ulong number, bool relink)
    {
        var key = "app/" + Key(number);
        var forged = await Forge.ResealAsync(whole, key, relink: relink, changeDetails: bytes =>
            (LogDetails.Read(key, bytes) with { Inode = 99 }).ToBytes().ToArray());
        return whole.With(key, forged);
    }

    static async Task<string> RefusalAsync(FrozenStore forged, VaultModel model) =>
        (await Assert.ThrowsAsync<DamagedObjectException>(
            () => VaultReading.RestoreAsync(forged, model.Tip.Branch, model.Tip.Position))).Message;

    static string Key(ulong number) => VaultKeys.Log(1, number);

    static string Snapshot(VaultModel model, ulong before) =>
        "app/" + VaultKeys.Snapshot(1, new Position(model.Tip.Position.Value - before));
}
