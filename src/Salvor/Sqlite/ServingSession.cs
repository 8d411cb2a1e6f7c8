using Salvor.Platform;
using Salvor.Sqlite.Capture;
using Salvor.Sqlite.Native;
using Salvor.Sqlite.Snapshots;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Sqlite;

/// <summary>
/// One attachment of a database to its vault: from reading where the vault ends to letting go of the file. Whatever makes continuity
/// uncertain ends it, and the next one begins by comparing.
/// </summary>
sealed class ServingSession : IAsyncDisposable
{
    readonly SqliteReplicator owner;
    readonly SqliteDatabase database;
    readonly Outbox? outbox;
    readonly Publisher publisher;
    readonly ServingContext context;
    readonly IServing serving;
    readonly CancellationTokenSource ending = new();

    IDisposable? listening;
    string endReason = "stopped";

    ServingSession(SqliteReplicator owner, VaultAccess vault, uint epoch, SqliteDatabase database, VaultState state, string branchReason)
    {
        (this.owner, this.database) = (owner, database);
        var queue = new ChangeSetQueue();
        outbox = owner.Options.OutboxBytesMax > 0 ? OutboxFolder.Open(owner.Options, vault) : null;
        publisher = new Publisher(
            queue, new LogWriter(vault, state.Tip, epoch, owner.Time), outbox, owner.Time, owner.RaiseStatusChanged);
        var clock = new OrderedClock(owner.Time, state.Tip.TimeMicros);
        context = new ServingContext(owner, vault, epoch, database, state, branchReason, queue, publisher, clock);
        Snapshots = new SnapshotKeeper(owner, vault, epoch, publisher);
        serving = database.Wal is null ? new RollbackServing(context) : new WalServing(context);
    }

