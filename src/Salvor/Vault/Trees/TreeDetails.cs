using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Vault.Trees;

/// <summary>What a tree holds, counted.</summary>
/// <param name="Files">Regular files; of several names of one file each counts.</param>
/// <param name="Directories">Directories.</param>
/// <param name="Others">Links, pipes, devices and sockets.</param>
/// <param name="Bytes">The lengths of all files; of several names of one file one counts.</param>
/// <param name="Unreadable">What could not be read, and is there as a name alone.</param>
/// <param name="Changed">Files that changed while they were read.</param>
public readonly record struct TreeTotals(long Files, long Directories, long Others, long Bytes, long Unreadable, long Changed)
{
    /// <summary>The same with one more entry.</summary>
    public TreeTotals With(TreeEntry entry) => entry.Kind == TreeEntryKind.End ? this : new(
        Files + (entry.Kind == TreeEntryKind.File ? 1 : 0),
        Directories + (entry.Kind == TreeEntryKind.Directory ? 1 : 0),
        Others + (entry.Kind is TreeEntryKind.File or TreeEntryKind.Directory ? 0 : 1),
        Bytes + (entry.Kind == TreeEntryKind.File && entry.FirstPath.Length == 0 ? entry.SizeBytes : 0),
        Unreadable + (entry.Marks.HasFlag(TreeEntryMarks.Unreadable) ? 1 : 0),
        Changed + (entry.Marks.HasFlag(TreeEntryMarks.Changed) ? 1 : 0));
}

/// <summary>
/// The root of a snapshot of files: what it holds, and the tops of two trees of chunks. One is the listing, entry after entry, the other
/// the content of all files in the same order. <c>docs/format.md</c> has the layout.
/// </summary>
public sealed record TreeDetails
{
    /// <summary>In the place where a database has its page size.</summary>
    const uint NoPages = 0;

    const byte Layout = 1;

    public required TreeTotals Totals { get; init; }

    /// <summary>The top of the tree of the listing.</summary>
    public required ChunkNode Listing { get; init; }

    /// <summary>The top of the tree of the content.</summary>
    public required ChunkNode Content { get; init; }

    /// <summary>Whether the details of a snapshot are those of a tree.</summary>
    internal static bool IsTree(ReadOnlySpan<byte> bytes) => bytes.StartsWith((ReadOnlySpan<byte>)[0, 0, 0, 0]);

    internal ReadOnlyMemory<byte> ToBytes()
    {
        var writer = new FieldWriter();
        writer.U32(NoPages);
        writer.U8(Layout);
        foreach (var count in (long[])
            [Totals.Files, Totals.Directories, Totals.Others, Totals.Bytes, Totals.Unreadable, Totals.Changed])
        {
            writer.U64((ulong)count);
        }

        Listing.Write(writer);
        Content.Write(writer);
        return writer.Written;
    }

    internal static TreeDetails Read(string key, ReadOnlySpan<byte> bytes)
    {
        var reader = new FieldReader(key, bytes);
        if (reader.U32() != NoPages || reader.U8() != Layout)
        {
            throw new DamagedObjectException(key, "it is no snapshot of files of a layout that this program knows");
        }

        var details = new TreeDetails
        {
            Totals = new TreeTotals(
                CountFrom(key, ref reader), CountFrom(key, ref reader), CountFrom(key, ref reader), CountFrom(key, ref reader),
                CountFrom(key, ref reader), CountFrom(key, ref reader)),
            Listing = ChunkNode.Read(key, ref reader),
            Content = ChunkNode.Read(key, ref reader),
        };
        reader.ExpectEnd();
        return details;
    }

    static long CountFrom(string key, ref FieldReader reader)
    {
        var count = reader.U64();
        return count <= long.MaxValue ? (long)count : throw new DamagedObjectException(key, $"it counts {count} of something");
    }
}
