using System.Globalization;
using Salvor.Platform;

namespace Salvor.Cli.Terminal;

/// <summary>Whether standard error leads to journald, which takes a priority in front of a line and has a time of its own.</summary>
static class JournalStream
{
    const string Variable = "JOURNAL_STREAM";
    const string StandardError = "/proc/self/fd/2";

    public static bool IsStandardError() => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } stream
        && Is(stream, FileIdentity.Of(StandardError));

    /// <summary>
    /// The variable alone proves nothing: whoever a service starts inherits it, with a standard error of its own. systemd therefore
    /// writes into it which file it means.
    /// </summary>
    /// <param name="stream">Device and inode, in decimal with a colon.</param>
    /// <param name="file">What is written to; null where it cannot be known.</param>
    public static bool Is(string stream, FileIdentity? file) =>
        file is { } known && stream == string.Create(CultureInfo.InvariantCulture, $"{DeviceNumber(known.Device)}:{known.Inode}");

    /// <summary>Major and minor number as <c>stat(2)</c> packs them.</summary>
    static ulong DeviceNumber(ulong device)
    {
        var (major, minor) = (device >> 32, device & 0xFFFF_FFFF);
        return ((major & ~0xFFFUL) << 32) | ((major & 0xFFF) << 8) | ((minor & ~0xFFUL) << 12) | (minor & 0xFF);
    }
}
