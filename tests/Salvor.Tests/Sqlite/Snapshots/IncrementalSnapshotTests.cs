using Salvor.Sqlite.Snapshots;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;

namespace Salvor.Tests.Sqlite.Snapshots;

public sealed class IncrementalSnapshotTests
{
    [Fact]
    public Task A_snapshot_out_of_the_one_before_is_what_the_source_was() => Seeds.ForEachAsync(20, async seed =>
    {
        var store = new MemoryStore();
        var model = await VaultModel.BuildAsync(store, new Random(seed), steps: 8);
        for (var i = 0; i < 4; i++)
        {
            await model.StepAsync();
            if (model.Current.Points.Count > 0)
            {
                await model.MakeSnapshotAsync();
            }
        }

        foreach (var point in model.Points)
        {
            Assert.Equal(point.Content, await VaultReading.RestoreAsync(store, point.Branch, point.Position));
        }
    });

    [Fact]
    public Task A_page_is_read_as_it_was_at_any_restore_point() => Seeds.ForEachAsync(10, async seed =>
    {
        var (store, random) = (new MemoryStore(), new Random(seed));
        var model = await VaultModel.BuildAsync(store, random, steps: 12);
        var catalog = await VaultReading.OpenAsync(store);
        foreach (var point in model.Points)
        {
            var plan = await new RestorePlanner(catalog).PlanAsync(point.Branch, point.Position, default);
            var reader = await PageReader.OpenAsync(catalog, plan, default);
            var content = new byte[point.Content.Length];
            var pages = Enumerable.Range(0, (int)reader.PageCount).ToArray();
            random.Shuffle(pages);
            foreach (var some in pages.Chunk(random.Next(1, 9)))
            {
                var size = (int)model.PageSize;
                var targets = some.Select(page => new PageTarget((uint)page + 1, content.AsMemory(page * size, size)));
                await reader.ReadAsync([.. targets], default);
            }

            Assert.Equal(point.Content, content);
        }
    });

    [Fact]
    public async Task A_transaction_that_changes_nothing_adds_only_a_root()
    {
        var database = await DatabaseVault.CreateAsync(4096, 10_000);
        await database.SnapshotAsync();
        var before = await database.KeysAsync();
        await database.CommitAsync(10_000);
        await database.CommitAsync(10_000, (7, 0), (5000, 0), (10_000, 0));

        var made = await database.SnapshotAsync();

        Assert.Equal(
            ["log/000001/0000000000000002", "log/000001/0000000000000003", "snapshots/000001/0000000000000003"],
            (await database.KeysAsync()).Except(before).Order(StringComparer.Ordinal));
        Assert.InRange(made.AddedBytes, 1, 4096);
    }

    [Fact]
    public async Task A_snapshot_where_one_is_adds_nothing()
    {
        var database = await DatabaseVault.CreateAsync(4096, 100);
        var first = await database.SnapshotAsync();
        var before = await database.KeysAsync();

        var second = await database.SnapshotAsync();

        Assert.Equal((0, first.Checksum, first.SizeBytes), (second.AddedBytes, second.Checksum, second.SizeBytes));
        Assert.Equal(before, await database.KeysAsync());
    }

    [Fact]
    public async Task Only_chunks_that_changed_and_the_nodes_above_them_are_stored()
    {
        // 5000 chunks in 20 leaves: two chunks of two leaves change.
        var database = await DatabaseVault.CreateAsync(4096, 20_000);
        await database.SnapshotAsync();
        var before = await database.OpenSnapshotAsync();
        await database.CommitAsync(20_000, (1, 1), (2, 2), (12_345, 3));

        await database.SnapshotAsync();

        var after = await database.OpenSnapshotAsync();
        var changed = before.Details.Top.Entries.Zip(after.Details.Top.Entries).Index().Where(item => item.Item.First != item.Item.Second);
        Assert.Equal([0, 12_344 / 1024], changed.Select(item => item.Index));
        var packs = (await database.KeysAsync()).Where(key => key.StartsWith("packs/", StringComparison.Ordinal)).ToList();

        // Of the zeros and their leaves; of the two chunks and their leaves.
        Assert.Equal(2 + 2, packs.Count);
        await ExpectContentAsync(database, (1, 1), (2, 2), (12_345, 3));
    }

