using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// What is in the directory that is restored into, beside the snapshot. Directories are opened one in the other, without following links.
/// </summary>
/// <param name="root">The directory, open.</param>
/// <param name="deletes">Whether what is of another kind than in the snapshot is removed.</param>
sealed class ExistingTree(SafeFileHandle root, bool deletes)
{
    readonly ulong device = EntryStat.Of(root, "the target").Device;

    public SafeFileHandle Root => root;

    /// <summary>
    /// A directory that is there; null where it is not, or will be removed. Throws where something else has its name and stays, and where
    /// it is another file system: what is made elsewhere cannot be moved there.
    /// </summary>
    /// <param name="parent">The directory above; null where that is not there.</param>
    /// <param name="entry">The directory in the snapshot.</param>
    /// <param name="path">Its path.</param>
    /// <param name="isInside">Whether the directory above it is one of those that are restored.</param>
    public SafeFileHandle? Enter(SafeFileHandle? parent, TreeEntry entry, byte[] path, bool isInside)
    {
        if (parent is null || EntryStat.In(parent, entry.Name, out _) is not { } stat)
        {
            return null;
        }

        if (stat.Type != EntryStat.Directory)
        {
            return deletes && isInside ? null : throw Conflict(path, "a directory in the backup, and something else there");
        }

        return stat.Device == device
            ? DirectoryCalls.TryOpenDirectory(parent, entry.Name, out var error)
                ?? throw new PosixException(error, "open", DirectoryCalls.Show(path))
            : throw new SalvorException(
                FailureKind.Usage, $"{DirectoryCalls.Show(path)} is another file system than the directory that '--output' names",
                "What is proved is moved into place, which works within one file system: restore into a directory on that one.");
    }

    /// <summary>What is there of a name that is no directory in the snapshot. Throws where it is one, and stays.</summary>
    public EntryStat? Meet(SafeFileHandle? parent, TreeEntry entry, byte[] path, bool isInside)
    {
        if (parent is null || EntryStat.In(parent, entry.Name, out _) is not { } stat)
        {
            return null;
        }

        return stat.Type != EntryStat.Directory ? stat
            : deletes && isInside ? null
            : throw Conflict(path, "a directory there, and something else in the backup");
    }

    static SalvorException Conflict(byte[] path, string what) => new(
        FailureKind.Usage, $"{DirectoryCalls.Show(path)} is {what}",
        "Move it away, or let '--delete' remove what is inside of the restored paths and not as in the backup.");
}
