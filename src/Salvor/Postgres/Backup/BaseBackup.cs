using Salvor.Platform;
using Salvor.Postgres.Protocol;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Backup;

/// <summary>A base backup that is in the vault, and not offered yet.</summary>
/// <param name="Branch">The branch of its timeline.</param>
/// <param name="Timeline">That.</param>
/// <param name="Log">The log that it needs: from where it began to where it is consistent.</param>
/// <param name="Totals">What it holds.</param>
public sealed record StoredBaseBackup(uint Branch, uint Timeline, WalRange Log, TreeTotals Totals)
{
    /// <summary>When it began, by the clock of this machine.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>When its last byte was received.</summary>
    public required DateTimeOffset FinishedAt { get; init; }

    /// <summary>The name of what its root says.</summary>
    public required Hash256 DetailsHash { get; init; }

    /// <summary>What it added to the vault.</summary>
    public required long StoredBytes { get; init; }

    /// <summary>How much of its files the server sent.</summary>
    public long SentBytes { get; init; }

    /// <summary>The backup since which the server sent what changed; null where it sent all. Itself it is whole.</summary>
    public ulong? ParentId { get; init; }
}

/// <summary>
/// Makes a base backup: the server sends all files of the cluster once, and what is new of them goes into packs. Relations are cut at
/// pages, so that one that changed in places is stored in those places again. Where there is a backup before it, a server of version 17 or
/// newer can send only the pages that changed since; what is stored is whole all the same.
/// </summary>
/// <param name="vault">The first destination of the source.</param>
/// <param name="time">The clock.</param>
public sealed class BaseBackup(VaultAccess vault, TimeProvider time)
{
    const int ChunksAtOnce = 1024;

    bool isSending;

    /// <summary>The keys of objects that a verification found damaged: what of them is there still is stored again.</summary>
    public IReadOnlySet<string> Damaged { get; init; } = new HashSet<string>();

    /// <summary>The backup of this cluster since which the server sends what changed; null for all of it.</summary>
    public BackupRecord? Parent { get; init; }

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>Where files are that nobody else sees, of less than a hundredth of what is backed up.</summary>
    public string ScratchFolder { get; init; } = Path.GetTempPath();

    /// <summary>
    /// Makes one, which is offered after <see cref="OfferAsync"/>. Throws where a page is damaged, where what comes is not what the
    /// manifest says, and where the timeline changes meanwhile; then nothing is offered, and the next makes use of what was stored. With a
    /// parent it throws <see cref="NotIncrementalException"/> where one without it may succeed.
    /// </summary>
    /// <param name="replication">A connection with nothing else going on, which is to be disposed of after a failure.</param>
    /// <param name="options">What the server is asked for. Whether it compresses what it sends is decided here.</param>
    /// <param name="branch">The branch of the server's timeline.</param>
    /// <param name="cancellationToken">Ends it; then there is no backup.</param>
    public async Task<StoredBaseBackup> RunAsync(
        ReplicationConnection replication, BaseBackupOptions options, uint branch, CancellationToken cancellationToken)
    {
        Invariant.Check(options is { Compression: null, IsIncremental: false });
        try
        {
            return await MakeAsync(replication, options, branch, cancellationToken);
        }
        catch (SalvorException e) when (
            Parent is not null && e.Kind == FailureKind.Integrity && e is not (PostgresException or NotIncrementalException))
        {
            throw new NotIncrementalException(e.Message, e) { IsSending = isSending };
        }
    }

