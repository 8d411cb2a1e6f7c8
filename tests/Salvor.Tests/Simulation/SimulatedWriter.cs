using System.Buffers;
using Salvor.Sqlite;
using Salvor.Sqlite.Capture;
using Salvor.Sqlite.Snapshots;
using Salvor.Sqlite.Wal;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;

namespace Salvor.Tests.Simulation;

/// <summary>What of a machine outlives its processes.</summary>
sealed class SimulatedDisk
{
    public MemoryStore Outbox { get; set; } = new();
}

/// <summary>
/// One process that protects the simulated database: the real path from captured frames to objects, put together as it is for a real
/// database, without threads and files of SQLite.
/// </summary>
/// <param name="world">Where it lives.</param>
/// <param name="process">What can be killed.</param>
/// <param name="disk">That of its machine.</param>
sealed class SimulatedWriter(SimulatedWorld world, SimulatedProcess process, SimulatedDisk disk)
{
    const uint PageSize = SimulatedWorld.PageSize;

    readonly Random random = world.NextRandom();
    readonly TaskCompletionSource stopping = new();
    readonly List<PageSpool> spools = [];
    ChangeSetQueue queue = null!;
    SimulatedCapture? capture;
    Publisher? publisher;
    VaultAccess vault = null!;
    VaultState state = null!;
    OrderedClock clock = null!;
    IFrameSink? sink;
    LiveSink? live;
    string? continuity;
    Task snapshot = Task.CompletedTask;
    uint epoch;
    ulong position;
    bool hasEnded;

    public SimulatedProcess Process => process;

    public ProcessStore Store { get; } = new(world.Destination);

    /// <summary>Whether another writer was at work at the same time, at any time.</summary>
    public bool HadRival { get; set; }

    /// <summary>Whether everything that was committed is durable.</summary>
    public bool IsCaughtUp =>
        live is { WaitingCommits: 0 } && capture!.AtEnd && publisher!.Durable.Position == publisher.Captured && queue.IsIdle;

    /// <summary>Asks it to publish what is captured and to end.</summary>
    public void Stop() => stopping.TrySetResult();

    /// <summary>What a process loses when it is killed: locks and files without a name.</summary>
    public void LetGo()
    {
        capture?.Release();
        spools.ForEach(spool => spool.Dispose());
    }

    public async Task RunAsync()
    {
        await AttachAsync();
        var publishing = publisher!.RunAsync(CancellationToken.None);
        var capturing = CaptureAsync();
        var compacting = world.Compacts ? CompactAsync() : new TaskCompletionSource().Task;
        try
        {
            await await Task.WhenAny(publishing, capturing, compacting);
        }
        finally
        {
            live?.Seal();
            SaveTable();
            hasEnded = true;
            capture!.Release();
        }

        // It was asked to end: what is captured becomes durable, however long that takes.
        await Task.WhenAny(SyncAsync(), publishing);
        if (publishing.IsFaulted)
        {
            await publishing;
        }

        world.ReleasedEpoch = epoch;
    }

    /// <summary>Compacts now and then: as the daemon does it, and any objects with any of their commits.</summary>
    async Task CompactAsync()
    {
        var merger = new LogMerger(vault, epoch, world.Time);
        while (true)
        {
            await Task.Delay(TimeSpan.FromSeconds(random.Next(1, 900)), world.Time);
            try
            {
                if (random.Next(2) == 0)
                {
                    await CompactAnyAsync();
                }

                await merger.RunAsync(CancellationToken.None);
            }
            catch (DamagedObjectException e) when (e.IsMissing)
            {
                // Somebody else was faster.
                world.Witness.Note($"not compacted: {e.Message}");
            }
        }
    }

