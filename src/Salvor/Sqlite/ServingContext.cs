using Salvor.Sqlite.Capture;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Sqlite;

/// <summary>How one kind of journal is captured, from attaching to letting go.</summary>
interface IServing : IDisposable
{
    /// <summary>Captures until continuity is lost or cancellation; returns why it ended.</summary>
    Task<string> RunAsync(CancellationToken cancellationToken);

    /// <summary>Everything captured up to now is with the publisher, and nothing more will come, when this returns.</summary>
    Task EndAsync(string reason);

    /// <summary>Captures everything committed before the call and returns the position of that.</summary>
    Task<Position> CaptureNowAsync(CancellationToken cancellationToken);

    /// <summary>Writes the table of page hashes to its cache, if it is at a known position.</summary>
    Task SaveTableAsync();

    /// <summary>An event of the database's files; on the engine's thread.</summary>
    void Notice(string name, Platform.FileChange change);

    /// <summary>When the oldest commit that was captured but not handed on was seen; 0 where there is none.</summary>
    long OldestWaitingMicros { get; }
}

/// <summary>What an attachment is made of, and what both kinds of capture do with it.</summary>
sealed record ServingContext(
    SqliteReplicator Owner, VaultAccess Vault, uint Epoch, SqliteDatabase Database, VaultState State, string BranchReason,
    ChangeSetQueue Queue, Publisher Publisher, OrderedClock Clock)
{
    long copiedBytes;
    long copyTotalBytes;
    long snapshotBytes;

    public long CopiedBytes => Interlocked.Read(ref copiedBytes);

    /// <summary>The size of what is being copied; 0 when nothing is.</summary>
    public long CopyTotalBytes => Interlocked.Read(ref copyTotalBytes);

    public long SnapshotBytes => Interlocked.Read(ref snapshotBytes);

    public uint PageSize => Database.PageSize;

    /// <summary>Ends the turn that attaching takes; from here on everything is small steps.</summary>
    public void EndTurn() => Owner.EndTurn();

    /// <summary>Writes the cache of the page table. Failing to costs the next start some time, so it is only told.</summary>
    public void SaveTable(Position position, ulong[] hashes)
    {
        var path = LocalState.PageTablePath(Owner.Options.StateDirectory, Database.Path);
        try
        {
            new PageTableCache(Vault.Id, Publisher.Durable.Branch, position, PageSize, hashes).Write(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Owner.Logger.PageTableNotWritten(Owner.Options.Name, path, e.Message);
        }
    }

    /// <summary>Stores the database file as it reads now as the image of the branch, and fills the table with its page hashes.</summary>
    public async Task<StoredSnapshot> StoreImageAsync(CancellationToken cancellationToken)
    {
        await using var writer = new SnapshotWriter(Vault, Epoch, Database.PageSize);
        var pageCount = await DatabaseScan.ImageAsync(
            Database.File, Database.PageSize, State.Table, Vault.Hasher, writer,
            (copied, total) =>
            {
                Interlocked.Exchange(ref copiedBytes, copied);
                Interlocked.Exchange(ref copyTotalBytes, total);
                Interlocked.Exchange(ref snapshotBytes, writer.StoredBytes);
                Owner.RaiseStatusChanged();
            },
            cancellationToken);
        var tip = State.Tip with { TimeMicros = Micros.Of(Owner.Time.GetUtcNow()) };
        var stored = await writer.FinishAsync(tip, pageCount, State.Table.Checksum, isImage: true, cancellationToken);
        Interlocked.Exchange(ref snapshotBytes, stored.StoredBytes);
        Interlocked.Exchange(ref copyTotalBytes, 0);
        return stored;
    }

    /// <summary>Hands the difference to the publisher, if there is any.</summary>
    public void AddResync(
        LogKind kind, Hash256 snapshot, string reason, uint pageCount, uint filePages, WalCursor cursor, params PageSpool[] spools)
    {
        var resync = Resync.Make(
            State.Table, Vault.Hasher, Database.PageSize, pageCount, filePages, cursor, Clock.Next(),
            checksumBefore => Begin(kind, checksumBefore, reason, snapshot), spools);
        if (resync.IsEmpty && kind == LogKind.Resync)
        {
            resync.Dispose();
            return;
        }

        Publisher.Add(new PendingChange(null, resync, Positions: 1, resync.Commit.RawTimeMicros));
    }

    /// <summary>Begins a change-set of this database.</summary>
    public ChangeSetBuilder Begin(LogKind kind, ulong checksumBefore, string reason, Hash256 snapshot) =>
        new(kind, PageSize, checksumBefore)
        {
            Inode = Database.Identity.Inode,
            InodeBirth = Database.Identity.BirthTimeNanoseconds,
            Reason = reason,
            Snapshot = snapshot,
        };
}
