using System.Runtime.InteropServices;

namespace Salvor.Platform;

/// <summary>What the kernel knows of the machine's clock.</summary>
static partial class ClockState
{
    const int Unsynchronized = 5;

    /// <summary>Whether something keeps the clock right, such as NTP; null where the kernel does not say.</summary>
    public static bool? IsSynchronized()
    {
        // https://man7.org/linux/man-pages/man2/adjtimex.2.html: all zeros asks and changes nothing. The structure has 208 bytes.
        var request = new long[32];
        return AdjustCall(request) switch
        {
            < 0 => null,
            Unsynchronized => false,
            _ => true,
        };
    }

    [LibraryImport("libc", EntryPoint = "adjtimex", SetLastError = true)]
    private static partial int AdjustCall([In, Out] long[] request);
}
