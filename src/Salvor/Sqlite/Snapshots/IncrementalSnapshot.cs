using System.Buffers;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;

namespace Salvor.Sqlite.Snapshots;

/// <summary>A snapshot at a restore point.</summary>
/// <param name="Point">Where it is.</param>
/// <param name="SizeBytes">The size of the database.</param>
/// <param name="AddedBytes">What it added to the vault; 0 where it was there already, or could not be made there.</param>
/// <param name="Checksum">The whole-database checksum, which was proved.</param>
public sealed record MadeSnapshot(RestorePoint Point, long SizeBytes, long AddedBytes, ulong Checksum);

/// <summary>
/// Makes a snapshot out of the newest one before it and the log between, from the vault alone: only chunks that the log touched are
/// read and stored, whole nodes of the tree that it did not touch are taken over unread. It is published only when the XOR of all page
/// hashes is the checksum that the source had.
/// </summary>
public sealed class IncrementalSnapshot
{
    /// <summary>How much content is put together at once: with what is kept of frames and chunks, memory stays below 64 MiB.</summary>
    const int BatchBytes = 8 << 20;

    readonly PageReader reader;
    readonly SnapshotWriter writer;
    readonly SnapshotDetails before;
    readonly SnapshotDetails after;
    readonly uint[] touched;
    readonly uint pagesPerChunk;
    readonly VaultSecrets secrets;
    readonly List<NewChunk> batch = [];
    ulong checksum;

    IncrementalSnapshot(VaultSecrets secrets, PageReader reader, SnapshotWriter writer)
    {
        this.secrets = secrets;
        (this.reader, this.writer, before) = (reader, writer, reader.Snapshot.Details);
        after = before with { PageCount = reader.PageCount, Top = ChunkNode.Empty };
        pagesPerChunk = (uint)before.ChunkBytes / before.PageSize;
        checksum = before.Checksum;
        touched = FindTouched();
    }

    /// <summary>
    /// The snapshot at a restore point, made now or found where it exists. A point that is not the last of its log object gets none,
    /// because the log could not go on behind it; it is as restorable as before.
    /// </summary>
    /// <param name="catalog">The vault, as it is now.</param>
    /// <param name="point">Where.</param>
    /// <param name="epoch">The claim of the writer.</param>
    /// <param name="cancellationToken">Ends it; nothing but unreferenced packs is left behind.</param>
    public static async Task<MadeSnapshot> MakeAsync(
        VaultCatalog catalog, RestorePoint point, uint epoch, CancellationToken cancellationToken)
    {
        var planner = new RestorePlanner(catalog);
        var plan = await planner.PlanAsync(point.Branch, point.Position, cancellationToken);
        var reader = await PageReader.OpenAsync(catalog, plan, cancellationToken);
        if (reader.Last is not { } last || last.Header.PositionLast != point.Position.Value)
        {
            return new MadeSnapshot(point, (long)reader.PageCount * reader.PageSize, 0, reader.Checksum);
        }

        await using var writer = new SnapshotWriter(catalog.Vault, epoch, reader.PageSize) { RunsInFlight = 1 };
        var snapshot = new IncrementalSnapshot(catalog.Vault.Secrets, reader, writer);
        await snapshot.WriteAsync(cancellationToken);
        if (snapshot.checksum != reader.Checksum)
        {
            throw new DamagedObjectException(
                VaultKeys.Log(last.Header.Branch, last.Header.Number),
                $"the source had checksum {reader.Checksum:x16} at position {point.Position}, "
                    + $"and the pages before it add up to {snapshot.checksum:x16}");
        }

        var tip = new LogTip(
            point.Branch, last.Header.Number, point.Position, Micros.Of(point.Time), last.Header.LineageAfter);
        var stored = await writer.FinishAsync(tip, reader.PageCount, reader.Checksum, isImage: false, cancellationToken);
        return new MadeSnapshot(point, stored.Details.SizeBytes, stored.StoredBytes, reader.Checksum);
    }

    async Task WriteAsync(CancellationToken cancellationToken)
    {
        for (var chunk = 0u; chunk < after.ChunkCount;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (KeptLevelAt(chunk) is { } level)
            {
                writer.KeepNode(level, await NodeAtAsync(level, chunk, cancellationToken));
                chunk = (uint)Math.Min(after.ChunkCount, chunk + Span(level));
            }
            else
            {
                await AddChunkAsync(chunk++, cancellationToken);
            }
        }

        await WriteBatchAsync(cancellationToken);
        await DropRemovedAsync(cancellationToken);
    }