    async Task<StoredBaseBackup> MakeAsync(
        ReplicationConnection replication, BaseBackupOptions options, uint branch, CancellationToken cancellationToken)
    {
        var started = time.GetUtcNow();
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        await using var writer = await TreeSnapshotWriter.BeginAsync(catalog, Damaged, cancellationToken);
        using var parent = Parent is null ? null : await OpenParentAsync(writer, replication, cancellationToken);
        if (parent is null)
        {
            await KnowNewestAsync(catalog, writer, cancellationToken);
        }

        Progressed?.Invoke(new WorkProgress("waiting for a checkpoint"));
        var asked = options with { IsIncremental = parent is not null };
        var (reader, isCompressed) = await AskAsync(() => BeginAsync(replication, asked, cancellationToken));
        isSending = true;
        ExpectTimeline(catalog, branch, reader.Timeline, replication);

        using var spill = new ChunkSpill(Scratch());
        await using var manifest = Scratch();
        var intake = new BackupIntake(writer, spill, parent);
        await ReceiveAsync(reader, intake, isCompressed, manifest, cancellationToken);
        var finished = time.GetUtcNow();
        ExpectTimeline(catalog, branch, reader.EndTimeline, replication);
        if (parent is not null)
        {
            await AskAsync(
                () => parent.ExpectUncutAsync(replication.Connection, reader.Start, intake.Items.Values, cancellationToken));
        }

        var sentBytes = intake.Items.Values.Sum(item => item.SentBytes);
        await AddManifestAsync(intake, manifest, finished, cancellationToken);

        var log = new WalRange(reader.Start, reader.End!.Value);
        var place = new SnapshotRef(branch, new Position(log.End.Value));
        if (Damaged.Count == 0 && catalog.Snapshots.Contains(place))
        {
            // A standby that has applied nothing since is where it was: what is stored of that is this backup too.
            var same = await TreeSnapshot.OpenAsync(vault, place, cancellationToken);
            var madeOf = Parent?.Id ?? await IncrementalAsync(catalog, place, cancellationToken);
            log = log with { First = new Lsn(same.Header.PositionFirst) };
            return new StoredBaseBackup(branch, reader.Timeline, log, same.Details.Totals)
            {
                StartedAt = started, FinishedAt = finished, DetailsHash = same.DetailsHash, StoredBytes = 0,
                SentBytes = sentBytes, ParentId = madeOf,
            };
        }

        Progressed?.Invoke(new WorkProgress("storing the last of it"));
        var totals = await ListAsync(writer, intake, spill, cancellationToken);
        var stored = await writer.FinishAsync(totals, HeaderOf(branch, log, started, finished), cancellationToken);
        return new StoredBaseBackup(branch, reader.Timeline, log, totals)
        {
            StartedAt = started,
            FinishedAt = finished,
            DetailsHash = stored.DetailsHash,
            StoredBytes = stored.StoredBytes,
            SentBytes = sentBytes,
            ParentId = Parent?.Id,
        };
    }

    /// <summary>
    /// The backup of a snapshot, where it was made of what changed: it does not become a full one by all of the cluster being read once
    /// more, as what was stored of it stays.
    /// </summary>
    static async Task<ulong?> IncrementalAsync(VaultCatalog catalog, SnapshotRef place, CancellationToken cancellationToken)
    {
        foreach (var id in catalog.Backups.Reverse())
        {
            var record = await Backups.ReadAsync(catalog, id, cancellationToken);
            if (record.Branch == place.Branch && record.Position == place.Position.Value)
            {
                return record.Mode == ParentChoice.Incremental ? record.Id : null;
            }
        }

        return null;
    }

    /// <summary>Gives the server the manifest of the backup before.</summary>
    async Task<ParentBackup> OpenParentAsync(
        TreeSnapshotWriter writer, ReplicationConnection replication, CancellationToken cancellationToken)
    {
        Progressed?.Invoke(new WorkProgress($"reading what backup {Parent!.Id} has"));
        await using var manifest = Scratch();
        var parent = await ParentBackup.OpenAsync(vault, Parent!, writer, new ChunkSpill(Scratch()), manifest, cancellationToken);
        try
        {
            await AskAsync(() => parent.ExpectFitAsync(replication.Connection, cancellationToken));
            await using var offered = Scratch();
            using var rewrite = new OfferedManifest(parent.IsOffered);
            await rewrite.WriteAsync(manifest, offered, cancellationToken);
            offered.Position = 0;
            await AskAsync(() => replication.UploadManifestAsync(offered, cancellationToken));
            return parent;
        }
        catch
        {
            parent.Dispose();
            throw;
        }
    }

    Task<bool> AskAsync(Func<Task> ask) => AskAsync(async () =>
    {
        await ask();
        return true;
    });

    /// <summary>What a server refuses may be had as a full backup: no summary of its log reaches back, for one.</summary>
    async Task<T> AskAsync<T>(Func<Task<T>> ask)
    {
        try
        {
            return await ask();
        }
        catch (PostgresException e) when (Parent is not null && !e.IsConnectionLoss)
        {
            throw new NotIncrementalException(e.Message, e);
        }
    }

    /// <summary>Compares what came with its manifest, and stores one of what it is made of it.</summary>
    async Task AddManifestAsync(
        BackupIntake intake, Stream manifest, DateTimeOffset finished, CancellationToken cancellationToken)
    {
        await BackupManifest.CheckAsync(manifest, intake.Items, cancellationToken);
        manifest.Position = 0;
        await using var whole = Scratch();
        if (Parent is not null)
        {
            using var combined = new CombinedManifest(intake.Items);
            await combined.WriteAsync(manifest, whole, cancellationToken);
            manifest = whole;
            await BackupManifest.ReadAsync(
                manifest,
                file => Invariant.Check(
                    intake.Items.TryGetValue(file.Path, out var item) && item.Entry.SizeBytes == file.SizeBytes && item.Crc == file.Crc),
                cancellationToken);
            manifest.Position = 0;
        }

        await intake.AddFileAsync(BackupManifest.Path, manifest, finished.ToUnixTimeSeconds(), cancellationToken);
    }

