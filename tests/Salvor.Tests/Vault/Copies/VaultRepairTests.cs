using System.Text;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Copies;
using Salvor.Vault.Format;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Vault.Copies;

public sealed class VaultRepairTests
{
    [Fact]
    public Task Copies_become_the_same_bytes_again() => Seeds.ForEachAsync(10, async seed =>
    {
        var random = new Random(seed);
        var (stores, whole) = await BrokenCopiesAsync(random);
        var steps = await RepairAsync(stores);

        Assert.All(steps, step => Assert.Null(step.Failure));
        Assert.All(steps, step => Assert.True(step.Action is RepairAction.Copy or RepairAction.Replace, $"{step}"));
        foreach (var store in stores)
        {
            await AssertSameAsync(whole, store);
        }

        Assert.Empty(await RepairAsync(stores));
    });

    [Fact]
    public Task A_repair_that_is_stopped_anywhere_has_only_made_things_better() => Seeds.ForEachAsync(5, async seed =>
    {
        var random = new Random(seed);
        var (stores, whole) = await BrokenCopiesAsync(random);
        for (var calls = 1; ; calls++)
        {
            // Stopped at the n-th write, before or after it took effect.
            var (left, fault) = (1, random.Next(2) == 0 ? Fault.Before : Fault.After);
            var dying = stores.Select(store => (IObjectStore)new FaultyStore(
                store,
                call => call.Operation is StoreOperation.Put or StoreOperation.Replace && Interlocked.Decrement(ref left) < 0
                    ? throw new TimeoutException("killed") : Fault.None)).ToArray();
            try
            {
                await RepairAsync(dying);
                break;
            }
            catch (TimeoutException)
            {
                Assert.InRange(calls, 1, 1000);
            }
        }

        foreach (var store in stores)
        {
            await AssertSameAsync(whole, store);
        }
    });

    [Fact]
    public async Task What_is_whole_nowhere_is_named_and_left_as_it_is()
    {
        var (a, b) = (await CopyAsync(), new MemoryStore());
        await CopyAllAsync(a, b);
        const string Key = "app/log/000001/0000000000000002";
        await FlipAsync(a, Key, ObjectHeader.SizeBytes);
        await FlipAsync(b, Key, 20);
        var before = await FrozenStore.CopyAsync(a);

        var steps = await RepairAsync([a, b]);

        Assert.Equal([RepairAction.Lost, RepairAction.Lost], steps.Select(step => step.Action));
        Assert.All(steps, step => Assert.Equal("log/000001/0000000000000002", step.Key));
        await AssertSameAsync(before, a);
    }

    [Fact]
    public async Task Two_whole_objects_that_differ_are_both_left_alone()
    {
        var (a, b) = (await CopyAsync(), new MemoryStore());
        await CopyAllAsync(a, b);
        const string Key = "app/claims/0000000001";
        var other = await Forge.ResealAsync(a, Key, changeDetails: bytes =>
            Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(bytes).Replace("model", "other", StringComparison.Ordinal)));
        await b.ReplaceAsync(Key, other, default);

        var step = Assert.Single(await RepairAsync([a, b]));