    /// <summary>655,360 chunks in 2560 leaves below 10 nodes: one way down is read, and one way up is written.</summary>
    [Fact]
    public async Task A_snapshot_of_ten_gibibytes_costs_what_changed()
    {
        const uint PageCount = 10 * (1 << 18);
        var database = await DatabaseVault.CreateAsync(4096, PageCount);
        await database.SnapshotAsync();
        await database.CommitAsync(PageCount, (1_234_567, 1));
        var counting = new FaultyStore(database.Store, _ => Fault.None);
        var vault = (await VaultAccess.FindAsync(counting, "app", default))!;
        var clock = System.Diagnostics.Stopwatch.StartNew();

        var made = await IncrementalSnapshot.MakeAsync(await VaultCatalog.LoadAsync(vault, default), database.Point, epoch: 1, default);

        TestContext.Current.SendDiagnosticMessage($"{clock.Elapsed.TotalMilliseconds:0} ms, {counting.CallCount} calls");
        Assert.InRange(made.AddedBytes, 1, 64 << 10);
        Assert.InRange(counting.CallCount, 1, 60);
        Assert.Equal(10L << 30, made.SizeBytes);
    }

    public static TheoryData<uint, uint> Sizes => new()
    {
        { 1000, 1 }, { 1, 1000 }, { 1000, 1001 }, { 1001, 1000 }, { 1024, 1025 }, { 1025, 1024 }, { 5000, 1024 }, { 1024, 5000 },
        { 4097, 4096 },
    };

    [Theory]
    [MemberData(nameof(Sizes))]
    public async Task A_database_that_shrank_or_grew_is_what_it_is_now(uint from, uint to)
    {
        var database = await DatabaseVault.CreateAsync(4096, from);
        var grown = Enumerable.Range(1, (int)to).Where(page => page > from).Select(page => ((uint)page, (byte)1)).ToArray();
        await database.CommitAsync(to, grown);

        await database.SnapshotAsync();

        var snapshot = await database.OpenSnapshotAsync();
        Assert.Equal((to, database.Checksum), (snapshot.Details.PageCount, snapshot.Details.Checksum));
        await ExpectContentAsync(database, grown);
        var whole = await DatabaseVault.CreateAsync(4096, to);
        Assert.Equal(await TopLevelAsync(whole), snapshot.Details.Top.Level);
    }

    [Fact]
    public async Task What_was_cut_off_does_not_come_back_when_the_database_grows_again()
    {
        var database = await DatabaseVault.CreateAsync(4096, 40);
        await database.CommitAsync(10, (5, 5), (20, 9));
        await database.CommitAsync(40, [.. Enumerable.Range(11, 30).Select(page => ((uint)page, (byte)page))]);

        await database.SnapshotAsync();

        await ExpectContentAsync(database, [(5, 5), .. Enumerable.Range(11, 30).Select(page => ((uint)page, (byte)page))]);
    }

    [Fact]
    public async Task The_page_of_the_locks_above_one_gibibyte_is_zeros_in_a_snapshot_too()
    {
        const uint LockPage = 16_385;
        var database = await DatabaseVault.CreateAsync(65_536, LockPage - 1);
        await database.CommitAsync(LockPage + 2, (1, 1), (LockPage + 1, 2), (LockPage + 2, 3));
        await database.SnapshotAsync();
        await database.CommitAsync(LockPage + 2, (LockPage + 1, 4));

        await database.SnapshotAsync();

        var reader = await database.OpenPagesAsync();
        (uint, byte)[] expected = [(1, 1), (2, 0), (LockPage - 1, 0), (LockPage, 0), (LockPage + 1, 4), (LockPage + 2, 3)];
        foreach (var (page, fill) in expected)
        {
            var content = new byte[65_536];
            content.AsSpan().Fill(0xEE);
            await reader.ReadAsync([new PageTarget(page, content)], default);
            Assert.False(content.AsSpan().ContainsAnyExcept(fill), $"page {page} is not filled with {fill}");
        }

        var hashes = await HashesAsync(await database.OpenSnapshotAsync());
        Assert.Equal(0UL, hashes[(int)LockPage - 1]);
        Assert.Equal(database.Checksum, hashes.Aggregate(0UL, (sum, hash) => sum ^ hash));
    }

