using Salvor.Postgres.Restore;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Trees;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Vault.Pruning;

/// <summary>
/// A vault of a cluster over months of virtual time: log with gaps on several timelines, base backups, merges, prunes that die anywhere,
/// and undeletes. What must stay is known here by grains of the log, and not from the vault.
/// </summary>
sealed class ClusterWorld
{
    const int Grain = 64 << 10;
    const int GrainsOfSegment = 16;
    const int BackupsKept = 2;

    static readonly TimeSpan Grace = TimeSpan.FromDays(2);
    static readonly WalShape Shape = new(7_000_000_000_000_000_001, Grain * GrainsOfSegment, 8192);
    static readonly PrunePolicy Policy = new(Ladder.Default) { Backups = new BackupRules { Max = BackupsKept } };

    readonly MemoryStore store;
    readonly Random random;
    readonly VaultAccess vault;
    readonly WorldTime time;
    readonly WalMerger merger;
    readonly List<Timeline> timelines = [];
    readonly List<(BackupRecord Record, int First)> backups = [];

    ClusterWorld(MemoryStore store, Random random, VaultAccess vault, WorldTime time)
    {
        (this.store, this.random, this.vault, this.time) = (store, random, vault, time);
        merger = new WalMerger(vault, time);
    }

    sealed record Timeline(uint Number, Timeline? Parent, int Fork, string History)
    {
        public HashSet<int> Stored { get; } = [];

        public int End { get; set; } = Fork;
    }

    public long Deleted { get; private set; }

    public static async Task<ClusterWorld> CreateAsync(MemoryStore store, Random random)
    {
        var time = new WorldTime();
        var vault = await VaultAccess.OpenOrCreateAsync(store, "pg", VaultIdentity.Postgres, "pg", null, time, default);
        var world = new ClusterWorld(store, random, vault, time);
        await world.BeginAsync(new Timeline(1, null, GrainsOfSegment, ""));
        return world;
    }

    public async Task StepAsync()
    {
        time.Now += TimeSpan.FromMinutes(random.Next(1, 5_000));
        await (random.Next(12) switch
        {
            < 4 => WriteAsync(timelines[^1], random.Next(1, 100)),
            < 6 => BackUpAsync(),
            6 => ForkAsync(),
            7 => LoseAsync(),
            8 => MergeAsync(),
            9 => UndeleteAsync(),
            _ => PruneAsync(),
        });
    }

    /// <summary>Lets every grace end, and prunes until nothing is left to do.</summary>
    public async Task SettleAsync()
    {
        for (var i = 0; i < 4; i++)
        {
            time.Now += Grace * 2;
            await MergeAsync();
            await PruneAsync(store);
        }

        var pruner = new Pruner(await OpenAsync(store), time);
        Assert.True((await pruner.PlanAsync(Policy, null, default)).IsEmpty, "a prune of what was just pruned has something to do");
    }

    /// <summary>The newest backups are there, and each that is offered leads as far as its log ever did, byte by byte.</summary>
    public async Task ExpectKeptAsync(bool whole)
    {
        var (catalog, log) = (await VaultCatalog.LoadAsync(vault, default), await WalCatalog.LoadAsync(vault, default));
        var newest = backups.OrderByDescending(item => item.Record.Time).ToList();
        var required = newest.Take(BackupsKept).Concat(newest.Where(IsConsistent).Take(1)).Select(item => item.Record.Id);
        Assert.Subset(catalog.Backups.ToHashSet(), required.ToHashSet());

        var offered = backups.Where(item => catalog.Backups.Contains(item.Record.Id)).ToList();
        foreach (var (record, first) in offered.Where(IsConsistent))
        {
            var (backup, _) = await ClusterBackup.OpenAsync(vault, record, default);
            foreach (var timeline in timelines.Where(item => Leads(record, item)))
            {
                var plan = await new RecoveryPlanner(log, [backup]).PlanAsync(
                    new RecoveryTarget.Latest(), timeline.Number, record.Id, RecoveryAction.Promote, default);
                Assert.Equal(new WalRange(AddressOf(first), AddressOf(Reach(timeline, SegmentOf(first)))), plan.Log);
                await ExpectBytesAsync(log, timeline, SegmentOf(first), whole ? Reach(timeline, SegmentOf(first)) : first + 1);
            }
        }
    }

