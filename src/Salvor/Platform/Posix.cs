using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Salvor.Platform;

/// <summary>
/// The calls of Linux that .NET has no word for. Every wrapper retries a call that a signal interrupted and turns any other
/// failure into a <see cref="PosixException"/> or an answer that its name announces.
/// </summary>
static partial class Posix
{
    public const int ReadOnly = 0;
    public const int WriteOnly = 1;
    public const int ReadWrite = 2;
    public const int Create = 0x40;
    public const int Exclusive = 0x80;
    public const int NonBlocking = 0x800;
    public const int CloseOnExec = 0x80000;

    public const int MayEnter = 1;
    public const int MayWrite = 2;
    public const int MayRead = 4;

    public const uint OwnerOnlyFile = 0b110_000_000;
    public const uint OwnerOnlyDirectory = 0b111_000_000;

    /// <summary>For <see cref="ChangeOwner"/>: the user stays.</summary>
    public const uint SameUser = uint.MaxValue;

    // These flags alone differ between the two architectures.
    public static readonly int DirectoryOnly = IsArm ? 0x4000 : 0x10000;
    public static readonly int NoFollow = IsArm ? 0x8000 : 0x20000;
    public static readonly int Unnamed = 0x400000 | DirectoryOnly;

    const int LockExclusive = 2;
    const int LockShared = 1;
    const int LockNonBlocking = 4;
    const int LockRelease = 8;

    const int CurrentDirectory = -100;
    const long RenameNoReplaceFlag = 1;

