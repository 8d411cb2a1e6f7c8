using Salvor.Sqlite.Restore;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;

namespace Salvor.Sqlite.Snapshots;

/// <summary>A page to be read, and where its content goes.</summary>
readonly record struct PageTarget(uint Page, Memory<byte> Content);

/// <summary>
/// The pages of a database as they are at a restore point, without restoring it: from the log where that has a newer version, else from the
/// snapshot. Each page is checked against its hash. What was used last is kept, in about 48 MiB; besides, memory grows by some 40 bytes for
/// each page that the log touched since the snapshot. Not thread-safe.
/// </summary>
sealed class PageReader
{
    const long ChunkBytesKept = 16 << 20;

    readonly VaultCatalog catalog;
    readonly RestorePlan plan;
    readonly LogFrames frames;
    readonly RecentlyUsed<uint, ReadOnlyMemory<byte>> chunks = new(ChunkBytesKept, chunk => chunk.Length);
    readonly uint lockPage;

    PageReader(VaultCatalog catalog, RestorePlan plan, SnapshotReader snapshot, NewestVersions newest, LogObject? last)
    {
        (this.catalog, this.plan, Snapshot, Newest, Last) = (catalog, plan, snapshot, newest, last);
        frames = new LogFrames(catalog);
        lockPage = DatabasePages.LockBytePage(PageSize);
    }

    public uint PageSize => Newest.PageSize;

    /// <summary>The size of the database at the restore point, in pages.</summary>
    public uint PageCount => Newest.PageCount;

    /// <summary>The checksum that the database had at the source.</summary>
    public ulong Checksum => Last is null ? Snapshot.Details.Checksum : Newest.Checksum;

    /// <summary>The snapshot from which the restore point is reached.</summary>
    public SnapshotReader Snapshot { get; }

    /// <summary>Where the newest version of each page is.</summary>
    public NewestVersions Newest { get; }

    /// <summary>The log object that holds the restore point; null where the snapshot is at it.</summary>
    public LogObject? Last { get; }

    /// <summary>Reads the root of the snapshot and the details of the log; no content.</summary>
    public static async Task<PageReader> OpenAsync(VaultCatalog catalog, RestorePlan plan, CancellationToken cancellationToken)
    {
        var snapshot = await SnapshotReader.OpenAsync(catalog.Vault, plan.Snapshot, cancellationToken);
        var newest = new NewestVersions(snapshot.Details.PageSize, snapshot.Details.PageCount);
        var last = await Replay.RunAsync(catalog, plan, newest, cancellationToken);
        newest.ExpectBase(plan.Snapshot, snapshot);
        return new PageReader(catalog, plan, snapshot, newest, last);
    }

    /// <summary>Whether a page is zeros without a hash: SQLite takes its locks in it.</summary>
    public bool IsLockPage(uint page) => page == lockPage;

    /// <summary>
    /// Reads pages from 1 to <see cref="PageCount"/>, in any order; frames and chunks that several of them need are read once.
    /// </summary>
    public async Task ReadAsync(IReadOnlyList<PageTarget> pages, CancellationToken cancellationToken)
    {
        var logged = new List<(PageTarget Target, int Object, int Index, ulong Hash)>();
        var kept = new Dictionary<uint, List<PageTarget>>();
        foreach (var target in pages)
        {
            Invariant.Check(target.Page >= 1 && target.Page <= PageCount && target.Content.Length == PageSize);
            if (IsLockPage(target.Page))
            {
                target.Content.Span.Clear();
            }
            else if (Newest.Pages.TryGetValue(target.Page, out var version))
            {
                logged.Add((target, version.Object, version.Index, version.Hash));
            }
            else if (Newest.TakesFromSnapshot(target.Page))
            {
                var chunk = ChunkOf(target.Page);
                if (!kept.TryGetValue(chunk, out var targets))
                {
                    kept[chunk] = targets = [];
                }

                targets.Add(target);
            }
            else
            {
                throw new DamagedObjectException(
                    VaultKeys.Snapshot(plan.Snapshot.Branch, plan.Snapshot.Position),
                    $"neither it nor the log after it holds page {target.Page}");
            }
        }

        await ReadLoggedAsync(logged, cancellationToken);
        await ReadKeptAsync(kept, cancellationToken);
    }

    /// <summary>The chunk that holds a page.</summary>
    public uint ChunkOf(uint page) => (uint)((page - 1L) * PageSize / Snapshot.Details.ChunkBytes);

    async Task ReadLoggedAsync(
        List<(PageTarget Target, int Object, int Index, ulong Hash)> pages, CancellationToken cancellationToken)
    {
        foreach (var (target, number, index, hash) in pages.OrderBy(page => page.Object).ThenBy(page => page.Index))
        {
            var source = Newest.Objects[number];
            var content = await frames.ReadAsync(source, index, PageSize, cancellationToken);
            Copy(source.Key, content.Span, target, hash);
        }
    }

    async Task ReadKeptAsync(Dictionary<uint, List<PageTarget>> pages, CancellationToken cancellationToken)
    {
        var contents = new Dictionary<uint, ReadOnlyMemory<byte>>();
        foreach (var chunk in pages.Keys)
        {
            if (chunks.TryGet(chunk, out var known))
            {
                contents[chunk] = known;
            }
        }

        await Snapshot.ReadChunksAsync(
            [.. pages.Keys.Where(chunk => !contents.ContainsKey(chunk))],
            (chunk, content) =>
            {
                chunks.Add(chunk, content);
                contents[chunk] = content;
            },
            cancellationToken);
        var key = VaultKeys.Snapshot(plan.Snapshot.Branch, plan.Snapshot.Position);
        foreach (var (chunk, targets) in pages)
        {
            var (first, leaf) = await Snapshot.LeafOfAsync(chunk, cancellationToken);
            foreach (var target in targets)
            {
                var offset = (target.Page - 1L) * PageSize;
                var content = contents[chunk].Span.Slice((int)(offset - ((long)chunk * Snapshot.Details.ChunkBytes)), (int)PageSize);
                Copy(key, content, target, leaf.PageHashes[(int)((offset - ((long)first * Snapshot.Details.ChunkBytes)) / PageSize)]);
            }
        }
    }

    void Copy(string key, ReadOnlySpan<byte> content, PageTarget target, ulong hash)
    {
        if (catalog.Vault.Hasher.Hash(target.Page, content) != hash)
        {
            throw new DamagedObjectException(key, $"page {target.Page} does not match its hash");
        }

        content.CopyTo(target.Content.Span);
    }
}