    /// <summary>
    /// Offers a backup: it can be restored from here on. Throws where the vault does not have all of the log that it needs, without which
    /// no server starts from it.
    /// </summary>
    /// <param name="backup">The backup.</param>
    /// <param name="log">The log of the vault, as it was listed now.</param>
    /// <param name="request">What it is called, and kept for.</param>
    /// <param name="cancellationToken">Ends it; then nothing is offered.</param>
    public async Task<BackupRecord> OfferAsync(
        StoredBaseBackup backup, WalCatalog log, BackupRequest request, CancellationToken cancellationToken)
    {
        var reach = await WalReader.ReachAsync(log, backup.Branch, backup.Log.First, cancellationToken);
        if (reach < backup.Log.End)
        {
            throw new SalvorException(
                FailureKind.NotRestorable,
                $"the base backup of timeline {backup.Timeline} needs the log {backup.Log}, and vault {vault.Location} has it up to "
                    + $"{reach}",
                "Wait until the log is stored, and offer it then; if the server has removed it, make another backup.");
        }

        await ExpectListedAsync(backup, cancellationToken);
        return await Backups.PutAsync(
            vault,
            new BackupRecord
            {
                Id = 0,
                Branch = backup.Branch,
                Position = backup.Log.End.Value,
                Time = Micros.ToTime(Micros.Of(backup.FinishedAt)),
                Label = request.Label,
                Mode = backup.ParentId is null ? ParentChoice.Full : ParentChoice.Incremental,
                RetentionDays = request.RetentionDays,
                CreatedAt = time.GetUtcNow(),
                Host = ProcessIdentity.Current().Host,
                SizeBytes = backup.Totals.Bytes,
                Checksum = backup.DetailsHash.ToString()[..16],
                AddedBytes = backup.StoredBytes,
            },
            cancellationToken);
    }

    /// <summary>While it waited for its log, a prune may have taken it for one that nobody offers.</summary>
    async Task ExpectListedAsync(StoredBaseBackup backup, CancellationToken cancellationToken)
    {
        var listed = await VaultCatalog.LoadAsync(vault, cancellationToken);
        if (!listed.Snapshots.Contains(new SnapshotRef(backup.Branch, new Position(backup.Log.End.Value))))
        {
            throw new SalvorException(
                FailureKind.NotRestorable,
                $"the base backup in vault {vault.Location} was condemned by a prune before its log had come",
                "Make the backup again: what is stored of it is made use of. 'salvor prune undelete' takes back what the prune condemned.");
        }
    }

    /// <summary>Begins it, compressed where the server can: one that was built without that refuses.</summary>
    static async Task<(BaseBackupReader Reader, bool IsCompressed)> BeginAsync(
        ReplicationConnection replication, BaseBackupOptions options, CancellationToken cancellationToken)
    {
        if (replication.HasParentheses && ArchiveExpander.IsAvailable)
        {
            try
            {
                return (await replication.BackUpAsync(options with { Compression = ArchiveExpander.Method }, cancellationToken), true);
            }
            catch (PostgresException e) when (e.SqlState is SqlStates.SyntaxError or SqlStates.NotSupported)
            {
                // What is wrong else is said when it is asked for in plain.
            }
        }

        return (await replication.BackUpAsync(options, cancellationToken), false);
    }

    async Task ReceiveAsync(
        BaseBackupReader reader, BackupIntake intake, bool isCompressed, Stream manifest, CancellationToken cancellationToken)
    {
        using var expander = isCompressed ? new ArchiveExpander() : null;
        var total = reader.Tablespaces.Sum(tablespace => tablespace.Kilobytes ?? 0) << 10;
        var (archives, isManifest) = (0, false);
        while (await reader.ReadAsync(cancellationToken) is { } part)
        {
            switch (part.Kind)
            {
                case BackupPartKind.Archive:
                    expander?.Begin();
                    intake.Begin(part.Tablespace!.Oid);
                    archives++;
                    break;
                case BackupPartKind.Manifest:
                    expander?.End();
                    intake.End();
                    isManifest = true;
                    break;
                case BackupPartKind.Data when isManifest:
                    await manifest.WriteAsync(part.Bytes, cancellationToken);
                    break;
                case BackupPartKind.Data when expander is null:
                    await intake.AddAsync(part.Bytes, cancellationToken);
                    break;
                case BackupPartKind.Data:
                    for (var rest = part.Bytes; expander.Next(ref rest) is { IsEmpty: false } content;)
                    {
                        await intake.AddAsync(content, cancellationToken);
                    }

                    break;
                default:
                    Progressed?.Invoke(new WorkProgress("backing up", Math.Min(part.Done, total), total) { Item = intake.CurrentPath });
                    break;
            }
        }

        if (!isManifest || archives != reader.Tablespaces.Count)
        {
            throw BackupErrors.Wrong(isManifest ? "an archive is missing" : "it has no manifest");
        }
    }