    async Task CompactAnyAsync()
    {
        var catalog = await VaultCatalog.LoadAsync(vault, CancellationToken.None);
        var branch = (uint)random.Next(1, catalog.Branches.Count + 1);
        var chain = catalog.Logs(branch).Chain;
        var ends = new List<int> { 0 };
        for (var i = 0; i < chain.Count - 1; i++)
        {
            if ((await catalog.ReadLogHeaderAsync(branch, chain[i], CancellationToken.None)).Log.Final)
            {
                ends.Add(i + 1);
            }
        }

        int[] chosen = [ends[random.Next(ends.Count)], ends[random.Next(ends.Count)]];
        var entries = chain.Take(chosen.Max()).Skip(chosen.Min()).ToList();
        if (entries.Count > 1)
        {
            var any = Enumerable.Range(1, 200).Where(_ => random.Next(2) == 0).Select(at => new Position((ulong)at)).ToHashSet();
            var run = new CompactionRun(entries, random.Next(3) == 0 ? any : null);
            await new Compactor(catalog).RunAsync(branch, run, CancellationToken.None);
            world.Witness.Note($"compacted {entries[0].First} to {entries[^1].Last} of branch {branch}");
        }
    }

    async Task AttachAsync()
    {
        var promised = world.Witness.Promised;
        var store = new RetryingStore(Store, world.Time, world.NextRandom(), _ => { });
        vault = await VaultAccess.OpenOrCreateAsync(
            store, SimulatedWorld.Name, "sqlite", SimulatedWorld.Path, world.Time, CancellationToken.None);
        epoch = await new WriterClaims(vault).ClaimAsync(world.NewClaim(), CancellationToken.None);
        var catalog = await VaultCatalog.LoadAsync(vault, CancellationToken.None);
        if (catalog.IsEmpty)
        {
            await Forks.BeginAsync(catalog, epoch, world.Time, CancellationToken.None);
        }

        var outbox = new Outbox(vault, disk.Outbox, world.OutboxBytesMax, () => null);
        var replay = await outbox.ReplayAsync(CancellationToken.None);
        world.Witness.Note($"outbox: {replay.Stored} stored, {replay.Refused} refused");
        if (replay.Refused > 0)
        {
            // The folder is moved aside.
            disk.Outbox = new MemoryStore();
            outbox = new Outbox(vault, disk.Outbox, world.OutboxBytesMax, () => null);
        }

        // Whoever was asked to end says so; then nobody has to be shut out.
        catalog = await VaultCatalog.LoadAsync(vault, CancellationToken.None);
        await Fences.TakeAsync(catalog, epoch, isNeeded: world.ReleasedEpoch != epoch - 1, world.Time, CancellationToken.None);
        (catalog, state) = await FreshListing.UseAsync(
            vault,
            async listed => (listed, await VaultState.LoadAsync(listed, world.ReadCache(), CancellationToken.None)),
            CancellationToken.None);
        await ExpectStateAsync(promised);
        if (state.IsEnded)
        {
            catalog = await ForkAsync(catalog, "the branch was left");
            await ExpectStateAsync(promised);
        }

        capture = new SimulatedCapture(world.Database) { Committed = NoteCommit };
        if (state is { NeedsImage: false, Image: null })
        {
            continuity = capture.TryResume(state.Cursor, out var wentBack);
            if (wentBack)
            {
                await ForkAsync(catalog, continuity!);
                await ExpectStateAsync(promised);
            }
        }

        var tip = state.Tip;
        world.Witness.Note($"epoch {epoch} begins on branch {tip.Branch} after position {tip.Position}, number {tip.Number}");
        position = tip.Position.Value;
        queue = new ChangeSetQueue { PartBytes = world.PartBytes, WaitingBytesMax = 16 * world.PartBytes };
        publisher = new Publisher(queue, new LogWriter(vault, tip, epoch, world.Time), outbox, world.Time, NoteProgress);
        clock = new OrderedClock(world.Time, tip.TimeMicros);
    }

    /// <summary>The source lost commits that the vault has: they stay where they are, and the source goes on beside them.</summary>
    async Task<VaultCatalog> ForkAsync(VaultCatalog catalog, string reason)
    {
        var point = await new RestorePlanner(catalog).LatestAsync(state.Tip.Branch, CancellationToken.None);
        await Forks.ForkAsync(catalog, point, reason, epoch, world.Time, CancellationToken.None);
        var reloaded = await VaultCatalog.LoadAsync(vault, CancellationToken.None);
        state = await VaultState.LoadAsync(reloaded, cache: null, CancellationToken.None);
        return reloaded;
    }

