using Salvor.Vault.Format;

namespace Salvor.Vault.Trees;

/// <summary>An entry with its path from the top, which begins with a slash.</summary>
/// <param name="Path">As bytes.</param>
/// <param name="Entry">The entry.</param>
public readonly record struct TreePath(byte[] Path, TreeEntry Entry);

/// <summary>Looks for entries in a snapshot of files. Its listing is read, and no content but what is asked for.</summary>
public static class TreeSearch
{
    /// <summary>All entries in their order, each with its path; no ends of directories.</summary>
    public static async IAsyncEnumerable<TreePath> EntriesAsync(
        TreeSnapshot snapshot, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var above = new List<byte[]>();
        await using var listing = snapshot.ReadListing();
        while (await listing.ReadAsync(cancellationToken) is { } entry)
        {
            if (entry.Kind == TreeEntryKind.End)
            {
                above.RemoveAt(above.Count - 1);
                continue;
            }

            byte[] path = [.. above.Count == 0 ? [] : above[^1], (byte)'/', .. entry.Name];
            if (entry.Kind == TreeEntryKind.Directory)
            {
                above.Add(path);
            }

            yield return new TreePath(path, entry);
        }
    }

    /// <summary>
    /// Writes the content of one file. Throws <see cref="FailureKind.NotRestorable"/> where there is no file of this path, or one that
    /// could not be read when it was backed up.
    /// </summary>
    public static async Task DumpAsync(
        TreeSnapshot snapshot, byte[] path, Stream target, CancellationToken cancellationToken)
    {
        var above = new List<byte[]>();
        (TreeEntry Entry, ulong Offset)? found = null;
        await using var listing = snapshot.ReadListing();
        while (await listing.ReadAsync(cancellationToken) is { } entry)
        {
            byte[] here = [.. above.Count == 0 ? [] : above[^1], (byte)'/', .. entry.Name];
            switch (entry.Kind)
            {
                case TreeEntryKind.End:
                    above.RemoveAt(above.Count - 1);
                    break;
                case TreeEntryKind.Directory:
                    above.Add(here);
                    break;
                case TreeEntryKind.File when here.AsSpan().SequenceEqual(path) && !entry.Marks.HasFlag(TreeEntryMarks.Unreadable):
                    found = (entry, listing.ContentOffset);
                    break;
                default:
                    break;
            }
        }

        snapshot.ExpectFit(listing);
        var (file, offset) = found ?? throw new SalvorException(
            FailureKind.NotRestorable, "the backup has no readable file of this path", "'salvor find' looks for names in it.");
        await WriteAsync(snapshot, file, offset, target, cancellationToken);
    }

    static async Task WriteAsync(
        TreeSnapshot snapshot, TreeEntry entry, ulong offset, Stream target, CancellationToken cancellationToken)
    {
        await using var content = snapshot.ReadContent();
        var position = 0L;
        foreach (var extent in entry.Extents ?? [new TreeExtent(0, entry.SizeBytes)])
        {
            position = await WriteZerosAsync(target, extent.Offset - position, cancellationToken) + position;
            for (var end = offset + (ulong)extent.Length; offset < end;)
            {
                var data = await content.ReadAsync(offset, end, cancellationToken);
                if (data.IsEmpty)
                {
                    throw new DamagedObjectException(snapshot.Key, "its content ends within a file");
                }

                await target.WriteAsync(data, cancellationToken);
                (offset, position) = (offset + (ulong)data.Length, position + data.Length);
            }
        }

        await WriteZerosAsync(target, entry.SizeBytes - position, cancellationToken);
    }

    static async Task<long> WriteZerosAsync(Stream target, long count, CancellationToken cancellationToken)
    {
        var zeros = new byte[Math.Min(count, 1 << 16)];
        for (var left = count; left > 0; left -= zeros.Length)
        {
            await target.WriteAsync(zeros.AsMemory(0, (int)Math.Min(left, zeros.Length)), cancellationToken);
        }

        return count;
    }
}
