using System.Buffers;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Tests.Vault.Snapshots;

public sealed class SnapshotTests
{
    readonly MemoryStore store = new();

    /// <summary>From one page to several packs and lists; at the ends of runs, chunks and lists.</summary>
    [Theory]
    [InlineData(512, 1, false)]
    [InlineData(512, 31, true)]
    [InlineData(512, 33, false)]
    [InlineData(512, 8192, true)]
    [InlineData(4096, 255, false)]
    [InlineData(4096, 256, false)]
    [InlineData(4096, 257, true)]
    [InlineData(4096, 10_240, false)]
    [InlineData(4096, 10_241, true)]
    [InlineData(16384, 257, false)]
    [InlineData(65536, 1, true)]
    [InlineData(65536, 300, false)]
    [InlineData(65536, 600, true)]
    public async Task A_snapshot_is_read_as_it_was_written(uint pageSize, int pageCount, bool compressible)
    {
        var vault = await OpenAsync();
        var content = Content(pageSize, pageCount, compressible);

        var stored = await WriteAsync(vault, pageSize, content);
        var reader = await SnapshotReader.OpenAsync(vault, new SnapshotRef(1, new Position(5)), default);

        Assert.Equivalent(stored.Details, reader.Details, strict: true);
        Assert.Equal(stored.DetailsHash, reader.DetailsHash);
        Assert.Equal((pageSize, (uint)pageCount, 42UL), (reader.Details.PageSize, reader.Details.PageCount, reader.Details.Checksum));
        Assert.Equal(content, await ReadAsync(reader));
        Assert.Equal(Hashes(pageSize, content), await ReadHashesAsync(reader));
        Assert.Equal(await BytesAsync("app/packs/") + await BytesAsync("app/snapshots/"), stored.StoredBytes);
    }

    [Fact]
    public async Task Content_that_does_not_compress_fills_packs_below_the_size_that_readers_accept()
    {
        var vault = await OpenAsync();
        var content = Content(4096, 10_240, compressible: false);

        var stored = await WriteAsync(vault, 4096, content);

        Assert.Equal((1, 10), (stored.Details.Top.Level, stored.Details.Top.Entries.Count));
        Assert.Equal(4 + 1, await store.ListAsync("app/packs/", null, default).CountAsync());
        Assert.All(
            await store.ListAsync("app/packs/", null, default).ToListAsync(),
            row => Assert.InRange(row.SizeBytes, 1, ObjectWriter.ObjectBytesMax));
        Assert.InRange(stored.StoredBytes, content.Length, content.Length * 1.01);
    }

    [Fact]
    public async Task Content_that_compresses_shares_packs()
    {
        var stored = await WriteAsync(await OpenAsync(), 4096, Content(4096, 10_240, compressible: true));

        Assert.Equal(1 + 1, await store.ListAsync("app/packs/", null, default).CountAsync());
        Assert.InRange(stored.StoredBytes, 1, 8 << 20);
    }

    [Fact]
    public async Task Pages_that_repeat_are_read_in_every_place()
    {
        var content = new byte[3 << 20];
        content.AsSpan(0, 16384).Fill(1);
        content.AsSpan(1 << 20, 16384).Fill(1);
        content.AsSpan(2 << 20, 16384).Fill(1);
        var vault = await OpenAsync();
        await WriteAsync(vault, 4096, content);

        var reader = await SnapshotReader.OpenAsync(vault, new SnapshotRef(1, new Position(5)), default);

        Assert.Equal(content, await ReadAsync(reader));
    }

    [Fact]
    public async Task The_same_content_makes_the_same_packs_whoever_stores_it()
    {
        var vault = await OpenAsync();
        var content = Content(4096, 1000, compressible: false);

        var first = await WriteAsync(vault, 4096, content, position: 5, epoch: 1);
        var second = await WriteAsync(vault, 4096, content, position: 6, epoch: 2);

        Assert.Equivalent(first.Details, second.Details, strict: true);
        Assert.Equal(1, await store.ListAsync("app/packs/", null, default).CountAsync());
    }

    [Fact]
    public async Task A_pack_is_named_by_the_hash_in_its_footer()
    {
        await WriteAsync(await OpenAsync(), 4096, Content(4096, 1025, compressible: false));

        var packs = await store.ListAsync("app/packs/", null, default).ToListAsync();
        Assert.Equal(2, packs.Count);
        foreach (var pack in packs)
        {
            var bytes = (await store.GetAsync(pack.Key, 1 << 24, default))!;
            Assert.Equal(pack.Key["app/packs/".Length..], Convert.ToHexStringLower(bytes.AsSpan(bytes.Length - 40, 32)));
        }
    }

