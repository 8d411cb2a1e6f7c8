using Salvor.Platform;
using Salvor.Vault.Format;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>An entry of a snapshot that is restored.</summary>
/// <param name="Entry">It.</param>
/// <param name="Path">From the top, with a slash before each name; of the end of a directory that of the directory.</param>
/// <param name="IsWanted">Whether it was asked for.</param>
/// <param name="Offset">Where its content begins.</param>
readonly record struct WantedEntry(TreeEntry Entry, byte[] Path, bool IsWanted, ulong Offset);

/// <summary>The entries of a snapshot in their order, and what of them is asked for.</summary>
sealed class WantedListing(TreeSnapshot snapshot, TreeRestoreOptions options) : IAsyncDisposable
{
    readonly ListingReader listing = snapshot.ReadListing();
    readonly Stack<byte[]> above = new();
    byte[] path = [];
    byte[]? last;

    /// <summary>What was counted so far.</summary>
    public TreeTotals Totals => listing.Totals;

    /// <summary>The next entry; null at the end. Throws where names do not ascend: who compares them with others relies on it.</summary>
    public async ValueTask<WantedEntry?> ReadAsync(CancellationToken cancellationToken)
    {
        while (await ReadAnyAsync(cancellationToken) is { } item)
        {
            if (item.Path.Length > options.Top.Length && item.Path.AsSpan().StartsWith(options.Top)
                && item.Path[options.Top.Length] == (byte)'/')
            {
                return item;
            }
        }

        return null;
    }

    public ValueTask DisposeAsync() => listing.DisposeAsync();

    async ValueTask<WantedEntry?> ReadAnyAsync(CancellationToken cancellationToken)
    {
        if (await listing.ReadAsync(cancellationToken) is not { } entry)
        {
            snapshot.ExpectFit(listing);
            return null;
        }

        if (entry.Kind == TreeEntryKind.End)
        {
            var ended = path;
            last = ended[(ended.AsSpan().LastIndexOf((byte)'/') + 1)..];
            path = above.Pop();
            return new WantedEntry(entry, ended, false, listing.ContentOffset);
        }

        byte[] here = [.. path, (byte)'/', .. entry.Name];
        if (last is not null && last.AsSpan().SequenceCompareTo(entry.Name) >= 0)
        {
            throw new DamagedObjectException(snapshot.Key, $"its listing has {DirectoryCalls.Show(here)} in the wrong place");
        }

        last = entry.Name;
        var isDirectory = entry.Kind == TreeEntryKind.Directory;
        if (isDirectory)
        {
            above.Push(path);
            (path, last) = (here, null);
        }

        return new WantedEntry(entry, here, options.Wants(here, isDirectory), listing.ContentOffset);
    }
}
