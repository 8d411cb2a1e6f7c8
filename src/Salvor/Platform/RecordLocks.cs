using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Salvor.Platform;

/// <summary>The locks of POSIX on parts of a file, which SQLite uses. They are asked for here, never taken.</summary>
static partial class RecordLocks
{
    const int Ask = 5;
    const short WriteLock = 1;
    const short NoLock = 2;

    /// <summary>
    /// The process that holds a lock, shared or exclusive, on any of these bytes; null where no other process does. 0 where the holder
    /// cannot be named from here: it is in another container or on another machine.
    /// </summary>
    /// <remarks>
    /// Closing the file afterwards drops every lock of this kind that this process has on it, through whichever handle it was taken. So
    /// this must not be asked of a database that this process has open.
    /// </remarks>
    public static int? HolderOf(SafeFileHandle file, long start, long length, string path)
    {
        var request = new Request { Kind = WriteLock, Start = start, Length = length };
        while (FileControlCall(file, Ask, ref request) < 0)
        {
            var error = Marshal.GetLastPInvokeError();
            if (error != Errno.Interrupted)
            {
                throw new PosixException(error, "ask for the locks of", path, FailureKind.SourceUnreadable);
            }
        }

        return request.Kind == NoLock ? null : Math.Max(request.Pid, 0);
    }

    // Variadic in C; for a pointer that is the same call on every Linux that .NET runs on.
    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FileControlCall(SafeFileHandle file, int command, ref Request request);

    /// <summary><c>struct flock</c> of the 64-bit architectures: https://man7.org/linux/man-pages/man2/fcntl_locking.2.html.</summary>
    [StructLayout(LayoutKind.Sequential)]
    struct Request
    {
        public short Kind;
        public short Whence;
        public long Start;
        public long Length;
        public int Pid;
    }
}
