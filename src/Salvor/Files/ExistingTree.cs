using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// What is in the directory that is restored into, beside the snapshot. Directories are opened one in the other, without following links.
/// </summary>
/// <param name="root">The directory, open.</param>
/// <param name="deletes">Whether what is of another kind than in the snapshot is removed.</param>
/// <param name="began">When the restore began, by the clock of the file system, in nanoseconds since 1970.</param>
sealed class ExistingTree(SafeFileHandle root, bool deletes, long began)
{
    readonly Dictionary<ulong, long> ours = [];
    readonly HashSet<ulong> shared = [];
    readonly EntryStat place = EntryStat.Of(root, "the target");

    public SafeFileHandle Root => root;

    /// <summary>Whether a file that proved to be the same did not change since, but for what was done to it here.</summary>
    public bool IsUntouched(EntryStat stat) =>
        stat.ChangedNanoseconds < began || (ours.TryGetValue(stat.Inode, out var at) && at == stat.ChangedNanoseconds);

    /// <summary>Notes that a file got another name here, or other content.</summary>
    public void NoteOurs(EntryStat stat) => ours[stat.Inode] = stat.ChangedNanoseconds;

    /// <summary>Notes a directory that was made for what differs from one that is there.</summary>
    public void NoteShared(SafeFileHandle made) => shared.Add(EntryStat.Of(made, "a directory").Inode);

    /// <summary>Throws where a directory that was made is not all of its own: the rest is in one that vanished.</summary>
    public void ExpectWhole(EntryStat made, byte[] path)
    {
        if (shared.Contains(made.Inode))
        {
            throw Changed(path);
        }
    }

    /// <summary>What was proved is not what is there any more.</summary>
    public static SalvorException Changed(byte[] path) => new(
        FailureKind.Failure, $"{DirectoryCalls.Show(path)} changed while it was restored",
        "Stop what writes there, then run the same restore again.");

    /// <summary>
    /// Whether anything is made of an entry: of a file that could not be read when it was backed up nothing is, and what is there stays.
    /// </summary>
    public static bool IsMade(TreeEntry entry) =>
        entry.Kind != TreeEntryKind.File || !entry.Marks.HasFlag(TreeEntryMarks.Unreadable);

    /// <summary>Whether it may take the place of what is of another kind: not what may fail to be made, as a device.</summary>
    public static bool MayReplace(TreeEntry entry) =>
        entry.Kind is TreeEntryKind.Directory or TreeEntryKind.File or TreeEntryKind.Link;

    /// <summary>
    /// A directory that is there; null where it is not, or will be removed. Throws where something else has its name and stays, and where
    /// it is another file system: what is made elsewhere cannot be moved there.
    /// </summary>
    /// <param name="parent">The directory above; null where that is not there.</param>
    /// <param name="item">The directory in the snapshot.</param>
    /// <param name="isInside">Whether the directory above it is one in which <c>--delete</c> removes.</param>
    public SafeFileHandle? Enter(SafeFileHandle? parent, WantedEntry item, bool isInside)
    {
        if (parent is null || EntryStat.In(parent, item.Entry.Name, out _) is not { } stat)
        {
            return null;
        }

        if (stat.Type != EntryStat.Directory)
        {
            return deletes && isInside && item.IsWanted
                ? null
                : throw Conflict(item.Path, "a directory in the backup, and something else there");
        }

        ExpectHere(stat, item.Path);
        return DirectoryCalls.TryOpenDirectory(parent, item.Entry.Name, out var error)
            ?? throw new PosixException(error, "open", DirectoryCalls.Show(item.Path));
    }

    /// <summary>What is there of a name that is no directory in the snapshot. Throws where it is one, and stays.</summary>
    public EntryStat? Meet(SafeFileHandle? parent, WantedEntry item, bool isInside)
    {
        if (parent is null || !IsMade(item.Entry) || EntryStat.In(parent, item.Entry.Name, out _) is not { } stat)
        {
            return null;
        }

        ExpectHere(stat, item.Path);
        return stat.Type != EntryStat.Directory ? stat
            : deletes && isInside && MayReplace(item.Entry) ? null
            : throw Conflict(item.Path, "a directory there, and something else in the backup");
    }

    void ExpectHere(EntryStat stat, byte[] path)
    {
        if ((stat.Device, stat.MountId) != (place.Device, place.MountId))
        {
            throw new SalvorException(
                FailureKind.Usage, $"{DirectoryCalls.Show(path)} is another file system than the directory that '--output' names",
                "What is proved is moved into place, which works within one file system: restore into a directory on that one.");
        }
    }

    static SalvorException Conflict(byte[] path, string what) => new(
        FailureKind.Usage, $"{DirectoryCalls.Show(path)} is {what}",
        "Move it away, or let '--delete' remove what is inside of the restored paths and not as in the backup.");
}