        Assert.Equal(RepairAction.Refused, step.Action);
        Assert.Equal("it is whole, and another than at memory/app", step.Reason);
        Assert.Equal(other, await b.GetAsync(Key, 1 << 24, default));
    }

    [Fact]
    public async Task An_object_of_another_vault_is_never_written_over()
    {
        var (a, b, other) = (await CopyAsync(), new MemoryStore(), await CopyAsync(2));
        await CopyAllAsync(a, b);
        const string Key = "app/log/000001/0000000000000002";
        var foreign = (await other.GetAsync(Key, 1 << 24, default))!;
        await b.ReplaceAsync(Key, foreign, default);

        var step = Assert.Single(await RepairAsync([a, b]));

        Assert.Equal(RepairAction.Refused, step.Action);
        Assert.StartsWith("it belongs to vault ", step.Reason, StringComparison.Ordinal);
        Assert.Equal(foreign, await b.GetAsync(Key, 1 << 24, default));
    }

    [Fact]
    public async Task A_destination_that_cannot_be_written_is_told_and_the_others_are_healed()
    {
        var (a, b, c) = (await CopyAsync(), new MemoryStore(), new MemoryStore());
        await CopyAllAsync(a, b);
        await CopyAllAsync(a, c);
        var whole = await FrozenStore.CopyAsync(a);
        const string Key = "app/log/000001/0000000000000002";
        await FlipAsync(b, Key, ObjectHeader.SizeBytes);
        await FlipAsync(c, Key, ObjectHeader.SizeBytes);
        var locked = new FaultyStore(b, call => call.Operation is StoreOperation.Replace or StoreOperation.Put ? Fault.Before : Fault.None);

        var steps = await RepairAsync([a, locked, c]);

        Assert.Equal(2, steps.Count);
        Assert.IsType<StorageException>(steps[0].Failure);
        Assert.Null(steps[1].Failure);
        await AssertSameAsync(whole, c);
    }

    [Fact]
    public async Task A_plan_writes_nothing()
    {
        var (stores, _) = await BrokenCopiesAsync(new Random(1));
        var frozen = new List<IObjectStore>();
        foreach (var store in stores)
        {
            frozen.Add(await FrozenStore.CopyAsync(store));
        }

        Assert.NotEmpty(await PlanAsync(frozen));
    }

    [Fact]
    public async Task A_copy_that_stops_anywhere_can_be_read()
    {
        var first = await CopyAsync();
        var count = (await FrozenStore.CopyAsync(first)).Keys.Count(key => key.StartsWith("app/", StringComparison.Ordinal));
        for (var stopped = 1; stopped <= count; stopped++)
        {
            var copy = new MemoryStore();
            var left = stopped;
            var dying = new FaultyStore(
                copy, call => call.Operation == StoreOperation.Put && --left < 0 ? throw new TimeoutException("killed") : Fault.None);
            var vault = (await VaultAccess.FindAsync(first, "app", default))!;
            try
            {
                await new VaultMirror(vault, dying).RunAsync(everything: true, default);
                Assert.Equal(count, stopped);
            }
            catch (TimeoutException)
            {
                var found = (await VaultAccess.FindAsync(copy, "app", default))!;
                var report = await new VaultVerifier(found, new VerifyOptions()).RunAsync(default);
                Assert.True(report.FindingCount == 0, $"after {stopped} of {count}: {string.Join("; ", report.Findings)}");
            }
        }
    }

    [Fact]
    public async Task A_mirror_copies_what_came_since_and_looks_at_nothing_else()
    {
        var first = new MemoryStore();
        var model = await VaultModel.CreateAsync(first, new Random(1), pageSize: 512);
        await model.BeginAsync();
        await model.CommitAsync(transactions: 1);
        var copy = new MemoryStore();
        var mirror = new VaultMirror(model.Vault, copy);
        await mirror.RunAsync(everything: true, default);
        await AssertSameAsync(await FrozenStore.CopyAsync(first), copy);

        await model.CommitAsync(transactions: 1);
        Assert.Equal(1, (await mirror.RunAsync(everything: false, default)).Objects);
        await model.SnapshotAsync();
        await model.ForkAsync(model.Current.Points[1], image: true);
        await model.CommitAsync(transactions: 1);
        await mirror.RunAsync(everything: false, default);
        await AssertSameAsync(await FrozenStore.CopyAsync(first), copy);

        await copy.DeleteAsync("app/log/000001/0000000000000002", default);
        Assert.Equal(0, (await mirror.RunAsync(everything: false, default)).Objects);
        Assert.Equal(1, (await mirror.RunAsync(everything: true, default)).Objects);
    }

    [Fact]
    public async Task A_mirror_does_not_copy_rot()
    {
        var (first, copy) = (await CopyAsync(), new MemoryStore());
        const string Key = "app/log/000001/0000000000000002";
        await FlipAsync(first, Key, ObjectHeader.SizeBytes);

        var pass = await new VaultMirror((await VaultAccess.FindAsync(first, "app", default))!, copy).RunAsync(true, default);

        Assert.Equal(
            "object log/000001/0000000000000002 is damaged: it does not match the hash in its footer at memory/app", pass.Damage!.Message);
        Assert.Null(await copy.SizeAsync(Key, default));
        Assert.NotNull(await copy.SizeAsync("app/log/000001/0000000000000003", default));
    }

    [Fact]
    public async Task A_mirror_never_mixes_two_vaults()
    {
        var (first, other) = (await CopyAsync(), await CopyAsync(2));
        var before = await FrozenStore.CopyAsync(other);

        var failure = await Assert.ThrowsAsync<SalvorException>(async () =>
            await new VaultMirror((await VaultAccess.FindAsync(first, "app", default))!, other).RunAsync(true, default));

        Assert.Equal("memory/app holds another vault than memory/app, so it cannot be a copy of it", failure.Message);
        await AssertSameAsync(before, other);
    }

    /// <summary>Three copies in which each object is whole at one place at least.</summary>
    static async Task<(MemoryStore[] Stores, FrozenStore Whole)> BrokenCopiesAsync(Random random)
    {
        MemoryStore[] stores = [await CopyAsync(random.Next()), new(), new()];
        await CopyAllAsync(stores[0], stores[1]);
        await CopyAllAsync(stores[0], stores[2]);
        var whole = await FrozenStore.CopyAsync(stores[0]);
        foreach (var key in whole.Keys.Where(key => key.StartsWith("app/", StringComparison.Ordinal)))
        {
            var good = key == "app/vault" ? 0 : random.Next(3);
            for (var i = 0; i < 3; i++)
            {
                switch (i == good ? 3 : random.Next(4))
                {
                    case 0:
                        await stores[i].DeleteAsync(key, default);
                        break;
                    case 1:
                        await FlipAsync(stores[i], key, random.Next(whole[key].Length));
                        break;
                    case 2:
                        await stores[i].ReplaceAsync(key, whole[key].AsMemory(0, random.Next(whole[key].Length)), default);
                        break;
                }
            }
        }

        return (stores, whole);
    }

    static async Task<MemoryStore> CopyAsync(int seed = 1)
    {
        var store = new MemoryStore();
        await VaultModel.BuildAsync(store, new Random(seed), steps: 8);
        return store;
    }

    static async Task CopyAllAsync(MemoryStore from, MemoryStore to)
    {
        await foreach (var row in from.ListAsync("", null, default))
        {
            await to.PutAsync(row.Key, await from.GetAsync(row.Key, row.SizeBytes, default), default);
        }
    }

    static async Task FlipAsync(MemoryStore store, string key, int offset)
    {
        var bytes = (await store.GetAsync(key, 1 << 24, default))!;
        bytes[Math.Min(offset, bytes.Length - 1)] ^= 1;
        await store.ReplaceAsync(key, bytes, default);
    }

    static async Task AssertSameAsync(FrozenStore expected, IObjectStore store)
    {
        var found = await FrozenStore.CopyAsync(store);
        Assert.Equal(expected.Keys, found.Keys);
        Assert.All(expected.Keys, key => Assert.Equal(expected[key], found[key]));
    }

    static async Task<List<RepairStep>> RepairAsync(IReadOnlyList<IObjectStore> stores)
    {
        var repair = await MakeAsync(stores);
        var steps = new List<RepairStep>();
        await foreach (var step in repair.PlanAsync(default))
        {
            steps.Add(await repair.CarryOutAsync(step, default));
        }

        return steps;
    }

    static async Task<List<RepairStep>> PlanAsync(IReadOnlyList<IObjectStore> stores) =>
        await (await MakeAsync(stores)).PlanAsync(default).ToListAsync();

    static async Task<VaultRepair> MakeAsync(IReadOnlyList<IObjectStore> stores)
    {
        var first = (await VaultAccess.FindAsync(stores[0], "app", default))!;
        return new VaultRepair([first, .. stores.Skip(1).Select(first.At)], parallelism: 4);
    }
}
