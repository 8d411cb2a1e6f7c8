using System.Buffers;
using Microsoft.Win32.SafeHandles;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;

namespace Salvor.Sqlite.Restore;

/// <summary>What was written and proved.</summary>
/// <param name="FetchedBytes">Bytes read from the vault.</param>
/// <param name="ChangeSets">Log objects whose lineage and content were verified.</param>
public sealed record RestoredImage(uint PageSize, uint PageCount, ulong Checksum, long FetchedBytes, ulong ChangeSets)
{
    public long SizeBytes => (long)PageCount * PageSize;
}

/// <summary>
/// Writes the database of a plan into a file: first where each page's newest version is, from the details of the log; then the pages of
/// the snapshot that nothing replaced; then those of the log. Each byte is checked before it is written, and at the end the XOR of all page
/// hashes must be what it was at the source. Memory is bounded by the pages that changed since the snapshot (about 32 bytes each) and a
/// few objects in flight.
/// </summary>
public sealed class SqliteRestorer(VaultCatalog catalog, RestorePlan plan)
{
    /// <summary>Objects at once, of which some are on their way while others are decoded.</summary>
    const int InFlight = 4;

    long writtenBytes;
    long checksum;
    long fetchedBytes;

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>Called once with the size of the database, before anything is written.</summary>
    public Action<long>? Sized { get; init; }

    /// <summary>Fills the file. It holds a proved database when this returns; nothing is flushed yet.</summary>
    public async Task<RestoredImage> WriteAsync(SafeFileHandle file, CancellationToken cancellationToken)
    {
        Progressed?.Invoke(new WorkProgress("reading the log"));
        var snapshot = await SnapshotReader.OpenAsync(catalog.Vault, plan.Snapshot, cancellationToken);
        var newest = new NewestVersions(snapshot.Details.PageSize, snapshot.Details.PageCount);
        var last = await Replay.RunAsync(catalog, plan, newest, cancellationToken);
        newest.ExpectBase(plan.Snapshot, snapshot);
        var pageSize = snapshot.Details.PageSize;
        var total = newest.PageCount * (long)pageSize;
        Sized?.Invoke(total);
        RandomAccess.SetLength(file, total);
        await snapshot.ReadAsync(
            InFlight, (offset, content) => WriteSnapshotPages(file, newest, pageSize, offset, content, total), cancellationToken);
        await WriteLogPagesAsync(file, newest, pageSize, total, cancellationToken);
        var expected = last is null ? snapshot.Details.Checksum : newest.Checksum;
        if ((ulong)checksum != expected)
        {
            throw new DamagedObjectException(
                last is null
                    ? VaultKeys.Snapshot(plan.Snapshot.Branch, plan.Snapshot.Position)
                    : last.Key,
                $"the source had checksum {expected:x16} at position {plan.Target}, and the restored pages have {(ulong)checksum:x16}");
        }

        return new RestoredImage(
            pageSize, newest.PageCount, expected, fetchedBytes + snapshot.FetchedBytes, plan.LogObjectCount);
    }

    /// <summary>
    /// Brings a file from the state in which the plan starts to its target, by the log alone. Each page that is written is checked; whether
    /// the others were right, the checksum of the whole file tells afterwards. Null, and the file as it was, where the log begins anew.
    /// </summary>
    public async Task<RestoredImage?> ApplyAsync(
        SafeFileHandle file, uint pageSize, uint pageCount, ulong checksumBefore, CancellationToken cancellationToken)
    {
        Progressed?.Invoke(new WorkProgress("reading the log"));
        var newest = new NewestVersions(pageSize, pageCount);
        var last = await Replay.RunAsync(catalog, plan, newest, cancellationToken);
        if (newest.Base is not null)
        {
            return null;
        }

        var total = newest.PageCount * (long)pageSize;
        RandomAccess.SetLength(file, total);
        await WriteLogPagesAsync(file, newest, pageSize, newest.Pages.Count * (long)pageSize, cancellationToken);
        return new RestoredImage(
            pageSize, newest.PageCount, last is null ? checksumBefore : newest.Checksum, fetchedBytes, plan.LogObjectCount);
    }

