using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Vault.Trees;

/// <summary>A snapshot of files that was stored.</summary>
/// <param name="Position">Its number.</param>
/// <param name="DetailsHash">The name of what its root says.</param>
/// <param name="StoredBytes">What it added to the vault.</param>
public sealed record StoredTree(Position Position, Hash256 DetailsHash, long StoredBytes);

/// <summary>
/// Makes a snapshot of files: the content, the listing, and at last the root. Nothing of it is offered before the backup that names it.
/// </summary>
sealed class TreeSnapshotWriter : IAsyncDisposable
{
    /// <summary>The only branch: a history of files never forks.</summary>
    public const uint Branch = 1;

    readonly VaultAccess vault;
    readonly PackStore store;
    readonly ListingWriter listing;
    readonly ContentWriter listingContent;

    TreeSnapshotWriter(VaultAccess vault, PackStore store, KnownChunks known)
    {
        (this.vault, this.store) = (vault, store);
        Chunker = new ContentChunker(vault.Hasher);
        Content = new ContentWriter(vault, store, known);
        listingContent = new ContentWriter(vault, store, known);
        listing = new ListingWriter(listingContent, Chunker);
    }

    /// <summary>Looks at what is there, and begins.</summary>
    /// <param name="catalog">The vault.</param>
    /// <param name="damaged">The keys of packs that a verification found damaged: what is in them is stored again.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<TreeSnapshotWriter> BeginAsync(
        VaultCatalog catalog, IReadOnlySet<string> damaged, CancellationToken cancellationToken)
    {
        var store = new PackStore(catalog.Vault) { Damaged = damaged };
        return new TreeSnapshotWriter(catalog.Vault, store, await KnownChunks.ListAsync(catalog, store, cancellationToken));
    }

    public ContentChunker Chunker { get; }

    /// <summary>The content of the files, in the order of their entries.</summary>
    public ContentWriter Content { get; }

    /// <summary>Bytes stored so far.</summary>
    public long StoredBytes => Content.StoredBytes + listingContent.StoredBytes;

    /// <summary>A node of the listing of an earlier snapshot.</summary>
    public void KnowListing(ChunkEntry node) => listingContent.Know(node);

    /// <summary>Adds the next entry, after its content.</summary>
    public ValueTask AddAsync(TreeEntry entry, CancellationToken cancellationToken) => listing.AddAsync(entry, cancellationToken);

    /// <summary>Stores the rest and the root, under the next free number.</summary>
    /// <param name="totals">What the tree holds.</param>
    /// <param name="started">The time of which it is.</param>
    /// <param name="cancellationToken">Ends it; then there is no snapshot.</param>
    public async Task<StoredTree> FinishAsync(TreeTotals totals, DateTimeOffset started, CancellationToken cancellationToken)
    {
        var details = await DetailsAsync(totals, cancellationToken);
        while (true)
        {
            var header = HeaderAt(await NextAsync(cancellationToken), Micros.Of(started));
            if (await TryPutAsync(header, details, cancellationToken) is { } stored)
            {
                return stored;
            }
        }
    }

    /// <summary>Stores the rest and the root, at a position that the source has. Throws where another snapshot is there.</summary>
    /// <param name="totals">What the tree holds.</param>
    /// <param name="header">Its place.</param>
    /// <param name="cancellationToken">Ends it; then there is no snapshot.</param>
    public async Task<StoredTree> FinishAsync(TreeTotals totals, ObjectHeader header, CancellationToken cancellationToken)
    {
        var details = await DetailsAsync(totals, cancellationToken);
        return await TryPutAsync(header, details, cancellationToken) ?? throw new SalvorException(
            FailureKind.Locked,
            $"vault {vault.Location} has another snapshot at position {header.PositionLast} of branch {header.Branch}",
            "Another backup of this source was made at the same time: use that, or make this one again.");
    }

    async Task<ReadOnlyMemory<byte>> DetailsAsync(TreeTotals totals, CancellationToken cancellationToken)
    {
        await listing.FinishAsync(cancellationToken);
        var details = new TreeDetails
        {
            Totals = totals,
            Content = await Content.FinishAsync(cancellationToken),
            Listing = await listingContent.FinishAsync(cancellationToken),
        };
        await store.ExpectKeptAsync(cancellationToken);
        return details.ToBytes();
    }

    /// <summary>Null where something else is there.</summary>
    async Task<StoredTree?> TryPutAsync(ObjectHeader header, ReadOnlyMemory<byte> details, CancellationToken cancellationToken)
    {
        using var writer = vault.NewObject();
        var (stored, _) = writer.Finish(header, details.Span);
        var position = new Position(header.PositionLast);
        var key = VaultKeys.Snapshot(header.Branch, position);
        return await vault.PutAsync(key, stored, cancellationToken) || await vault.HoldsAsync(key, stored, cancellationToken)
            ? new StoredTree(position, vault.Secrets.NameOf(details.Span), StoredBytes + stored.Length)
            : null;
    }

    public async ValueTask DisposeAsync()
    {
        await Content.DisposeAsync();
        await listingContent.DisposeAsync();
    }

    /// <summary>A number is never used again: the newest snapshot is never pruned, and what a record condemns is listed still.</summary>
    async Task<Position> NextAsync(CancellationToken cancellationToken)
    {
        var last = 0UL;
        await foreach (var row in vault.ListAsync(VaultKeys.Snapshots, after: null, cancellationToken))
        {
            last = Math.Max(last, VaultKeys.NumberOf(row.Key));
        }

        return new Position(last + 1);
    }

    /// <summary>There is no log: its lineage is zeros.</summary>
    ObjectHeader HeaderAt(Position position, long micros) => new()
    {
        Kind = ObjectKind.Snapshot,
        VaultId = vault.Id,
        Branch = Branch,
        PositionFirst = position.Value,
        PositionLast = position.Value,
        TimeFirstMicros = micros,
        TimeLastMicros = micros,
    };
}
