using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Vault.Compaction;

/// <summary>Compaction against a model that remembers every position in full.</summary>
public sealed class CompactorTests
{
    const int QuickSeeds = 25;

    readonly MemoryStore store = new();

    [Fact]
    public async Task Every_point_restores_the_same_before_beside_and_after_any_merges() =>
        await Seeds.ForEachAsync(QuickSeeds, async seed =>
    {
        var random = new Random(seed);
        var memory = new MemoryStore();
        var model = await VaultModel.BuildAsync(memory, random, steps: 14);
        for (var round = 0; round < 4; round++)
        {
            var catalog = await VaultReading.OpenAsync(memory);
            foreach (var branch in catalog.Branches.Select(item => item.Number))
            {
                if (await RandomRunAsync(catalog, branch, random) is { } run)
                {
                    Assert.NotEmpty(await new Compactor(catalog).RunAsync(branch, run, default));
                }
            }

            await ExpectAllAsync(memory, model, model.Points);
            await DeleteSupersededAsync(memory);
            await ExpectAllAsync(memory, model, model.Points);
            if (round < 3)
            {
                await model.StepAsync();
            }
        }
    });

    [Fact]
    public async Task What_is_kept_restores_and_what_was_dropped_is_offered_until_its_objects_are_gone() =>
        await Seeds.ForEachAsync(QuickSeeds, async seed =>
    {
        var random = new Random(seed);
        var memory = new MemoryStore();
        var model = await VaultModel.BuildAsync(memory, random, steps: 12);
        var catalog = await VaultReading.OpenAsync(memory);
        var forks = model.Branches.Where(branch => branch.Parent is not null)
            .Select(branch => (branch.Parent!.Number, branch.Fork)).ToHashSet();
        var gone = new HashSet<(uint, Position)>();
        foreach (var branch in model.Branches)
        {
            if (await RandomRunAsync(catalog, branch.Number, random) is not { } run)
            {
                continue;
            }

            var covered = await PointsOfAsync(catalog, branch, run);
            var kept = covered
                .Where(point => random.Next(3) == 0 || forks.Contains((branch.Number, point.Position)) || point == covered[^1])
                .Select(point => point.Position).ToHashSet();
            await new Compactor(catalog).RunAsync(branch.Number, run with { Kept = kept }, default);
            gone.UnionWith(covered.Where(point => !kept.Contains(point.Position)).Select(point => (branch.Number, point.Position)));
        }

        await ExpectAllAsync(memory, model, model.Points);
        await DeleteSupersededAsync(memory);
        await ExpectAllAsync(memory, model, model.Points.Where(point => !gone.Contains((point.Branch, point.Position))));
        foreach (var (branch, position) in gone)
        {
            var failure = await Assert.ThrowsAsync<SalvorException>(() => VaultReading.RestoreAsync(memory, branch, position));
            Assert.Equal(FailureKind.NotRestorable, failure.Kind);
            Assert.StartsWith($"position {position} on branch {branch} is no restore point any more: ", failure.Message);
        }

        await ExpectTimesAsync(memory, model, gone);
        await ExpectSpansAsync(memory, model, gone);
    });

    [Fact]
    public async Task A_position_that_was_dropped_is_answered_with_those_around_it()
    {
        var model = await ModelAsync(commits: 6);
        var run = new CompactionRun(await ChainAsync(0, 6), new HashSet<Position> { new(2) });
        await new Compactor(await VaultReading.OpenAsync(store)).RunAsync(1, run, default);
        await DeleteSupersededAsync(store);

        var failure = await Assert.ThrowsAsync<SalvorException>(() => VaultReading.RestoreAsync(store, 1, new Position(4)));

        Assert.Equal("position 4 on branch 1 is no restore point any more: those kept around it are 2 and 6", failure.Message);
        Assert.Equal("Use '--position 2', or run 'salvor list' for how fine each span is.", failure.Hint);
        failure = await Assert.ThrowsAsync<SalvorException>(() => VaultReading.RestoreAsync(store, 1, new Position(1)));
        Assert.Equal("position 1 on branch 1 is no restore point any more: the first one kept there is 2", failure.Message);
        Assert.Equal(model.Points.ElementAt(1).Content, await VaultReading.RestoreAsync(store, 1, new Position(2)));
    }

