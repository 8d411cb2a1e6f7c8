using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Salvor.Platform;

/// <summary>What happened to a name in a watched directory.</summary>
[Flags]
enum FileChange
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Content was written or cut off.</summary>
    Modified = 1,

    /// <summary>The name was created, or moved to here.</summary>
    Appeared = 2,

    /// <summary>The name was deleted, or moved from here.</summary>
    Vanished = 4,

    /// <summary>The directory itself was deleted, moved or unmounted: its watch tells nothing more of this path.</summary>
    DirectoryGone = 8,

    /// <summary>The kernel dropped events: anything may have happened anywhere. The watch is -1.</summary>
    Overflow = 16,

    /// <summary>The name is a directory's.</summary>
    Directory = 32,
}

/// <summary>One change. The name is empty where the change is the directory's own.</summary>
readonly record struct FileEvent(int Watch, string Name, FileChange Change);

/// <summary>
/// Changes in any number of directories by one descriptor, so that thousands of databases cost neither thousands of inotify
/// instances (128 by default) nor a thread each. One thread waits; every other member may be called from any thread.
/// </summary>
sealed partial class Inotify : IDisposable
{
    const int NonBlockingCloseOnExec = 0x80800;
    const int BufferSizeBytes = 32 * 1024;
    const int HeaderSizeBytes = 16;
    const short Readable = 1;

    const uint Modify = 0x2, MovedFrom = 0x40, MovedTo = 0x80, Created = 0x100, Deleted = 0x200;
    const uint DeletedSelf = 0x400, MovedSelf = 0x800, Unmounted = 0x2000, QueueOverflow = 0x4000;
    const uint IsDirectory = 0x4000_0000, OnlyDirectory = 0x0100_0000;
    const uint Wanted = Modify | MovedFrom | MovedTo | Created | Deleted | DeletedSelf | MovedSelf | OnlyDirectory;

    readonly SafeFileHandle queue;
    readonly SafeFileHandle alarm;
    readonly byte[] buffer = new byte[BufferSizeBytes];
    readonly FileNames names = new();

    /// <summary>Throws <see cref="FailureKind.Failure"/> with the limit's name where the user has too many of these already.</summary>
    public Inotify()
    {
        queue = Descriptor(InitializeCall(NonBlockingCloseOnExec), "the user's limit of inotify instances is reached");
        try
        {
            alarm = Descriptor(EventCall(0, NonBlockingCloseOnExec), "the limit of open files is reached");
        }
        catch (SalvorException)
        {
            queue.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Starts to watch a directory and returns the watch's id: the same one if it is watched already, by this or another path to
    /// it. Nothing is counted: one <see cref="Unwatch"/> ends the watch for all.
    /// </summary>
    public int Watch(string directory)
    {
        var watch = AddWatchCall(queue, directory, Wanted);
        return watch >= 0 ? watch : throw WatchFailure(Marshal.GetLastPInvokeError(), directory);
    }

    /// <summary>Ends a watch. Events that the kernel has queued for it may still arrive; its id is not given out again soon.</summary>
    public void Unwatch(int watch)
    {
        if (RemoveWatchCall(queue, watch) < 0)
        {
            var error = Marshal.GetLastPInvokeError();

            // Invalid: the kernel has ended it by itself, because the directory is gone.
            Invariant.Check(error == Errno.Invalid);
        }
    }

    /// <summary>Lets the current <see cref="Wait"/>, or else the next one, return at once.</summary>
    public void Wake()
    {
        // Fails only where 2^64 - 2 wakes are pending.
        _ = WriteCall(alarm, [1], sizeof(ulong));
    }

    /// <summary>
    /// Blocks until something happens, <see cref="Wake"/> is called or the time is over (<see cref="Timeout.InfiniteTimeSpan"/>:
    /// never). Clears <paramref name="events"/> and fills it with what happened, oldest first. False where the time ran out; true
    /// without events after a wake.
    /// </summary>
    public bool Wait(TimeSpan timeout, List<FileEvent> events)
    {
        events.Clear();
        var queueHeld = false;
        var alarmHeld = false;
        try
        {
            // Held for as long as the kernel uses the numbers: Dispose on another thread must not let them be given to other files.
            queue.DangerousAddRef(ref queueHeld);
            alarm.DangerousAddRef(ref alarmHeld);
            return WaitForAny(timeout, events);
        }
        finally
        {
            if (queueHeld)
            {
                queue.DangerousRelease();
            }

            if (alarmHeld)
            {
                alarm.DangerousRelease();
            }
        }
    }

    /// <summary>Ends every watch. A thread in <see cref="Wait"/> returns from it.</summary>
    public void Dispose()
    {
        if (!alarm.IsClosed)
        {
            Wake();
        }

        alarm.Dispose();
        queue.Dispose();
    }

    bool WaitForAny(TimeSpan timeout, List<FileEvent> events)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            Span<Poll> polled =
            [
                new() { Descriptor = (int)queue.DangerousGetHandle(), Wanted = Readable },
                new() { Descriptor = (int)alarm.DangerousGetHandle(), Wanted = Readable },
            ];

            var limit = TimeLimit.Of(timeout == Timeout.InfiniteTimeSpan ? timeout : timeout - Stopwatch.GetElapsedTime(started));
            var ready = PollCall(polled, (nuint)polled.Length, in limit, 0);
            if (ready < 0)
            {
                // Interrupted by a signal: the remaining time is computed anew above.
                ThrowUnless(Errno.Interrupted);
                continue;
            }

            if (ready == 0)
            {
                return false;
            }

            if (polled[1].Happened != 0)
            {
                ReadAlarm();
            }

            if (polled[0].Happened != 0)
            {
                ReadEvents(events);
            }

            // Nothing but the end of a watch that was asked for is nothing.
            if (polled[1].Happened != 0 || events.Count > 0)
            {
                return true;
            }
        }
    }

