using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>How an entry differs between two snapshots.</summary>
public enum TreeChange
{
    /// <summary>It is in the later one alone.</summary>
    Added,

    /// <summary>It is in the earlier one alone.</summary>
    Removed,

    /// <summary>Its content, its target or its kind is another.</summary>
    Changed,

    /// <summary>Only what is kept beside the content is: permissions, owner, time, attributes.</summary>
    Metadata,
}

/// <summary>One entry that differs.</summary>
/// <param name="Change">How.</param>
/// <param name="Path">From the top, as bytes.</param>
/// <param name="SizeBytes">Its length in the later snapshot, in the earlier one where it was removed; 0 of what is no file.</param>
public readonly record struct TreeDifferenceLine(TreeChange Change, byte[] Path, long SizeBytes);

/// <summary>
/// Compares two snapshots by their listings, both at once in their common order. A file counts as changed where its length or its time
/// of change of the content differs: no content is read.
/// </summary>
public static class TreeDifference
{
    /// <summary>What differs, in the order of the paths.</summary>
    public static async IAsyncEnumerable<TreeDifferenceLine> FindAsync(
        TreeSnapshot earlier, TreeSnapshot later,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var left = TreeSearch.EntriesAsync(earlier, cancellationToken).GetAsyncEnumerator(cancellationToken);
        await using var right = TreeSearch.EntriesAsync(later, cancellationToken).GetAsyncEnumerator(cancellationToken);
        var (hasLeft, hasRight) = (await left.MoveNextAsync(), await right.MoveNextAsync());
        while (hasLeft || hasRight)
        {
            var order = !hasLeft ? 1 : !hasRight ? -1 : Compare(left.Current.Path, right.Current.Path);
            if (order < 0)
            {
                yield return new(TreeChange.Removed, left.Current.Path, left.Current.Entry.SizeBytes);
            }
            else if (order > 0)
            {
                yield return new(TreeChange.Added, right.Current.Path, right.Current.Entry.SizeBytes);
            }
            else if (ChangeOf(left.Current.Entry, right.Current.Entry) is { } change)
            {
                yield return new(change, right.Current.Path, right.Current.Entry.SizeBytes);
            }

            hasLeft = order <= 0 ? await left.MoveNextAsync() : hasLeft;
            hasRight = order >= 0 ? await right.MoveNextAsync() : hasRight;
        }
    }

    static TreeChange? ChangeOf(TreeEntry a, TreeEntry b) =>
        a.Kind != b.Kind || a.SizeBytes != b.SizeBytes || !a.Target.AsSpan().SequenceEqual(b.Target)
            || (a.DeviceMajor, a.DeviceMinor) != (b.DeviceMajor, b.DeviceMinor)
            || (a.Kind == TreeEntryKind.File && a.ModifiedNanoseconds != b.ModifiedNanoseconds)
            ? TreeChange.Changed
        : (a.Permissions, a.UserId, a.GroupId, a.ModifiedNanoseconds) != (b.Permissions, b.UserId, b.GroupId, b.ModifiedNanoseconds)
            || !HasSameAttributes(a, b)
            ? TreeChange.Metadata
        : null;

    static bool HasSameAttributes(TreeEntry a, TreeEntry b) => a.Attributes.Count == b.Attributes.Count
        && a.Attributes.Zip(b.Attributes).All(pair => pair.First.Name.AsSpan().SequenceEqual(pair.Second.Name)
            && pair.First.Value.AsSpan().SequenceEqual(pair.Second.Value));

    /// <summary>The order of listings: what is in a directory comes before what follows it, so a slash sorts before everything.</summary>
    static int Compare(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        var same = a.CommonPrefixLength(b);
        return same == a.Length || same == b.Length ? a.Length.CompareTo(b.Length)
            : a[same] == (byte)'/' ? -1
            : b[same] == (byte)'/' ? 1
            : a[same].CompareTo(b[same]);
    }
}
