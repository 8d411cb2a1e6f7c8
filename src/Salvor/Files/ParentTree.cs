using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// The snapshot before, read beside the walk: both go through the same names in the same order, so no table of paths is needed, whatever
/// the number of files. Where it is damaged it counts as ended, and what would have been taken from it is read from the source.
/// </summary>
sealed class ParentTree : IAsyncDisposable
{
    readonly TreeSnapshot snapshot;
    readonly ListingReader listing;
    readonly ChunkCursor content;
    TreeEntry? next;
    bool isBroken;

    ParentTree(TreeSnapshot snapshot, TreeSnapshotWriter writer)
    {
        this.snapshot = snapshot;
        listing = snapshot.ReadListing(writer.KnowListing);
        content = new ChunkCursor(new ChunkReader(snapshot.Vault), snapshot.Details.Content) { Met = writer.Content.Know };
    }

    /// <summary>What differs from it, as far as the walk has come.</summary>
    public AnomalyScan Anomalies { get; } = new();

    /// <summary>Whether it ended early, so that nothing can be said of what differs.</summary>
    public bool IsBroken => isBroken;

    /// <summary>What there was.</summary>
    public TreeTotals Totals => snapshot.Details.Totals;

    /// <summary>Begins at the top.</summary>
    public static async Task<ParentTree> OpenAsync(TreeSnapshot snapshot, TreeSnapshotWriter writer, CancellationToken cancellationToken)
    {
        var parent = new ParentTree(snapshot, writer);
        await parent.AdvanceAsync(cancellationToken);
        return parent;
    }

    /// <summary>
    /// The entry of this name in the directory that is being walked; null where there was none. Names are asked for in their order. After a
    /// directory, either what is in it is asked for and <see cref="LeaveAsync"/> called, or <see cref="LeaveAsync"/> at once.
    /// </summary>
    public async ValueTask<TreeEntry?> MatchAsync(byte[] name, CancellationToken cancellationToken)
    {
        while (next is { Kind: not TreeEntryKind.End } entry && entry.Name.AsSpan().SequenceCompareTo(name) < 0)
        {
            await AdvanceAsync(cancellationToken);
            if (entry.Kind == TreeEntryKind.Directory)
            {
                await LeaveAsync(cancellationToken);
            }
        }

        if (next is not { Kind: not TreeEntryKind.End } found || !found.Name.AsSpan().SequenceEqual(name))
        {
            return null;
        }

        (ContentOffset, ContentBytes) = (listing.ContentOffset, found.ContentBytes);
        await AdvanceAsync(cancellationToken);
        return found;
    }

    /// <summary>Passes what is left in the directory that was entered last.</summary>
    public async ValueTask LeaveAsync(CancellationToken cancellationToken)
    {
        for (var depth = 1; depth > 0 && next is { } entry;)
        {
            depth += entry.Kind switch { TreeEntryKind.Directory => 1, TreeEntryKind.End => -1, _ => 0 };
            await AdvanceAsync(cancellationToken);
        }
    }

    /// <summary>The chunks of the file that was matched last; null where they cannot be told.</summary>
    public async ValueTask<IReadOnlyList<ChunkEntry>?> TakeContentAsync(CancellationToken cancellationToken)
    {
        try
        {
            return isBroken ? null : await content.TakeAsync(snapshot.Key, ContentOffset, (ulong)ContentBytes, cancellationToken);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Integrity)
        {
            isBroken = true;
            return null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await listing.DisposeAsync();
        await content.DisposeAsync();
    }

    ulong ContentOffset { get; set; }

    long ContentBytes { get; set; }

    async ValueTask AdvanceAsync(CancellationToken cancellationToken)
    {
        try
        {
            next = isBroken ? null : await listing.ReadAsync(cancellationToken);
            if (next is { Kind: TreeEntryKind.File } file)
            {
                Anomalies.CountKnown(file);
            }
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Integrity)
        {
            // A verification tells it; here it only costs reading.
            (isBroken, next) = (true, null);
        }
    }
}
