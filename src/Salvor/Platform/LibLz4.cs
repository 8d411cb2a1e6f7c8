using System.Runtime.InteropServices;

namespace Salvor.Platform;

/// <summary>
/// The part of liblz4 that is used, version 1.8 or newer: blocks (https://github.com/lz4/lz4/blob/dev/lib/lz4.h), and frames
/// (https://github.com/lz4/lz4/blob/dev/lib/lz4frame.h).
/// </summary>
static unsafe partial class LibLz4
{
    /// <summary>What <see cref="CreateExpander"/> expects: the version of the calls.</summary>
    public const uint FrameVersion = 100;

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

    [LibraryImport(Library, EntryPoint = "LZ4F_createDecompressionContext")]
    public static partial nuint CreateExpander(out nint context, uint version);

    [LibraryImport(Library, EntryPoint = "LZ4F_freeDecompressionContext")]
    public static partial nuint FreeExpander(nint context);

    /// <summary>
    /// Expands more of a frame. Both sizes say how much there is, and afterwards how much was written and taken. Returns 0 where the frame
    /// is complete.
    /// </summary>
    [LibraryImport(Library, EntryPoint = "LZ4F_decompress")]
    public static partial nuint Expand(
        nint context, byte* target, ref nuint targetSize, byte* source, ref nuint sourceSize, nint options);

    [LibraryImport(Library, EntryPoint = "LZ4F_isError")]
    public static partial uint IsError(nuint code);
}
