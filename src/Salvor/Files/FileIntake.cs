using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>What was read of a file.</summary>
/// <param name="Chunks">What stands for its content, in order; null where it was added already.</param>
/// <param name="SizeBytes">Its length, holes included.</param>
/// <param name="Extents">What is no hole; null where there are none.</param>
/// <param name="IsChanged">Whether it changed meanwhile.</param>
sealed record TakenFile(IReadOnlyList<PendingEntry>? Chunks, long SizeBytes, IReadOnlyList<TreeExtent>? Extents, bool IsChanged)
{
    /// <summary>Whether it begins like a database.</summary>
    public bool IsDatabase { get; init; }

    /// <summary>Why it is not all of it, where the system could not read the rest and what was read had been added already.</summary>
    public PosixException? Failure { get; init; }
}

/// <summary>Reads files into the content of a snapshot, one at a time.</summary>
/// <param name="writer">The snapshot.</param>
/// <param name="rereadBytesMax">Up to here a file that changed is read again: until then what stands for its chunks is kept apart.</param>
/// <param name="progressed">Told now and then how many bytes of the file were read.</param>
sealed class FileIntake(TreeSnapshotWriter writer, long rereadBytesMax, Action<long> progressed)
{
    const int BufferBytes = 1 << 20;

    readonly byte[] buffer = new byte[BufferBytes];
    bool isDatabase;
    PosixException? failure;

    /// <summary>
    /// Reads an open file. Throws where the system cannot read it. What was read has to be added to the content by
    /// <see cref="ContentWriter.Repeat"/>, unless it was too long to be kept apart: then what was added before a failure is returned as
    /// a shorter file, because the content of the next one follows it.
    /// </summary>
    public async Task<TakenFile> ReadAsync(SafeFileHandle file, EntryStat stat, string path, CancellationToken cancellationToken)
    {
        var extents = stat.BlockCount * 512 < stat.SizeBytes ? ExtentsOf(file, stat.SizeBytes, path) : null;
        IReadOnlyList<TreeExtent> parts = extents ?? (stat.SizeBytes == 0 ? [] : [new TreeExtent(0, stat.SizeBytes)]);
        var chunks = stat.SizeBytes <= rereadBytesMax ? new List<PendingEntry>() : null;
        var read = await ReadAsync(file, parts, chunks, path, cancellationToken);
        var (size, kept) = (stat.SizeBytes, extents);
        if (read.Sum(extent => extent.Length) < parts.Sum(extent => extent.Length))
        {
            // It became shorter meanwhile, or the rest cannot be read.
            size = read.Count == 0 ? 0 : read[^1].Offset + read[^1].Length;
            kept = extents is null ? null : read;
        }

        var isChanged = failure is not null || size != stat.SizeBytes || IsChanged(stat, EntryStat.Of(file, path));
        return new TakenFile(chunks, size, kept, isChanged) { IsDatabase = isDatabase, Failure = failure };
    }

    static bool IsChanged(EntryStat before, EntryStat after) =>
        (before.SizeBytes, before.ModifiedNanoseconds, before.ChangedNanoseconds)
            != (after.SizeBytes, after.ModifiedNanoseconds, after.ChangedNanoseconds);

    static List<TreeExtent> ExtentsOf(SafeFileHandle file, long sizeBytes, string path)
    {
        var extents = new List<TreeExtent>();
        for (var offset = 0L; offset < sizeBytes && DirectoryCalls.NextData(file, offset, path) is var (start, end);)
        {
            if (start >= sizeBytes)
            {
                break;
            }

            offset = Math.Min(end, sizeBytes);
            extents.Add(new TreeExtent(start, offset - start));
        }

        return extents;
    }

    /// <summary>Reads these parts, and returns what there was of them: less where the file became shorter.</summary>
    async Task<List<TreeExtent>> ReadAsync(
        SafeFileHandle file, IReadOnlyList<TreeExtent> extents, List<PendingEntry>? chunks, string path,
        CancellationToken cancellationToken)
    {
        var done = new List<TreeExtent>();
        (isDatabase, failure, var isFirst, var used) = (false, null, true, 0);
        foreach (var extent in extents)
        {
            var offset = extent.Offset;
            for (var end = extent.Offset + extent.Length; offset < end;)
            {
                var wanted = (int)Math.Min(buffer.Length - used, end - offset);
                var count = 0;
                try
                {
                    count = Read(file, buffer.AsSpan(used, wanted), offset, path);
                }
                catch (PosixException e) when (chunks is null && offset > extents[0].Offset)
                {
                    failure = e;
                }

                if (count == 0)
                {
                    break;
                }

                (offset, used) = (offset + count, used + count);
                isDatabase = isFirst ? ContentChunker.IsDatabase(buffer.AsSpan(0, used)) : isDatabase;
                isFirst = false;
                used = await CutAsync(used, isEnd: false, chunks, cancellationToken);
                progressed(offset);
            }

            if (offset > extent.Offset)
            {
                done.Add(extent with { Length = offset - extent.Offset });
            }

            if (offset < extent.Offset + extent.Length)
            {
                break;
            }
        }

        await CutAsync(used, isEnd: true, chunks, cancellationToken);
        return done;
    }

    /// <summary>Adds the chunks that are complete in the buffer, and moves the rest to its front; returns how much that is.</summary>
    async Task<int> CutAsync(int used, bool isEnd, List<PendingEntry>? chunks, CancellationToken cancellationToken)
    {
        if (!isEnd && used < buffer.Length)
        {
            return used;
        }

        var start = 0;
        while (used - start >= ContentChunker.BytesMax || (isEnd && start < used))
        {
            var rest = buffer.AsMemory(start, used - start);
            var length = isDatabase ? Math.Min(rest.Length, ContentChunker.DatabaseBytes) : writer.Chunker.Cut(rest.Span);
            var entry = await writer.Content.StoreAsync(rest[..length], cancellationToken);
            if (chunks is null)
            {
                writer.Content.Repeat(entry);
            }
            else
            {
                chunks.Add(entry);
            }

            start += length;
        }

        buffer.AsSpan(start, used - start).CopyTo(buffer);
        return used - start;
    }

    static int Read(SafeFileHandle file, Span<byte> target, long offset, string path)
    {
        try
        {
            return RandomAccess.Read(file, target, offset);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PosixException(Errno.Of(e), "read", path, FailureKind.SourceUnreadable);
        }
    }
}
