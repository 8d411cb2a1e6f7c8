using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Salvor.Platform;

/// <summary>
/// Which file a path leads to. Device and inode alone are not enough: an inode number is given to the next file as soon as its
/// own is deleted, and then only the time of birth tells the two apart.
/// </summary>
/// <param name="Device">The file system, as major and minor number.</param>
/// <param name="Inode">The file within it.</param>
/// <param name="BirthTimeNanoseconds">Since 1970; 0 where the file system does not keep it.</param>
readonly record struct FileIdentity(ulong Device, ulong Inode, long BirthTimeNanoseconds)
{
    /// <summary>The three numbers in hexadecimal, with colons.</summary>
    public string Text => $"{Device:x}:{Inode:x}:{BirthTimeNanoseconds:x}";

    /// <summary>The file behind a path, through symbolic links; null where there is none. Never opens the file.</summary>
    public static FileIdentity? Of(string path) => FileStat.Of(path)?.Identity;
}

/// <summary>What kind of thing a name stands for.</summary>
enum FileKind
{
    /// <summary>A socket, pipe or device.</summary>
    Other,

    /// <summary>A regular file.</summary>
    Regular,

    /// <summary>A directory.</summary>
    Directory,

    /// <summary>A symbolic link that was not followed.</summary>
    Link,
}

/// <summary>What a file system says about a file without opening it: a close would drop the locks that SQLite holds on it.</summary>
/// <param name="Identity">Which file it is.</param>
/// <param name="Kind">What kind of file it is.</param>
/// <param name="SizeBytes">Its length.</param>
/// <param name="UserId">Its owner.</param>
/// <param name="GroupId">Its group.</param>
/// <param name="Permissions">The twelve permission bits.</param>
/// <param name="ModifiedNanoseconds">When its content last changed, since 1970.</param>
readonly partial record struct FileStat(
    FileIdentity Identity,
    FileKind Kind,
    long SizeBytes,
    uint UserId,
    uint GroupId,
    uint Permissions,
    long ModifiedNanoseconds)
{
    const int CurrentDirectory = -100;
    const int NotThroughLinks = 0x100;
    const int ItselfWhenPathIsEmpty = 0x1000;
    const uint BasicAndBirthTime = 0xFFF;
    const uint HasBirthTime = 0x800;

    /// <summary>What is known of the file behind a path; null where there is none. Throws where the path may not be looked at.</summary>
    public static FileStat? Of(string path, bool followLinks = true) =>
        Look(CurrentDirectory, path, followLinks ? 0 : NotThroughLinks, path);

    /// <summary>What is known of an open file. The path is for the message.</summary>
    public static FileStat Of(SafeFileHandle file, string path) =>
        Look(file, "", ItselfWhenPathIsEmpty, path)
            ?? throw new PosixException(Errno.NoEntry, "look at", path, FailureKind.SourceUnreadable);

    /// <summary>
    /// What is known of a name in an open directory, links not followed; null where there is none. For many names: the way to the directory
    /// is gone once.
    /// </summary>
    public static FileStat? In(SafeFileHandle directory, string name) => Look(directory, name, NotThroughLinks, name);

    static FileStat? Look(SafeFileHandle file, string path, int flags, string name)
    {
        var held = false;
        try
        {
            file.DangerousAddRef(ref held);
            return Look((int)file.DangerousGetHandle(), path, flags, name);
        }
        finally
        {
            if (held)
            {
                file.DangerousRelease();
            }
        }
    }

    static FileStat? Look(int directory, string path, int flags, string name)
    {
        Statx stat;
        while (StatxCall(directory, path, flags, BasicAndBirthTime, out stat) < 0)
        {
            switch (Marshal.GetLastPInvokeError())
            {
                case Errno.Interrupted:
                    break;
                case Errno.NoEntry or Errno.NotDirectory:
                    return null;
                case var error:
                    throw new PosixException(error, "look at", name, FailureKind.SourceUnreadable);
            }
        }

        return From(in stat);
    }

    static FileStat From(in Statx stat) => new(
        new(
            ((ulong)stat.DeviceMajor << 32) | stat.DeviceMinor,
            stat.Inode,
            (stat.Mask & HasBirthTime) == 0 ? 0 : stat.Birth.Nanoseconds),
        (stat.Mode & 0xF000) switch
        {
            0x8000 => FileKind.Regular,
            0x4000 => FileKind.Directory,
            0xA000 => FileKind.Link,
            _ => FileKind.Other,
        },
        (long)stat.Size,
        stat.UserId,
        stat.GroupId,
        stat.Mode & 0xFFFu,
        stat.Modified.Nanoseconds);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatxCall(int directory, string path, int flags, uint mask, out Statx stat);

    [StructLayout(LayoutKind.Sequential)]
    internal struct Time
    {
        public long Seconds;
        public uint Fraction;
        public int Reserved;

        public readonly long Nanoseconds => unchecked((Seconds * 1_000_000_000) + Fraction);
    }

    /// <summary>https://man7.org/linux/man-pages/man2/statx.2.html: the same on every architecture, with room to grow.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 256)]
    internal struct Statx
    {
        public uint Mask;
        public uint BlockSize;
        public ulong Attributes;
        public uint LinkCount;
        public uint UserId;
        public uint GroupId;
        public ushort Mode;
        public ushort Spare;
        public ulong Inode;
        public ulong Size;
        public ulong BlockCount;
        public ulong AttributesMask;
        public Time Accessed;
        public Time Birth;
        public Time Changed;
        public Time Modified;
        public uint SpecialMajor;
        public uint SpecialMinor;
        public uint DeviceMajor;
        public uint DeviceMinor;
        public ulong MountId;
    }
}
