using Microsoft.Win32.SafeHandles;
using Salvor.Platform;

namespace Salvor.Files;

/// <summary>The tag by which a program says that a directory is a cache: https://bford.info/cachedir/.</summary>
static class CacheTag
{
    static ReadOnlySpan<byte> Signature => "Signature: 8a477f597d28d172789f06886806bc55"u8;

    /// <summary>Whether a directory has the tag. One that cannot be read is none.</summary>
    public static bool IsIn(SafeFileHandle directory)
    {
        using var file = DirectoryCalls.TryOpenFile(directory, "CACHEDIR.TAG"u8, out _);
        if (file is null || EntryStat.Of(file, "CACHEDIR.TAG").Type != EntryStat.Regular)
        {
            return false;
        }

        Span<byte> start = stackalloc byte[Signature.Length];
        return RandomAccess.Read(file, start, 0) == start.Length && start.SequenceEqual(Signature);
    }
}