    /// <summary>What is before all that the backups need is gone, and a verification finds nothing.</summary>
    public async Task ExpectSmallAsync()
    {
        var (catalog, log) = (await VaultCatalog.LoadAsync(vault, default), await WalCatalog.LoadAsync(vault, default));
        var first = backups.Where(item => catalog.Backups.Contains(item.Record.Id)).Min(item => SegmentOf(item.First));
        foreach (var entry in timelines.SelectMany(timeline => log.Objects(timeline.Number)))
        {
            Assert.True(entry.Range.End > AddressOf(first), $"{entry.Key} is there, and no backup needs it");
        }

        var report = await new VaultVerifier(await OpenAsync(store), new VerifyOptions()).RunAsync(default);

        // The bytes of this log are no records, so none of it counts there.
        Assert.Empty(report.Findings
            .Where(finding => !finding.Key.StartsWith(VaultKeys.Wals, StringComparison.Ordinal)
                && !finding.What.StartsWith("it needs the log", StringComparison.Ordinal))
            .Select(finding => $"{finding.Key}: {finding.What}"));
    }

    public async Task<PrunePlan> PlanAsync(BackupRules rules) =>
        await new Pruner(vault, time).PlanAsync(Policy with { Backups = rules }, proven: null, default);

    public Task CondemnBackupAsync(ulong id) => new Pruner(vault, time).CondemnBackupAsync(id, proven: null, Grace, default);

    /// <summary>The keys of all that ends at a grain or before it.</summary>
    public async Task<List<string>> ObjectsBeforeAsync(int grain) =>
        [.. (await ObjectsAsync()).Where(entry => entry.Range.End <= AddressOf(grain)).Select(entry => entry.Key)];

    public async Task<string> ObjectWithAsync(int grain) =>
        (await ObjectsAsync()).First(entry => entry.Range.Has(AddressOf(grain))).Key;

    ValueTask<List<WalRef>> ObjectsAsync() => vault.ListAsync(VaultKeys.Wals, after: null, default)
        .Select(row => VaultKeys.WalOf(row.Key, row.SizeBytes)).ToListAsync();

    static async Task ExpectBytesAsync(WalCatalog log, Timeline timeline, int first, int end)
    {
        using var reader = new WalReader(log);
        var read = new byte[(end - first) * Grain];
        await reader.ReadAsync(timeline.Number, AddressOf(first), read, default);
        for (var grain = first; grain < end; grain++)
        {
            Assert.Equal(ByteOf(Owner(timeline, grain), grain), read[(grain - first) * Grain]);
        }
    }

    bool IsConsistent((BackupRecord Record, int First) item) =>
        AddressOf(Reach(timelines[(int)item.Record.Branch - 1], SegmentOf(item.First))).Value >= item.Record.Position;

    static bool Leads(BackupRecord record, Timeline timeline)
    {
        var end = int.MaxValue;
        for (var item = timeline; item is not null; item = item.Parent)
        {
            if (item.Number == record.Branch)
            {
                return record.Position <= (ulong)end * Grain;
            }

            end = Math.Min(end, item.Fork);
        }

        return false;
    }

    /// <summary>Up to which grain there is no gap on the way to a timeline.</summary>
    static int Reach(Timeline timeline, int grain)
    {
        // What a timeline has from before it began, and its parents lack, serves too.
        while (PathTo(timeline).SkipWhile(item => item != Owner(timeline, grain)).Any(item => item.Stored.Contains(grain)))
        {
            grain++;
        }

        return grain;
    }

    static Timeline Owner(Timeline timeline, int grain) =>
        PathTo(timeline).Last(item => item.Parent is null || item.Fork <= grain);

    static IEnumerable<Timeline> PathTo(Timeline timeline) =>
        timeline.Parent is { } parent ? PathTo(parent).Append(timeline) : [timeline];

    async Task BeginAsync(Timeline timeline)
    {
        timelines.Add(timeline);
        var history = TimelineHistory.Read(timeline.Number, System.Text.Encoding.ASCII.GetBytes(timeline.History));
        Assert.Equal(timeline.Number, await WalBranches.EnsureAsync(vault, Shape.SystemId, history, time, default));
        await StoreAsync(timeline, SegmentOf(timeline.Fork), timeline.Fork);
        await WriteAsync(timeline, GrainsOfSegment);
    }

    async Task WriteAsync(Timeline timeline, int grains)
    {
        for (var end = timeline.End + grains; timeline.End < end;)
        {
            var next = Math.Min(end, timeline.End + random.Next(1, 30));
            await StoreAsync(timeline, timeline.End, next);
            timeline.End = next;
        }
    }

    async Task StoreAsync(Timeline timeline, int first, int end)
    {
        const int OfBlock = (int)(WalRange.BlockBytes / Grain);
        for (var at = first; at < end;)
        {
            var next = Math.Min(end, ((at / OfBlock) + 1) * OfBlock);
            var content = new byte[(next - at) * Grain];
            for (var grain = at; grain < next; grain++)
            {
                content.AsSpan((grain - at) * Grain, Grain).Fill(ByteOf(Owner(timeline, grain), grain));
                timeline.Stored.Add(grain);
            }

            var range = new WalRange(AddressOf(at), AddressOf(next));
            Assert.True(await WalWriter.PutAsync(
                vault, new WalRef(timeline.Number, range), content, new WalDetails(Shape, timeline.Number, [], WalIndex.Of([], range)),
                (time.Now, time.Now), stored: null, default));
            at = next;
        }
    }

