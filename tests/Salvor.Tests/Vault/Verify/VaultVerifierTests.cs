using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Vault.Verify;

/// <summary>Breaks every object of a vault in every way: verification names it, and what it calls good can be restored.</summary>
public sealed class VaultVerifierTests
{
    static readonly int Stride = Environment.GetEnvironmentVariable("SALVOR_ALL") is null ? 97 : 1;

    [Fact]
    public Task An_undamaged_vault_has_no_finding() => Seeds.ForEachAsync(20, async seed =>
    {
        var store = new MemoryStore();
        var model = await VaultModel.BuildAsync(store, new Random(seed), steps: 12);
        foreach (var quick in new[] { true, false })
        {
            var report = await VerifyAsync(store, new VerifyOptions { Quick = quick });

            Assert.Empty(report.Findings);
            Assert.Equal((ulong)model.Points.Count(), report.RestorePoints);
            Assert.Equal(model.Current.Number, report.Branch);
        }
    });

    [Fact]
    public Task A_flipped_bit_is_found_wherever_it_is() => Seeds.ForEachAsync(1, async seed =>
    {
        var (vault, random) = (await BrokenVault.CreateAsync(seed), new Random(seed));
        foreach (var key in vault.Keys)
        {
            var bytes = vault.Whole[key];
            for (var offset = random.Next(Stride); offset < bytes.Length; offset += Stride)
            {
                var flipped = Forge.Change(bytes, copy => copy[offset] ^= (byte)(1 << random.Next(8)));
                await AssertNamedAsync(vault.Whole.With(key, flipped), key, $"flipping a bit at {offset} of {bytes.Length} in {key}");
            }
        }
    });

    [Fact]
    public async Task A_truncated_object_is_found()
    {
        var vault = await BrokenVault.CreateAsync();
        foreach (var key in vault.Keys)
        {
            foreach (var length in new[] { 0, 1, 208, vault.Whole[key].Length / 2, vault.Whole[key].Length - 1 })
            {
                await AssertNamedAsync(vault.Whole.With(key, vault.Whole[key][..length]), key, $"cutting {key} to {length}");
            }
        }
    }

    [Fact]
    public async Task A_missing_object_is_found_unless_it_was_the_newest_of_its_kind_and_nothing_tells()
    {
        var vault = await BrokenVault.CreateAsync();
        foreach (var key in vault.Keys.Where(key => key != "app/vault"))
        {
            var report = await TryVerifyAsync(vault.Whole.Without(key));

            // The last object of a log, the newest branch without its log, a claim, and a snapshot that nothing refers to.
            var mayHide = key.Contains("claims/", StringComparison.Ordinal) || key.Contains("snapshots/", StringComparison.Ordinal)
                || IsLast(vault, key);
            Assert.True(report.FindingCount > 0 || mayHide, $"removing {key}: nobody noticed");
        }
    }

    [Fact]
    public async Task Two_objects_that_were_swapped_are_found()
    {
        var vault = await BrokenVault.CreateAsync();
        foreach (var (key, other) in vault.Keys.SelectMany(key => vault.Keys.Select(other => (key, other))))
        {
            if (string.CompareOrdinal(key, other) < 0 && key.Split('/')[1] == other.Split('/')[1])
            {
                var swapped = vault.Whole.With(key, vault.Whole[other]).With(other, vault.Whole[key]);
                Assert.True((await TryVerifyAsync(swapped)).FindingCount > 0, $"{key} and {other} were swapped and nobody noticed");
            }
        }
    }

    [Fact]
    public async Task An_older_object_that_was_put_back_is_found()
    {
        // The same vault, whose log went another way after a copy of it was taken: every object of that copy is whole.
        var store = new MemoryStore();
        var model = await VaultModel.CreateAsync(store, new Random(1), pageSize: 512);
        await model.BeginAsync();
        await model.CommitAsync(transactions: 1);
        await model.CommitAsync(transactions: 1);
        var whole = await FrozenStore.CopyAsync(store);
        const string Second = "app/log/000001/0000000000000002", Third = "app/log/000001/0000000000000003";
        var replayed = whole.With(Third, Renumbered(whole[Second], 3));

        var report = await VerifyAsync(replayed, new VerifyOptions());

        var finding = Assert.Single(report.Findings);
        Assert.Equal("log/000001/0000000000000003", finding.Key);
    }

