using Microsoft.Win32.SafeHandles;

namespace Salvor.Platform;

/// <summary>Files that, whenever the power fails, are afterwards either as before or complete.</summary>
static class DurableFile
{
    static long lastTemporary;

    /// <summary>Names of unfinished files begin with this.</summary>
    public const string TemporaryPrefix = ".tmp-";

    /// <summary>Gives a file new content in one step, or creates it, for its owner only. Durable on return.</summary>
    public static void Replace(string path, ReadOnlySpan<byte> content)
    {
        var directory = DirectoryOf(path);
        var temporary = WriteTemporary(directory, content);
        try
        {
            Posix.Rename(temporary, path);
        }
        catch (PosixException)
        {
            Posix.Unlink(temporary);
            throw;
        }

        // The new name is an entry in the directory, which has its own place on the disk and its own flush.
        FlushDirectory(directory);
    }

    /// <summary>Writes and flushes a file under a name of its own, for its owner only, and returns its path.</summary>
    public static string WriteTemporary(string directory, ReadOnlySpan<byte> content)
    {
        using var file = CreateTemporary(directory, out var path);
        try
        {
            RandomAccess.Write(file, content, fileOffset: 0);
            FlushFile(file, path);
            return path;
        }
        catch (IOException e)
        {
            Posix.Unlink(path);
            throw new PosixException(Errno.Of(e), "write", path);
        }
        catch (PosixException)
        {
            Posix.Unlink(path);
            throw;
        }
    }

    /// <summary>Makes the names in a directory durable.</summary>
    public static void FlushDirectory(string path)
    {
        using var directory = Posix.Open(path, Posix.ReadOnly | Posix.DirectoryOnly);
        var error = Posix.Flush(directory);

        // Some network file systems make names durable at once and refuse to be asked.
        if (error is not (0 or Errno.Invalid))
        {
            throw new PosixException(error, "flush directory", path);
        }
    }

    /// <summary>Makes the content of an open file durable. The path is for the message.</summary>
    public static void FlushFile(SafeFileHandle file, string path)
    {
        var error = Posix.Flush(file);
        if (error != 0)
        {
            throw new PosixException(error, "flush", path);
        }
    }

    /// <summary>Renames a file within one file system. False, and nothing changed, where the new name exists.</summary>
    public static bool RenameNoReplace(string from, string to)
    {
        var error = Posix.TryRenameNoReplace(from, to);
        if (error is Errno.Invalid or Errno.NotImplemented)
        {
            return LinkNoReplace(from, to);
        }

        return error switch
        {
            0 => true,
            Errno.Exists => false,
            _ => throw new PosixException(error, "rename to", to),
        };
    }

    /// <summary>The way of file systems that do not know the flag: a second name refuses to replace one too.</summary>
    internal static bool LinkNoReplace(string from, string to)
    {
        var error = Posix.TryLink(from, to);

        // A network file system that repeats a call whose answer was lost is told that the name exists: the one it just made.
        if (error == Errno.Exists && FileStat.Of(from, followLinks: false)?.Identity != FileStat.Of(to, followLinks: false)?.Identity)
        {
            return false;
        }

        if (error is not (0 or Errno.Exists))
        {
            throw new PosixException(error, "rename to", to);
        }

        Posix.Unlink(from);
        return true;
    }

    /// <summary>An empty file for reading and writing that has no name and is gone when it is closed, also by a crash.</summary>
    public static SafeFileHandle CreateUnnamedTemp(string directory)
    {
        if (Posix.TryOpen(directory, Posix.Unnamed | Posix.ReadWrite | Posix.Exclusive, out var error) is { } unnamed)
        {
            return unnamed;
        }

        // Not every file system knows such files; older kernels say "is a directory".
        if (error is not (Errno.NotSupported or Errno.IsDirectory or Errno.Invalid))
        {
            throw new PosixException(error, "create a temporary file in", directory);
        }

        return CreateAndUnlink(directory);
    }

    /// <summary>As <see cref="CreateUnnamedTemp"/>, on file systems that know no such files.</summary>
    internal static SafeFileHandle CreateAndUnlink(string directory)
    {
        var file = CreateTemporary(directory, out var path);
        Posix.Unlink(path);
        return file;
    }

    static SafeFileHandle CreateTemporary(string directory, out string path)
    {
        while (true)
        {
            path = Path.Combine(directory, NextTemporaryName());
            if (Posix.TryOpen(path, Posix.ReadWrite | Posix.Create | Posix.Exclusive | Posix.NoFollow, out var error) is { } file)
            {
                return file;
            }

            // On a shared file system another machine may use the same name; the next one is free.
            if (error != Errno.Exists)
            {
                throw new PosixException(error, "create a file in", directory);
            }
        }
    }

    static string NextTemporaryName()
    {
        var process = ProcessIdentity.Current();
        return $"{TemporaryPrefix}{process.Pid}-{process.StartTicks}-{Interlocked.Increment(ref lastTemporary)}";
    }

    static string DirectoryOf(string path) => Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
}
