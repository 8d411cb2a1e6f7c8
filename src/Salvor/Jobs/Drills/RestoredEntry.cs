using System.Text;
using Microsoft.Win32.SafeHandles;
using Salvor.Platform;

namespace Salvor.Jobs.Drills;

/// <summary>
/// What is at a path among restored files. Links are followed as if the folder with the files were <c>/</c>, as they will be after a
/// disaster: never to the live disk, where the files that were lost are still there.
/// </summary>
sealed class RestoredEntry : IDisposable
{
    /// <summary>As the kernel has it.</summary>
    const int LinksMax = 40;

    readonly List<SafeFileHandle> directories;
    readonly Stack<byte[]> rest = new();
    int links;

    RestoredEntry(string root, string path)
    {
        directories = [DirectoryCalls.OpenRoot(root)];
        Push(Encoding.UTF8.GetBytes(path));
    }

    /// <summary>
    /// What it is, which is no link; null where nothing is there. And the target of the last link on the way to it, or null.
    /// </summary>
    /// <param name="root">The folder with the restored files.</param>
    /// <param name="path">Where the entry was at the source, from <c>/</c> on.</param>
    public static (EntryStat? Stat, string? Target) Find(string root, string path)
    {
        using var entry = new RestoredEntry(root, path);
        return entry.Walk();
    }

    public void Dispose() => LeaveTo(0);

    (EntryStat? Stat, string? Target) Walk()
    {
        string? target = null;
        while (rest.TryPop(out var name))
        {
            if (name.AsSpan().SequenceEqual(".."u8))
            {
                LeaveTo(Math.Max(1, directories.Count - 1));
                continue;
            }

            if (name.Length > DirectoryCalls.NameBytesMax || EntryStat.In(directories[^1], name, out _) is not { } stat)
            {
                return (null, target);
            }

            if (stat.Type == EntryStat.Link)
            {
                if (++links > LinksMax || DirectoryCalls.TryReadLink(directories[^1], name, out _) is not { } link)
                {
                    return (null, target);
                }

                target = DirectoryCalls.Show(link);
                Push(link);
            }
            else if (stat.Type == EntryStat.Directory && DirectoryCalls.TryOpenDirectory(directories[^1], name, out _) is { } opened)
            {
                directories.Add(opened);
            }
            else
            {
                return (rest.Count == 0 ? stat : null, target);
            }
        }

        return (EntryStat.Of(directories[^1], "/"), target);
    }

    /// <summary>Goes on with these names before all others; from the top, where the path begins there.</summary>
    void Push(ReadOnlySpan<byte> path)
    {
        if (path.StartsWith("/"u8))
        {
            LeaveTo(1);
        }

        while (!path.IsEmpty)
        {
            var at = path.LastIndexOf((byte)'/');
            var name = path[(at + 1)..];
            path = path[..Math.Max(at, 0)];
            if (!name.IsEmpty && !name.SequenceEqual("."u8))
            {
                rest.Push(name.ToArray());
            }
        }
    }

    void LeaveTo(int count)
    {
        directories.Skip(count).ToList().ForEach(directory => directory.Dispose());
        directories.RemoveRange(count, directories.Count - count);
    }
}