    async Task BackUpAsync()
    {
        var timeline = timelines[^1];
        await WriteAsync(timeline, random.Next(1, 40));
        var first = random.Next(Math.Max(timeline.Fork, timeline.End - 60), timeline.End);
        await BackUpAsync(first, random.Next(first + 1, timeline.End + 1));
    }

    /// <summary>A base backup on the newest timeline with the log that it needs, in grains.</summary>
    public async Task BackUpAsync(int first, int end)
    {
        var timeline = timelines[^1];
        await WriteAsync(timeline, Math.Max(0, end - timeline.End));
        if (backups.Any(item => item.Record.Branch == timeline.Number && item.Record.Position == AddressOf(end).Value))
        {
            return;
        }

        await using var writer = await TreeSnapshotWriter.BeginAsync(
            await VaultCatalog.LoadAsync(vault, default), new HashSet<string>(), default);
        await writer.FinishAsync(
            default,
            new ObjectHeader
            {
                Kind = ObjectKind.Snapshot, VaultId = vault.Id, Branch = timeline.Number, PositionFirst = AddressOf(first).Value,
                PositionLast = AddressOf(end).Value, TimeFirstMicros = Micros.Of(time.Now), TimeLastMicros = Micros.Of(time.Now),
            },
            default);
        var record = await Backups.PutAsync(
            vault,
            new BackupRecord
            {
                Id = 0, Branch = timeline.Number, Position = AddressOf(end).Value, Time = time.Now, Label = "", Mode = "full",
                CreatedAt = time.Now, Host = "model", SizeBytes = 0, Checksum = "", AddedBytes = 0,
            },
            default);
        backups.Add((record, first));
    }

    /// <summary>A standby is promoted, or the server is rolled back to an earlier address.</summary>
    async Task ForkAsync()
    {
        var parent = timelines[random.Next(timelines.Count)];
        if (timelines.Count < 5 && parent.End > parent.Fork + 1)
        {
            var fork = random.Next(Math.Max(parent.Fork + 1, parent.End - 120), parent.End + 1);
            var number = (uint)timelines.Count + 1;
            await BeginAsync(new Timeline(number, parent, fork, $"{parent.History}{parent.Number}\t{AddressOf(fork)}\tmodel\n"));
        }
    }

    /// <summary>The server removed log that nobody had stored.</summary>
    Task LoseAsync()
    {
        timelines[^1].End += random.Next(3) == 0 ? random.Next(1, 40) : 0;
        return Task.CompletedTask;
    }

    async Task MergeAsync()
    {
        await merger.RunAsync(default);
        time.Now += TimeSpan.FromMinutes(random.Next(30));
        await merger.RunAsync(default);
    }

    async Task UndeleteAsync()
    {
        var open = (await Condemnations.LoadAsync(vault, default)).All.Where(item => item.Outcome is null).ToList();
        if (open.Count > 0)
        {
            await new Pruner(vault, time).UndeleteAsync(open[random.Next(open.Count)].Number, default);
        }
    }

    /// <summary>One that dies at any of its calls, two at once, one beside a merge, or one in peace.</summary>
    async Task PruneAsync()
    {
        var dies = random.Next(1, 150);
        var fault = random.Next(2) == 0 ? Fault.Before : Fault.After;
        var faulty = new FaultyStore(store, call => call.Number == dies ? fault : call.Number > dies ? Fault.Before : Fault.None);
        await (random.Next(4) switch
        {
            0 => PruneAsync(store),
            1 => Task.WhenAll(PruneAsync(store), PruneAsync(store)),
            2 => Task.WhenAll(PruneAsync(store), merger.RunAsync(default)),
            _ => DieAsync(),
        });

        async Task DieAsync()
        {
            try
            {
                await PruneAsync(faulty);
            }
            catch (StorageException)
            {
                // The next one goes on.
            }
        }
    }

    async Task PruneAsync(IObjectStore at)
    {
        var pruner = new Pruner(await OpenAsync(at), time);
        Deleted += (await pruner.DeleteAsync(dryRun: false, default)).Objects;
        await pruner.CondemnAsync(Policy, proven: null, Grace, default);
    }

    static async Task<VaultAccess> OpenAsync(IObjectStore at) => (await VaultAccess.FindAsync(at, "pg", default))!;

    static int SegmentOf(int grain) => grain / GrainsOfSegment * GrainsOfSegment;

    static Lsn AddressOf(int grain) => new((ulong)grain * Grain);

    static byte ByteOf(Timeline timeline, int grain) => (byte)((timeline.Number * 101) + (grain * 7) + (grain >> 8));
}
