using Microsoft.Extensions.Logging;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Sqlite.Capture;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Copies;
using Salvor.Vault.Format;

namespace Salvor.Jobs;

/// <summary>A destination of a source.</summary>
/// <param name="Store">Where it is.</param>
/// <param name="IsRequired">Whether a commit counts as durable only when it is there too.</param>
public sealed record SourceDestination(IObjectStore Store, bool IsRequired)
{
    /// <summary>What the configuration calls it; empty where it has no name.</summary>
    public string Name { get; init; } = "";

    /// <summary>What becomes of it where it lacks what the first had before.</summary>
    public IncompleteCopy OnIncomplete { get; init; }
}

/// <summary>
/// Runs the protection of any number of databases in one process: one capture engine, one control socket, a status file for each, the heads
/// of their destinations, and the merging of their logs.
/// </summary>
public sealed class ProtectionHost : IAsyncDisposable
{
    static readonly TimeSpan DrainMax = TimeSpan.FromSeconds(30);

    /// <summary>Bounds the memory for copies, however many sources there are: each holds one object.</summary>
    const int MirrorsAtOnce = 2;

    /// <summary>About two minutes of a busy database: merging its log and copying it need not fetch what was just put.</summary>
    const long RecentBytesMax = 32 << 20;

    static readonly TimeSpan StatusStep = TimeSpan.FromSeconds(1);

    readonly string command;
    readonly TimeProvider time;
    readonly Random random;
    readonly ILogger logger;
    readonly CaptureEngine engine;
    readonly ControlServer control;
    readonly HeadPublisher heads;
    readonly LogMerging merging;
    readonly RecentObjects recent;
    readonly SemaphoreSlim mirrorTurns = new(MirrorsAtOnce);
    readonly Lock gate = new();
    readonly Dictionary<string, Protection> protections = [];
    readonly TaskCompletionSource lockedOut = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly CancellationTokenSource stopping = new();
    volatile bool endsWhenLockedOut;
    bool isDisposed;

    /// <param name="command">What this process does, for people, and the same each time that it does it.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">Chance.</param>
    /// <param name="logger">For what an operator has to know.</param>
    public ProtectionHost(string command, TimeProvider time, Random random, ILogger logger)
    {
        (this.command, this.time, this.random, this.logger) = (command, time, random, logger);
        engine = new CaptureEngine(time)
        {
            Failed = e => logger.FileEventFailed(e),
        };
        control = new ControlServer(ControlServer.ChoosePath(time.GetUtcNow()), AnswerAsync, logger);
        heads = new HeadPublisher(command, time, random, logger);
        recent = new RecentObjects(RecentBytesMax, time);
        merging = new LogMerging(() => All().Select(item => (item.Replicator, item.Reading)), recent.Trim, time, logger);
        _ = BeatAsync();
    }

    /// <summary>Raised on any thread with the status of a source that changed.</summary>
    public event Action<SourceStatus>? StatusChanged;

    /// <summary>Whether the capture still turns, as the heartbeat shows it.</summary>
    public bool Responds => Heartbeat.IsSeen(Environment.ProcessId, control.Path, time.GetUtcNow());

    /// <summary>How all sources fare.</summary>
    public IReadOnlyList<SourceStatus> Statuses => [.. All().Select(item => item.Replicator.Status)];

    /// <summary>Begins to protect a database: at the first destination, and by copies of what is there at the further ones.</summary>
    public void Add(ReplicatorOptions options, IObjectStore store, IReadOnlyList<SourceDestination>? further = null)
    {
        var replicator = new SqliteReplicator(
            options with { Socket = control.Path, Command = command }, Recent(store, answers: false), engine, time, random, logger)
        {
            FurtherStores = [.. (further ?? []).Select(item => item.Store)],
        };
        var protection = new Protection(replicator, store, Recent(store, answers: true), new CancellationTokenSource());
        foreach (var item in further ?? [])
        {
            var mirroring = new Mirroring(
                options.Name, LocalState.VaultPath(options.StateDirectory, options.Path), options.Keys, protection.Reading, item,
                mirrorTurns, time, logger, () => WriteSoon(protection));
            protection.Mirrors.Add(mirroring);
            protection.Mirrored.Add(mirroring.RunAsync(protection.Stopping.Token));
        }

        replicator.StatusChanged += () => NoteStatus(protection);
        lock (gate)
        {
            protections.Add(options.Name, protection);
        }

        protection.Running = replicator.RunAsync(DrainMax, protection.Stopping.Token);
        _ = heads.WatchAsync(store, () => All().Where(item => item.Store == store).Select(item => item.Replicator));
    }

