using System.Text.RegularExpressions;
using Microsoft.Win32.SafeHandles;

namespace Salvor.Platform;

/// <summary>
/// A file that is being written beside its final place, under a hidden name and for its owner only. A lock says that its writer lives: it
/// ends with the process however that ends, and unlike a process id it can be asked from another container or machine.
/// </summary>
sealed partial class UnfinishedFile : IDisposable
{
    // A sweep holds the lock of a new file for a moment, and then the file is gone.
    const int AttemptsMax = 50;

    /// <summary>The bytes that the name is longer than that of the finished file, at most.</summary>
    public const int NameBytesMore = 48;

    static long last;

    UnfinishedFile(string path, SafeFileHandle handle) => (Path, Handle) = (path, handle);

    public string Path { get; }

    public SafeFileHandle Handle { get; }

    /// <summary>Set once it has another name.</summary>
    public bool IsFinished { get; set; }

    /// <summary>Makes one for the path of a finished file, in its directory.</summary>
    public static UnfinishedFile Create(string finished)
    {
        var (directory, name) = (System.IO.Path.GetDirectoryName(finished)!, System.IO.Path.GetFileName(finished));
        var process = ProcessIdentity.Current();
        for (var attempt = 1; attempt <= AttemptsMax; attempt++)
        {
            var number = Interlocked.Increment(ref last);
            var path = System.IO.Path.Combine(directory, $".{name}.restoring-{process.Pid}-{process.StartTicks}-{number}");
            if (Posix.TryOpen(path, Posix.ReadWrite | Posix.Create | Posix.Exclusive | Posix.NoFollow, out var error) is not { } handle)
            {
                // Another machine may use the same name on a shared disk; the next one is free.
                if (error != Errno.Exists)
                {
                    throw new PosixException(error, "create a file in", directory);
                }

                continue;
            }

            if (TryLock(handle, path) != false && FileStat.Of(path, followLinks: false)?.Identity == FileStat.Of(handle, path).Identity)
            {
                return new(path, handle);
            }

            handle.Dispose();
        }

        throw new SalvorException(
            FailureKind.Locked,
            $"every new file in {directory} is locked by another process",
            "Another restore may be clearing up there: run the same command again.");
    }

    /// <summary>Removes what writers left here that live no more.</summary>
    public static void Sweep(string directory)
    {
        foreach (var path in List(directory).Where(path => Name().IsMatch(System.IO.Path.GetFileName(path))))
        {
            // Not ours to read, or just renamed or removed by its writer.
            if (Posix.TryOpen(path, Posix.ReadOnly | Posix.NoFollow | Posix.NonBlocking, out _) is not { } opened)
            {
                continue;
            }

            using var file = opened;
            if (FileStat.Of(file, path).Kind == FileKind.Regular
                && TryLock(file, path) == true
                && FileStat.Of(path, followLinks: false)?.Identity == FileStat.Of(file, path).Identity)
            {
                Posix.Unlink(path);
            }
        }
    }

    public void Dispose()
    {
        if (!IsFinished)
        {
            Posix.Unlink(Path);
        }

        Handle.Dispose();
    }

    static string[] List(string directory)
    {
        try
        {
            return Directory.GetFiles(directory, ".*");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PosixException(Errno.Of(e), "list", directory);
        }
    }

    /// <summary>Null where the file system knows no such locks. Then nothing is swept on it.</summary>
    static bool? TryLock(SafeFileHandle file, string path)
    {
        try
        {
            return Posix.TryLock(file, exclusive: true, path);
        }
        catch (PosixException e) when (e.Error is Errno.NotSupported or Errno.NoLocks or Errno.NotImplemented)
        {
            return null;
        }
    }

    [GeneratedRegex(@"^\..+\.restoring-[0-9]+-[0-9]+-[0-9]+$")]
    private static partial Regex Name();
}