    static bool IsArm => RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    /// <summary>Opens, never inherited by children; null with the error number where that fails.</summary>
    public static SafeFileHandle? TryOpen(string path, int flags, out int error)
    {
        int descriptor;
        do
        {
            descriptor = OpenCall(path, flags | CloseOnExec, OwnerOnlyFile);
            error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        while (error == Errno.Interrupted);

        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Opens, never inherited by children; a file that is created is for its owner only.</summary>
    public static SafeFileHandle Open(string path, int flags) =>
        TryOpen(path, flags, out var error) ?? throw new PosixException(error, "open", path);

    /// <summary>
    /// Reads a file from an offset until the buffer is full or the file ends; returns the bytes read. Opens and closes it by number: a
    /// handle of .NET asks for more about a file than reading 200 bytes of it costs.
    /// </summary>
    /// <param name="flags">Besides <see cref="ReadOnly"/>.</param>
    public static int Read(string path, int flags, long offset, Span<byte> buffer)
    {
        int descriptor;
        while ((descriptor = OpenCall(path, ReadOnly | flags | CloseOnExec, 0)) < 0)
        {
            Expect(Errno.Interrupted, "open", path);
        }

        try
        {
            var total = 0;
            while (total < buffer.Length)
            {
                var count = ReadCall(descriptor, buffer[total..], (nuint)(buffer.Length - total), offset + total);
                if (count < 0)
                {
                    Expect(Errno.Interrupted, "read", path);
                }
                else if (count == 0)
                {
                    break;
                }

                total += (int)Math.Max(0, count);
            }

            return total;
        }
        finally
        {
            // What was only read cannot fail here in a way that matters.
            _ = CloseCall(descriptor);
        }
    }

    /// <summary>Throws where a call failed with another error than this.</summary>
    static void Expect(int expected, string action, string path)
    {
        if (Marshal.GetLastPInvokeError() is var error && error != expected)
        {
            throw new PosixException(error, action, path);
        }
    }

    /// <summary>Returns 0 or the error number.</summary>
    public static int Flush(SafeFileHandle file)
    {
        while (FlushCall(file) < 0)
        {
            var error = Marshal.GetLastPInvokeError();
            if (error != Errno.Interrupted)
            {
                return error;
            }
        }

        return 0;
    }

    /// <summary>Gives an open file another owner. Returns 0 or the error number; <see cref="SameUser"/> changes the group alone.</summary>
    public static int ChangeOwner(SafeFileHandle file, uint userId, uint groupId) =>
        ChangeOwnerCall(file, userId, groupId) < 0 ? Marshal.GetLastPInvokeError() : 0;

    /// <summary>Sets the permission bits of an open file. The path is for the message.</summary>
    public static void ChangeMode(SafeFileHandle file, uint permissions, string path)
    {
        if (ChangeModeCall(file, permissions) < 0)
        {
            throw new PosixException(Marshal.GetLastPInvokeError(), "set the permissions of", path);
        }
    }

    /// <summary>Takes a lock of the open file, exclusive or shared, without waiting. False where another open file holds it.</summary>
    public static bool TryLock(SafeFileHandle file, bool exclusive, string path)
    {
        while (LockCall(file, (exclusive ? LockExclusive : LockShared) | LockNonBlocking) < 0)
        {
            switch (Marshal.GetLastPInvokeError())
            {
                case Errno.Interrupted:
                    break;
                case Errno.TryAgain:
                    return false;
                case var error:
                    throw new PosixException(error, "lock", path);
            }
        }

        return true;
    }

    /// <summary>Gives the lock up now, even where a child that was just forked still shares the open file.</summary>
    public static void Unlock(SafeFileHandle file, string path)
    {
        while (LockCall(file, LockRelease) < 0)
        {
            var error = Marshal.GetLastPInvokeError();
            if (error != Errno.Interrupted)
            {
                throw new PosixException(error, "unlock", path);
            }
        }
    }

    /// <summary>Removes a name. False where there was none.</summary>
    public static bool Unlink(string path)
    {
        var error = UnlinkCall(path) < 0 ? Marshal.GetLastPInvokeError() : 0;
        return error switch
        {
            0 => true,
            Errno.NoEntry => false,
            _ => throw new PosixException(error, "remove", path),
        };
    }

    /// <summary>Creates one directory for its owner only. False where the name exists already.</summary>
    public static bool MakeDirectory(string path)
    {
        var error = MakeDirectoryCall(path, OwnerOnlyDirectory) < 0 ? Marshal.GetLastPInvokeError() : 0;
        return error switch
        {
            0 => true,
            Errno.Exists => false,
            _ => throw new PosixException(error, "create directory", path),
        };
    }

    /// <summary>Renames, replacing what has the name already.</summary>
    public static void Rename(string from, string to)
    {
        if (RenameCall(from, to) < 0)
        {
            throw new PosixException(Marshal.GetLastPInvokeError(), "rename to", to);
        }
    }

    /// <summary>Returns 0 or the error number. By number, because not every C library has a wrapper for it.</summary>
    public static int TryRenameNoReplace(string from, string to)
    {
        var number = IsArm ? 276L : 316L;
        var answer = RenameAt2Call(number, CurrentDirectory, from, CurrentDirectory, to, RenameNoReplaceFlag);
        return answer < 0 ? Marshal.GetLastPInvokeError() : 0;
    }

    /// <summary>Gives a file a second name. Returns 0 or the error number.</summary>
    public static int TryLink(string existing, string name) => LinkCall(existing, name) < 0 ? Marshal.GetLastPInvokeError() : 0;

    /// <summary>
    /// Whether a process has this id now, whoever owns it. /proc alone would not say: it may hide the processes of others.
    /// </summary>
    public static bool ProcessExists(int pid) => KillCall(pid, 0) == 0 || Marshal.GetLastPInvokeError() != Errno.NoProcess;

    /// <summary>Whether the user of this process may use a path so; false also where it is not there.</summary>
    /// <param name="mode">A sum of <see cref="MayRead"/>, <see cref="MayWrite"/> and <see cref="MayEnter"/>.</param>
    public static bool MayAccess(string path, int mode) => AccessCall(path, mode) == 0;

    /// <summary>Sends a signal; false where the process is gone.</summary>
    public static bool Signal(int pid, int signal) => KillCall(pid, signal) == 0;

    const nuint CloneRequest = 0x40049409;

    /// <summary>
    /// Makes a file share all its content with another one until either is written to, where the file system can: Btrfs, XFS, bcachefs.
    /// </summary>
    public static bool TryClone(SafeFileHandle from, SafeFileHandle to) => ControlCall(to, CloneRequest, from) == 0;

    /// <summary>The user that this process acts as.</summary>
    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint EffectiveUserId();

    /// <summary>Makes a named pipe that its owner alone may use. Throws where the name exists.</summary>
    public static void MakePipe(string path)
    {
        if (MakePipeCall(path, OwnerOnlyFile) != 0)
        {
            throw new PosixException(Marshal.GetLastPInvokeError(), "make a pipe at", path);
        }
    }

    [LibraryImport("libc", EntryPoint = "mkfifo", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakePipeCall(string path, uint mode);

    /// <summary>How wide a terminal is; 0 where it is none, or does not say.</summary>
    public static int TerminalColumns(int descriptor)
    {
        const uint GetWindowSize = 0x5413;
        Span<ushort> rowsColumns = stackalloc ushort[4];
        return WindowSizeCall(descriptor, GetWindowSize, rowsColumns) == 0 ? rowsColumns[1] : 0;
    }

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int WindowSizeCall(int descriptor, nuint request, Span<ushort> rowsColumns);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int ControlCall(SafeFileHandle file, nuint request, SafeFileHandle argument);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenCall(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "pread64", SetLastError = true)]
    private static partial nint ReadCall(int descriptor, Span<byte> buffer, nuint count, long offset);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int CloseCall(int descriptor);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FlushCall(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fchown", SetLastError = true)]
    private static partial int ChangeOwnerCall(SafeFileHandle file, uint userId, uint groupId);

    [LibraryImport("libc", EntryPoint = "fchmod", SetLastError = true)]
    private static partial int ChangeModeCall(SafeFileHandle file, uint mode);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int LockCall(SafeFileHandle file, int operation);

    [LibraryImport("libc", EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int UnlinkCall(string path);

    [LibraryImport("libc", EntryPoint = "mkdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakeDirectoryCall(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameCall(string from, string to);

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int LinkCall(string existing, string name);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial long RenameAt2Call(long number, long fromDirectory, string from, long toDirectory, string to, long flags);

    [LibraryImport("libc", EntryPoint = "access", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int AccessCall(string path, int mode);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int KillCall(int pid, int signal);
}
