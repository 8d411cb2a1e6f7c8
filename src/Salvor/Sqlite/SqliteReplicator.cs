using Microsoft.Extensions.Logging;
using Salvor.Platform;
using Salvor.Sqlite.Capture;
using Salvor.Sqlite.Native;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;

namespace Salvor.Sqlite;

/// <summary>How one database is protected.</summary>
public sealed record ReplicatorOptions
{
    /// <summary>The name of the source, and of its vault.</summary>
    public required string Name { get; init; }

    /// <summary>The database file, as an absolute path.</summary>
    public required string Path { get; init; }

    /// <summary>The folder of the local state.</summary>
    public required string StateDirectory { get; init; }

    /// <summary>How long a commit may wait for others before they are published together.</summary>
    public required TimeSpan Batch { get; init; }

    /// <summary>How long a writer of a rollback-journal database may be held up when short slices did not succeed.</summary>
    public required TimeSpan BlockMax { get; init; }

    /// <summary>How long a log that cannot be captured may grow before it is let go.</summary>
    public required long WalMaxBytes { get; init; }

    /// <summary>A new snapshot is made when this time passed since the last one and something changed.</summary>
    public TimeSpan SnapshotEvery { get; init; } = TimeSpan.FromDays(1);

    /// <summary>How what is stored of it is compressed.</summary>
    public FrameCompression Compression { get; init; } = FrameCompression.Default;

    /// <summary>How much may wait in the outbox while the destination does not work; 0 for no outbox.</summary>
    public long OutboxBytesMax { get; init; }

    /// <summary>
    /// One database in the foreground: what does not pass by itself (no database, or another process that serves it) ends it, for the
    /// caller to say. Otherwise it is said in the log and the status, and tried again, because other sources have to go on.
    /// </summary>
    public bool IsForeground { get; init; }

    /// <summary>What the configuration calls the destination; empty where it has no name.</summary>
    public string DestinationName { get; init; } = "";

    /// <summary>What opens the vault; null for a plain one.</summary>
    public Keyring? Keys { get; init; }

    /// <summary>How others reach this process; written into the lock.</summary>
    public string? Socket { get; init; }

    /// <summary>What this process does, for people; written into the lock and the claim.</summary>
    public string Command { get; init; } = "";
}

/// <summary>
/// Keeps one database in one vault: waits until it exists, attaches, captures, publishes, and begins again whenever continuity cannot be
/// proved. Where the vault ends is read from the vault each time, so nothing local is needed and nothing local can mislead.
/// </summary>
public sealed class SqliteReplicator : IDisposable
{
    static readonly TimeSpan RetryMin = TimeSpan.FromMilliseconds(250);
    static readonly TimeSpan RetryMax = TimeSpan.FromSeconds(30);
    static readonly TimeSpan WaitStep = TimeSpan.FromSeconds(5);

    /// <summary>Where a vault ends is read from it, so nothing can be captured before that worked.</summary>
    const string Unprotected =
        "; until that works nothing of this database is captured, and what is committed meanwhile becomes one restore point";

    /// <summary>How often somebody who is to export the key is waited for.</summary>
    static readonly TimeSpan ExportStep = TimeSpan.FromSeconds(2);

    readonly ReplicatorOptions options;
    readonly CaptureEngine engine;
    readonly RetryingStore store;
    readonly TimeProvider time;
    readonly ILogger logger;
    readonly SemaphoreSlim fileChanged = new(0, 1);
    readonly Lock gate = new();

    ServingSession? serving;
    TaskCompletionSource? resumed;
    TaskCompletionSource detached = Completed();
    SourceState state = SourceState.Starting;
    SalvorException? failure;
    StorageException? storeFailure;
    DateTimeOffset? storeFailedSince;
    DateTimeOffset? uncapturedSince;
    Turns.Turn? turn;
    SourceStatus? lastServed;
    ulong lastLogNumber;
    int resyncs;
    Admission? admission;
    bool mustFence;
    bool isDrained;
    volatile bool isLost;

