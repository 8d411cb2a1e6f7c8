using System.Text;
using Salvor.Postgres.Protocol;
using Salvor.Postgres.Restore;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Backup;

/// <summary>A file with pages in the backup before.</summary>
/// <param name="FirstChunk">Where its chunks begin among those that were noted; each but the last is of the full length.</param>
/// <param name="SizeBytes">How long it was.</param>
sealed record ParentFile(long FirstChunk, long SizeBytes)
{
    /// <summary>Its CRC32C; null where nobody knows it.</summary>
    public uint? Crc { get; set; }
}

/// <summary>
/// The backup that an incremental one is made of: its manifest, which the server is given, and the chunks of its relations, which stay
/// where the server sends nothing of them.
/// </summary>
sealed class ParentBackup : IDisposable
{
    const int ControlBytesMax = 64 << 10;
    const string VisibilityMap = "_vm";

    readonly Dictionary<string, ParentFile> files = new(StringComparer.Ordinal);
    readonly ChunkSpill chunks;
    readonly ContentWriter known;
    readonly Lsn since;
    CutRelations cut = new();

    ParentBackup(TreeSnapshot snapshot, ContentWriter known, ChunkSpill chunks)
    {
        (this.chunks, this.known, since) = (chunks, known, new Lsn(snapshot.Header.PositionFirst));
        Content = new ParentContent(snapshot.Vault, chunks, known);
    }

    /// <summary>What its files hold.</summary>
    public ParentContent Content { get; }

    /// <summary>How its pages are.</summary>
    public ControlPages Pages { get; private set; }