    [Fact]
    public async Task What_is_called_good_can_be_restored()
    {
        var vault = await BrokenVault.CreateAsync();
        foreach (var key in vault.Keys)
        {
            foreach (var other in vault.Keys.Where(other => other != key))
            {
                var broken = vault.Whole.With(key, vault.Whole[other]);
                if ((await TryVerifyAsync(broken)).FindingCount == 0)
                {
                    Assert.Equal(0, await vault.RefusalsAsync(broken, $"putting {other} in the place of {key}"));
                }
            }
        }
    }

    [Fact]
    public async Task All_damage_is_told_at_once_each_with_what_it_costs()
    {
        var store = new MemoryStore();
        var model = await VaultModel.CreateAsync(store, new Random(1), pageSize: 512);
        await model.BeginAsync();
        for (var i = 0; i < 9; i++)
        {
            await model.CommitAsync(transactions: 1);
        }

        await model.SnapshotAsync();
        for (var i = 0; i < 5; i++)
        {
            await model.CommitAsync(transactions: 1);
        }

        var whole = await FrozenStore.CopyAsync(store);
        string Log(int number) => $"app/log/000001/{number:D16}";
        var broken = whole.With(Log(4), Flip(whole[Log(4)], ObjectHeader.SizeBytes)).With(Log(12), Flip(whole[Log(12)], 20))
            .Without(Log(14));

        var report = await VerifyAsync(broken, new VerifyOptions());

        Assert.Equal(
            [
                ("log/000001/0000000000000004", FindingLayer.Frame, "restore points 4-9 cannot be restored from this copy"),
                ("log/000001/0000000000000012", FindingLayer.Envelope, "restore points 12-15 cannot be restored from this copy"),
                ("log/000001/0000000000000014", FindingLayer.Listing, "restore points 14-15 cannot be restored from this copy"),
            ],
            report.Findings.OrderBy(item => item.Key, StringComparer.Ordinal).Select(item => (item.Key, item.Layer, item.Consequence)));
    }