    /// <summary>
    /// The chunks that are not as they were, in order: those of pages in the log, of a lock-byte page that comes anew, and those that end
    /// the database before and after where its size changed.
    /// </summary>
    uint[] FindTouched()
    {
        var chunks = reader.Newest.Pages.Keys.Select(reader.ChunkOf).ToHashSet();
        var lockPage = DatabasePages.LockBytePage(before.PageSize);
        if (lockPage <= after.PageCount && !reader.Newest.TakesFromSnapshot(lockPage))
        {
            chunks.Add(reader.ChunkOf(lockPage));
        }

        if (before.PageCount != after.PageCount)
        {
            chunks.UnionWith(new[] { before.PageCount, after.PageCount }.Where(page => page > 0).Select(reader.ChunkOf));
        }

        return [.. chunks.Where(chunk => chunk < after.ChunkCount).Order()];
    }

    /// <summary>
    /// The highest level of a node that begins with this chunk and can be taken over as a whole; null where there is none.
    /// </summary>
    int? KeptLevelAt(uint chunk)
    {
        for (var level = Math.Min(LevelOf(after.ChunkCount), before.Top.Level) - 1; level >= 0; level--)
        {
            var end = chunk + Span(level);
            if (chunk % Span(level) == 0
                && Math.Min(end, after.ChunkCount) == Math.Min(end, before.ChunkCount)
                && !IsTouched(chunk, end))
            {
                return level;
            }
        }

        return null;
    }

    /// <summary>The level of the top of a tree of so many chunks.</summary>
    static int LevelOf(uint chunkCount)
    {
        var level = 0;
        while (Span(level) < chunkCount)
        {
            level++;
        }

        return level;
    }

    /// <summary>How many chunks a full node of a level covers.</summary>
    static long Span(int level) => 1L << (8 * (level + 1));

    bool IsTouched(long first, long end)
    {
        var index = Array.BinarySearch(touched, (uint)first);
        index = index < 0 ? ~index : index;
        return index < touched.Length && touched[index] < end;
    }

    async ValueTask<ChunkEntry> NodeAtAsync(int level, uint chunk, CancellationToken cancellationToken)
    {
        var offset = (ulong)chunk * (uint)before.ChunkBytes;
        var (start, entry) = await reader.Snapshot.Tree.FindEntryAsync(level, offset, cancellationToken);
        var length = Math.Min((ulong)Span(level) * (uint)before.ChunkBytes, (ulong)before.SizeBytes - offset);
        return start == offset && entry.Length == length
            ? entry
            : throw new DamagedObjectException(
                VaultKeys.Pack(entry.Pack), $"node {entry.Name} covers {entry.Length} bytes from {start} on, in place of {length}");
    }

    async Task AddChunkAsync(uint chunk, CancellationToken cancellationToken)
    {
        var old = default(ChunkEntry?);
        var oldHashes = Array.Empty<ulong>();
        if (chunk < before.ChunkCount)
        {
            (old, oldHashes) = await OldChunkAsync(chunk, cancellationToken);
        }

        if (!IsTouched(chunk, chunk + 1L))
        {
            writer.Keep(old!.Value, oldHashes);
            return;
        }

        var hashes = NewHashes(chunk, oldHashes);
        checksum ^= Xor(oldHashes) ^ Xor(hashes);
        var entry = writer.Reserve(after.LengthOf(chunk), hashes);
        batch.Add(new NewChunk(chunk, entry, hashes.AsSpan().SequenceEqual(oldHashes) ? old : null));
        if (batch.Count * before.ChunkBytes >= BatchBytes)
        {
            await WriteBatchAsync(cancellationToken);
        }
    }

    async ValueTask<(ChunkEntry Entry, ulong[] Hashes)> OldChunkAsync(uint chunk, CancellationToken cancellationToken)
    {
        var (first, leaf) = await reader.Snapshot.LeafOfAsync(chunk, cancellationToken);
        if (before.Top.Level > 0 && first == chunk)
        {
            await KnowNodesAsync(chunk, cancellationToken);
        }

        var index = (int)(chunk - first);
        var page = index * (int)pagesPerChunk;
        var pages = Math.Min((int)pagesPerChunk, leaf.PageHashes.Length - page);
        return (leaf.Entries[index], leaf.PageHashes[page..(page + pages)]);
    }