    [Fact]
    public async Task A_chunk_that_does_not_match_its_name_is_named_although_every_checksum_fits()
    {
        var vault = await OpenAsync();
        var stored = await WriteAsync(vault, 4096, new byte[4096 * 8]);
        var frozen = await FrozenStore.CopyAsync(store);
        var key = VaultKeys.Pack(stored.Details.Top.Entries[0].Pack);
        var (header, details) = await Forge.OpenAsync(frozen, "app/" + key);
        using var writer = new ObjectWriter(VaultSecrets.Plain, FrameCompression.Default);
        var frame = SealedFrame.Seal(Content(4096, 8, compressible: false), FrameCompression.Default);
        writer.Add(frame);
        frame.Release();
        var forged = frozen.With("app/" + key, writer.Finish(header, details).Bytes.ToArray());

        var reader = await SnapshotReader.OpenAsync(
            (await VaultAccess.FindAsync(forged, "app", default))!, new SnapshotRef(1, new Position(5)), default);
        var failure = await Assert.ThrowsAsync<DamagedObjectException>(() => ReadAsync(reader));

        Assert.Matches($"^object {key} is damaged: chunk [0-9a-f]{{64}} does not match its name$", failure.Message);
    }

    [Fact]
    public async Task A_chunk_of_another_length_than_its_place_is_named_before_it_is_written_anywhere()
    {
        var vault = await OpenAsync();
        await using var writer = new SnapshotWriter(vault, epoch: 1, pageSize: 4096);
        foreach (var pages in (int[])[5, 3])
        {
            // The second chunk ends with this run, in the middle of the file.
            await writer.AddAsync(ArrayPool<byte>.Shared.Rent(pages * 4096), pages * 4096, new ulong[pages], default);
        }

        await writer.FinishAsync(TipAt(5), pageCount: 8, checksum: 0, isImage: false, default);

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(
            () => SnapshotReader.OpenAsync(vault, new SnapshotRef(1, new Position(5)), default));

        Assert.EndsWith("a leaf of its tree covers 3 chunks from byte 0 on", failure.Message);
    }

    [Fact]
    public async Task A_snapshot_in_the_place_of_another_is_named()
    {
        await WriteAsync(await OpenAsync(), 4096, new byte[4096]);
        var frozen = await FrozenStore.CopyAsync(store);
        var swapped = frozen.With("app/snapshots/000001/0000000000000009", frozen["app/snapshots/000001/0000000000000005"]);

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(async () => await SnapshotReader.OpenAsync(
            (await VaultAccess.FindAsync(swapped, "app", default))!, new SnapshotRef(1, new Position(9)), default));

        Assert.Equal("object snapshots/000001/0000000000000009 is damaged: it is the snapshot of position 5", failure.Message);
    }

    [Fact]
    public async Task Another_snapshot_at_the_same_position_ends_the_writer()
    {
        var vault = await OpenAsync();
        await WriteAsync(vault, 4096, new byte[4096], epoch: 1);

        var failure = await Assert.ThrowsAsync<TakenOverException>(() => WriteAsync(vault, 4096, new byte[8192], epoch: 2));

        Assert.Equal(FailureKind.Locked, failure.Kind);
        Assert.Equal("another writer added snapshots/000001/0000000000000005 to vault memory/app", failure.Message);
    }

    Task<VaultAccess> OpenAsync() => VaultAccess.OpenOrCreateAsync(store, "app", "sqlite", "/app.db", TimeProvider.System, default);

    async Task<long> BytesAsync(string prefix) => await store.ListAsync(prefix, null, default).Select(row => row.SizeBytes).SumAsync();

    internal static async Task<StoredSnapshot> WriteAsync(
        VaultAccess vault, uint pageSize, byte[] content, ulong position = 5, uint epoch = 1)
    {
        await using var writer = new SnapshotWriter(vault, epoch, pageSize);
        foreach (var run in content.Chunk(SnapshotWriter.RunBytes).Index())
        {
            var rented = ArrayPool<byte>.Shared.Rent(run.Item.Length);
            run.Item.CopyTo(rented, 0);
            var first = (uint)(run.Index * (SnapshotWriter.RunBytes / pageSize));
            await writer.AddAsync(rented, run.Item.Length, Hashes(pageSize, run.Item, first), default);
        }

        return await writer.FinishAsync(TipAt(position), (uint)(content.Length / pageSize), checksum: 42, isImage: false, default);
    }

    static ulong[] Hashes(uint pageSize, byte[] content, uint first = 0) =>
        [.. content.Chunk((int)pageSize).Index().Select(page => new PageHasher(1).Hash(first + (uint)page.Index, page.Item))];

    static async Task<byte[]> ReadAsync(SnapshotReader reader)
    {
        var content = new byte[reader.Details.SizeBytes];
        await reader.ReadAsync(packsInFlight: 3, (offset, piece) => piece.CopyTo(content.AsSpan((int)offset)), default);
        return content;
    }

    static async Task<ulong[]> ReadHashesAsync(SnapshotReader reader)
    {
        var hashes = new List<ulong>();
        await reader.ReadPageHashesAsync(
            (page, more) =>
            {
                Assert.Equal(hashes.Count + 1, (int)page);
                hashes.AddRange(more);
            },
            default);
        return [.. hashes];
    }

    static byte[] Content(uint pageSize, int pageCount, bool compressible)
    {
        var (content, random) = (new byte[pageSize * pageCount], new Random(7));
        for (var page = 0; page < pageCount; page++)
        {
            random.NextBytes(content.AsSpan(page * (int)pageSize, compressible ? 24 : (int)pageSize));
        }

        return content;
    }

    static LogTip TipAt(ulong position) => new(1, 0, new Position(position), 0, Hash256.Zero);
}