    internal SqliteReplicator(
        ReplicatorOptions options, IObjectStore store, CaptureEngine engine, TimeProvider time, Random random, ILogger logger)
    {
        (this.options, this.engine, this.time, this.logger) = (options, engine, time, logger);
        this.store = new RetryingStore(store, time, random, NoteStoreOutcome);
        uncapturedSince = time.GetUtcNow();
    }

    /// <summary>The vault, once it was opened.</summary>
    public Guid? VaultId { get; internal set; }

    /// <summary>The claim under which it writes, from when it was made until another writer takes over.</summary>
    public uint? Epoch => isLost ? null : admission?.Epoch;

    /// <summary>Whether it ended with everything published, so that anybody may go on at once.</summary>
    public bool HasReleased => Epoch is not null && isDrained && state == SourceState.Stopped;

    /// <summary>Whether another process writes to this vault or holds this database, and never was it us, or never will it be.</summary>
    public SalvorException? LockedOut => failure is { Kind: FailureKind.Locked } && (lastServed is null || isLost) ? failure : null;

    /// <summary>The number of the last log object of the branch; 0 before the first.</summary>
    public ulong LogNumber => serving?.LogNumber ?? lastLogNumber;

    /// <summary>The id of the newest backup that this process knows of; 0 where there is none.</summary>
    public ulong LastBackup { get; internal set; }

    /// <summary>Raised on any thread when the status changed in a way worth writing down.</summary>
    public event Action? StatusChanged;

    public ReplicatorOptions Options => options;

    /// <summary>Destinations with copies of the vault, to read from where the first is damaged.</summary>
    public IReadOnlyList<IObjectStore> FurtherStores { get; init; } = [];

    internal CaptureEngine Engine => engine;

    internal IObjectStore Store => store;

    internal TimeProvider Time => time;

    internal ILogger Logger => logger;

    /// <summary>Why the next session must begin a branch, where the last one found that out.</summary>
    internal string? ForkReason { get; set; }

    /// <summary>How it fares now.</summary>
    public SourceStatus Status
    {
        get
        {
            var current = serving;
            var status = new SourceStatus
            {
                Source = options.Name,
                Path = options.Path,
                Destination = store.Location,
                State = storeFailure is not null && state is SourceState.Starting or SourceState.Healthy or SourceState.Copying
                    ? SourceState.BackingOff
                    : state,
                Detail = ((storeFailure ?? failure)?.Message ?? "") + (storeFailure is not null && current is null ? Unprotected : ""),
                Hint = (storeFailure ?? failure)?.Hint ?? "",
                Resyncs = resyncs,
                UncapturedSince = uncapturedSince,
                BackingOffSince = storeFailedSince,
            };
            return current is not null ? current.AddTo(status)
                : lastServed is { } last ? status with
                {
                    Branch = last.Branch,
                    Position = last.Position,
                    PositionTime = last.PositionTime,
                    StoredBytes = last.StoredBytes,
                }
                : status;
        }
    }

    /// <summary>False while another process serves this database: its state is not ours to write.</summary>
    public bool MayWriteState => failure is not { Kind: FailureKind.Locked };