    void WriteSnapshotPages(
        SafeFileHandle file, NewestVersions newest, uint pageSize, long offset, ReadOnlySpan<byte> content, long total)
    {
        var first = (uint)(offset / pageSize) + 1;
        var count = (uint)(content.Length / pageSize);
        for (var i = 0u; i < count;)
        {
            var start = i;
            while (i < count && newest.TakesFromSnapshot(first + i))
            {
                XorHash(first + i, content.Slice((int)(i * pageSize), (int)pageSize), pageSize);
                i++;
            }

            if (i > start)
            {
                var run = content[(int)(start * pageSize)..(int)(i * pageSize)];
                RandomAccess.Write(file, run, offset + (start * (long)pageSize));
                Advance(run.Length, total);
            }
            else
            {
                i++;
            }
        }
    }

    async Task WriteLogPagesAsync(
        SafeFileHandle file, NewestVersions newest, uint pageSize, long total, CancellationToken cancellationToken)
    {
        var options = new ParallelOptions { MaxDegreeOfParallelism = InFlight, CancellationToken = cancellationToken };
        var objects = newest.Pages.GroupBy(item => item.Value.Object);
        await Parallel.ForEachAsync(objects, options, async (versions, cancel) =>
        {
            var source = newest.Objects[versions.Key];
            var key = source.Key;
            using var stored = await catalog.OpenLogAsync(key, whole: false, cancel);
            var log = await catalog.ReadDetailsAsync(stored, cancel);
            if (log.Proof != source.Proof)
            {
                throw new DamagedObjectException(key, "it changed while it was read");
            }

            var perFrame = log.Details.PagesPerFrame;
            foreach (var frame in versions.GroupBy(item => item.Value.Index / perFrame))
            {
                var length = (int)stored.Frames[frame.Key].ContentBytes;
                var rented = ArrayPool<byte>.Shared.Rent(length);
                try
                {
                    await stored.ReadFrameAsync(frame.Key, rented.AsMemory(0, length), cancel);
                    Interlocked.Add(ref fetchedBytes, stored.Frames[frame.Key].StoredBytes);
                    if (catalog.Vault.Secrets.NameOf(rented.AsSpan(0, length)) != log.Details.FrameHashes[frame.Key])
                    {
                        throw new DamagedObjectException(key, $"frame {frame.Key} does not match its hash");
                    }

                    foreach (var (page, version) in frame)
                    {
                        var content = PageIn(key, rented.AsSpan(0, length), version.Index % perFrame, pageSize);
                        if (XorHash(page, content, pageSize) != log.Details.Pages[version.Index].Hash)
                        {
                            throw new DamagedObjectException(key, $"page {page} does not match its hash");
                        }

                        RandomAccess.Write(file, content, (page - 1L) * pageSize);
                    }

                    Advance(frame.Count() * (long)pageSize, total);
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(rented);
                }
            }
        });
    }

    static ReadOnlySpan<byte> PageIn(string key, ReadOnlySpan<byte> frame, int index, uint pageSize) =>
        (index + 1L) * pageSize <= frame.Length
            ? frame.Slice(index * (int)pageSize, (int)pageSize)
            : throw new DamagedObjectException(key, "a frame is shorter than its pages");

    ulong XorHash(uint page, ReadOnlySpan<byte> content, uint pageSize)
    {
        if (page == DatabasePages.LockBytePage(pageSize))
        {
            return 0;
        }

        var hash = catalog.Vault.Hasher.Hash(page, content);
        long before;
        do
        {
            before = Interlocked.Read(ref checksum);
        }
        while (Interlocked.CompareExchange(ref checksum, before ^ (long)hash, before) != before);
        return hash;
    }

    void Advance(long bytes, long total)
    {
        var done = Interlocked.Add(ref writtenBytes, bytes);
        Progressed?.Invoke(new WorkProgress("restoring", done, total));
    }
}
