using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>Where the content of a file lies in it: what is a hole has none. Fastest where what is asked for ascends.</summary>
sealed class FilePlaces(TreeEntry entry)
{
    readonly IReadOnlyList<TreeExtent> extents = entry.Extents ?? [new TreeExtent(0, entry.SizeBytes)];
    int index;
    long start;

    /// <summary>Writes content from a byte of it on. Throws, with the path of the file, where the disk does not take it.</summary>
    public void Write(SafeFileHandle file, long at, ReadOnlySpan<byte> content)
    {
        try
        {
            while (!content.IsEmpty)
            {
                var (offset, length) = Find(at, content.Length);
                RandomAccess.Write(file, content[..length], offset);
                at += length;
                content = content[length..];
            }
        }
        catch (IOException e)
        {
            throw new PosixException(Errno.Of(e), "write", DirectoryCalls.PathOf(file));
        }
    }

    /// <summary>Reads content from a byte of it on; false where the file ends before.</summary>
    public bool TryRead(SafeFileHandle file, long at, Span<byte> content)
    {
        while (!content.IsEmpty)
        {
            var (offset, length) = Find(at, content.Length);
            var read = RandomAccess.Read(file, content[..length], offset);
            if (read == 0)
            {
                return false;
            }

            at += read;
            content = content[read..];
        }

        return true;
    }

    (long Offset, int Length) Find(long at, int length)
    {
        if (at < start)
        {
            (index, start) = (0, 0);
        }

        for (; at - start >= extents[index].Length; index++)
        {
            start += extents[index].Length;
        }

        var inside = at - start;
        return (extents[index].Offset + inside, (int)Math.Min(length, extents[index].Length - inside));
    }
}
