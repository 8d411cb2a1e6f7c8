using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Vault.Trees;

/// <summary>A snapshot of files that is read.</summary>
public sealed class TreeSnapshot
{
    const int ListingBlockBytes = 1 << 20;
    const int ContentBlockBytes = 8 << 20;

    TreeSnapshot(VaultAccess vault, string key, ObjectHeader header, TreeDetails details, Hash256 detailsHash) =>
        (Vault, Key, Header, Details, DetailsHash) = (vault, key, header, details, detailsHash);

    public VaultAccess Vault { get; }

    /// <summary>The key of its root, for messages.</summary>
    public string Key { get; }

    public ObjectHeader Header { get; }

    public TreeDetails Details { get; }

    /// <summary>The name of what the root says.</summary>
    public Hash256 DetailsHash { get; }

    /// <summary>Reads the root of a snapshot. Throws where it is none of files.</summary>
    public static async Task<TreeSnapshot> OpenAsync(VaultAccess vault, SnapshotRef snapshot, CancellationToken cancellationToken)
    {
        var key = VaultKeys.Snapshot(snapshot.Branch, snapshot.Position);
        using var stored = await vault.OpenAsync(
            key, ObjectKind.Snapshot, whole: true, cancellationToken,
            header => header.Branch == snapshot.Branch && header.PositionLast == snapshot.Position.Value
                ? null
                : $"it is the snapshot of position {header.PositionLast}");
        var bytes = await stored.ReadDetailsAsync(cancellationToken);
        return new TreeSnapshot(vault, key, stored.Header, TreeDetails.Read(key, bytes), vault.Secrets.NameOf(bytes));
    }

    /// <summary>Its entries, from the first on.</summary>
    /// <param name="met">Told of each node of the listing that is met, on any thread.</param>
    internal ListingReader ReadListing(Action<ChunkEntry>? met = null) => new(
        Key, new ContentStream(Vault, Details.Listing, ListingBlockBytes, met));

    /// <summary>The content of its files.</summary>
    /// <param name="isSparse">Whether only some of it is wanted.</param>
    internal ContentStream ReadContent(bool isSparse = false) => new(Vault, Details.Content, ContentBlockBytes, isSparse: isSparse);

    /// <summary>
    /// Reads all of it, as a restore does, each chunk checked against its name. Throws where something is missing or damaged.
    /// </summary>
    public async Task<long> ReadAllAsync(CancellationToken cancellationToken)
    {
        await ExpectSoundAsync(cancellationToken);
        await using var content = ReadContent();
        for (var offset = 0UL; offset < content.Length;)
        {
            offset += (ulong)(await content.ReadAsync(offset, content.Length, cancellationToken)).Length;
        }

        return content.FetchedBytes;
    }

    /// <summary>
    /// Reads the whole listing, and throws where it does not fit the content or the counts of the root. No content is read.
    /// </summary>
    internal async Task ExpectSoundAsync(CancellationToken cancellationToken)
    {
        await using var listing = ReadListing();
        while (await listing.ReadAsync(cancellationToken) is not null)
        {
            // The reader counts.
        }

        ExpectFit(listing);
    }

    /// <summary>
    /// Throws where a listing, read to its end, is not one of this content, so that no file is known to have its own, or has not what the
    /// root counts. What could not be read may have no entry.
    /// </summary>
    internal void ExpectFit(ListingReader listing)
    {
        if (listing.ContentEnd != Details.Content.Length)
        {
            throw new DamagedObjectException(Key, "its listing does not fit its content");
        }

        if (Details.Totals.Unreadable < listing.Totals.Unreadable
            || Details.Totals != listing.Totals with { Unreadable = Details.Totals.Unreadable })
        {
            throw new DamagedObjectException(Key, "its listing has other entries than it counts");
        }
    }
}