    void ReadAlarm()
    {
        Span<byte> count = stackalloc byte[sizeof(ulong)];
        if (ReadCall(alarm, count, sizeof(ulong)) < 0)
        {
            ThrowUnless(Errno.TryAgain, Errno.Interrupted);
        }
    }

    /// <summary>
    /// One buffer's worth: what does not fit stays queued for the next wait, so that a busy directory cannot fill the memory.
    /// </summary>
    void ReadEvents(List<FileEvent> events)
    {
        var sizeBytes = (int)ReadCall(queue, buffer, BufferSizeBytes);
        if (sizeBytes < 0)
        {
            ThrowUnless(Errno.TryAgain, Errno.Interrupted);
            return;
        }

        for (var rest = buffer.AsSpan(0, sizeBytes); rest.Length >= HeaderSizeBytes;)
        {
            var watch = MemoryMarshal.Read<int>(rest);
            var mask = MemoryMarshal.Read<uint>(rest[4..]);
            var nameSizeBytes = MemoryMarshal.Read<int>(rest[12..]);
            var change = ChangeOf(mask);
            if ((change & ~FileChange.Directory) != 0)
            {
                events.Add(new(watch, names.Of(rest.Slice(HeaderSizeBytes, nameSizeBytes)), change));
            }

            rest = rest[(HeaderSizeBytes + nameSizeBytes)..];
        }
    }

    static FileChange ChangeOf(uint mask) =>
        ((mask & Modify) != 0 ? FileChange.Modified : 0)
        | ((mask & (Created | MovedTo)) != 0 ? FileChange.Appeared : 0)
        | ((mask & (Deleted | MovedFrom)) != 0 ? FileChange.Vanished : 0)
        | ((mask & (DeletedSelf | MovedSelf | Unmounted)) != 0 ? FileChange.DirectoryGone : 0)
        | ((mask & QueueOverflow) != 0 ? FileChange.Overflow : 0)
        | ((mask & IsDirectory) != 0 ? FileChange.Directory : 0);

    static SafeFileHandle Descriptor(int descriptor, string limit)
    {
        if (descriptor >= 0)
        {
            return new(descriptor, ownsHandle: true);
        }

        var error = Marshal.GetLastPInvokeError();
        throw new SalvorException(
            FailureKind.Failure,
            $"cannot watch files: {(error == Errno.TooManyFiles ? limit : Errno.Describe(error))}",
            "Raise the limits: 'sysctl -w fs.inotify.max_user_instances=1024', and 'ulimit -n' for open files.");
    }

    internal static SalvorException WatchFailure(int error, string directory) => error switch
    {
        Errno.NoSpace or Errno.TooManyFiles => new SalvorException(
            FailureKind.Failure,
            $"cannot watch {directory}: the user's limit of watched directories is reached",
            "Raise it: 'sysctl -w fs.inotify.max_user_watches=1048576', and in /etc/sysctl.d to keep it."),
        _ => new PosixException(error, "watch", directory, FailureKind.SourceUnreadable),
    };

    static void ThrowUnless(int expected, int alsoExpected = 0)
    {
        var error = Marshal.GetLastPInvokeError();
        if (error != expected && error != alsoExpected)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"cannot wait for changes of files: {Errno.Describe(error)}",
                "Look at 'dmesg', and start salvor again.");
        }
    }

    [LibraryImport("libc", EntryPoint = "inotify_init1", SetLastError = true)]
    private static partial int InitializeCall(int flags);

    [LibraryImport("libc", EntryPoint = "inotify_add_watch", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int AddWatchCall(SafeFileHandle queue, string directory, uint mask);

    [LibraryImport("libc", EntryPoint = "inotify_rm_watch", SetLastError = true)]
    private static partial int RemoveWatchCall(SafeFileHandle queue, int watch);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    private static partial int EventCall(uint count, int flags);

    [LibraryImport("libc", EntryPoint = "ppoll", SetLastError = true)]
    private static partial int PollCall(Span<Poll> polled, nuint count, in TimeLimit limit, nint signals);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadCall(SafeFileHandle file, Span<byte> buffer, nuint sizeBytes);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteCall(SafeFileHandle file, ReadOnlySpan<ulong> buffer, nuint sizeBytes);

    [StructLayout(LayoutKind.Sequential)]
    struct Poll
    {
        public int Descriptor;
        public short Wanted;
        public short Happened;
    }

    [StructLayout(LayoutKind.Sequential)]
    readonly struct TimeLimit(long seconds, long nanoseconds)
    {
        // Longer than any process runs, and shorter than any kernel's own limit.
        static readonly TimeSpan Forever = TimeSpan.FromDays(10_000);

        public readonly long Seconds = seconds;
        public readonly long Nanoseconds = nanoseconds;

        public static TimeLimit Of(TimeSpan timeout)
        {
            var ticks = Math.Clamp(
                timeout == Timeout.InfiniteTimeSpan ? Forever.Ticks : timeout.Ticks, 0, Forever.Ticks);
            return new(ticks / TimeSpan.TicksPerSecond, ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick);
        }
    }
}