    /// <summary>Reads where the vault ends, opens the database and decides on which branch to go on.</summary>
    public static async Task<ServingSession> AttachAsync(SqliteReplicator owner, CancellationToken cancellationToken)
    {
        var options = owner.Options;
        Compression.ExpectAvailable(options.Compression.Codec);
        var markPath = LocalState.VaultPath(options.StateDirectory, options.Path);
        if (await VaultAccess.FindAsync(owner.Store, options.Name, options.Keys, cancellationToken) is null)
        {
            VaultMark.ExpectNone(markPath, VaultAccess.LocationOf(owner.Store, options.Name));

            // What turns out to be no database must not leave a vault, which would be offered for a restore one day.
            SqliteDatabase.Open(options.Path).Dispose();
        }

        var vault = (await VaultAccess.OpenOrCreateAsync(
            owner.Store, options.Name, "sqlite", options.Path, options.Keys, owner.Time, cancellationToken)).With(options.Compression);
        VaultMark.Write(markPath, vault);
        owner.VaultId = vault.Id;
        Loaded loaded;
        try
        {
            loaded = await LoadAsync(owner, vault, cancellationToken);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Integrity && owner.FurtherStores.Count > 0)
        {
            // Only now: a further destination that is slow or away must not hold up the first.
            loaded = await LoadAsync(owner, await WithCopiesAsync(owner, vault, cancellationToken), cancellationToken);
        }

        var database = SqliteDatabase.Open(options.Path);
        try
        {
            var (forked, reason) = await ForkIfNeededAsync(
                owner, loaded.Catalog, loaded.State, database, loaded.Epoch, cancellationToken);
            return new ServingSession(owner, loaded.Catalog.Vault, loaded.Epoch, database, forked, reason);
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    sealed record Loaded(VaultCatalog Catalog, VaultState State, uint Epoch);

    /// <summary>Claims the vault and reads where it ends, beginning its first branch where there is none.</summary>
    static async Task<Loaded> LoadAsync(SqliteReplicator owner, VaultAccess vault, CancellationToken cancellationToken)
    {
        var epoch = await owner.ClaimAsync(vault, cancellationToken);
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        if (catalog.IsEmpty)
        {
            await owner.WaitForExportAsync(vault, cancellationToken);
            await Forks.BeginAsync(catalog, epoch, owner.Time, cancellationToken);
            catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        }
        else if (await OutboxFolder.ReplayAsync(owner, vault, cancellationToken))
        {
            catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        }

        owner.LastBackup = Math.Max(owner.LastBackup, catalog.Backups is [.., var newest] ? newest : 0);
        await owner.FenceAsync(catalog, epoch, cancellationToken);
        if (vault.Copies.Count == 0 && owner.FurtherStores.Count > 0)
        {
            await ExpectTailAsync(catalog, cancellationToken);
        }

        var cache = PageTableCache.TryRead(LocalState.PageTablePath(owner.Options.StateDirectory, owner.Options.Path), vault.Id);
        return await FreshListing.UseAsync(
            vault, async listed => new Loaded(listed, await VaultState.LoadAsync(listed, cache, cancellationToken), epoch),
            cancellationToken);
    }

    /// <summary>
    /// A log that ends before what a head says was stored goes on from the copy that has the rest: its numbers must not be used again.
    /// </summary>
    static async Task ExpectTailAsync(VaultCatalog catalog, CancellationToken cancellationToken)
    {
        var head = await Heads.FindAsync(catalog.Vault, cancellationToken);
        if (head is not null && head.Number > catalog.Logs(head.Branch).Last)
        {
            throw new DamagedObjectException(
                VaultKeys.Log(head.Branch, head.Number), $"it was stored and is missing from vault {catalog.Vault.Location}");
        }
    }

    /// <summary>The vault with those of its copies that can be reached.</summary>
    static async Task<VaultAccess> WithCopiesAsync(SqliteReplicator owner, VaultAccess vault, CancellationToken cancellationToken)
    {
        var copies = new List<VaultAccess>();
        foreach (var store in owner.FurtherStores)
        {
            try
            {
                if (await vault.FindCopyAsync(store, owner.Options.Keys, cancellationToken) is { } copy)
                {
                    copies.Add(copy);
                }
            }
            catch (SalvorException e)
            {
                owner.Logger.CopyNotOpened(owner.Options.Name, e.Message, e.Hint);
            }
        }

        return vault.With(
            copies, (bad, e) => owner.Logger.DamageReadAround(owner.Options.Name, e.Key, bad.Location, e.What));
    }

    /// <summary>Captures until continuity is lost, somebody ends it, or cancellation; then publishes what is captured.</summary>
    public async Task RunAsync(TimeSpan drainMax, CancellationToken cancellationToken)
    {
        using var publishing = new CancellationTokenSource();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, ending.Token);
        using var keeping = CancellationTokenSource.CreateLinkedTokenSource(stop.Token);
        var published = publisher.RunAsync(publishing.Token);
        var kept = Snapshots.RunAsync(keeping.Token);
        try
        {
            await ListenAsync();
            var captured = serving.RunAsync(stop.Token);

            // The publisher ends first only when another writer took over the vault.
            await await Task.WhenAny(captured, published);
            endReason = await captured;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            owner.Logger.SessionEnded(owner.Options.Name, endReason);
        }
        finally
        {
            await keeping.CancelAsync();
            await serving.EndAsync(endReason);
            await DrainAsync(published, drainMax);
            await serving.SaveTableAsync();
            await kept.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (kept.IsFaulted)
            {
                owner.Logger.SnapshotsEnded(kept.Exception, owner.Options.Name);
            }

            await publishing.CancelAsync();
            await published.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        if (published.IsFaulted)
        {
            await published;
        }
    }

    /// <summary>Ends the session, from any thread.</summary>
    public void End(string reason)
    {
        endReason = reason;
        ending.Cancel();
    }

    /// <summary>
    /// The position up to which everything committed before the call is durable; null where this session ended before it could say.
    /// </summary>
    public async Task<Position?> TrySyncAsync(CancellationToken cancellationToken)
    {
        try
        {
            var captured = await serving.CaptureNowAsync(cancellationToken);
            await publisher.WaitAsync(captured).WaitAsync(cancellationToken);
            return captured;
        }
        catch (Exception e) when (e is CaptureEndedException or IOException or SqliteException)
        {
            // Whatever ended it: the next session may answer, and until then the state of the source says what went wrong.
            return null;
        }
    }

    /// <summary>Makes the snapshots of this source.</summary>
    public SnapshotKeeper Snapshots { get; }

    public ulong LogNumber => publisher.Durable.Number;

    /// <summary>Whether everything that was captured is durable.</summary>
    public bool IsDrained => publisher.Durable.Position == publisher.Captured;

    /// <summary>Adds what this session knows.</summary>
    public SourceStatus AddTo(SourceStatus status)
    {
        var durable = publisher.Durable;
        var oldest = publisher.OldestMicros != 0 ? publisher.OldestMicros : serving.OldestWaitingMicros;
        var lag = oldest == 0 ? TimeSpan.Zero : owner.Time.GetUtcNow() - Micros.ToTime(oldest);
        return status with
        {
            Branch = durable.Branch,
            Position = durable.Position.Value,
            PositionTime = durable.Position.Value == 0 ? null : Micros.ToTime(durable.TimeMicros),
            Lag = lag > TimeSpan.Zero ? lag : TimeSpan.Zero,
            WaitingSince = oldest == 0 ? null : Micros.ToTime(oldest),
            StoredBytes = publisher.StoredBytes + context.SnapshotBytes + Snapshots.StoredBytes,
            SnapshotTime = Snapshots.Time,
            SnapshotFailure = Snapshots.Failure?.Message ?? "",
            CopiedBytes = context.CopiedBytes,
            CopyTotalBytes = context.CopyTotalBytes,
            ClockJump = context.Clock.Jump,
            OutboxObjects = publisher.KeptObjects,
            OutboxBytes = outbox?.Bytes ?? 0,
            OutboxObstacle = publisher.KeptObjects > 0 ? outbox?.Obstacle ?? "" : "",
        };
    }

    public async ValueTask DisposeAsync()
    {
        listening?.Dispose();

        // The engine may be in the middle of an event of this database; its turn must be over before the file is closed.
        await owner.Engine.RunAsync(() => true);
        database.Dispose();
        serving.Dispose();
        ending.Dispose();
    }

    static async Task<(VaultState State, string Reason)> ForkIfNeededAsync(
        SqliteReplicator owner, VaultCatalog catalog, VaultState state, SqliteDatabase database, uint epoch,
        CancellationToken cancellationToken)
    {
        if (state.Tip.Position.Value == 0 || (state.Inode == 0 && !state.IsEnded))
        {
            return (state, "");
        }

        var replaced = state.Inode != 0 && (state.Inode != database.Identity.Inode
            || (state.InodeBirth != 0 && state.InodeBirth != database.Identity.BirthTimeNanoseconds));
        var resized = state.PageSize != database.PageSize;
        if (!replaced && !resized && !state.IsEnded && owner.ForkReason is null)
        {
            return (state, "");
        }

        var planner = new RestorePlanner(catalog);
        var point = await planner.LatestAsync(state.Tip.Branch, cancellationToken);
        var reason = resized ? $"the page size changed from {state.PageSize} to {database.PageSize}"
            : replaced ? "the database file was replaced"
            : owner.ForkReason ?? $"branch {state.Tip.Branch} was left, and the next one was never made";
        if (LocalState.ReadRestored(owner.Options.StateDirectory, owner.Options.Path, database.Identity) is { } marker)
        {
            point = await planner.PointAsync(marker.Branch, new Position(marker.Position), cancellationToken);
            reason = $"position {marker.Position} of branch {marker.Branch} was restored in place";
        }

        var forked = await ForkAsync(owner, catalog, point, reason, epoch, resized, cancellationToken);
        owner.ForkReason = null;
        return (forked, reason);
    }

    static async Task<VaultState> ForkAsync(
        SqliteReplicator owner, VaultCatalog catalog, RestorePoint point, string reason, uint epoch, bool needsImage,
        CancellationToken cancellationToken)
    {
        var branch = await Forks.ForkAsync(catalog, point, reason, epoch, owner.Time, cancellationToken);
        owner.Logger.BranchBegun(owner.Options.Name, reason, branch, point.Position.Value);
        var reloaded = await VaultCatalog.LoadAsync(catalog.Vault, cancellationToken);
        var forked = await VaultState.LoadAsync(reloaded, cache: null, cancellationToken);
        return needsImage ? forked with { Table = new PageTable(), NeedsImage = true } : forked;
    }

    async Task ListenAsync()
    {
        var (directory, name) = (Path.GetDirectoryName(database.Path)!, Path.GetFileName(database.Path));
        listening = await owner.Engine.RunAsync(() => owner.Engine.Listen(directory, name, (file, change) =>
        {
            const FileChange Replacing = FileChange.Appeared | FileChange.Vanished | FileChange.Overflow | FileChange.DirectoryGone;
            if ((file == name || file.Length == 0)
                && (change & Replacing) != 0
                && FileIdentity.Of(database.Path) != database.Identity)
            {
                End("the database file was replaced or removed");
            }

            serving.Notice(file, change);
        }));
    }

    async Task DrainAsync(Task published, TimeSpan drainMax)
    {
        var drained = publisher.WaitAsync(publisher.Captured);
        await Task.WhenAny(drained, published, Task.Delay(drainMax, owner.Time, CancellationToken.None));
    }
}