    [Fact]
    public async Task What_a_frozen_writer_put_under_a_number_of_old_is_not_taken_for_what_was_dropped()
    {
        var model = await ModelAsync(commits: 6);
        var run = new CompactionRun(await ChainAsync(0, 6), new HashSet<Position> { new(2) });
        await new Compactor(await VaultReading.OpenAsync(store)).RunAsync(1, run, default);
        var key = "app/" + VaultKeys.Log(1, run.Entries[3]);
        var foreign = await Forge.ResealAsync(store, key, changeDetails: bytes =>
            (LogDetails.Read(key, bytes) with { Inode = 99 }).ToBytes().ToArray());
        Assert.Equal(model.Points.ElementAt(4).Content, await VaultReading.RestoreAsync(store, 1, new Position(5)));

        await store.DeleteAsync(key, default);
        await store.PutAsync(key, foreign, default);

        var failure = await Assert.ThrowsAsync<SalvorException>(() => VaultReading.RestoreAsync(store, 1, new Position(5)));
        Assert.Equal("position 5 on branch 1 is no restore point any more: those kept around it are 2 and 6", failure.Message);
        Assert.Equal(model.Points.ElementAt(5).Content, await VaultReading.RestoreAsync(store, 1, new Position(6)));
    }

    [Fact]
    public async Task A_large_run_is_written_in_parts_that_count_only_with_the_last()
    {
        // 30 MiB that cannot be compressed: one object would be too large.
        var model = await VaultModel.CreateAsync(store, new Random(1), 65536);
        await model.BeginAsync();
        for (var i = 0; i < 60; i++)
        {
            await model.CommitAsync(transactions: 8);
        }

        var catalog = await VaultReading.OpenAsync(store);
        IReadOnlyList<LogEntry> entries = [.. catalog.Logs(1).Chain.SkipLast(1)];
        var failing = new FaultyStore(store, call =>
            call.Operation == StoreOperation.Put && call.Key.EndsWith($"{entries[^1].Last:D16}", StringComparison.Ordinal)
                ? Fault.Before
                : Fault.None);
        await Assert.ThrowsAsync<StorageException>(
            async () => await new Compactor(await VaultReading.OpenAsync(failing)).RunAsync(1, new CompactionRun(entries, null), default));
        Assert.True((await KeysAsync(store)).Count(key => key.Length == "app/log/000001/".Length + 16 + 17 + 5) > 1, "there are no parts");
        Assert.Equal(entries, (await VaultReading.OpenAsync(store)).Logs(1).Chain.SkipLast(1));

        // Other commits are kept now, so what is left over under the numbers of the parts is something else.
        var kept = model.Points.Where(point => point.Position.Value % 2 == 0).Select(point => point.Position).ToHashSet();
        var made = await new Compactor(catalog).RunAsync(1, new CompactionRun(entries, kept), default);

        Assert.Equal((entries[0].First, entries[^1].Last), (made.Single().First, made.Single().Last));
        await DeleteSupersededAsync(store);
        var tip = catalog.Logs(1).Chain[^1].First;
        foreach (var point in model.Points.Where(point => kept.Contains(point.Position)).Where((_, index) => index % 20 == 0))
        {
            Assert.Equal(point.Content, await VaultReading.RestoreAsync(store, 1, point.Position));
        }

        Assert.Equal(tip, (await VaultReading.OpenAsync(store)).Logs(1).Chain[^1].First);
    }

