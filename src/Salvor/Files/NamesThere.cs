using Microsoft.Win32.SafeHandles;
using Salvor.Platform;

namespace Salvor.Files;

/// <summary>The names that were in a directory before a restore came to it, beside those of the snapshot: both ascend.</summary>
/// <param name="directory">Open; the caller closes it.</param>
/// <param name="path">For messages.</param>
sealed class NamesThere(SafeFileHandle directory, byte[] path)
{
    readonly List<byte[]> names = DirectoryCalls.List(directory, DirectoryCalls.Show(path));
    int next;

    /// <summary>Whether a name was there. Those before it that were not asked for are handed over.</summary>
    public bool Reach(ReadOnlySpan<byte> name, Action<byte[]> passed)
    {
        var order = -1;
        while (next < names.Count && (order = names[next].AsSpan().SequenceCompareTo(name)) < 0)
        {
            passed(names[next++]);
        }

        next += order == 0 ? 1 : 0;
        return order == 0;
    }

    /// <summary>Hands over the rest.</summary>
    public void End(Action<byte[]> passed)
    {
        while (next < names.Count)
        {
            passed(names[next++]);
        }
    }
}