    /// <summary>
    /// Reads the listing and the tree of the content of a backup, and no page. Throws <see cref="DamagedObjectException"/> where one of its
    /// chunks is in no pack that is sound.
    /// </summary>
    /// <param name="vault">Where it is.</param>
    /// <param name="record">The backup.</param>
    /// <param name="writer">Of the new backup: nodes that come out the same are not stored again.</param>
    /// <param name="chunks">Where the names of chunks are noted.</param>
    /// <param name="manifest">Where its manifest is put.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<ParentBackup> OpenAsync(
        VaultAccess vault, BackupRecord record, TreeSnapshotWriter writer, ChunkSpill chunks, Stream manifest,
        CancellationToken cancellationToken)
    {
        ParentBackup? parent = null;
        try
        {
            var snapshot = await TreeBackups.OpenAsync(vault, record, cancellationToken);
            parent = new ParentBackup(snapshot, writer.Content, chunks);
            await parent.ReadAsync(snapshot, writer, manifest, cancellationToken);
            return parent;
        }
        catch
        {
            parent?.Dispose();
            chunks.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Whether the server may send a file in part, of which what it does not send is that of this backup. Never the map of which pages are
    /// visible to all: servers before the middle of 2026 clear bits of it without noting that its page changed.
    /// </summary>
    public bool IsOffered(string path) => !BackupIntake.IsRelation(path) || (Find(path) is not null && !cut.Has(path));

    /// <summary>A relation of it; null where it has none of this path.</summary>
    public ParentFile? Find(string path) => files.GetValueOrDefault(path);

    /// <summary>Chunks of a relation, from one on.</summary>
    public List<ChunkEntry> Chunks(ParentFile file, long first, int count) => chunks.Read(file.FirstChunk + first, count);

    /// <summary>Throws where the server has pages of another kind than the backup: it would not notice.</summary>
    public async Task ExpectFitAsync(PostgresConnection server, CancellationToken cancellationToken)
    {
        var (now, before) = (await server.ShowAsync("data_checksums", cancellationToken), Pages.HasChecksums ? "on" : "off");
        if (now != before)
        {
            throw new NotIncrementalException($"data_checksums of the server is {now}, and was {before}");
        }

        cut = await CutRelations.ReadAsync(server, since, until: null, cancellationToken);
    }

    /// <summary>
    /// Throws where a relation that was sent in part was cut after the summaries were made that <see cref="ExpectFitAsync"/> saw.
    /// </summary>
    public async Task ExpectUncutAsync(
        PostgresConnection server, Lsn until, IEnumerable<BackupItem> items, CancellationToken cancellationToken)
    {
        cut = await CutRelations.ReadAsync(server, since, until, cancellationToken);
        if (items.FirstOrDefault(item => item.IsIncremental && cut.Has(item.Path)) is { } one)
        {
            throw new NotIncrementalException($"the end of {one.Text} was cut off meanwhile");
        }
    }

    public void Dispose()
    {
        Content.Dispose();
        chunks.Dispose();
    }

    async Task ReadAsync(TreeSnapshot snapshot, TreeSnapshotWriter writer, Stream manifest, CancellationToken cancellationToken)
    {
        var others = await ReadListingAsync(snapshot, writer, cancellationToken);
        if (others.GetValueOrDefault(ControlFile.Path).SizeBytes > ControlBytesMax)
        {
            throw new DamagedObjectException(snapshot.Key, $"its {ControlFile.Path} is longer than {ControlBytesMax} bytes");
        }

        using var control = new MemoryStream();
        await CopyAsync(snapshot, ControlFile.Path, others, control, cancellationToken);
        Pages = ControlFile.PagesOf(control.GetBuffer().AsSpan(0, (int)control.Length)) is { } pages
            && pages.BlockBytes <= ContentChunker.DatabaseBytes
            ? pages
            : throw new NotIncrementalException("its pages are of an unusual kind");
        await CopyAsync(snapshot, BackupManifest.Path, others, manifest, cancellationToken);
        manifest.Position = 0;
        await BackupManifest.ReadAsync(
            manifest,
            file =>
            {
                if (Find(file.Path) is { } relation)
                {
                    relation.Crc = file.Crc;
                }
            },
            cancellationToken);
        manifest.Position = 0;
    }

    /// <summary>Notes the relations. Returns where the content of the few other files is that are read.</summary>
    async Task<Dictionary<string, (ulong Offset, long SizeBytes)>> ReadListingAsync(
        TreeSnapshot snapshot, TreeSnapshotWriter writer, CancellationToken cancellationToken)
    {
        var others = new Dictionary<string, (ulong, long)>(StringComparer.Ordinal);
        var above = new Stack<string>([""]);
        await using var listing = snapshot.ReadListing(writer.KnowListing);
        await using var content = new ChunkCursor(new ChunkReader(snapshot.Vault), snapshot.Details.Content) { Met = known.Know };
        while (await listing.ReadAsync(cancellationToken) is { } entry)
        {
            if (entry.Kind == TreeEntryKind.End)
            {
                above.Pop();
                continue;
            }

            var path = above.Peek() + Encoding.Latin1.GetString(entry.Name);
            if (entry.Kind == TreeEntryKind.Directory)
            {
                above.Push($"{path}/");
            }
            else if (entry.Kind == TreeEntryKind.File && BackupIntake.IsRelation(path)
                && !Path.GetFileName(path.AsSpan()).Contains(VisibilityMap, StringComparison.Ordinal))
            {
                var taken = await content.TakeAsync(snapshot.Key, listing.ContentOffset, (ulong)entry.ContentBytes, cancellationToken);
                await NoteAsync(path, entry.SizeBytes, taken, cancellationToken);
                continue;
            }
            else if (entry.Kind == TreeEntryKind.File && path is ControlFile.Path or BackupManifest.Path)
            {
                others[path] = (listing.ContentOffset, entry.SizeBytes);
            }

            // Of what is no relation only the nodes are of use: it may be long.
            for (var at = listing.ContentOffset; at < listing.ContentEnd && await content.SeekAsync(at, cancellationToken);)
            {
                at = content.Start + content.Current.Length;
            }
        }

        snapshot.ExpectFit(listing);
        return others;
    }

    async Task NoteAsync(string path, long sizeBytes, IReadOnlyList<ChunkEntry> taken, CancellationToken cancellationToken)
    {
        // Another writer may have cut it elsewhere, or left out zeros: then it is not there for an incremental backup.
        if (taken.Sum(chunk => (long)chunk.Length) != sizeBytes || taken.Index().Any(item => item.Item.Length > ContentChunker.DatabaseBytes
            || (item.Item.Length < ContentChunker.DatabaseBytes && item.Index < taken.Count - 1)))
        {
            return;
        }

        files[path] = new ParentFile(chunks.Count, sizeBytes);
        foreach (var chunk in taken)
        {
            if (await known.PackOfAsync(chunk.Name, cancellationToken) is null)
            {
                throw new DamagedObjectException(VaultKeys.Pack(chunk.Pack), $"chunk {chunk.Name} is in no pack that is whole");
            }

            chunks.Add(chunk.Name, chunk.Length);
        }
    }

    static async Task CopyAsync(
        TreeSnapshot snapshot, string path, Dictionary<string, (ulong Offset, long SizeBytes)> files, Stream target,
        CancellationToken cancellationToken)
    {
        if (!files.TryGetValue(path, out var file))
        {
            throw new DamagedObjectException(snapshot.Key, $"it has no {path}");
        }

        await using var content = snapshot.ReadContent(isSparse: true);
        var end = file.Offset + (ulong)file.SizeBytes;
        for (var offset = file.Offset; offset < end;)
        {
            var bytes = await content.ReadAsync(offset, end, cancellationToken);
            await target.WriteAsync(bytes, cancellationToken);
            offset += bytes.IsEmpty ? throw new DamagedObjectException(snapshot.Key, $"{path} ends early") : (ulong)bytes.Length;
        }
    }
}