    [Fact]
    public async Task The_same_run_makes_the_same_bytes_and_a_rival_does_not_matter()
    {
        await ModelAsync(commits: 20);
        var run = new CompactionRun(await ChainAsync(0, 19), null);
        var other = await CopyAsync(store);

        await new Compactor(await VaultReading.OpenAsync(store)).RunAsync(1, run, default);
        var again = await new Compactor(await VaultReading.OpenAsync(store)).RunAsync(1, run, default);
        await new Compactor(await VaultReading.OpenAsync(other)).RunAsync(1, run, default);

        var key = "app/" + VaultKeys.Log(1, again.Single());
        Assert.Equal(await store.GetAsync(key, 1 << 24, default), await other.GetAsync(key, 1 << 24, default));
    }

    [Fact]
    public async Task A_damaged_source_is_named_and_nothing_is_made_of_it()
    {
        await ModelAsync(commits: 20);
        var run = new CompactionRun(await ChainAsync(0, 19), null);
        var key = "app/log/000001/0000000000000007";
        var broken = (await FrozenStore.CopyAsync(store)).With(key, Forge.Change((await store.GetAsync(key, 1 << 24, default))!, bytes =>
            bytes[ObjectHeader.SizeBytes + 3] ^= 1));
        var memory = await CopyAsync(broken);

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(
            async () => await new Compactor(await VaultReading.OpenAsync(memory)).RunAsync(1, run, default));

        Assert.Equal("log/000001/0000000000000007", failure.Key);
        Assert.Equal(broken.Keys.Order(), (await KeysAsync(memory)).Order());
    }

    [Fact]
    public async Task A_writer_goes_on_from_a_cached_table_inside_a_compacted_object()
    {
        var model = await ModelAsync(commits: 10);
        await new Compactor(await VaultReading.OpenAsync(store)).RunAsync(1, new CompactionRun(await ChainAsync(0, 9), null), default);
        await DeleteSupersededAsync(store);
        var point = model.Points.ElementAt(4);
        var catalog = await VaultReading.OpenAsync(store);
        var cache = new Salvor.Sqlite.PageTableCache(catalog.Vault.Id, 1, point.Position, model.PageSize, point.PageHashes);

        var state = await Salvor.Sqlite.VaultState.LoadAsync(catalog, cache, default);

        Assert.Equal(model.Tip, state.Tip);
        Assert.Equal(model.Points.Last().PageHashes, state.Table.ToArray()[..model.Points.Last().PageHashes.Length]);
    }

    async Task<VaultModel> ModelAsync(int commits)
    {
        var model = await VaultModel.CreateAsync(store, new Random(5), 512);
        await model.BeginAsync();
        while (model.Tip.Number < (ulong)commits)
        {
            await model.CommitAsync(transactions: 1);
        }

        return model;
    }

    async Task<IReadOnlyList<LogEntry>> ChainAsync(int first, int count) =>
        [.. (await VaultReading.OpenAsync(store)).Logs(1).Chain.Skip(first).Take(count)];

    /// <summary>Consecutive objects of the coarsest chain, two or more, that begin and end with a change-set; not the last one.</summary>
    internal static async Task<CompactionRun?> RandomRunAsync(VaultCatalog catalog, uint branch, Random random)
    {
        var chain = catalog.Logs(branch).Chain;
        var ends = new List<int> { 0 };
        for (var i = 0; i < chain.Count - 1; i++)
        {
            if ((await catalog.ReadLogHeaderAsync(branch, chain[i], default)).Log.Final)
            {
                ends.Add(i + 1);
            }
        }

        var (a, b) = (ends[random.Next(ends.Count)], ends[random.Next(ends.Count)]);
        var (first, end) = (Math.Min(a, b), Math.Max(a, b));
        return end - first < 2 ? null : new CompactionRun([.. chain.Skip(first).Take(end - first)], null);
    }