    async Task ExpectStateAsync(ulong promised)
    {
        var tip = state.Tip;
        var last = tip.Position == Position.None ? null : await world.ReadDirectlyAsync(tip.Branch, tip.Position);
        world.Witness.ExpectAtStart(promised, tip.Position.Value, last?.Header, state.Table, vault.Hasher);
    }

    void NoteProgress()
    {
        if (publisher!.Durable.Position > state.Tip.Position)
        {
            world.Witness.Promise(epoch, publisher.Durable.Position.Value);
        }
    }

    void NoteCommit(CommittedState committed)
    {
        if (sink is LiveSink)
        {
            world.Witness.Captured(epoch, ++position, committed);
        }
    }

    async Task CaptureAsync()
    {
        var scanning = BeginAsync();
        while (!stopping.Task.IsCompleted)
        {
            if (scanning.IsFaulted)
            {
                await scanning;
            }

            if (capture!.AtEnd && live is { WaitingCommits: 0 })
            {
                await Task.WhenAny(world.Database.Changed, stopping.Task);
            }

            await PauseAsync(queue.HasRoom ? 30 : 4000);
            if (sink is null)
            {
                continue;
            }

            if (queue.HasRoom)
            {
                capture.Pump(sink, random.Next(4) == 0 ? random.Next(1, 12) : int.MaxValue);
            }

            if (live is not null && random.Next(3) == 0)
            {
                live.Seal();
            }

            if (snapshot.IsFaulted)
            {
                await snapshot;
            }

            if (live is not null && snapshot.IsCompleted && publisher!.Durable.Position.Value > 0 && random.Next(15) == 0)
            {
                snapshot = SnapshotAsync();
            }

            if (live is not null && random.Next(12) == 0)
            {
                _ = SyncAsync();
            }
        }
    }

    /// <summary>Continues where the log proves that nothing is missing, else compares, else makes the first copy.</summary>
    async Task BeginAsync()
    {
        if (state.NeedsImage)
        {
            await CopyAsync();
        }
        else if (state.Image is { } image)
        {
            await CompareAsync(LogKind.Base, image, "first copy");
        }
        else if (continuity is { } reason)
        {
            await CompareAsync(LogKind.Resync, Hash256.Zero, reason);
        }
        else
        {
            GoLive();
        }
    }

    async Task CopyAsync()
    {
        var overlay = StartOverlay();
        await using var writer = new SnapshotWriter(vault, epoch, PageSize);
        var filePages = world.Database.FilePages;
        var content = ArrayPool<byte>.Shared.Rent(SnapshotWriter.RunBytes);
        var hashes = new ulong[filePages];
        await ScanAsync(filePages, (page, bytes) =>
        {
            bytes.CopyTo(content.AsSpan((int)((page - 1) * PageSize)));
            hashes[page - 1] = vault.Hasher.Hash(page, bytes);
            state.Table.Set(page, hashes[page - 1]);
        });
        await writer.AddAsync(content, (int)(filePages * PageSize), hashes, CancellationToken.None);
        state.Table.Resize(filePages);
        var tip = state.Tip with { TimeMicros = Micros.Of(world.Time.GetUtcNow()) };
        var stored = await writer.FinishAsync(tip, filePages, state.Table.Checksum, isImage: true, CancellationToken.None);
        await FinishAsync(LogKind.Base, stored.DetailsHash, "first copy", filePages, overlay);
    }

    /// <summary>A snapshot out of the vault, while commits go on. A rival may have made the same one.</summary>
    async Task SnapshotAsync()
    {
        try
        {
            var made = await FreshListing.UseAsync(
                vault,
                async catalog =>
                {
                    var point = await new RestorePlanner(catalog).LatestAsync(state.Tip.Branch, CancellationToken.None);
                    return await IncrementalSnapshot.MakeAsync(catalog, point, epoch, CancellationToken.None);
                },
                CancellationToken.None);
            world.Witness.Note($"epoch {epoch} made a snapshot at {made.Point.Position}, {made.AddedBytes} bytes");
        }
        catch (TakenOverException e)
        {
            world.Witness.Note($"{e.Message}");
        }
    }

