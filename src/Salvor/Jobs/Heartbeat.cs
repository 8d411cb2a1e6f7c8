using Salvor.Platform;

namespace Salvor.Jobs;

/// <summary>
/// Shows from outside, without asking, whether a process still works: it touches its control socket every half minute. One that is stopped,
/// frozen with its container, or hangs in its capture has all its locks and does nothing.
/// </summary>
static class Heartbeat
{
    /// <summary>How often the socket is touched.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    /// <summary>A busy machine may be late, and one that slept goes on with the next beat.</summary>
    static readonly TimeSpan Missed = 3 * Interval;

    /// <summary>Touches the socket.</summary>
    public static void Beat(string socketPath, DateTimeOffset now)
    {
        try
        {
            File.SetLastWriteTimeUtc(socketPath, now.UtcDateTime);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Somebody removed it. Without a socket nobody can tell, and the lock counts alone.
        }
    }

    /// <summary>When a process showed last that it works; null where that is not known.</summary>
    public static DateTimeOffset? LastOf(string? socketPath) =>
        string.IsNullOrEmpty(socketPath) || !File.Exists(socketPath) ? null : new DateTimeOffset(File.GetLastWriteTimeUtc(socketPath));

    /// <summary>Whether a process of this machine responds, as far as that shows.</summary>
    /// <param name="pid">The process.</param>
    /// <param name="socketPath">Its control socket; empty or null where that is not known.</param>
    /// <param name="now">The time now.</param>
    public static bool IsSeen(int pid, string? socketPath, DateTimeOffset now)
    {
        if (ProcessStat.TryRead(pid) is { IsStopped: true })
        {
            return false;
        }

        return string.IsNullOrEmpty(socketPath)
            || !File.Exists(socketPath)
            || now.UtcDateTime - File.GetLastWriteTimeUtc(socketPath) < Missed;
    }
}