    static async Task<List<ModelPoint>> PointsOfAsync(VaultCatalog catalog, ModelBranch branch, CompactionRun run)
    {
        var first = (await catalog.ReadLogHeaderAsync(branch.Number, run.Entries[0], default)).PositionFirst;
        var last = (await catalog.ReadLogHeaderAsync(branch.Number, run.Entries[^1], default)).PositionLast;
        return [.. branch.Points.Where(point => point.Position.Value >= first && point.Position.Value <= last)];
    }

    static async Task ExpectAllAsync(IObjectStore store, VaultModel model, IEnumerable<ModelPoint> points)
    {
        foreach (var point in points)
        {
            Assert.Equal(point.Content, await VaultReading.RestoreAsync(store, point.Branch, point.Position));
        }

        var state = await Salvor.Sqlite.VaultState.LoadAsync(await VaultReading.OpenAsync(store), cache: null, default);
        Assert.Equal(model.Tip, state.Tip);
    }

    /// <summary>A time lands on the last point that is left before it.</summary>
    static async Task ExpectTimesAsync(IObjectStore store, VaultModel model, HashSet<(uint, Position)> gone)
    {
        var planner = new RestorePlanner(await VaultReading.OpenAsync(store));
        foreach (var branch in model.Branches)
        {
            var left = branch.History.Where(point => !gone.Contains((point.Branch, point.Position))).ToList();
            foreach (var time in branch.History.Select(point => point.Time))
            {
                var point = await planner.AtAsync(branch.Number, time, default);
                Assert.Equal(left.LastOrDefault(item => item.Time <= time)?.Position, point?.Position);
            }
        }
    }

    /// <summary>What is offered begins and ends at points that are left, and says what is coarser.</summary>
    static async Task ExpectSpansAsync(IObjectStore store, VaultModel model, HashSet<(uint, Position)> gone)
    {
        var spans = await RestoreSpans.FindAsync(await VaultReading.OpenAsync(store), default);
        foreach (var branch in model.Branches)
        {
            var left = branch.Points.Where(point => !gone.Contains((point.Branch, point.Position))).ToList();
            var offered = spans.Where(span => span.Branch == branch.Number).ToList();
            foreach (var span in offered)
            {
                Assert.Contains(left, point => point.Position == span.First && point.Time == span.From);
                Assert.Contains(left, point => point.Position == span.Last && point.Time == span.To);
                var dropped = gone.Any(item => item.Item1 == branch.Number && item.Item2 > span.First && item.Item2 < span.Last);
                Assert.True(!dropped || span.Granularity != Granularity.Commits, $"span {span} says every commit");
            }

            Assert.All(left, point => Assert.Contains(offered, span => span.First <= point.Position && point.Position <= span.Last));
        }
    }

    /// <summary>As one does who keeps only the coarsest objects.</summary>
    static async Task DeleteSupersededAsync(MemoryStore store) => await DeleteSupersededAsync((await VaultReading.OpenAsync(store)).Vault);

    internal static async Task DeleteSupersededAsync(VaultAccess vault)
    {
        var catalog = await VaultCatalog.LoadAsync(vault, default);
        foreach (var branch in catalog.Branches.Select(item => item.Number))
        {
            var chain = catalog.Logs(branch).Chain.ToHashSet();
            foreach (var entry in catalog.Logs(branch).Entries.Where(entry => !chain.Contains(entry)))
            {
                await vault.Store.DeleteAsync($"{vault.Name}/{VaultKeys.Log(branch, entry)}", default);
            }
        }
    }

    static async Task<IReadOnlyList<string>> KeysAsync(IObjectStore store) =>
        [.. await store.ListAsync("", null, default).Select(row => row.Key).ToListAsync()];

    static async Task<MemoryStore> CopyAsync(IObjectStore from)
    {
        var copy = new MemoryStore();
        foreach (var key in await KeysAsync(from))
        {
            await copy.PutAsync(key, await from.GetAsync(key, 1 << 24, default), default);
        }

        return copy;
    }
}