    async Task CompareAsync(LogKind kind, Hash256 snapshot, string reason)
    {
        var overlay = StartOverlay();
        var differing = NewSpool();
        var filePages = world.Database.FilePages;
        await ScanAsync(filePages, (page, bytes) =>
        {
            var hash = vault.Hasher.Hash(page, bytes);
            if (hash != state.Table[page])
            {
                differing.Set(page, hash, bytes);
            }
        });
        await FinishAsync(kind, snapshot, reason, filePages, differing, overlay);
    }

    /// <summary>Reads the file page by page while commits and checkpoints go on.</summary>
    async Task ScanAsync(uint filePages, Action<uint, byte[]> take)
    {
        for (var page = 1u; page <= filePages; page++)
        {
            if (random.Next(4) == 0)
            {
                await PauseAsync(random.Next(10) == 0 ? 60_000 : 20);
            }

            take(page, world.Database.FilePage(page));
        }
    }

    /// <summary>At a moment when all is captured, the scan and the overlay together are that moment's state.</summary>
    async Task FinishAsync(LogKind kind, Hash256 snapshot, string reason, uint filePages, params PageSpool[] spooled)
    {
        while (!capture!.AtEnd && !hasEnded)
        {
            await PauseAsync(30);
        }

        if (hasEnded)
        {
            return;
        }

        var pageCount = capture.PageCount != 0 ? capture.PageCount : filePages;
        var resync = Resync.Make(
            state.Table, vault.Hasher, PageSize, pageCount, filePages, capture.Cursor, clock.Next(),
            checksumBefore => Begin(kind, checksumBefore, reason, snapshot), spooled);
        if (resync.IsEmpty && kind == LogKind.Resync)
        {
            resync.Dispose();
        }
        else
        {
            world.Witness.Captured(epoch, ++position, world.Database.State);
            publisher!.Add(new PendingChange(null, resync, Positions: 1, resync.Commit.RawTimeMicros));
        }

        GoLive();
    }

    void GoLive()
    {
        sink = live = new LiveSink(
            state.Table, vault.Hasher, PageSize, queue.PartBytes, clock, capture!,
            (kind, checksumBefore) => Begin(kind, checksumBefore, reason: "", Hash256.Zero),
            HandOn);
        capture!.IsLive = true;
    }

    void HandOn(ChangeSetBuilder changeSet)
    {
        var commits = (ulong)changeSet.Commits.Count;
        publisher!.Add(new PendingChange(changeSet, null, commits, commits > 0 ? changeSet.Commits[0].RawTimeMicros : 0));
        if (random.Next(6) == 0)
        {
            SaveTable();
        }
    }

    /// <summary>Keeps the table at what is captured, durable or not, if the table is at that.</summary>
    void SaveTable()
    {
        if (live is { IsAtCommit: true } && publisher!.Captured.Value > 0)
        {
            world.WriteCache(
                new PageTableCache(vault.Id, publisher.Durable.Branch, publisher.Captured, PageSize, state.Table.ToArray()));
        }
    }

    async Task SyncAsync()
    {
        live?.Seal();
        var captured = publisher!.Captured;
        var waiting = publisher.WaitAsync(captured);
        await waiting.ConfigureAwait(ConfigureAwaitOptions.ContinueOnCapturedContext | ConfigureAwaitOptions.SuppressThrowing);
        if (waiting.IsCompletedSuccessfully && captured > state.Tip.Position)
        {
            world.Witness.Promise(epoch, captured.Value);
        }
    }

    PageSpool StartOverlay()
    {
        var spool = NewSpool();
        sink = new OverlaySink(vault.Hasher, spool);
        return spool;
    }

    PageSpool NewSpool()
    {
        var spool = new PageSpool(world.Folder, PageSize);
        spools.Add(spool);
        return spool;
    }

    static ChangeSetBuilder Begin(LogKind kind, ulong checksumBefore, string reason, Hash256 snapshot) =>
        new(kind, PageSize, checksumBefore)
    {
        Inode = 7,
        InodeBirth = 8,
        Reason = reason,
        Snapshot = snapshot,
    };

    Task PauseAsync(int maxMs) => Task.Delay(TimeSpan.FromMilliseconds(random.Next(maxMs)), world.Time);
}
