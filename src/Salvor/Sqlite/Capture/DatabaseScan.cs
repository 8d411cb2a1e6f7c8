using System.Buffers;
using Salvor.Sqlite.Native;
using Salvor.Vault;
using Salvor.Vault.Snapshots;

namespace Salvor.Sqlite.Capture;

/// <summary>
/// Reads a database file from end to end while writers go on. What it sees is of no single moment; whoever asked for it corrects it with
/// the log, or asks again.
/// </summary>
static class DatabaseScan
{
    const int RunBytes = SnapshotWriter.RunBytes;

    /// <summary>How many whole pages the file has now.</summary>
    public static uint PageCount(FileObject file, uint pageSize) => (uint)Math.Min(file.SizeBytes() / pageSize, uint.MaxValue - 1);

    /// <summary>Spools the pages whose hash is not the table's, from one page to another.</summary>
    public static void Diff(FileObject file, uint pageSize, uint first, uint last, PageTable table, PageHasher hasher, PageSpool spool)
    {
        var lockPage = DatabasePages.LockBytePage(pageSize);
        var perRun = (uint)(RunBytes / pageSize);
        var rented = ArrayPool<byte>.Shared.Rent(RunBytes);
        try
        {
            for (var start = first; start <= last; start += perRun)
            {
                var count = Math.Min(perRun, last - start + 1);
                var content = rented.AsSpan(0, (int)(count * pageSize));
                file.Read((start - 1L) * pageSize, content);
                for (var i = 0u; i < count; i++)
                {
                    var page = content.Slice((int)(i * pageSize), (int)pageSize);
                    var hash = hasher.Hash(start + i, page);
                    if (hash != table[start + i] && start + i != lockPage)
                    {
                        spool.Set(start + i, hash, page);
                    }
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>Stores all pages as the image of a snapshot, and fills the table with their hashes.</summary>
    public static async Task<uint> ImageAsync(
        FileObject file, uint pageSize, PageTable table, PageHasher hasher, SnapshotWriter snapshot, Action<long, long> progressed,
        CancellationToken cancellationToken)
    {
        var pageCount = PageCount(file, pageSize);
        var perRun = (uint)(RunBytes / pageSize);
        for (var start = 1u; start <= pageCount; start += perRun)
        {
            var count = Math.Min(perRun, pageCount - start + 1);
            var length = (int)(count * pageSize);
            var rented = ArrayPool<byte>.Shared.Rent(RunBytes);
            file.Read((start - 1L) * pageSize, rented.AsSpan(0, length));
            var hashes = HashPages(rented.AsSpan(0, length), start, pageSize, table, hasher);
            await snapshot.AddAsync(rented, length, hashes, cancellationToken);
            progressed((start - 1L + count) * pageSize, pageCount * (long)pageSize);
        }

        table.Resize(pageCount);
        return pageCount;
    }

    static ulong[] HashPages(Span<byte> content, uint start, uint pageSize, PageTable table, PageHasher hasher)
    {
        var hashes = new ulong[content.Length / pageSize];
        for (var i = 0u; i < hashes.Length; i++)
        {
            var page = content.Slice((int)(i * pageSize), (int)pageSize);
            if (start + i == DatabasePages.LockBytePage(pageSize))
            {
                // Never content, so always the same: zeros, and no hash.
                page.Clear();
                continue;
            }

            hashes[i] = hasher.Hash(start + i, page);
            table.Set(start + i, hashes[i]);
        }

        return hashes;
    }
}
