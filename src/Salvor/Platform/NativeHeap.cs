using System.Runtime.InteropServices;

namespace Salvor.Platform;

/// <summary>The C library's allocator, which SQLite and zstd use.</summary>
static partial class NativeHeap
{
    const int ArenaMaxParameter = -8;

    /// <summary>
    /// Before any other thread allocates: two arenas at most. By default each thread gets one, and what a thousand connections leave free
    /// in twenty of them stays with the process.
    /// </summary>
    public static void LimitArenas() => _ = SetOption(ArenaMaxParameter, 2);

    /// <summary>Gives back to the system what is free.</summary>
    public static void Trim() => _ = TrimCall(0);

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int parameter, int value);

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int TrimCall(nuint padding);
}
