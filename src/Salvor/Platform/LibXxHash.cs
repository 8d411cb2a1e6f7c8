using System.Runtime.InteropServices;

namespace Salvor.Platform;

/// <summary>XXH3 with 64 bits (https://github.com/Cyan4973/xxHash) from the system's libxxhash, version 0.8 or newer.</summary>
static unsafe partial class LibXxHash
{
    // The call takes well under a microsecond for a page, so the runtime's transition would be a good part of it.
    [LibraryImport("libxxhash.so.0", EntryPoint = "XXH3_64bits_withSeed")]
    [SuppressGCTransition]
    public static partial ulong Hash64(byte* data, nuint length, ulong seed);
}