    [Fact]
    public async Task A_pack_is_told_once_with_all_that_needs_it()
    {
        var vault = await BrokenVault.CreateAsync();
        foreach (var key in vault.Keys.Where(key => key.StartsWith("app/packs/", StringComparison.Ordinal)))
        {
            var flipped = vault.Whole.With(key, Flip(vault.Whole[key], ObjectHeader.SizeBytes));
            foreach (var broken in new[] { vault.Whole.Without(key), flipped })
            {
                var report = await VerifyAsync(broken, new VerifyOptions());

                var finding = Assert.Single(report.Findings);
                Assert.Equal(key["app/".Length..], finding.Key);
                Assert.Contains("cannot be restored from this copy", finding.Consequence, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public async Task The_newest_objects_cannot_be_removed_unnoticed_once_a_head_was_published()
    {
        var store = new MemoryStore();
        var model = await VaultModel.CreateAsync(store, new Random(1), pageSize: 512);
        await model.BeginAsync();
        await model.CommitAsync(transactions: 1);
        await model.CommitAsync(transactions: 2);
        var entry = new HeadEntry
        {
            Source = "app", VaultId = model.Vault.Id, Branch = 1, Number = model.Tip.Number, Position = model.Tip.Position.Value,
            CompleteAsOf = DateTimeOffset.UnixEpoch, Epoch = 1, RenewedAt = DateTimeOffset.UnixEpoch,
        };
        await Heads.TryPutAsync(
            store, "w", 1, new HeadRecord { Host = "h", Pid = 1, At = DateTimeOffset.UnixEpoch, Vaults = [entry] }, default);
        Assert.Empty((await VerifyAsync(store, new VerifyOptions())).Findings);

        await store.DeleteAsync($"app/log/000001/{model.Tip.Number:D16}", default);

        foreach (var quick in new[] { true, false })
        {
            var finding = Assert.Single((await VerifyAsync(store, new VerifyOptions { Quick = quick })).Findings);
            Assert.Equal(FindingLayer.Head, finding.Layer);
            Assert.Equal(
                $"the newest objects were removed: number {entry.Number} with position {entry.Position} was stored", finding.What);
            Assert.Equal($"restore points {entry.Position - 1}-{entry.Position} are gone", finding.Consequence);
        }
    }

    [Fact]
    public async Task A_quick_look_reads_no_content()
    {
        var vault = await BrokenVault.CreateAsync();
        const string Key = "app/log/000001/0000000000000002";
        var broken = vault.Whole.With(Key, Flip(vault.Whole[Key], ObjectHeader.SizeBytes));

        Assert.Empty((await VerifyAsync(broken, new VerifyOptions { Quick = true })).Findings);
        Assert.Single((await VerifyAsync(broken, new VerifyOptions())).Findings);
    }

    [Fact]
    public async Task The_parts_of_a_sample_are_together_everything()
    {
        var vault = await BrokenVault.CreateAsync();
        foreach (var key in vault.Keys.Where(key => key.Contains("/log/", StringComparison.Ordinal)))
        {
            var broken = vault.Whole.With(key, Flip(vault.Whole[key], vault.Whole[key].Length - 20));
            var found = 0;
            for (var part = 1; part <= 5; part++)
            {
                var report = await VerifyAsync(broken, new VerifyOptions { Sample = Sample.Parse($"{part}/5", new Random(part)) });
                found += report.Findings.Count(item => item.Key == key["app/".Length..]);
            }

            Assert.Equal(1, found);
        }
    }

    static async Task AssertNamedAsync(FrozenStore broken, string key, string what)
    {
        var report = await TryVerifyAsync(broken);
        Assert.True(
            report.Findings.Any(item => item.Key == key["app/".Length..]),
            $"after {what}: found {string.Join("; ", report.Findings.Select(item => $"{item.Key}: {item.What}"))}");
        Assert.All(report.Findings, item => Assert.NotEmpty(item.Consequence));
    }

    /// <summary>As a verification of all sources does it: a vault that cannot be opened is one finding.</summary>
    static async Task<VerifyReport> TryVerifyAsync(FrozenStore store)
    {
        try
        {
            return await VerifyAsync(store, new VerifyOptions());
        }
        catch (SalvorException e) when (e is DamagedObjectException or NewerFormatException)
        {
            return new VerifyReport
            {
                Destination = "", Objects = 0, ObjectsRead = 0, Bytes = 0, RestorePoints = 0, Newest = default, Branch = 0,
                Findings = [new Finding("", "vault", FindingLayer.Envelope, e.Message, "all")], FindingCount = 1,
            };
        }
    }

    static async Task<VerifyReport> VerifyAsync(IObjectStore store, VerifyOptions options) =>
        await new VaultVerifier((await VaultAccess.FindAsync(store, "app", default))!, options).RunAsync(default);

    static byte[] Flip(byte[] bytes, int offset) => Forge.Change(bytes, copy => copy[offset] ^= 1);

    static byte[] Renumbered(byte[] bytes, ulong number) => Forge.Change(bytes, copy =>
    {
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(copy.AsSpan(40), number);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(copy.AsSpan(204), Checksum.Crc32C(copy.AsSpan(0, 204)));
        var end = copy.Length - 40;
        Hash256.Of(copy.AsSpan(0, end)).CopyTo(copy.AsSpan(end));
    });

    static bool IsLast(BrokenVault vault, string key)
    {
        var folder = key[..key.LastIndexOf('/')];
        return key.Contains("/log/", StringComparison.Ordinal)
            && vault.Keys.Where(item => item.StartsWith(folder + "/", StringComparison.Ordinal)).Max(StringComparer.Ordinal) == key;
    }
}
