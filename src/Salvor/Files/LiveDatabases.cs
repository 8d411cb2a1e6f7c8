using System.Text;
using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Databases of SQLite among the files: which of them an app may be writing to, and copies of these. One that nobody has open is a file
/// like others.
/// </summary>
sealed class LiveDatabases(DatabaseCopying copying)
{
    static readonly byte[][] Sides = ["-wal"u8.ToArray(), "-journal"u8.ToArray()];

    readonly HashSet<(ulong Device, ulong Inode)> open =
        [.. copying.Open.Select(FileIdentity.Of).OfType<FileIdentity>().Select(identity => (identity.Device, identity.Inode))];

    /// <summary>Whether only those that this process has open are copied.</summary>
    public bool IsForOpenAlone => copying.IsForOpenAlone;

    /// <summary>Whether this process may have it open, so that it must not be opened as a file.</summary>
    public bool IsOpenHere(EntryStat stat) => open.Contains((stat.Device, stat.Inode));

    /// <summary>Whether a log or a journal is beside it: an app has it open, or left it in the middle of something.</summary>
    public static bool HasSide(SafeFileHandle directory, byte[] name) =>
        Sides.Any(side => EntryStat.In(directory, [.. name, .. side], out _) is { Type: EntryStat.Regular });

    /// <summary>Those of a directory's names that have a log or a journal beside them.</summary>
    public static HashSet<byte[]> WithSides(IReadOnlyList<byte[]> names) => new(
        names.SelectMany(name => Sides.Where(side => name.AsSpan().EndsWith(side)).Select(side => name[..^side.Length])),
        ByteArrays.Comparer);

    /// <summary>Whether a name is that of a log, journal or index of one of these databases, whose copy has all that is in it.</summary>
    public static bool IsSideOf(HashSet<byte[]> databases, byte[] name) =>
        databases.Count > 0 && BaseOf(name) is { } database && databases.Contains(database);

    /// <summary>The database to which a name would belong as its log, journal or index; null for any other name.</summary>
    public static byte[]? BaseOf(byte[] name)
    {
        foreach (var side in (ReadOnlySpan<byte[]>)[.. Sides, "-shm"u8.ToArray()])
        {
            if (name.Length > side.Length && name.AsSpan().EndsWith(side))
            {
                return name[..^side.Length];
            }
        }

        return null;
    }

    /// <summary>Whether an open file begins like a database, and one with a rollback journal where that is asked.</summary>
    public static bool IsDatabase(SafeFileHandle file, bool withJournal)
    {
        Span<byte> start = stackalloc byte[20];
        return RandomAccess.Read(file, start, 0) == start.Length && ContentChunker.IsDatabase(start) && (!withJournal || start[18] == 1);
    }

    /// <summary>
    /// Copies a database as of one commit, and opens the copy, which has no name any more. Throws where that cannot be done.
    /// </summary>
    public SafeFileHandle Copy(byte[] path, EntryStat stat)
    {
        var source = Encoding.UTF8.GetString(path);
        using var target = UnfinishedFile.Create(Path.Combine(copying.Scratch, "copy.db"));
        copying.Copy(source, target.Path);
        return FileIdentity.Of(source) is { } now && (now.Device, now.Inode) == (stat.Device, stat.Inode)
            ? Posix.Open(target.Path, Posix.ReadOnly | Posix.NoFollow)
            : throw new SalvorException(
                FailureKind.SourceUnreadable, $"database {source} was exchanged while it was copied",
                "The next backup has the new one.");
    }
}
