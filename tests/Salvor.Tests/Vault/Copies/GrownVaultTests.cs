using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Copies;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;
using Salvor.Vault.Restore;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Vault.Copies;

/// <summary>Verification, copies and repair of a vault in which everything is that a vault can hold, plain and encrypted.</summary>
public sealed class GrownVaultTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Rot_in_each_object_is_named_read_around_and_healed(bool isEncrypted)
    {
        var grown = await GrownVault.CreateAsync(isEncrypted);
        var (rotten, good) = (grown.Store, await GrownVault.CopyAsync(grown.Store));
        Assert.Empty((await VerifyAsync(grown.Vault)).Findings);
        var random = new Random(1);
        var kinds = new HashSet<string>();
        foreach (var key in await GrownVault.KeysOfAsync(rotten))
        {
            var whole = (await rotten.GetAsync($"app/{key}", 1 << 24, default))!;
            kinds.Add(key[..(key.IndexOf('/') + 1)]);
            foreach (var offset in new[] { whole.Length / 2, random.Next(whole.Length), ObjectHeader.SizeBytes })
            {
                await rotten.ReplaceAsync($"app/{key}", Forge.Change(whole, copy => copy[offset] ^= 4), default);

                var report = await VerifyAsync(grown.Vault);
                Assert.True(report.Findings.Any(item => item.Key == key), $"{key} at {offset}: {string.Join("; ", report.Findings)}");
                await AssertRestorableAsync(grown, grown.Vault.With([grown.Vault.At(good)], null));
                var step = Assert.Single(await RepairAsync(grown, rotten, good));
                Assert.Equal((key, RepairAction.Replace, null), (step.Key, step.Action, step.Failure));
                Assert.Equal(whole, await rotten.GetAsync($"app/{key}", 1 << 24, default));
            }
        }

        string[] expected = ["", "backups/", "branches/", "claims/", "log/", "moves/", "packs/", "snapshots/"];
        Assert.Equal(new HashSet<string>(isEncrypted ? [.. expected, "keys/"] : expected), kinds);
        Assert.Empty(await RepairAsync(grown, rotten, good));
        Assert.Empty((await VerifyAsync(grown.Vault)).Findings);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_missing_at_one_destination_is_read_from_the_other_and_brought_back(bool isEncrypted)
    {
        var grown = await GrownVault.CreateAsync(isEncrypted);
        var (rotten, good) = (grown.Store, await GrownVault.CopyAsync(grown.Store));
        foreach (var key in (await GrownVault.KeysOfAsync(rotten)).Where(key => !IsCovered(key)))
        {
            await rotten.DeleteAsync($"app/{key}", default);

            await AssertRestorableAsync(grown, grown.Vault.With([grown.Vault.At(good)], null));
            var step = Assert.Single(await RepairAsync(grown, rotten, good));
            Assert.Equal((key, RepairAction.Copy, null), (step.Key, step.Action, step.Failure));
        }

        Assert.Empty((await VerifyAsync(grown.Vault)).Findings);
    }

    [Fact]
    public async Task What_a_merged_object_has_is_not_brought_back()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: false);
        var stale = await StaleAsync(grown);

        Assert.Empty(await RepairAsync(grown, grown.Store, stale));

        // But where the merged object is gone, each of them is wanted again.
        await grown.Store.DeleteAsync("app/" + VaultKeys.Log(1, GrownVault.Merged), default);
        var steps = await RepairAsync(grown, grown.Store, stale);
        Assert.Equal(9, steps.Count);
        Assert.All(steps, step => Assert.Null(step.Failure));
    }

    [Fact]
    public async Task A_copy_loses_what_was_superseded_only_where_the_merged_object_is_good_there()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: true);
        var copy = await StaleAsync(grown);
        var merged = "app/" + VaultKeys.Log(1, GrownVault.Merged);
        var whole = (await copy.GetAsync(merged, 1 << 24, default))!;
        await copy.ReplaceAsync(merged, Forge.Change(whole, bytes => bytes[whole.Length / 2] ^= 1), default);
        var mirror = new VaultMirror(grown.Vault, copy);
        await mirror.RunAsync(everything: true, default);
        Assert.NotNull(await copy.SizeAsync("app/" + VaultKeys.Log(1, 5UL), default));

        await copy.DeleteAsync(merged, default);
        await mirror.RunAsync(everything: true, default);
        Assert.NotNull(await copy.SizeAsync("app/" + VaultKeys.Log(1, 5UL), default));
        await mirror.RunAsync(everything: true, default);

        Assert.Equal(await GrownVault.KeysOfAsync(grown.Store), await GrownVault.KeysOfAsync(copy));
        Assert.Empty((await VerifyAsync(grown.Vault.At(copy))).Findings);
    }

    [Fact]
    public async Task A_copy_keeps_the_objects_of_one_that_dropped_restore_points()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: false);
        var copy = await GrownVault.CopyAsync(grown.Store);
        const ulong Number = 12;
        await grown.Store.DeleteAsync("app/" + VaultKeys.Log(1, Number), default);

        await new VaultMirror(grown.Vault, copy).RunAsync(everything: true, default);

        Assert.NotNull(await copy.SizeAsync("app/" + VaultKeys.Log(1, Number), default));
    }

    [Fact]
    public async Task A_copy_that_was_away_while_the_log_was_merged_gets_what_covers_its_hole()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: false);
        var copy = new MemoryStore();
        var mirror = new VaultMirror(grown.Vault, copy);
        for (var i = 0; i < 6; i++)
        {
            // The last that it copies is the third of those that are merged, so what they become sorts before its end.
            await (i == 3 ? mirror.RunAsync(everything: true, default) : Task.CompletedTask);
            await grown.Model.CommitAsync(transactions: 1);
        }

        var catalog = await VaultCatalog.LoadAsync(grown.Vault, default);
        var entries = catalog.Logs(2).Chain.SkipLast(1).ToList();
        await new Salvor.Vault.Compaction.Compactor(catalog).RunAsync(
            2, new Salvor.Vault.Compaction.CompactionRun(entries, null), default);
        foreach (var entry in entries)
        {
            await grown.Store.DeleteAsync("app/" + VaultKeys.Log(2, entry), default);
        }

        await mirror.RunAsync(everything: false, default);

        Assert.Empty((await VerifyAsync(grown.Vault.At(copy))).Findings);
        await AssertRestorableAsync(grown, grown.Vault.At(copy));
    }

    [Fact]
    public async Task A_secret_that_was_taken_back_opens_no_copy()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: true);
        var copy = await GrownVault.CopyAsync(grown.Store);
        await KeyRotation.RotateAsync(
            grown.Vault, TestKeys.KeyFile(), TestKeys.KeyFile("two"), "", TimeProvider.System, default);

        // A repair cannot know which of two slots was taken back; the writer can.
        Assert.DoesNotContain(await RepairPlanAsync(grown, grown.Store, copy), step => IsKey(step.Key));
        await new VaultMirror(grown.Vault, copy).RunAsync(everything: false, default);

        await Assert.ThrowsAsync<KeyException>(() => VaultAccess.FindAsync(copy, "app", TestKeys.Keyring(), default));
        Assert.NotNull(await VaultAccess.FindAsync(copy, "app", TestKeys.Keyring("two"), default));
    }

    [Fact]
    public async Task A_copy_without_key_slots_is_healed_and_read_with_the_key_of_another()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: true);
        var copy = await GrownVault.CopyAsync(grown.Store);
        await copy.DeleteAsync("app/keys/0000000001", default);
        await grown.Store.DeleteAsync("app/" + VaultKeys.Log(1, GrownVault.Merged), default);

        var other = await grown.Vault.FindCopyAsync(copy, TestKeys.Keyring(), default);
        await AssertRestorableAsync(grown, grown.Vault.With([other!], null));
        Assert.Contains((await VerifyAsync(other!)).Findings, item => item.What == "no key slot is there that could be read");
        await RepairAsync(grown, grown.Store, copy);

        Assert.NotNull(await VaultAccess.FindAsync(copy, "app", TestKeys.Keyring(), default));
    }

    [Fact]
    public async Task Objects_that_are_merged_and_removed_while_they_are_verified_are_no_damage()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: false);
        var stale = await StaleAsync(grown);
        await stale.DeleteAsync("app/" + VaultKeys.Log(1, GrownVault.Merged), default);
        Assert.Empty((await VerifyAsync(grown.Vault.At(stale))).Findings);

        // From the first look into one of them on, only what they were merged to is there.
        IObjectStore now = stale;
        var changing = new FaultyStore(
            new Following(() => now),
            call =>
            {
                now = call.Operation == StoreOperation.Read && call.Key == "app/" + VaultKeys.Log(1, 4UL) ? grown.Store : now;
                return Fault.None;
            });
        var report = await new VaultVerifier(grown.Vault.At(changing), new VerifyOptions { Parallelism = 3 }).RunAsync(default);

        Assert.Same(grown.Store, now);
        Assert.Empty(report.Findings);
    }

    [Fact]
    public async Task A_superseded_object_that_rots_costs_what_only_it_has()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: false);
        var stale = await StaleAsync(grown);
        foreach (var (number, cost) in new[] { (5UL, LostPoints.Nothing), (12UL, LostPoints.Finer) })
        {
            var key = VaultKeys.Log(1, number);
            var whole = (await stale.GetAsync("app/" + key, 1 << 24, default))!;
            await stale.ReplaceAsync("app/" + key, Forge.Change(whole, bytes => bytes[ObjectHeader.SizeBytes] ^= 1), default);

            var finding = Assert.Single((await VerifyAsync(grown.Vault.At(stale))).Findings);

            Assert.Equal((key, cost), (finding.Key, finding.Consequence));
            await stale.ReplaceAsync("app/" + key, whole, default);
        }
    }

    [Fact]
    public async Task A_pack_costs_only_the_snapshots_that_need_it()
    {
        var grown = await GrownVault.CreateAsync(isEncrypted: false);
        var costs = new HashSet<string>();
        var keys = await GrownVault.KeysOfAsync(grown.Store);
        foreach (var key in keys.Where(key => key.StartsWith(VaultKeys.Packs, StringComparison.Ordinal)))
        {
            var broken = await GrownVault.CopyAsync(grown.Store);
            await broken.DeleteAsync("app/" + key, default);

            var finding = Assert.Single((await VerifyAsync(grown.Vault.At(broken))).Findings);

            Assert.Equal((key, FindingLayer.Chunk), (finding.Key, finding.Layer));
            costs.Add(finding.Consequence);
        }

        Assert.True(costs.Count > 1, string.Join("; ", costs));
    }

    /// <summary>The vault with what <see cref="GrownVault.Merged"/> was made of.</summary>
    static async Task<MemoryStore> StaleAsync(GrownVault grown)
    {
        var stale = await GrownVault.CopyAsync(grown.Store);
        for (var number = GrownVault.Merged.First; number <= GrownVault.Merged.Last; number++)
        {
            await stale.PutAsync("app/" + VaultKeys.Log(1, number), grown.Superseded[number], default);
        }

        return stale;
    }

    /// <summary>What a repair takes for superseded.</summary>
    static bool IsCovered(string key) => key.StartsWith(VaultKeys.Logs, StringComparison.Ordinal)
        && VaultKeys.BranchOf(key) == 1
        && VaultKeys.LogEntryOf(key, 0).Entry is { IsCompacted: false, First: >= 10 and <= 17 };

    static bool IsKey(string key) => key.StartsWith(VaultKeys.KeySlots, StringComparison.Ordinal);

    static Task<VerifyReport> VerifyAsync(VaultAccess vault) => new VaultVerifier(vault, new VerifyOptions()).RunAsync(default);

    static async Task AssertRestorableAsync(GrownVault grown, VaultAccess vault)
    {
        var catalog = await VaultCatalog.LoadAsync(vault, default);
        var points = grown.Model.Points.ToList();
        foreach (var point in new[] { points[0], points[5], points[11], points[19], points[^1] })
        {
            var plan = await new RestorePlanner(catalog).PlanAsync(point.Branch, point.Position, default);
            Assert.Equal(point.Content, await VaultReading.WriteAsync(catalog, plan));
        }
    }

    static VaultRepair RepairOf(GrownVault grown, params IObjectStore[] stores) =>
        new([.. stores.Select(grown.Vault.At)], parallelism: 2);

    static async Task<List<RepairStep>> RepairPlanAsync(GrownVault grown, params IObjectStore[] stores) =>
        await RepairOf(grown, stores).PlanAsync(default).ToListAsync();

    static async Task<List<RepairStep>> RepairAsync(GrownVault grown, params IObjectStore[] stores)
    {
        var repair = RepairOf(grown, stores);
        var steps = new List<RepairStep>();
        await foreach (var step in repair.PlanAsync(default))
        {
            steps.Add(await repair.CarryOutAsync(step, default));
        }

        return steps;
    }

    /// <summary>Another store from one moment to the next.</summary>
    sealed class Following(Func<IObjectStore> now) : IObjectStore
    {
        public string Location => now().Location;

        public Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
            now().PutAsync(key, content, cancellationToken);

        public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
            now().ReadAsync(key, offset, buffer, cancellationToken);

        public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) => now().SizeAsync(key, cancellationToken);

        public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
            now().ListAsync(prefix, after, cancellationToken);

        public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
            now().ReplaceAsync(key, content, cancellationToken);

        public Task DeleteAsync(string key, CancellationToken cancellationToken) => now().DeleteAsync(key, cancellationToken);
    }
}