    /// <summary>The nodes of the newest snapshot: those that come out the same are not stored again.</summary>
    static async Task KnowNewestAsync(VaultCatalog catalog, TreeSnapshotWriter writer, CancellationToken cancellationToken)
    {
        if (catalog.Snapshots.Count == 0)
        {
            return;
        }

        try
        {
            var newest = await TreeSnapshot.OpenAsync(
                catalog.Vault, catalog.Snapshots.MaxBy(snapshot => snapshot.Position), cancellationToken);
            await using var listing = newest.ReadListing(writer.KnowListing);
            while (await listing.ReadAsync(cancellationToken) is not null)
            {
            }

            await using var content = new ChunkCursor(new ChunkReader(newest.Vault), newest.Details.Content) { Met = writer.Content.Know };
            for (var at = 0UL; await content.SeekAsync(at, cancellationToken);)
            {
                at = content.Start + content.Current.Length;
            }
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Integrity)
        {
            // A verification tells it; here it only costs room.
        }
    }

    /// <summary>Writes the listing, and the content in its order, of what was stored in another.</summary>
    static async Task<TreeTotals> ListAsync(
        TreeSnapshotWriter writer, BackupIntake intake, ChunkSpill spill, CancellationToken cancellationToken)
    {
        var open = new Stack<string>();
        var totals = default(TreeTotals);
        foreach (var item in intake.Sorted())
        {
            while (open.TryPeek(out var folder) && folder != item.Folder)
            {
                open.Pop();
                await writer.AddAsync(TreeEntry.End, cancellationToken);
            }

            for (long done = 0, count; done < item.ChunkCount; done += count)
            {
                count = Math.Min(ChunksAtOnce, item.ChunkCount - done);
                var kept = await writer.Content.TryKeepAsync(spill.Read(item.FirstChunk + done, (int)count), cancellationToken);
                Invariant.Check(kept is not null);
            }

            await writer.AddAsync(item.Entry, cancellationToken);
            totals = item.Entry.Kind switch
            {
                TreeEntryKind.File => totals with { Files = totals.Files + 1, Bytes = totals.Bytes + item.Entry.SizeBytes },
                TreeEntryKind.Directory => totals with { Directories = totals.Directories + 1 },
                _ => totals with { Others = totals.Others + 1 },
            };
            if (item.Entry.Kind == TreeEntryKind.Directory)
            {
                open.Push(item.Path);
            }
        }

        for (; open.Count > 0; open.Pop())
        {
            await writer.AddAsync(TreeEntry.End, cancellationToken);
        }

        return totals;
    }

    static void ExpectTimeline(VaultCatalog catalog, uint branch, uint timeline, ReplicationConnection replication)
    {
        if (catalog.Branches.FirstOrDefault(item => item.Number == branch)?.Record.Timeline != timeline)
        {
            throw new SalvorException(
                FailureKind.SourceUnreadable,
                $"server {replication.Connection.Host} is on timeline {timeline}, which is not that of branch {branch}",
                "It was promoted meanwhile: make the backup again.");
        }
    }

    ObjectHeader HeaderOf(uint branch, WalRange log, DateTimeOffset started, DateTimeOffset finished) => new()
    {
        Kind = ObjectKind.Snapshot,
        VaultId = vault.Id,
        Branch = branch,
        PositionFirst = log.First.Value,
        PositionLast = log.End.Value,
        TimeFirstMicros = Micros.Of(started),
        TimeLastMicros = Micros.Of(finished),
    };

    /// <summary>Removed as soon as it is closed.</summary>
    FileStream Scratch() => new(
        Path.Combine(ScratchFolder, Path.GetRandomFileName()),
        new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.None,
            Options = FileOptions.DeleteOnClose,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            BufferSize = 64 << 10,
        });
}
