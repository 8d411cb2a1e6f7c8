using System.Runtime.InteropServices;

namespace Salvor.Platform;

/// <summary>The part of liblz4 (https://github.com/lz4/lz4/blob/dev/lib/lz4.h) that is used, version 1.8 or newer.</summary>
static unsafe partial class LibLz4
{
    const string Library = "liblz4.so.1";

    /// <summary>Whether the library is installed. Nothing but frames of this codec needs it.</summary>
    public static bool IsAvailable { get; } = NativeLibrary.TryLoad(Library, out _);

    /// <summary>One block; returns its length, or 0 where it does not fit into <paramref name="room"/>.</summary>
    [LibraryImport(Library, EntryPoint = "LZ4_compress_default")]
    public static partial int Compress(byte* source, byte* target, int sourceSize, int room);

    /// <summary>
    /// Decompresses one block that is all of the source; returns the length of its content, or a negative number where it is no block or
    /// does not fit.
    /// </summary>
    [LibraryImport(Library, EntryPoint = "LZ4_decompress_safe")]
    public static partial int Decompress(byte* source, byte* target, int sourceSize, int room);
}
