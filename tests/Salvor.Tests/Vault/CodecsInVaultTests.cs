using Salvor.Sqlite.Snapshots;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault;

/// <summary>The setting of who writes, and what does not depend on it.</summary>
public sealed class CodecsInVaultTests
{
    const uint PageSize = 4096;

    [Fact]
    public Task Histories_of_mixed_codecs_restore_as_they_were() => Seeds.ForEachAsync(8, async seed =>
    {
        var (random, store) = (new Random(seed), new MemoryStore());
        var model = await VaultModel.CreateAsync(store, random, PageSize, keys: null);
        model.Compress(Next(random));
        await model.BeginAsync();
        for (var step = 0; step < 16; step++)
        {
            model.Compress(Next(random));
            await model.StepAsync();
        }

        foreach (var point in model.Points)
        {
            Assert.Equal(point.Content, await VaultReading.RestoreAsync(store, point.Branch, point.Position));
        }
    });

    [Theory]
    [InlineData("lz4", Codec.Lz4)]
    [InlineData("gzip", Codec.Gzip)]
    [InlineData("none", Codec.None)]
    public async Task A_merge_compresses_with_the_setting_of_its_moment(string compression, Codec expected)
    {
        var database = await DatabaseVault.CreateAsync(PageSize, pageCount: 8);
        for (byte fill = 1; fill < 6; fill++)
        {
            await database.CommitAsync(8, (2, fill), (3, fill));
        }

        var vault = database.Vault.With(Compressions.Of(compression));
        var catalog = await VaultCatalog.LoadAsync(vault, default);
        var run = new CompactionRun([.. catalog.Logs(1).Chain.SkipLast(1)], null);
        var merged = Assert.Single(await new Compactor(catalog).RunAsync(1, run, default));

        var frames = Forge.Frames((await vault.GetAsync(VaultKeys.Log(1, merged), default))!);
        Assert.All(frames, frame => Assert.Equal(expected, frame.Codec));
    }

    [Fact]
    public async Task What_was_stored_with_another_codec_is_not_stored_again()
    {
        const uint PageCount = 400;
        var database = await DatabaseVault.CreateAsync(PageSize, PageCount);
        await database.CommitAsync(PageCount, [.. Enumerable.Range(2, 200).Select(page => ((uint)page, (byte)page))]);
        await database.SnapshotAsync();
        await database.CommitAsync(PageCount, (7, 99));
        var before = await PacksAsync(database);

        var vault = database.Vault.With(Compressions.Of("lz4"));
        await IncrementalSnapshot.MakeAsync(await VaultCatalog.LoadAsync(vault, default), database.Point, epoch: 1, default);

        var added = (await PacksAsync(database)).Except(before).ToList();
        var frames = new List<FrameInfo>();
        foreach (var key in added)
        {
            var bytes = (await vault.GetAsync(key, default))!;
            frames.AddRange(Forge.Frames(bytes).SkipLast(1));
        }

        // The chunk of the page that changed; the small tree is in the root.
        Assert.Equal((16384u, Codec.Lz4), Assert.Single(frames.Select(frame => (frame.ContentBytes, frame.Codec))));
        Assert.Equal(database.Checksum, (await database.OpenSnapshotAsync()).Details.Checksum);
    }

    static async Task<HashSet<string>> PacksAsync(DatabaseVault database) =>
        [.. (await database.KeysAsync()).Where(key => key.StartsWith(VaultKeys.Packs, StringComparison.Ordinal))];

    static FrameCompression Next(Random random) => random.GetItems(Compressions.All, 1)[0];
}
