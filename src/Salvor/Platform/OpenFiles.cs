using System.Globalization;

namespace Salvor.Platform;

/// <summary>Which processes have a file open, as far as <c>/proc</c> shows it.</summary>
/// <param name="Pids">Every process that has one of the files open, this one too if it does.</param>
/// <param name="HiddenCount">Processes of other users, whose open files may not be looked at.</param>
sealed record OpenFiles(IReadOnlyList<int> Pids, int HiddenCount)
{
    /// <summary>Looks at every process. By device and inode, because the same file may have other names.</summary>
    public static OpenFiles Find(IReadOnlyCollection<FileIdentity> files)
    {
        var wanted = files.Select(file => (file.Device, file.Inode)).ToHashSet();
        var pids = new List<int>();
        var hiddenCount = 0;
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var pid))
            {
                continue;
            }

            switch (HasOneOpen(pid, wanted))
            {
                case true:
                    pids.Add(pid);
                    break;
                case null:
                    hiddenCount++;
                    break;
            }
        }

        return new(pids, hiddenCount);
    }

    /// <summary>The name of the program that a process runs; empty where it is gone.</summary>
    public static string ProgramOf(int pid)
    {
        try
        {
            return File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/comm")).TrimEnd('\n');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It ended meanwhile. The name is only for the message.
            return "";
        }
    }

    /// <summary>Null where the process does not let us look.</summary>
    static bool? HasOneOpen(int pid, HashSet<(ulong Device, ulong Inode)> wanted)
    {
        try
        {
            foreach (var name in Directory.EnumerateFileSystemEntries(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/fd")))
            {
                if (FileStat.Of(name)?.Identity is { } open && wanted.Contains((open.Device, open.Inode)))
                {
                    return true;
                }
            }

            return false;
        }
        catch (IOException)
        {
            // The process ended while it was looked at, and closed everything.
            return false;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or PosixException { Error: Errno.AccessDenied or Errno.NotPermitted })
        {
            return null;
        }
        catch (PosixException e) when (e.Error == Errno.NoProcess)
        {
            return false;
        }
    }
}
