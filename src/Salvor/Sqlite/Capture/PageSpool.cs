using Microsoft.Win32.SafeHandles;
using Salvor.Platform;

namespace Salvor.Sqlite.Capture;

/// <summary>
/// Pages that wait in a file without a name, which disappears with the process: the latest version of each page, and its hash.
/// </summary>
sealed class PageSpool(string directory, uint pageSize) : IDisposable
{
    readonly SafeFileHandle file = DurableFile.CreateUnnamedTemp(directory);
    readonly Dictionary<uint, (int Slot, ulong Hash)> pages = [];

    public IReadOnlyDictionary<uint, (int Slot, ulong Hash)> Pages => pages;

    /// <summary>Adds or replaces a page. Throws <see cref="IOException"/> where the disk is full.</summary>
    public void Set(uint page, ulong hash, ReadOnlySpan<byte> content)
    {
        var slot = pages.TryGetValue(page, out var known) ? known.Slot : pages.Count;
        RandomAccess.Write(file, content, (long)slot * pageSize);
        pages[page] = (slot, hash);
    }

    /// <summary>Forgets all pages.</summary>
    public void Clear() => pages.Clear();

    public void Read(int slot, Span<byte> content)
    {
        var offset = (long)slot * pageSize;
        while (!content.IsEmpty)
        {
            var read = RandomAccess.Read(file, content, offset);
            Invariant.Check(read > 0);
            content = content[read..];
            offset += read;
        }
    }

    public void Dispose() => file.Dispose();
}