    /// <summary>Calls back when something appears in a folder.</summary>
    public FileSystemWatching WatchDirectory(string directory, Action appeared)
    {
        var listening = engine.RunAsync(() => engine.Listen(directory, null, (_, change) =>
        {
            if ((change & (FileChange.Appeared | FileChange.Overflow)) != 0)
            {
                appeared();
            }
        }));
        return new FileSystemWatching(directory, listening.GetAwaiter().GetResult());
    }

    /// <summary>Stops protecting a database after publishing what is committed.</summary>
    public async Task RemoveAsync(string name)
    {
        Protection? protection;
        lock (gate)
        {
            protections.Remove(name, out protection);
        }

        if (protection is not null)
        {
            await StopAsync(protection);
            await heads.ReleaseAsync(protection.Store, [protection.Replicator]);
        }
    }

    /// <summary>The names of the sources.</summary>
    public IReadOnlyCollection<string> Names => [.. All().Select(item => item.Replicator.Options.Name)];

    /// <summary>The options of a source, or null.</summary>
    public ReplicatorOptions? OptionsOf(string name) =>
        All().FirstOrDefault(item => item.Replicator.Options.Name == name)?.Replicator.Options;

    /// <summary>Returns when everything committed to a database before the call is durable.</summary>
    public async Task<Position> SyncAsync(string name, CancellationToken cancellationToken)
    {
        var protection = All().First(item => item.Replicator.Options.Name == name);
        return await SyncAsync(protection, cancellationToken);
    }

    /// <summary>Makes a backup of everything committed to a database before the call.</summary>
    public Task<BackupRecord> BackUpAsync(string name, BackupRequest request, CancellationToken cancellationToken) =>
        BackUpAsync(All().First(item => item.Replicator.Options.Name == name), request, cancellationToken);

    /// <summary>
    /// As <see cref="SyncAsync(string, CancellationToken)"/>, before a stop: nothing to wait for where a database does not exist, cannot be
    /// read or is paused, which its status says already.
    /// </summary>
    public async Task DrainAsync(string name, CancellationToken cancellationToken)
    {
        var protection = All().First(item => item.Replicator.Options.Name == name);
        var state = protection.Replicator.Status.State;
        var isAway = state == SourceState.Waiting && !File.Exists(protection.Replicator.Options.Path);
        if (!isAway && state is not (SourceState.Failing or SourceState.Paused or SourceState.Stopped or SourceState.AwaitingExport))
        {
            await SyncAsync(protection, cancellationToken);
        }
    }

    /// <summary>Completes when a source ended by itself, with its error.</summary>
    public Task EndOfAsync(string name) => All().First(item => item.Replicator.Options.Name == name).Running;

    /// <summary>
    /// Fails, naming a holder, when every source is served by other processes and none of them was ever ours, or none will be again: there
    /// is nothing to do then. Call it when all sources are added.
    /// </summary>
    public Task WhenLockedOut()
    {
        endsWhenLockedOut = true;
        NoteLocks();
        return lockedOut.Task;
    }

    /// <summary>Publishes what is committed and ends everything. May be called again.</summary>
    public async ValueTask DisposeAsync()
    {
        List<Protection> all;
        lock (gate)
        {
            if (isDisposed)
            {
                return;
            }

            isDisposed = true;
            all = [.. protections.Values];
        }

        await merging.DisposeAsync();
        await stopping.CancelAsync();
        await Task.WhenAll(all.Select(StopAsync));
        await Task.WhenAll(all.GroupBy(item => item.Store)
            .Select(group => heads.ReleaseAsync(group.Key, [.. group.Select(item => item.Replicator)])));
        await heads.DisposeAsync();
        await control.DisposeAsync();
        engine.Dispose();
    }

