using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Salvor.Platform;

/// <summary>
/// Calls on names in open directories. Names are bytes, because that is all that Linux knows of them; no path is ever resolved twice, and
/// no link is followed, so nobody can lead a backup or a restore elsewhere while it runs.
/// </summary>
static partial class DirectoryCalls
{
    /// <summary>No file system has longer names.</summary>
    public const int NameBytesMax = 255;

    /// <summary>No target of a link is longer.</summary>
    public const int TargetBytesMax = 4095;

    /// <summary>Opens nothing but the place: works without permission to read.</summary>
    const int PathOnly = 0x200000;

    const int NoTimeUpdate = 0x40000;
    const int ListingBytes = 64 << 10;
    const int RemoveDirectoryFlag = 0x200;
    const int SeekDataOrigin = 3;
    const int SeekHoleOrigin = 4;

    static bool IsArm => RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    /// <summary>Opens a directory by path, following links: the one that somebody named. Throws where that fails.</summary>
    public static SafeFileHandle OpenRoot(string path) => Posix.Open(path, Posix.ReadOnly | Posix.DirectoryOnly);

    /// <summary>The place to which a path leads, without any link in it. Null with the error number where it leads nowhere.</summary>
    public static byte[]? TryResolve(string path, out int error)
    {
        if (Posix.TryOpen(path, PathOnly, out error) is not { } opened)
        {
            return null;
        }

        using (opened)
        {
            return TryReadPath(Encoding.UTF8.GetBytes($"/proc/self/fd/{opened.DangerousGetHandle()}"), out error);
        }
    }

    /// <summary>Where an open file is by now, for messages.</summary>
    public static string PathOf(SafeFileHandle opened) =>
        Show(TryReadPath(Encoding.UTF8.GetBytes($"/proc/self/fd/{opened.DangerousGetHandle()}"), out _) ?? []);

    /// <summary>Opens a directory for listing; null with the error number where that fails.</summary>
    public static SafeFileHandle? TryOpenDirectory(SafeFileHandle parent, ReadOnlySpan<byte> name, out int error) =>
        TryOpen(parent, name, Posix.ReadOnly | Posix.DirectoryOnly, 0, out error);

    /// <summary>
    /// Opens a file for reading, without leaving a trace in its access time where that is allowed; null with the error number where that
    /// fails. Never waits, whatever the name stands for by now.
    /// </summary>
    public static SafeFileHandle? TryOpenFile(SafeFileHandle parent, ReadOnlySpan<byte> name, out int error) =>
        TryOpen(parent, name, Posix.ReadOnly | Posix.NonBlocking | NoTimeUpdate, 0, out error)
            ?? (error == Errno.NotPermitted ? TryOpen(parent, name, Posix.ReadOnly | Posix.NonBlocking, 0, out error) : null);

    /// <summary>Opens the place of anything, a link itself, for its attributes alone.</summary>
    public static SafeFileHandle? TryOpenPlace(SafeFileHandle parent, ReadOnlySpan<byte> name, out int error) =>
        TryOpen(parent, name, PathOnly, 0, out error);

    /// <summary>Makes a file for its owner alone that was not there. Throws where that fails.</summary>
    public static SafeFileHandle CreateFile(SafeFileHandle parent, ReadOnlySpan<byte> name) =>
        TryOpen(parent, name, Posix.WriteOnly | Posix.Create | Posix.Exclusive, Posix.OwnerOnlyFile, out var error)
            ?? throw Failed(error, "create", name);

    /// <summary>Opens a file for reading and writing; null with the error number where that fails.</summary>
    public static SafeFileHandle? TryOpenForChange(SafeFileHandle parent, ReadOnlySpan<byte> name, out int error) =>
        TryOpen(parent, name, Posix.ReadWrite | Posix.NonBlocking, 0, out error);

