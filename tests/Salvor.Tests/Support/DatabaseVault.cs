using System.Buffers;
using Salvor.Sqlite;
using Salvor.Sqlite.Snapshots;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;

namespace Salvor.Tests.Support;

/// <summary>
/// The vault of a database that begins as zeros, of any size without the cost of it: all its chunks are the same one. Commits say which
/// pages they write; the checksums are those of the real thing.
/// </summary>
sealed class DatabaseVault
{
    readonly PageTable table = new();
    readonly uint pageSize;
    LogWriter log = null!;
    long micros = Micros.Of(new DateTimeOffset(2026, 8, 1, 10, 30, 0, TimeSpan.Zero));

    DatabaseVault(IObjectStore store, VaultAccess vault, uint pageSize) => (Store, Vault, this.pageSize) = (store, vault, pageSize);

    public IObjectStore Store { get; }

    public VaultAccess Vault { get; }

    public Position Position => log.Tip.Position;

    public RestorePoint Point => new(1, Position, Micros.ToTime(log.Tip.TimeMicros));

    public ulong Checksum => table.Checksum;

    public static async Task<DatabaseVault> CreateAsync(uint pageSize, uint pageCount, IObjectStore? store = null)
    {
        store ??= new MemoryStore();
        var vault = await VaultAccess.OpenOrCreateAsync(store, "app", "sqlite", "/data/app.db", TimeProvider.System, default);
        await Forks.BeginAsync(await VaultCatalog.LoadAsync(vault, default), epoch: 1, TimeProvider.System, default);
        var database = new DatabaseVault(store, vault, pageSize);
        var start = new LogTip(1, 0, Position.None, 0, Lineage.StartOf(vault.Secrets, vault.Id, 1, Position.None, Hash256.Zero));
        database.log = new LogWriter(vault, start, epoch: 1, TimeProvider.System);
        var image = await database.StoreZerosAsync(pageCount);
        await database.AppendAsync(LogKind.Base, image.DetailsHash, [], pageCount);
        return database;
    }

    /// <summary>One transaction, in an object of its own: fills pages with a byte, and leaves the database at this size.</summary>
    public Task CommitAsync(uint pageCount, params (uint Page, byte Fill)[] pages) =>
        AppendAsync(LogKind.Commits, Hash256.Zero, pages, pageCount);

    public async Task<MadeSnapshot> SnapshotAsync() =>
        await IncrementalSnapshot.MakeAsync(await VaultCatalog.LoadAsync(Vault, default), Point, epoch: 1, default);

    /// <summary>The pages at the newest restore point.</summary>
    public async Task<PageReader> OpenPagesAsync()
    {
        var catalog = await VaultCatalog.LoadAsync(Vault, default);
        return await PageReader.OpenAsync(catalog, await new RestorePlanner(catalog).PlanAsync(1, Position, default), default);
    }

    public async Task<SnapshotReader> OpenSnapshotAsync() => await SnapshotReader.OpenAsync(Vault, new SnapshotRef(1, Position), default);

    public async Task<IReadOnlyList<string>> KeysAsync() =>
        await Store.ListAsync("app/", null, default).Select(row => row.Key["app/".Length..]).ToListAsync();

    /// <summary>A chunk of zeros is stored once; the tree names it in every place.</summary>
    async Task<StoredSnapshot> StoreZerosAsync(uint pageCount)
    {
        await using var writer = new SnapshotWriter(Vault, epoch: 1, pageSize);
        var chunkBytes = SnapshotDetails.ChunkBytesOf(pageSize);
        var pagesPerChunk = (uint)chunkBytes / pageSize;
        PendingEntry? full = null;
        var zeros = new byte[pageSize];
        for (var first = 1u; first <= pageCount; first += pagesPerChunk)
        {
            var hashes = new ulong[Math.Min(pagesPerChunk, pageCount - first + 1)];
            for (var i = 0u; i < hashes.Length; i++)
            {
                if (first + i != DatabasePages.LockBytePage(pageSize))
                {
                    hashes[i] = Vault.Hasher.Hash(first + i, zeros);
                    table.Set(first + i, hashes[i]);
                }
            }

            var length = hashes.Length * (int)pageSize;
            if (full is not null && length == chunkBytes)
            {
                writer.Keep(full, hashes);
                continue;
            }

            var entry = writer.Reserve((uint)length, hashes);
            full ??= entry;
            var content = ArrayPool<byte>.Shared.Rent(chunkBytes);
            content.AsSpan(0, length).Clear();
            await writer.SealAsync(content, length, [entry], default);
        }

        table.Resize(pageCount);
        var start = new LogTip(1, 0, Position.None, 0, log.Tip.Lineage);
        return await writer.FinishAsync(start, pageCount, table.Checksum, isImage: true, default);
    }

    async Task AppendAsync(LogKind kind, Hash256 snapshot, IEnumerable<(uint Page, byte Fill)> pages, uint pageCount)
    {
        using var changeSet = new ChangeSetBuilder(kind, pageSize, table.Checksum) { Snapshot = snapshot };
        var content = new byte[pageSize];
        foreach (var (page, fill) in pages)
        {
            content.AsSpan().Fill(fill);
            var hash = Vault.Hasher.Hash(page, content);
            changeSet.AddPage(page, hash, content);
            table.Set(page, hash);
        }

        table.Resize(pageCount);
        micros += 1_000_000;
        changeSet.AddCommit(micros, micros, pageCount, table.Checksum);
        await log.AppendAsync(changeSet, default);
    }
}
