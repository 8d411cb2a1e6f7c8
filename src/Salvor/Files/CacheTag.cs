using System.Text;
using Microsoft.Win32.SafeHandles;
using Salvor.Platform;

namespace Salvor.Files;

/// <summary>
/// Signs in a directory that what is in it is not to be kept; one is the tag of caches: https://bford.info/cachedir/.
/// </summary>
static class CacheTag
{
    static ReadOnlySpan<byte> Signature => "Signature: 8a477f597d28d172789f06886806bc55"u8;

    /// <summary>Whether a directory has a file of one of these names, or the tag where that counts.</summary>
    public static bool IsLeftOut(SafeFileHandle directory, IReadOnlyList<string> names, bool caches) =>
        names.Any(name => EntryStat.In(directory, Encoding.UTF8.GetBytes(name), out _) is not null) || (caches && IsIn(directory));

    /// <summary>Whether a directory has the tag. One that cannot be read is none.</summary>
    static bool IsIn(SafeFileHandle directory)
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
