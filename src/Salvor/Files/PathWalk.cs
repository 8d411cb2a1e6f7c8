using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>Goes down a path that a snapshot names, below an open directory, name by name and through no link.</summary>
static class PathWalk
{
    /// <summary>Calls with the directory of the last name, and that name; the default where the path leads nowhere.</summary>
    public static T? At<T>(SafeFileHandle top, byte[] path, Func<SafeFileHandle, byte[], T> found)
    {
        var opened = new List<SafeFileHandle>();
        try
        {
            var from = top;
            var rest = path.AsSpan().Trim((byte)'/');
            for (int slash; (slash = rest.IndexOf((byte)'/')) >= 0; rest = rest[(slash + 1)..])
            {
                if (!TreeEntry.IsName(rest[..slash]) || DirectoryCalls.TryOpenDirectory(from, rest[..slash], out _) is not { } next)
                {
                    return default;
                }

                opened.Add(from = next);
            }

            return TreeEntry.IsName(rest) ? found(from, rest.ToArray()) : default;
        }
        finally
        {
            opened.ForEach(item => item.Dispose());
        }
    }
}
