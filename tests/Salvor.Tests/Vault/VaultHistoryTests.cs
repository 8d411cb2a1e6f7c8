using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Vault;

/// <summary>
/// Random histories with everything that a vault can hold, written by the real writers and compared with what was remembered of each
/// position.
/// </summary>
public sealed class VaultHistoryTests
{
    const int SeedsQuick = 150;
    const int StepsMax = 25;

    [Fact]
    public Task Every_restore_point_gives_exactly_what_was_committed() => Seeds.ForEachAsync(SeedsQuick, async seed =>
    {
        var (random, store) = (new Random(seed), new MemoryStore());
        var model = await VaultModel.BuildAsync(store, random, random.Next(StepsMax));
        foreach (var branch in model.Branches)
        {
            var history = branch.History.ToArray();
            foreach (var point in random.GetItems(history, 4).Append(history[^1]))
            {
                Assert.Equal(point.Content, await VaultReading.RestoreAsync(store, branch.Number, point.Position));
            }
        }
    });

    [Fact]
    public Task A_time_leads_to_the_last_commit_before_it() => Seeds.ForEachAsync(SeedsQuick, async seed =>
    {
        var (random, store) = (new Random(seed), new MemoryStore());
        var model = await VaultModel.BuildAsync(store, random, random.Next(StepsMax));
        var catalog = await VaultReading.OpenAsync(store);
        foreach (var branch in model.Branches)
        {
            var history = branch.History.ToArray();
            for (var i = 0; i < 8; i++)
            {
                var time = random.GetItems(history, 1)[0].Time + TimeSpan.FromMicroseconds(random.Next(-2, 3) * random.Next(1, 2_000_000));
                var expected = history.LastOrDefault(point => point.Time <= time);

                var found = await new RestorePlanner(catalog).AtAsync(branch.Number, time, default);

                Assert.Equal(expected is null ? null : new RestorePoint(expected.Branch, expected.Position, expected.Time), found);
            }
        }
    });

    [Fact]
    public Task The_next_writer_continues_from_exactly_what_the_last_one_stored() => Seeds.ForEachAsync(SeedsQuick, async seed =>
    {
        var (random, store) = (new Random(seed), new MemoryStore());
        var model = await VaultModel.BuildAsync(store, random, random.Next(StepsMax));
        var last = model.Current.History.Last();

        var state = await VaultState.LoadAsync(await VaultReading.OpenAsync(store), cache: null, default);

        Assert.Equal(model.Tip, state.Tip);
        Assert.Equal(model.PageSize, state.PageSize);
        Assert.Equal(last.PageHashes, Enumerable.Range(1, (int)state.Table.PageCount).Select(page => state.Table[(uint)page]));
        Assert.Equal(last.PageHashes.Aggregate(0UL, (sum, hash) => sum ^ hash), state.Table.Checksum);
        Assert.False(state.NeedsImage);
    });

    [Fact]
    public Task A_kept_table_of_page_hashes_leads_to_the_same_state() => Seeds.ForEachAsync(SeedsQuick, async seed =>
    {
        var (random, store) = (new Random(seed), new MemoryStore());
        var model = await VaultModel.BuildAsync(store, random, random.Next(StepsMax));
        var catalog = await VaultReading.OpenAsync(store);
        var whole = await VaultState.LoadAsync(catalog, cache: null, default);
        foreach (var point in model.Current.Points)
        {
            var cache = new PageTableCache(model.Vault.Id, point.Branch, point.Position, model.PageSize, point.PageHashes);

            var state = await VaultState.LoadAsync(catalog, cache, default);

            Assert.Equal(whole with { Table = state.Table }, state);
            Assert.Equal(whole.Table.Checksum, state.Table.Checksum);
            Assert.Equal(
                model.Current.Points[^1].PageHashes,
                Enumerable.Range(1, (int)state.Table.PageCount).Select(page => state.Table[(uint)page]));
        }
    });

    [Fact]
    public Task The_newest_point_of_every_branch_is_found_after_whatever_was_left_over() => Seeds.ForEachAsync(SeedsQuick, async seed =>
    {
        var (random, store) = (new Random(seed), new MemoryStore());
        var model = await VaultModel.BuildAsync(store, random, random.Next(StepsMax));
        var planner = new RestorePlanner(await VaultReading.OpenAsync(store));

        foreach (var branch in model.Branches)
        {
            var (first, latest) = (branch.Points.FirstOrDefault(), branch.History.Last());
            Assert.Equal(
                new RestorePoint(latest.Branch, latest.Position, latest.Time), await planner.LatestAsync(branch.Number, default));
            Assert.Equal(
                first is null ? null : new RestorePoint(first.Branch, first.Position, first.Time),
                await planner.FirstAsync(branch.Number, default));
        }

        Assert.Equal(model.Current.Number, planner.NewestBranch);
    });

    [Fact]
    public async Task A_seed_makes_the_same_history_again()
    {
        var contents = new List<byte[]>();
        for (var i = 0; i < 2; i++)
        {
            var model = await VaultModel.BuildAsync(new MemoryStore(), new Random(42), StepsMax);
            contents.Add([.. model.Points.SelectMany(point => point.Content)]);
        }

        Assert.Equal(contents[0], contents[1]);
    }
}
