using System.Globalization;

namespace Salvor.Platform;

/// <summary>How much of something the kernel gives to a user or a process.</summary>
static class KernelLimits
{
    /// <summary>How many files and folders all inotify descriptors of a user may watch; null where that cannot be read.</summary>
    public static long? InotifyWatches() => Read("/proc/sys/fs/inotify/max_user_watches");

    /// <summary>How many inotify descriptors a user may have; null where that cannot be read.</summary>
    public static long? InotifyInstances() => Read("/proc/sys/fs/inotify/max_user_instances");

    /// <summary>
    /// How many files a process that is started like this one may have open (the hard limit, to which .NET raises its own); null where that
    /// cannot be read.
    /// </summary>
    public static long? OpenFiles() => OpenFilesIn(Text("/proc/self/limits"));

    /// <summary>The same, of the text of https://man7.org/linux/man-pages/man5/proc_pid_limits.5.html.</summary>
    public static long? OpenFilesIn(string limits)
    {
        const string Name = "Max open files";
        var line = limits.Split('\n').FirstOrDefault(line => line.StartsWith(Name, StringComparison.Ordinal));
        string[] words = line?[Name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? [];
        return words.Length < 2 ? null : words[1] == "unlimited" ? long.MaxValue : Number(words[1]);
    }

    static long? Read(string path) => Number(Text(path).Trim());

    static long? Number(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    static string Text(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A container may hide it. The caller then says that it does not know.
            return "";
        }
    }
}