    /// <summary>The names in an open directory but <c>.</c> and <c>..</c>, in the order of their bytes.</summary>
    public static List<byte[]> List(SafeFileHandle directory, string path)
    {
        var names = new List<byte[]>();
        var buffer = ArrayPool<byte>.Shared.Rent(ListingBytes);
        try
        {
            // From the beginning, whoever listed it before.
            _ = SeekCall(directory, 0, 0);
            int count;
            while ((count = (int)ListCall(IsArm ? 61 : 217, directory, buffer, buffer.Length)) != 0)
            {
                if (count < 0)
                {
                    throw new PosixException(Marshal.GetLastPInvokeError(), "list", path, FailureKind.SourceUnreadable);
                }

                Add(names, buffer.AsSpan(0, count));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        names.Sort(static (a, b) => a.AsSpan().SequenceCompareTo(b));

        // What is renamed and renamed back meanwhile may be listed twice.
        return [.. names.Where((name, i) => i == 0 || !name.AsSpan().SequenceEqual(names[i - 1]))];
    }

    /// <summary>The target of a link; null with the error number where it cannot be read.</summary>
    public static byte[]? TryReadLink(SafeFileHandle parent, ReadOnlySpan<byte> name, out int error)
    {
        var buffer = new byte[TargetBytesMax + 1];
        var count = ReadLinkCall(parent, Ended(name), buffer, (nuint)buffer.Length);
        error = count < 0 ? Marshal.GetLastPInvokeError() : 0;
        return count < 0 ? null : buffer[..(int)count];
    }

    /// <summary>Makes a directory for its owner alone. Throws where that fails.</summary>
    public static void MakeDirectory(SafeFileHandle parent, ReadOnlySpan<byte> name) =>
        Expect(MakeDirectoryCall(parent, Ended(name), Posix.OwnerOnlyDirectory), "create directory", name);

    /// <summary>Makes a link. Throws where that fails.</summary>
    public static void MakeLink(SafeFileHandle parent, ReadOnlySpan<byte> name, ReadOnlySpan<byte> target) =>
        Expect(MakeLinkCall(Ended(target), parent, Ended(name)), "create link", name);

    /// <summary>Gives a file in an open directory another name in another one. Throws where that fails.</summary>
    public static void AddName(
        SafeFileHandle oldParent, ReadOnlySpan<byte> oldName, SafeFileHandle parent, ReadOnlySpan<byte> name) =>
        Expect(LinkCall(oldParent, Ended(oldName), parent, Ended(name), 0), "link", name);

    /// <summary>Makes a pipe, a socket or a device for its owner alone. Returns 0 or the error number.</summary>
    public static int TryMakeSpecial(SafeFileHandle parent, ReadOnlySpan<byte> name, uint type, uint major, uint minor)
    {
        // The number as the kernel's 64 bits have it.
        var device = ((ulong)(major & 0xFFFFF000u) << 32) | ((ulong)(major & 0xFFFu) << 8) | ((ulong)(minor & 0xFFFFFF00u) << 12)
            | (minor & 0xFFu);
        return MakeNodeCall(parent, Ended(name), type | Posix.OwnerOnlyFile, device) < 0 ? Marshal.GetLastPInvokeError() : 0;
    }

    /// <summary>Moves a name from one open directory to another. Throws where that fails.</summary>
    public static void Move(SafeFileHandle oldParent, ReadOnlySpan<byte> name, SafeFileHandle parent) =>
        Expect(RenameCall(oldParent, Ended(name), parent, Ended(name)), "move", name);

    /// <summary>Removes a name: of a directory one that is empty. Throws where that fails.</summary>
    public static void Remove(SafeFileHandle parent, ReadOnlySpan<byte> name, bool isDirectory) =>
        Expect(RemoveCall(parent, Ended(name), isDirectory ? RemoveDirectoryFlag : 0), "remove", name);

    /// <summary>Removes a name with all that is below it. Throws where that fails; what is not there is removed.</summary>
    public static void RemoveTree(SafeFileHandle parent, ReadOnlySpan<byte> name)
    {
        if (RemoveCall(parent, Ended(name), 0) == 0)
        {
            return;
        }

        if (Marshal.GetLastPInvokeError() is var error and not Errno.IsDirectory and not Errno.NotPermitted)
        {
            if (error != Errno.NoEntry)
            {
                throw Failed(error, "remove", name);
            }

            return;
        }

        using (var directory = TryOpenDirectory(parent, name, out var failure) ?? throw Failed(failure, "open", name))
        {
            Posix.ChangeMode(directory, Posix.OwnerOnlyDirectory, Show(name));
            foreach (var inside in List(directory, Show(name)))
            {
                RemoveTree(directory, inside);
            }
        }

        Expect(RemoveCall(parent, Ended(name), RemoveDirectoryFlag), "remove", name);
    }

    /// <summary>Gives a name in an open directory an owner, a link itself. Returns 0 or the error number.</summary>
    public static int TryChangeOwner(SafeFileHandle parent, ReadOnlySpan<byte> name, uint userId, uint groupId) =>
        ChangeOwnerCall(parent, Ended(name), userId, groupId, 0x100) < 0 ? Marshal.GetLastPInvokeError() : 0;

    /// <summary>Sets the permission bits of a name that is no link. Throws where that fails.</summary>
    public static void ChangeMode(SafeFileHandle parent, ReadOnlySpan<byte> name, uint permissions) =>
        Expect(ChangeModeCall(parent, Ended(name), permissions, 0), "set the permissions of", name);

    /// <summary>Sets the time at which the content last changed, of a link itself, in nanoseconds since 1970.</summary>
    public static void SetModified(SafeFileHandle parent, ReadOnlySpan<byte> name, long nanoseconds) =>
        Expect(SetTimesCall(parent, Ended(name), TimesOf(nanoseconds), 0x100), "set the time of", name);

    /// <summary>The same of an open file.</summary>
    public static void SetModified(SafeFileHandle file, long nanoseconds, ReadOnlySpan<byte> name) =>
        Expect(SetTimesCall(file, TimesOf(nanoseconds)), "set the time of", name);

    /// <summary>
    /// The next data of a sparse file at or after an offset; null where only a hole follows. A file system that does not know holes has
    /// data everywhere.
    /// </summary>
    public static (long Start, long End)? NextData(SafeFileHandle file, long offset, string path)
    {
        var start = SeekCall(file, offset, SeekDataOrigin);
        if (start < 0)
        {
            const int NoSuchAddress = 6;
            return Marshal.GetLastPInvokeError() is var error && error == NoSuchAddress
                ? null
                : throw new PosixException(error, "find the holes of", path, FailureKind.SourceUnreadable);
        }

        var end = SeekCall(file, start, SeekHoleOrigin);
        return end >= 0
            ? (start, end)
            : throw new PosixException(Marshal.GetLastPInvokeError(), "find the holes of", path, FailureKind.SourceUnreadable);
    }

    /// <summary>Makes all that was written to the file system of an open file durable. Throws where that fails.</summary>
    public static void FlushFileSystem(SafeFileHandle file, string path)
    {
        if (FlushFileSystemCall(file) < 0)
        {
            throw new PosixException(Marshal.GetLastPInvokeError(), "flush", path);
        }
    }

    /// <summary>A name for people: what is no text, or cannot be printed, as <c>\xNN</c>.</summary>
    public static string Show(ReadOnlySpan<byte> name)
    {
        var text = new StringBuilder();
        while (!name.IsEmpty)
        {
            var status = Rune.DecodeFromUtf8(name, out var rune, out var length);
            if (status == OperationStatus.Done && !Rune.IsControl(rune))
            {
                text.Append(rune.ToString());
            }
            else
            {
                foreach (var item in name[..length])
                {
                    text.Append(System.Globalization.CultureInfo.InvariantCulture, $"\\x{item:x2}");
                }
            }

            name = name[length..];
        }

        return text.ToString();
    }

    static void Add(List<byte[]> names, ReadOnlySpan<byte> rows)
    {
        const int NameOffset = 19, LengthOffset = 16;
        while (!rows.IsEmpty)
        {
            var length = BinaryPrimitives.ReadUInt16LittleEndian(rows[LengthOffset..]);
            var name = rows[NameOffset..length];
            name = name[..name.IndexOf((byte)0)];
            if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
            {
                names.Add(name.ToArray());
            }

            rows = rows[length..];
        }
    }

    static byte[]? TryReadPath(byte[] path, out int error)
    {
        var buffer = new byte[TargetBytesMax + 1];
        var count = ReadPathCall([.. path, 0], buffer, (nuint)buffer.Length);
        error = count < 0 ? Marshal.GetLastPInvokeError() : 0;
        return count < 0 ? null : buffer[..(int)count];
    }

    static SafeFileHandle? TryOpen(SafeFileHandle parent, ReadOnlySpan<byte> name, int flags, uint mode, out int error)
    {
        int descriptor;
        do
        {
            descriptor = OpenCall(parent, Ended(name), flags | Posix.NoFollow | Posix.CloseOnExec, mode);
            error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        while (error == Errno.Interrupted);

        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>The name as C ends it.</summary>
    static byte[] Ended(ReadOnlySpan<byte> name)
    {
        var ended = new byte[name.Length + 1];
        name.CopyTo(ended);
        return ended;
    }

    /// <summary>Two times: that of the last access stays.</summary>
    static long[] TimesOf(long nanoseconds)
    {
        const long Omit = (1 << 30) - 2, Second = 1_000_000_000;
        var (seconds, rest) = Math.DivRem(nanoseconds, Second);
        return rest < 0 ? [0, Omit, seconds - 1, rest + Second] : [0, Omit, seconds, rest];
    }

    static void Expect(int answer, string action, ReadOnlySpan<byte> name)
    {
        if (answer < 0)
        {
            throw Failed(Marshal.GetLastPInvokeError(), action, name);
        }
    }

    static PosixException Failed(int error, string action, ReadOnlySpan<byte> name) => new(error, action, Show(name));

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true)]
    private static partial int OpenCall(SafeFileHandle parent, byte[] name, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long ListCall(long number, SafeFileHandle directory, byte[] buffer, long count);

    [LibraryImport("libc", EntryPoint = "lseek64", SetLastError = true)]
    private static partial long SeekCall(SafeFileHandle file, long offset, int origin);

    [LibraryImport("libc", EntryPoint = "readlinkat", SetLastError = true)]
    private static partial nint ReadLinkCall(SafeFileHandle parent, byte[] name, byte[] buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "readlink", SetLastError = true)]
    private static partial nint ReadPathCall(byte[] path, byte[] buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "mkdirat", SetLastError = true)]
    private static partial int MakeDirectoryCall(SafeFileHandle parent, byte[] name, uint mode);

    [LibraryImport("libc", EntryPoint = "symlinkat", SetLastError = true)]
    private static partial int MakeLinkCall(byte[] target, SafeFileHandle parent, byte[] name);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true)]
    private static partial int LinkCall(SafeFileHandle oldParent, byte[] oldName, SafeFileHandle parent, byte[] name, int flags);

    [LibraryImport("libc", EntryPoint = "mknodat", SetLastError = true)]
    private static partial int MakeNodeCall(SafeFileHandle parent, byte[] name, uint mode, ulong device);

    [LibraryImport("libc", EntryPoint = "renameat", SetLastError = true)]
    private static partial int RenameCall(SafeFileHandle oldParent, byte[] oldName, SafeFileHandle parent, byte[] name);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true)]
    private static partial int RemoveCall(SafeFileHandle parent, byte[] name, int flags);

    [LibraryImport("libc", EntryPoint = "fchownat", SetLastError = true)]
    private static partial int ChangeOwnerCall(SafeFileHandle parent, byte[] name, uint userId, uint groupId, int flags);

    [LibraryImport("libc", EntryPoint = "fchmodat", SetLastError = true)]
    private static partial int ChangeModeCall(SafeFileHandle parent, byte[] name, uint permissions, int flags);

    [LibraryImport("libc", EntryPoint = "utimensat", SetLastError = true)]
    private static partial int SetTimesCall(SafeFileHandle parent, byte[] name, long[] times, int flags);

    [LibraryImport("libc", EntryPoint = "futimens", SetLastError = true)]
    private static partial int SetTimesCall(SafeFileHandle file, long[] times);

    [LibraryImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    private static partial int FlushFileSystemCall(SafeFileHandle file);
}