    /// <summary>Protects the database until cancelled; then everything committed is published before this returns.</summary>
    /// <param name="drainMax">How long to go on publishing after the cancellation.</param>
    public async Task RunAsync(TimeSpan drainMax, CancellationToken cancellationToken)
    {
        var delay = RetryMin;
        try
        {
            while (!cancellationToken.IsCancellationRequested)
            {
                try
                {
                    await WaitWhilePausedAsync(cancellationToken);
                    await WaitForDatabaseAsync(cancellationToken);
                    var started = time.GetTimestamp();
                    await ServeAsync(drainMax, cancellationToken);
                    delay = time.GetElapsedTime(started) > RetryMax ? RetryMin : delay;
                }
                catch (SalvorException e) when (!cancellationToken.IsCancellationRequested && !IsFinal(e))
                {
                    NoteFailure(e);
                    await WaitForChangeAsync(delay, cancellationToken);
                    delay = delay * 2 < RetryMax ? delay * 2 : RetryMax;
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked to stop while waiting for something; nothing is open.
        }
        catch (SalvorException e) when (!options.IsForeground)
        {
            // The others go on, so nobody waits for this task: what is over here must be said here.
            NoteFailure(e);
            throw;
        }

        SetState(SourceState.Stopped);
    }

    /// <summary>Returns when everything committed before the call is durable, and says up to where.</summary>
    public async Task<Position> SyncAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (serving is { } session && await session.TrySyncAsync(cancellationToken) is { } position)
            {
                return position;
            }

            // Whoever resumed it and asks at once gets his answer when it is attached again.
            var isAway = state is SourceState.Failing or SourceState.Waiting or SourceState.AwaitingExport
                || (state is SourceState.Paused && resumed is not null);
            if (isAway && serving is null)
            {
                throw new SalvorException(
                    failure?.Kind ?? FailureKind.SourceUnreadable,
                    $"source {options.Name} is not being captured: {failure?.Message ?? state.ToString().ToLowerInvariant()}",
                    failure?.Hint ?? "Run 'salvor status' to see why.");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), time, cancellationToken);
        }
    }

    /// <summary>Makes a backup of everything committed before the call: a snapshot with an id and a label.</summary>
    /// <param name="request">What it is to be.</param>
    /// <param name="cancellationToken">Ends it; no backup is left behind.</param>
    public async Task<BackupRecord> BackUpAsync(BackupRequest request, CancellationToken cancellationToken)
    {
        while (true)
        {
            await SyncAsync(cancellationToken);
            if (serving is { } session)
            {
                return await session.Snapshots.BackUpAsync(request, cancellationToken);
            }
        }
    }

    /// <summary>Detaches from the database after publishing what is committed, and stays away until <see cref="Resume"/>.</summary>
    public async Task PauseAsync(CancellationToken cancellationToken)
    {
        lock (gate)
        {
            resumed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        serving?.End("paused on request");
        WakeUp();
        await detached.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Attaches again.</summary>
    public void Resume()
    {
        lock (gate)
        {
            resumed?.TrySetResult();
            resumed = null;
        }
    }

    public void Dispose() => fileChanged.Dispose();

    internal void SetState(SourceState next)
    {
        state = next;
        uncapturedSince = next is SourceState.Healthy or SourceState.Waiting ? null : uncapturedSince ?? time.GetUtcNow();
        if (next is SourceState.Healthy or SourceState.Copying)
        {
            failure = null;
        }

        RaiseStatusChanged();
    }

    /// <summary>Attaching is over, or it waits for something that may take long: the next database may begin.</summary>
    internal void EndTurn() => turn?.Dispose();

    internal void CountResync() => resyncs++;

    internal void RaiseStatusChanged() => StatusChanged?.Invoke();

    /// <summary>The epoch of this process for this vault; claimed once.</summary>
    internal async Task<uint> ClaimAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        if (admission is null)
        {
            admission = await WriterAdmission.EnterAsync(
                vault, options.Command, time, cancellationToken,
                FileIdentity.Of(LocalState.LockPath(options.StateDirectory, options.Path)));
            mustFence = admission.MustFence;
            if (admission.Before.Length > 0)
            {
                logger.WriterReplaced(options.Name, admission.Before);
            }
        }

        return admission.Epoch;
    }

    /// <summary>Shuts older writers out, once, and expects no newer one. What is listed afterwards is where the vault ends.</summary>
    internal async Task FenceAsync(VaultCatalog catalog, uint epoch, CancellationToken cancellationToken)
    {
        await Fences.TakeAsync(catalog, epoch, mustFence, Time, cancellationToken);
        mustFence = false;
    }

    /// <summary>Waits until the key of a new vault is elsewhere too. The source stays ours meanwhile, so that nobody else begins.</summary>
    internal async Task WaitForExportAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await vault.ExpectSavedKeyAsync(options.Keys, time, cancellationToken);
                return;
            }
            catch (KeyNotSavedException e)
            {
                NoteFailure(e, SourceState.AwaitingExport);
                EndTurn();
            }

            await Task.Delay(ExportStep, time, cancellationToken);
            if (resumed is not null)
            {
                throw new CaptureEndedException("paused on request");
            }
        }
    }

    static TaskCompletionSource Completed()
    {
        var completion = new TaskCompletionSource();
        completion.SetResult();
        return completion;
    }

    /// <summary>Whether trying again is no use: somebody looks on, and has to decide.</summary>
    bool IsFinal(SalvorException e) => e is TakenOverException
        || (options.IsForeground && (e is NotADatabaseException or KeyException || e.Kind is FailureKind.Locked or FailureKind.Usage));

    async Task ServeAsync(TimeSpan drainMax, CancellationToken cancellationToken)
    {
        detached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            using var held = LocalState.Lock(options, time);
            using var taken = await engine.Turns.TakeAsync(cancellationToken);
            turn = taken;
            await using var session = await ServingSession.AttachAsync(this, cancellationToken);
            serving = session;
            if (resumed is not null)
            {
                session.End("paused on request");
            }

            isDrained = false;
            await session.RunAsync(drainMax, cancellationToken);
            isDrained = session.IsDrained;
        }
        catch (TakenOverException)
        {
            isLost = true;
            throw;
        }
        catch (CaptureEndedException e)
        {
            logger.CaptureEnded(options.Name, e.Message);
        }
        catch (SqliteException e)
        {
            throw SqliteDatabase.Unreadable(options.Path, e);
        }
        catch (IOException e)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"source {options.Name} cannot stage pages in {options.StateDirectory}: {e.Message}",
                "Free space there, or name another folder with 'state_dir'. The database itself is not affected.",
                e);
        }
        finally
        {
            (lastServed, lastLogNumber) = serving is null ? (lastServed, lastLogNumber) : (Status, LogNumber);
            serving = null;
            turn = null;
            detached.TrySetResult();
        }
    }

    async Task WaitWhilePausedAsync(CancellationToken cancellationToken)
    {
        while (resumed is { } signal)
        {
            SetState(SourceState.Paused);
            await signal.Task.WaitAsync(cancellationToken);
        }
    }

    async Task WaitForDatabaseAsync(CancellationToken cancellationToken)
    {
        while (FileStat.Of(options.Path) is null or { Kind: FileKind.Regular, SizeBytes: 0 })
        {
            if (state != SourceState.Waiting)
            {
                failure = SqliteDatabase.Obstacle(options.Path);
                logger.WaitingForDatabase(options.Name, failure?.Message);
                SetState(SourceState.Waiting);
            }

            await WaitForChangeAsync(WaitStep, cancellationToken);
        }
    }

    /// <summary>Waits for a change beside the database, or for this long.</summary>
    async Task WaitForChangeAsync(TimeSpan delay, CancellationToken cancellationToken)
    {
        var directory = Path.GetDirectoryName(options.Path)!;
        if (!Directory.Exists(directory))
        {
            await fileChanged.WaitAsync(WaitStep < delay ? WaitStep : delay, cancellationToken);
            return;
        }

        using var listening = await engine.RunAsync(
            () => engine.Listen(directory, Path.GetFileName(options.Path), (_, _) => WakeUp()));
        await fileChanged.WaitAsync(delay, cancellationToken);
    }

    void WakeUp()
    {
        lock (gate)
        {
            if (fileChanged.CurrentCount == 0)
            {
                fileChanged.Release();
            }
        }
    }

    void NoteFailure(SalvorException e, SourceState next = SourceState.Failing)
    {
        if (failure?.Message != e.Message)
        {
            logger.SourceFailed(options.Name, e.Message, e.Hint);
        }

        failure = e;
        SetState(next);
    }

    void NoteStoreOutcome(StorageException? e)
    {
        if (e is not null && storeFailure is null)
        {
            logger.DestinationFailed(options.Name, e.Message, e.Hint);
        }
        else if (e is null && storeFailure is not null)
        {
            logger.DestinationWorksAgain(options.Name, store.Location);
        }

        if (e is not null)
        {
            EndTurn();
        }

        storeFailedSince = e is null ? null : storeFailedSince ?? time.GetUtcNow();
        storeFailure = e;
        RaiseStatusChanged();
    }
}