    List<Protection> All()
    {
        lock (gate)
        {
            return [.. protections.Values];
        }
    }

    async Task StopAsync(Protection protection)
    {
        await protection.Stopping.CancelAsync();
        await protection.Running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Task.WhenAll(protection.Mirrored).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        protection.Mirrors.ForEach(mirror => mirror.Notice(protection.Replicator.Status));
        await Task.WhenAll(protection.Mirrors.Select(mirror => mirror.DrainAsync()));
        protection.WriteLast(time.GetUtcNow(), logger);
        protection.Replicator.Dispose();
        protection.Stopping.Dispose();
    }

    async Task<Position> SyncAsync(Protection protection, CancellationToken cancellationToken)
    {
        var asked = time.GetUtcNow();
        var position = await protection.Replicator.SyncAsync(cancellationToken);
        await heads.PublishAsync(protection.Store, protection.Replicator, asked, cancellationToken);
        var status = protection.Replicator.Status;
        await Task.WhenAll(protection.Mirrors.Where(mirror => mirror.IsRequired)
            .Select(mirror => mirror.CatchUpAsync(status).WaitAsync(cancellationToken)));
        return position;
    }

    static async Task<BackupRecord> BackUpAsync(
        Protection protection, BackupRequest request, CancellationToken cancellationToken)
    {
        var backup = await protection.Replicator.BackUpAsync(request, cancellationToken);
        protection.Mirrors.ForEach(mirror => mirror.NoticeRoots());
        return backup;
    }

    /// <summary>Where a read costs nothing, nothing is kept for it.</summary>
    IObjectStore Recent(IObjectStore store, bool answers) =>
        store is FileStore ? store : new RecentStore(store, recent, VaultKeys.IsWrittenLog, answers);

    static FrameCompression? CompressionOf(ControlRequest request) => request.Compression is { } text
        ? FrameCompression.Parse(text, (message, hint) => new SalvorException(FailureKind.Usage, message, hint))
        : null;

    async Task<ControlResponse> AnswerAsync(ControlRequest request, CancellationToken cancellationToken)
    {
        var protection = All().FirstOrDefault(item => item.Replicator.Options.Path == request.Path)
            ?? throw new SalvorException(
                FailureKind.Usage,
                $"this daemon does not serve {request.Path}",
                "Run 'salvor status' to see what it serves.");
        var source = protection.Replicator.Options.Name;
        switch (request.Verb)
        {
            case "sync":
                return new ControlResponse
                {
                    Ok = true, Source = source, Position = (await SyncAsync(protection, cancellationToken)).Value,
                };
            case "backup":
                var backup = await BackUpAsync(
                    protection,
                    new BackupRequest(request.Label, request.Mode, request.RetentionDays) { Compression = CompressionOf(request) },
                    cancellationToken);
                return new ControlResponse { Ok = true, Source = source, Position = backup.Position, Backup = backup };
            case "pause":
                await protection.Replicator.PauseAsync(cancellationToken);
                return new ControlResponse { Ok = true, Source = source };
            case "resume":
                protection.Replicator.Resume();
                return new ControlResponse { Ok = true, Source = source };
            default:
                throw new SalvorException(
                    FailureKind.Usage, $"this daemon knows no verb {request.Verb}", "Use the same version of Salvor for both.");
        }
    }

    void NoteStatus(Protection protection)
    {
        heads.Notice(protection.Store);
        NoteLocks();
        protection.Mirrors.ForEach(mirror => mirror.Notice(protection.Replicator.Status));
        WriteSoon(protection);

        // Who is told may look at the status file at once.
        StatusChanged?.Invoke(protection.Replicator.Status);
    }

    void WriteSoon(Protection protection)
    {
        if (Interlocked.Exchange(ref protection.StatusDue, 1) == 0)
        {
            // The first change is written at once, what follows within the second is written together.
            protection.Write(time.GetUtcNow(), logger);
            _ = WriteLaterAsync(protection);
        }
        else if (protection.Replicator.Status.State != protection.WrittenState)
        {
            // Rare, and what people wait for.
            protection.Write(time.GetUtcNow(), logger);
        }
    }