    /// <summary>A page can come back to what it was; then the nodes above it do too, and need no second copy.</summary>
    async Task KnowNodesAsync(uint chunk, CancellationToken cancellationToken)
    {
        for (var level = 0; level < before.Top.Level && chunk % Span(level) == 0; level++)
        {
            writer.Know(await NodeAtAsync(level, chunk, cancellationToken));
        }
    }

    ulong[] NewHashes(uint chunk, ulong[] oldHashes)
    {
        var first = chunk * pagesPerChunk;
        var hashes = new ulong[after.LengthOf(chunk) / after.PageSize];
        for (var i = 0u; i < hashes.Length; i++)
        {
            var page = first + i + 1;
            hashes[i] = reader.Newest.Pages.TryGetValue(page, out var version) ? version.Hash
                : reader.Newest.TakesFromSnapshot(page) ? oldHashes[i]
                : 0;
        }

        return hashes;
    }

    /// <summary>Reads the content of the chunks that wait, and hands it on in runs.</summary>
    async Task WriteBatchAsync(CancellationToken cancellationToken)
    {
        var perRun = SnapshotWriter.RunBytes / before.ChunkBytes;
        var runs = batch.Chunk(perRun).Select(run => (Chunks: run, Content: ArrayPool<byte>.Shared.Rent(SnapshotWriter.RunBytes))).ToList();
        var pages = runs.SelectMany(run => run.Chunks.Index().SelectMany(
            item => Targets(item.Item.Number, run.Content.AsMemory(item.Index * before.ChunkBytes)))).ToList();
        await reader.ReadAsync(pages, cancellationToken);
        foreach (var (chunks, content) in runs)
        {
            var (entries, length) = DropUnchanged(chunks, content);
            await writer.SealAsync(content, length, entries, cancellationToken);
        }

        batch.Clear();
    }

    IEnumerable<PageTarget> Targets(uint chunk, Memory<byte> content)
    {
        var size = (int)after.PageSize;
        var pages = (int)after.LengthOf(chunk) / size;
        return Enumerable.Range(0, pages)
            .Select(i => new PageTarget((chunk * pagesPerChunk) + (uint)i + 1, content.Slice(i * size, size)));
    }

    /// <summary>A chunk that came back to what it was is the old one. The others move together.</summary>
    (List<PendingEntry> Entries, int Length) DropUnchanged(NewChunk[] chunks, byte[] content)
    {
        var entries = new List<PendingEntry>();
        var length = 0;
        foreach (var (index, chunk) in chunks.Index())
        {
            var own = content.AsSpan(index * before.ChunkBytes, (int)after.LengthOf(chunk.Number));
            if (chunk.Old is { } old && secrets.NameOf(own) == old.Name)
            {
                (chunk.Entry.Name, chunk.Entry.Pack) = (old.Name, new PendingPack { Name = old.Pack });
                continue;
            }

            own.CopyTo(content.AsSpan(length));
            length += own.Length;
            entries.Add(chunk.Entry);
        }

        return (entries, length);
    }

    /// <summary>What lies past the new end no longer counts.</summary>
    async Task DropRemovedAsync(CancellationToken cancellationToken)
    {
        for (var chunk = after.ChunkCount; chunk < before.ChunkCount;)
        {
            var (first, leaf) = await reader.Snapshot.LeafOfAsync(chunk, cancellationToken);
            checksum ^= Xor(leaf.PageHashes.AsSpan((int)((chunk - first) * pagesPerChunk)));
            chunk = first + (uint)leaf.Entries.Count;
        }
    }

    static ulong Xor(ReadOnlySpan<ulong> hashes)
    {
        var sum = 0UL;
        foreach (var hash in hashes)
        {
            sum ^= hash;
        }

        return sum;
    }

    /// <summary>A chunk whose content must be put together.</summary>
    /// <param name="Old">The one in its place before, where their page hashes say that it may be the same.</param>
    sealed record NewChunk(uint Number, PendingEntry Entry, ChunkEntry? Old);
}
