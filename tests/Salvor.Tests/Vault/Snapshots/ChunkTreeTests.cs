using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Tests.Vault.Snapshots;

/// <summary>A tree of chunks that only have names: nobody looks at their content here.</summary>
public sealed class ChunkTreeTests
{
    readonly MemoryStore store = new();

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 0)]
    [InlineData(256, 0)]
    [InlineData(257, 1)]
    [InlineData(65_536, 1)]
    [InlineData(65_537, 2)]
    public async Task A_tree_of_chunks_of_any_length_is_read_as_it_was_written(int count, int level)
    {
        var random = new Random(count);
        var chunks = Enumerable.Range(0, count).Select(i => Chunk(i, (uint)random.Next(1, ChunkNode.ChunkBytesMax + 1))).ToList();

        var top = await WriteAsync(chunks);
        var reader = await ReaderAsync(top);

        Assert.Equal(level, top.Level);
        Assert.Equal(chunks, await ReadAsync(reader));
        var offset = 0UL;
        foreach (var (i, chunk) in chunks.Index())
        {
            if (random.Next(count) < 50)
            {
                var (start, leaf) = await reader.FindAsync(0, offset + (ulong)random.Next((int)chunk.Length), default);
                Assert.Equal(chunk, leaf.Entries[i % ChunkNode.EntriesMax]);
                Assert.Equal(offset, start + (ulong)leaf.Entries.Take(i % ChunkNode.EntriesMax).Sum(item => (long)item.Length));
            }

            offset += chunk.Length;
        }
    }

    [Fact]
    public async Task A_node_that_is_taken_over_stands_for_its_chunks()
    {
        var chunks = Enumerable.Range(0, 66_000).Select(i => Chunk(i, 1 << 14)).ToList();
        var first = await ReaderAsync(await WriteAsync(chunks));
        var keys = await KeysAsync();
        await using var writer = new ChunkTreeWriter(new PackStore(await OpenAsync()));

        // All of the first 65,536 chunks in one node, then a whole leaf, then the rest one by one, with one that is new.
        writer.AddNode(1, (await first.FindEntryAsync(1, 0, default)).Entry);
        writer.AddNode(0, (await first.FindEntryAsync(0, 65_536UL << 14, default)).Entry);
        chunks[65_800] = Chunk(-1, 1 << 14);
        foreach (var chunk in chunks.Skip(65_536 + 256))
        {
            writer.AddChunk(PendingEntry.Of(chunk), []);
        }

        var second = await writer.FinishAsync(default);
        var added = (await KeysAsync()).Except(keys).Count();

        Assert.Equal(chunks, await ReadAsync(await ReaderAsync(second)));
        Assert.Equal(await WriteAsync(chunks) with { Entries = [] }, second with { Entries = [] });
        Assert.Equal(first.Top.Entries[0], second.Entries[0]);

        // A pack with one leaf and one with the node above it.
        Assert.Equal(2, added);
    }

    [Fact]
    public async Task A_node_of_another_length_than_its_entry_is_named()
    {
        var top = await WriteAsync([.. Enumerable.Range(0, 257).Select(i => Chunk(i, 5))]);
        var entries = top.Entries.ToArray();
        entries[0] = entries[0] with { Length = 6 };

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(
            async () => await ReadAsync(await ReaderAsync(top with { Entries = entries })));

        Assert.Equal(
            $"object packs/{entries[0].Pack} is damaged: node {entries[0].Name} has level 0 and 1280 bytes in place of 0 and 6",
            failure.Message);
    }

    [Fact]
    public async Task A_chunk_is_found_where_it_was_moved_to_in_several_steps()
    {
        var vault = await OpenAsync();
        var top = await WriteAsync([.. Enumerable.Range(0, 257).Select(i => Chunk(i, 5))]);
        var home = top.Entries[0].Pack;
        var (between, unused) = (Hash256.Of([1]), Hash256.Of([2]));

        // The reader is told of two packs that are gone; the second of them leads to where the nodes really are.
        await PackMoves.PutAsync(
            vault, new Dictionary<Hash256, IReadOnlyList<Hash256>> { [unused] = [between], [between] = [home, unused] },
            TimeProvider.System, default);
        var lost = top with { Entries = [.. top.Entries.Select(entry => entry with { Pack = unused })] };

        Assert.Equal(await ReadAsync(await ReaderAsync(top)), await ReadAsync(await ReaderAsync(lost)));
        Assert.Equal([between, home], (await PackMoves.LoadAsync(vault, default)).Of(unused));
    }

    [Fact]
    public async Task A_damaged_chunk_is_read_from_where_it_was_healed()
    {
        var vault = await OpenAsync();
        var top = await WriteAsync([.. Enumerable.Range(0, 257).Select(i => Chunk(i, 5))]);
        var leaves = await ReadAsync(await ReaderAsync(top));
        var (home, healed) = (top.Entries[0].Pack, Hash256.Of([3]));
        var whole = (await store.GetAsync($"app/packs/{home}", 1 << 24, default))!;
        await store.DeleteAsync($"app/packs/{home}", default);
        await store.PutAsync($"app/packs/{home}", Forge.Change(whole, bytes => bytes[ObjectHeader.SizeBytes + 20] ^= 1), default);
        await store.PutAsync($"app/packs/{healed}", whole, default);

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(async () => await ReadAsync(await ReaderAsync(top)));
        Assert.Equal($"object packs/{home} is damaged: frame 0 does not match its checksum", failure.Message);

        await PackMoves.PutAsync(
            vault, new Dictionary<Hash256, IReadOnlyList<Hash256>> { [home] = [healed] }, TimeProvider.System, default);
        Assert.Equal(leaves, await ReadAsync(await ReaderAsync(top)));
    }

    [Fact]
    public async Task A_chunk_that_is_nowhere_is_named_with_the_pack_that_should_hold_it()
    {
        var top = await WriteAsync([.. Enumerable.Range(0, 257).Select(i => Chunk(i, 5))]);
        var home = top.Entries[0].Pack;
        var lost = top.Entries.ToArray();
        lost[1] = lost[1] with { Name = Hash256.Of([9]) };

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(
            async () => await ReadAsync(await ReaderAsync(top with { Entries = lost })));

        Assert.Equal($"object packs/{home} is damaged: chunk {Hash256.Of([9])} is not in it", failure.Message);
    }

    [Fact]
    public async Task A_record_of_moves_that_names_no_pack_is_refused()
    {
        var vault = await OpenAsync();
        var record = new MoveRecord { CreatedAt = DateTimeOffset.UnixEpoch, Packs = [new PackMove("x", [])] };
        await NumberedRecords.PutNextAsync(
            vault, VaultKeys.Moves, VaultKeys.Move, new ObjectHeader { Kind = ObjectKind.Move, VaultId = vault.Id },
            _ => VaultJson.Write(record, VaultJson.Default.MoveRecord), default);

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(() => PackMoves.LoadAsync(vault, default));

        Assert.Equal("object moves/0000000001 is damaged: 'x' is not the name of a pack", failure.Message);
    }

    Task<VaultAccess> OpenAsync() => VaultAccess.OpenOrCreateAsync(store, "app", "sqlite", "/app.db", TimeProvider.System, default);

    async Task<List<string>> KeysAsync() => await store.ListAsync("", null, default).Select(row => row.Key).ToListAsync();

    async Task<ChunkNode> WriteAsync(IReadOnlyList<ChunkEntry> chunks)
    {
        await using var writer = new ChunkTreeWriter(new PackStore(await OpenAsync()));
        foreach (var chunk in chunks)
        {
            writer.AddChunk(PendingEntry.Of(chunk), []);
            await writer.StoreReadyAsync(default);
        }

        return await writer.FinishAsync(default);
    }

    async Task<ChunkTreeReader> ReaderAsync(ChunkNode top) => new(new ChunkReader(await OpenAsync()), top);

    static async Task<List<ChunkEntry>> ReadAsync(ChunkTreeReader reader)
    {
        var chunks = new List<ChunkEntry>();
        await foreach (var leaves in reader.LeavesAsync(packsInFlight: 2, default))
        {
            chunks.AddRange(leaves.SelectMany(leaf => leaf.Leaf.Entries));
        }

        return chunks;
    }

    static ChunkEntry Chunk(int i, uint length) => new(Hash256.Of(BitConverter.GetBytes(i)), length, Hash256.Of([(byte)(i / 1000)]));
}
