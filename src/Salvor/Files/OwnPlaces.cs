using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Format;

namespace Salvor.Files;

/// <summary>What Salvor itself keeps on a disk: no backup of files has it, and no restore removes it.</summary>
static class OwnPlaces
{
    /// <summary>The directory in which restores make what they then move into place.</summary>
    public static ReadOnlySpan<byte> Staging => ".salvor-restoring"u8;

    /// <summary>Whether a name is that of the directory of an unfinished restore.</summary>
    public static bool IsStaging(ReadOnlySpan<byte> name) => name.SequenceEqual(Staging);

    /// <summary>Whether a name is that of a restore, of local state, or of the heads beside vaults.</summary>
    public static bool IsOwn(ReadOnlySpan<byte> name) =>
        IsStaging(name) || name.SequenceEqual(".salvor"u8) || name.SequenceEqual("_heads"u8);

    /// <summary>Which files these paths lead to. What may not be looked at may not be walked or removed either.</summary>
    public static HashSet<(ulong Device, ulong Inode)> Of(IEnumerable<string> paths)
    {
        var found = new HashSet<(ulong, ulong)>();
        foreach (var path in paths)
        {
            try
            {
                if (FileIdentity.Of(path) is { } identity)
                {
                    found.Add((identity.Device, identity.Inode));
                }
            }
            catch (PosixException e) when (e.Error == Errno.AccessDenied)
            {
                continue;
            }
        }

        return found;
    }

    /// <summary>Whether a directory is a vault: it has the object that says which one.</summary>
    public static bool IsVault(SafeFileHandle directory)
    {
        ReadOnlySpan<byte> name = "vault"u8;
        if (EntryStat.In(directory, name, out _) is not { Type: EntryStat.Regular })
        {
            return false;
        }

        using var file = DirectoryCalls.TryOpenFile(directory, name, out _);
        Span<byte> begin = stackalloc byte[8];
        return file is null || (RandomAccess.Read(file, begin, 0) == begin.Length && begin.SequenceEqual(ObjectHeader.Magic));
    }

    /// <summary>Whether a name is a directory that is a vault, or has one somewhere below it.</summary>
    public static bool HoldsVault(SafeFileHandle parent, ReadOnlySpan<byte> name)
    {
        using var directory = DirectoryCalls.TryOpenDirectory(parent, name, out _);
        return directory is not null && (IsVault(directory)
            || DirectoryCalls.List(directory, DirectoryCalls.Show(name)).Exists(inside => HoldsVault(directory, inside)));
    }
}