    void NoteLocks()
    {
        if (!endsWhenLockedOut)
        {
            return;
        }

        var all = All();
        if (all.Count > 0 && all.All(item => item.Replicator.LockedOut is not null))
        {
            var first = all[0].Replicator.LockedOut!;
            lockedOut.TrySetException(all.Count == 1
                ? first
                : new SalvorException(
                    FailureKind.Locked, $"all {all.Count} databases are served by other processes; {first.Message}", first.Hint));
        }
    }

    /// <summary>The beat goes through the capture: where that hangs, it stops.</summary>
    async Task BeatAsync()
    {
        using var timer = new PeriodicTimer(Heartbeat.Interval, time);
        while (await timer.WaitForNextTickAsync(stopping.Token))
        {
            await engine.RunAsync(() => true);
            Heartbeat.Beat(control.Path, time.GetUtcNow());
            All().ForEach(protection => protection.WriteWaiting(time.GetUtcNow(), logger));
            ServiceManager.Notify(ServiceManager.Alive);
        }
    }

    async Task WriteLaterAsync(Protection protection)
    {
        await Task.Delay(StatusStep, time);
        Interlocked.Exchange(ref protection.StatusDue, 0);
        protection.Write(time.GetUtcNow(), logger);
    }

    /// <summary>Where the database's own folder is not there yet, nothing can be written beside it.</summary>
    static bool MakeDirectory(ReplicatorOptions options)
    {
        if (!Directory.Exists(options.StateDirectory) && Directory.Exists(Path.GetDirectoryName(options.StateDirectory)))
        {
            LocalState.EnsureDirectory(options.StateDirectory);
        }

        return Directory.Exists(options.StateDirectory);
    }

    sealed class Protection(SqliteReplicator replicator, IObjectStore store, IObjectStore reading, CancellationTokenSource stopping)
    {
        public int StatusDue;
        bool isOver;
        readonly Lock writing = new();
        bool failedBefore;
        DateTimeOffset? writtenWaitingSince;

        public SqliteReplicator Replicator { get; } = replicator;

        /// <summary>As the status file has it.</summary>
        public SourceState? WrittenState { get; private set; }

        public IObjectStore Store { get; } = store;

        /// <summary>The same place for what reads the log soon after it was written.</summary>
        public IObjectStore Reading { get; } = reading;

        public CancellationTokenSource Stopping { get; } = stopping;

        public Task Running { get; set; } = Task.CompletedTask;

        public List<Mirroring> Mirrors { get; } = [];

        public List<Task> Mirrored { get; } = [];

        /// <summary>
        /// Writes the status file where it does not say what waits: a destination that hangs changes nothing else, and whoever reads the
        /// file must see that lag grows.
        /// </summary>
        public void WriteWaiting(DateTimeOffset now, ILogger logger)
        {
            if (Replicator.Status.WaitingSince != writtenWaitingSince)
            {
                Write(now, logger);
            }
        }

        /// <summary>Writes the status file, if the folder for it exists by now.</summary>
        public void Write(DateTimeOffset now, ILogger logger)
        {
            var options = Replicator.Options;
            lock (writing)
            {
                try
                {
                    if (!isOver && Replicator.MayWriteState && MakeDirectory(options))
                    {
                        var path = LocalState.StatusPath(options.StateDirectory, options.Path);
                        var copies = Mirrors.Select(mirror => mirror.Status).ToList();
                        var status = Replicator.Status;
                        StatusFile.Write(path, StatusRecord.From(status, options.DestinationName, options.Socket, copies, now));
                        (failedBefore, WrittenState, writtenWaitingSince) = (false, status.State, status.WaitingSince);
                    }
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException or SalvorException)
                {
                    if (!failedBefore)
                    {
                        logger.StatusNotWritten(options.Name, e.Message);
                    }

                    failedBefore = true;
                }
            }
        }

        /// <summary>Writes the status file once more, and never again: the folder may belong to somebody else then, or be gone.</summary>
        public void WriteLast(DateTimeOffset now, ILogger logger)
        {
            lock (writing)
            {
                Write(now, logger);
                isOver = true;
            }
        }
    }
}
