using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Salvor.Platform;

/// <summary>All that a backup keeps of a name in a directory, links not followed.</summary>
/// <param name="Type">The bits of the mode that say what it is, for example <see cref="Regular"/>.</param>
/// <param name="Permissions">The twelve permission bits.</param>
/// <param name="UserId">Its owner.</param>
/// <param name="GroupId">Its group.</param>
/// <param name="SizeBytes">Its length; of a link that of its target.</param>
/// <param name="BlockCount">How many 512 bytes of the disk it takes.</param>
/// <param name="LinkCount">How many names it has.</param>
/// <param name="Device">The file system, as major and minor number.</param>
/// <param name="Inode">The file within it.</param>
/// <param name="ModifiedNanoseconds">When its content last changed, since 1970.</param>
/// <param name="ChangedNanoseconds">When anything of it last changed, since 1970.</param>
/// <param name="SpecialMajor">Of a device.</param>
/// <param name="SpecialMinor">Of a device.</param>
readonly partial record struct EntryStat(
    uint Type,
    uint Permissions,
    uint UserId,
    uint GroupId,
    long SizeBytes,
    long BlockCount,
    uint LinkCount,
    ulong Device,
    ulong Inode,
    long ModifiedNanoseconds,
    long ChangedNanoseconds,
    uint SpecialMajor,
    uint SpecialMinor)
{
    public const uint Pipe = 0x1000;
    public const uint CharacterDevice = 0x2000;
    public const uint Directory = 0x4000;
    public const uint BlockDevice = 0x6000;
    public const uint Regular = 0x8000;
    public const uint Link = 0xA000;
    public const uint Socket = 0xC000;

    const int NotThroughLinks = 0x100;
    const int NoAutomount = 0x800;
    const int ItselfWhenPathIsEmpty = 0x1000;
    const uint Basic = 0x7FF;
    const uint WithMount = 0x1000;

    /// <summary>
    /// Where the file system is mounted that it is in: two mounts of one, as of a directory elsewhere, have the same device. 0 where the
    /// system does not tell.
    /// </summary>
    public ulong MountId { get; init; }

    /// <summary>What is known of a name in an open directory; null with the error number where it cannot be looked at.</summary>
    public static EntryStat? In(SafeFileHandle directory, ReadOnlySpan<byte> name, out int error) =>
        Look(directory, name, NotThroughLinks | NoAutomount, out error);

    /// <summary>What is known of an open file. Throws where that fails.</summary>
    public static EntryStat Of(SafeFileHandle file, string path) =>
        Look(file, [], ItselfWhenPathIsEmpty, out var error)
            ?? throw new PosixException(error, "look at", path, FailureKind.SourceUnreadable);

    static EntryStat? Look(SafeFileHandle directory, ReadOnlySpan<byte> name, int flags, out int error)
    {
        Span<byte> text = stackalloc byte[DirectoryCalls.NameBytesMax + 1];
        name.CopyTo(text);
        text[name.Length] = 0;
        FileStat.Statx stat;
        do
        {
            error = StatxCall(directory, text, flags, Basic | WithMount, out stat) < 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        while (error == Errno.Interrupted);

        return error != 0 ? null : new EntryStat(
            stat.Mode & 0xF000u, stat.Mode & 0xFFFu, stat.UserId, stat.GroupId, (long)stat.Size, (long)stat.BlockCount, stat.LinkCount,
            ((ulong)stat.DeviceMajor << 32) | stat.DeviceMinor, stat.Inode, stat.Modified.Nanoseconds, stat.Changed.Nanoseconds,
            stat.SpecialMajor, stat.SpecialMinor)
        {
            MountId = stat.MountId,
        };
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static partial int StatxCall(
        SafeFileHandle directory, ReadOnlySpan<byte> name, int flags, uint mask, out FileStat.Statx stat);
}