    [Fact]
    public async Task A_snapshot_that_does_not_add_up_to_the_checksum_of_the_source_is_not_published()
    {
        var database = await DatabaseVault.CreateAsync(4096, 100);
        await database.CommitAsync(100, (3, 3));
        var frozen = await FrozenStore.CopyAsync(database.Store);

        // Someone forged the root of the image: all that it names is there, and its checksum is another.
        const string Image = "app/snapshots/000001/0000000000000000";
        var image = await Forge.ResealAsync(frozen, Image, changeDetails: details => Forge.Change(details, bytes => bytes[8] ^= 1));
        var details = (await Forge.OpenAsync(frozen.With(Image, image), Image)).Details;
        var forged = frozen.With(Image, image);
        forged = forged.With(
            "app/log/000001/0000000000000001",
            await Forge.ResealAsync(
                forged, "app/log/000001/0000000000000001",
                changeDetails: bytes => Forge.Change(bytes, copy => Hash256.Of(details).CopyTo(copy.AsSpan(68)))));
        var first = (await Forge.OpenAsync(forged, "app/log/000001/0000000000000001")).Header;
        forged = forged.With(
            "app/log/000001/0000000000000002",
            await Forge.ResealAsync(
                forged, "app/log/000001/0000000000000002", header => header with { LineageBefore = first.LineageAfter }));
        var catalog = await VaultCatalog.LoadAsync((await VaultAccess.FindAsync(forged, "app", default))!, default);

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(
            () => IncrementalSnapshot.MakeAsync(catalog, database.Point, epoch: 1, default));

        Assert.Equal(
            $"object log/000001/0000000000000002 is damaged: the source had checksum {database.Checksum:x16} at position 2, "
                + $"and the pages before it add up to {database.Checksum ^ 1:x16}",
            failure.Message);
    }

    [Fact]
    public async Task A_page_of_the_log_that_does_not_match_its_hash_is_named()
    {
        const string Log = "app/log/000001/0000000000000002";
        var database = await DatabaseVault.CreateAsync(4096, 100);
        await database.CommitAsync(100, (3, 3));
        var frozen = await FrozenStore.CopyAsync(database.Store);

        // Behind the hash of the last page are a number, a byte and three empty lists.
        const int Behind = 8 + 1 + (3 * 4);
        var forged = frozen.With(
            Log, await Forge.ResealAsync(frozen, Log, changeDetails: details => Forge.Change(details, bytes => bytes[^(Behind + 1)] ^= 1)));
        var catalog = await VaultCatalog.LoadAsync((await VaultAccess.FindAsync(forged, "app", default))!, default);

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(
            () => IncrementalSnapshot.MakeAsync(catalog, database.Point, epoch: 1, default));

        Assert.Equal("object log/000001/0000000000000002 is damaged: page 3 does not match its hash", failure.Message);
    }

    static async Task<int> TopLevelAsync(DatabaseVault database)
    {
        await database.SnapshotAsync();
        return (await database.OpenSnapshotAsync()).Details.Top.Level;
    }

    static Task ExpectContentAsync(DatabaseVault database, params (uint Page, byte Fill)[] pages) =>
        ExpectAsync(database, pages.ToDictionary(item => item.Page, item => item.Fill));

    static async Task ExpectAsync(DatabaseVault database, Dictionary<uint, byte> pages)
    {
        var content = await VaultReading.RestoreAsync(database.Store, 1, database.Position);
        foreach (var (index, page) in content.Chunk(4096).Index())
        {
            Assert.False(page.AsSpan().ContainsAnyExcept(pages.GetValueOrDefault((uint)index + 1)), $"page {index + 1} is wrong");
        }
    }

    static async Task<List<ulong>> HashesAsync(SnapshotReader snapshot)
    {
        var hashes = new List<ulong>();
        await snapshot.ReadPageHashesAsync((_, more) => hashes.AddRange(more), default);
        return hashes;
    }
}
