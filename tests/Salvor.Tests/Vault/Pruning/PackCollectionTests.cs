using System.Buffers;
using System.Buffers.Binary;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Vault.Pruning;

public sealed class PackCollectionTests
{
    const int PageSize = 4096;
    const int ChunkBytes = SnapshotDetails.ChunkBytesMin;

    readonly MemoryStore store = new();
    readonly ManualTime time = new();

    [Fact]
    public async Task Snapshots_from_which_nothing_is_reached_go_with_their_packs_and_what_is_kept_restores()
    {
        var aged = await AgedVault.CreateAsync();
        var snapshots = (await VaultReading.OpenAsync(aged.Store)).Snapshots.Count;

        var (plan, _) = await aged.CondemnAsync();
        aged.Time.Advance(TimeSpan.FromDays(7));
        await aged.DeleteAsync();

        var catalog = await VaultReading.OpenAsync(aged.Store);
        Assert.InRange(catalog.Snapshots.Count, 1, snapshots - 10);
        Assert.Contains(plan.Lines, line => line is { IsKept: false, Reason: "no snapshot that is kept needs them" });
        var use = await PackUse.ReadAsync(catalog, new HashSet<SnapshotRef>(), default);
        Assert.Equal(use.Packs.Count, await CountAsync(aged.Store, "app/packs/"));
        Assert.All(use.Packs.Keys, pack => Assert.True(use.Chunks(pack) > 0, $"nothing uses {pack}"));
        Assert.Null(use.Missing);
        await aged.ExpectRestorableAsync();
        Assert.Empty(await FindingsAsync(aged.Store));
    }

    [Fact]
    public async Task A_pack_of_which_little_is_needed_is_moved_and_snapshots_that_name_it_restore_from_the_new_one()
    {
        var vault = await CreateAsync();
        var content = Content(1, chunks: 40);
        var old = await StoreAsync(vault, 1, content);
        var changed = Changed(content, keptChunks: 7);
        await StoreOnAsync(vault, 2, changed, of: 1, keptChunks: 7);
        var before = await CountAsync(store, "app/packs/");

        await CondemnAsync(vault, old);
        var pruner = new Pruner(vault, time);
        time.Advance(Pruner.GraceDefault);
        var deleted = await pruner.DeleteAsync(dryRun: false, default);

        Assert.True(deleted.Objects > 1, $"{deleted.Objects} objects were deleted of {before} packs");
        Assert.Equal(1, await CountAsync(store, "app/moves/"));
        Assert.Equal(changed, await ReadAsync(vault, 2));
        Assert.Empty(await FindingsAsync(store));
        var (again, number) = await pruner.CondemnAsync(Everything, null, Pruner.GraceDefault, default);
        Assert.Null(number);
        Assert.Empty(again.Condemned);
    }

    [Fact]
    public async Task What_was_moved_and_taken_back_is_read_from_either_place()
    {
        var vault = await CreateAsync();
        var content = Content(1, chunks: 40);
        var old = await StoreAsync(vault, 1, content);
        var changed = Changed(content, keptChunks: 7);
        await StoreOnAsync(vault, 2, changed, of: 1, keptChunks: 7);
        await CondemnAsync(vault, old);

        await new Pruner(vault, time).UndeleteAsync(1, default);

        Assert.Equal(content, await ReadAsync(vault, 1));
        Assert.Equal(changed, await ReadAsync(vault, 2));
        Assert.Empty(await FindingsAsync(store));
    }

    [Fact]
    public async Task A_condemned_pack_that_a_later_snapshot_needs_stays()
    {
        var vault = await CreateAsync();
        var content = Content(1, chunks: 40);
        var old = await StoreAsync(vault, 1, content);
        await StoreAsync(vault, 3, Content(3, chunks: 1));
        await CondemnAsync(vault, old);
        Assert.Equal(0, (await new Pruner(vault, time).DeleteAsync(dryRun: false, default)).Objects);

        // As somebody does who began before that.
        await StoreOnAsync(vault, 2, content, of: 1, keptChunks: 40);
        time.Advance(Pruner.GraceDefault);
        var pruner = new Pruner(vault, time);
        await pruner.DeleteAsync(dryRun: false, default);
        await pruner.DeleteAsync(dryRun: false, default);

        Assert.Equal(content, await ReadAsync(vault, 2));
        Assert.NotEmpty((await Condemnations.LoadAsync(vault, default)).All[0].Outcome!.Kept);
        Assert.Empty(await FindingsAsync(store));
    }

    [Fact]
    public async Task Chunks_that_come_back_are_stored_anew_and_are_not_what_was_condemned()
    {
        var vault = await CreateAsync();
        var content = Content(1, chunks: 40);
        var old = await StoreAsync(vault, 1, content);
        await StoreAsync(vault, 3, Content(3, chunks: 1));
        await CondemnAsync(vault, old);

        await StoreAsync(vault, 2, content);
        time.Advance(Pruner.GraceDefault);
        var deleted = await new Pruner(vault, time).DeleteAsync(dryRun: false, default);
        await StoreAsync(vault, 4, content);

        Assert.True(deleted.Objects > 0);
        Assert.Empty((await Condemnations.LoadAsync(vault, default)).All[0].Outcome!.Kept);
        Assert.Equal(content, await ReadAsync(vault, 2));
        Assert.Equal(content, await ReadAsync(vault, 4));
        Assert.Equal(0, (await new Pruner(vault, time).DeleteAsync(dryRun: false, default)).Objects);
        Assert.Empty(await FindingsAsync(store));
    }

    [Fact]
    public async Task A_snapshot_whose_pack_was_condemned_while_it_was_made_is_not_published_and_succeeds_when_it_is_made_again()
    {
        var vault = await CreateAsync();
        var content = Content(1, chunks: 1500);
        await using var writer = new SnapshotWriter(vault, 1, PageSize);
        await AddAsync(writer, content);
        var stored = await CountAsync(store, "app/packs/");
        await new Pruner(vault, time).CondemnAsync(Everything, null, Pruner.GraceDefault, default);

        var failure = await Assert.ThrowsAsync<SalvorException>(() => FinishAsync(writer, 1, content));

        Assert.True(stored > 0, "no pack was stored before the end");
        Assert.Equal(FailureKind.Locked, failure.Kind);
        Assert.Matches("^a prune of vault memory/app condemned packs/[0-9a-f]{64} while it was made use of$", failure.Message);
        Assert.Equal("Nothing is lost. Try again: what goes is stored anew then.", failure.Hint);
        Assert.Equal(0, await CountAsync(store, "app/snapshots/"));
        await StoreAsync(vault, 1, content);
        time.Advance(Pruner.GraceDefault);
        Assert.True((await new Pruner(vault, time).DeleteAsync(dryRun: false, default)).Objects > 0);
        Assert.Equal(content, await ReadAsync(vault, 1));
    }

    [Fact]
    public async Task Young_packs_that_nobody_names_yet_are_left()
    {
        var vault = await CreateAsync();
        await StoreAsync(vault, 3, Content(3, chunks: 1));
        var now = time.GetUtcNow();
        await vault.PutAsync(VaultKeys.Pack(Hash256.Of("pack"u8)), new byte[10], default);

        foreach (var (age, goes) in ((TimeSpan?, int)[])[(TimeSpan.FromHours(23), 0), (TimeSpan.FromHours(25), 1), (null, 1)])
        {
            var dated = new DatedStore(store, now - age);
            var pruner = new Pruner((await VaultAccess.FindAsync(dated, "app", default))!, time);
            var plan = await pruner.PlanAsync(Everything, null, default);
            Assert.Equal(goes, plan.Condemned.SelectMany(group => group.Keys).Count());
        }
    }

    [Fact]
    public async Task Where_a_pack_is_missing_no_other_goes()
    {
        var vault = await CreateAsync();
        await StoreAsync(vault, 1, Content(1, chunks: 40));
        await vault.PutAsync(VaultKeys.Pack(Hash256.Of("pack"u8)), new byte[10], default);
        var pack = (await store.ListAsync("app/packs/", null, default).ToListAsync()).MaxBy(row => row.SizeBytes).Key;
        await store.DeleteAsync(pack, default);

        var plan = await new Pruner(vault, time).PlanAsync(Everything, null, default);

        Assert.Empty(plan.Condemned);
        Assert.Contains(new PruneLine("the packs", true, $"{pack["app/".Length..]} is missing; run 'salvor repair' first"), plan.Lines);
    }

    [Fact]
    public async Task Where_a_pack_is_missing_that_a_kept_snapshot_needs_no_snapshot_and_no_log_goes_either()
    {
        var aged = await AgedVault.CreateAsync();
        var catalog = await VaultReading.OpenAsync(aged.Store);
        var planned = await PlanAsync();
        Assert.NotEmpty(planned.Condemned);
        var use = await PackUse.ReadAsync(catalog, planned.Snapshots, default);
        var pack = VaultKeys.Pack(use.Packs.Keys.First(pack => use.Chunks(pack) > 0));
        await aged.Store.DeleteAsync($"app/{pack}", default);

        var plan = await PlanAsync();

        Assert.Empty(plan.Condemned);
        Assert.Contains(new PruneLine("the packs", true, $"{pack} is missing; run 'salvor repair' first"), plan.Lines);
        Assert.All(plan.Lines, line => Assert.True(line.IsKept, $"{line}"));

        Task<PrunePlan> PlanAsync() => new Pruner(catalog.Vault, aged.Time).PlanAsync(Everything, null, default);
    }

    static PrunePolicy Everything { get; } = AgedVault.Policy;

    Task<VaultAccess> CreateAsync() => VaultAccess.OpenOrCreateAsync(store, "app", "sqlite", "/app.db", time, default);

    static byte[] Content(int seed, int chunks)
    {
        var content = new byte[chunks * ChunkBytes];
        new Random(seed).NextBytes(content);
        return content;
    }

    static byte[] Changed(byte[] content, int keptChunks)
    {
        var changed = Content(99, content.Length / ChunkBytes);
        content.AsSpan(0, keptChunks * ChunkBytes).CopyTo(changed);
        return changed;
    }

    /// <summary>Stores a snapshot at a position.</summary>
    static async Task<SnapshotRef> StoreAsync(VaultAccess vault, ulong position, byte[] content)
    {
        await using var writer = new SnapshotWriter(vault, 1, PageSize);
        await AddAsync(writer, content);
        return await FinishAsync(writer, position, content);
    }

    /// <summary>Stores a snapshot whose first chunks are those of another.</summary>
    static async Task StoreOnAsync(VaultAccess vault, ulong position, byte[] content, ulong of, int keptChunks)
    {
        var reader = await SnapshotReader.OpenAsync(vault, new SnapshotRef(1, new Position(of)), default);
        await using var writer = new SnapshotWriter(vault, 1, PageSize);
        for (var i = 0; i < keptChunks; i++)
        {
            var (first, leaf) = await reader.LeafOfAsync((uint)i, default);
            writer.Keep(leaf.Entries[i - (int)first], Hashes(content.AsSpan(i * ChunkBytes, ChunkBytes)));
        }

        await AddAsync(writer, content[(keptChunks * ChunkBytes)..]);
        await FinishAsync(writer, position, content);
    }

    static async Task AddAsync(SnapshotWriter writer, byte[] content)
    {
        foreach (var run in content.Chunk(SnapshotWriter.RunBytes))
        {
            var rented = ArrayPool<byte>.Shared.Rent(run.Length);
            run.CopyTo(rented, 0);
            await writer.AddAsync(rented, run.Length, Hashes(run), default);
        }
    }

    static async Task<SnapshotRef> FinishAsync(SnapshotWriter writer, ulong position, byte[] content)
    {
        var tip = new LogTip(1, position, new Position(position), TimeMicros: 1000, Hash256.Zero);
        var checksum = Hashes(content).Aggregate(0UL, (sum, hash) => sum ^ hash);
        await writer.FinishAsync(tip, (uint)(content.Length / PageSize), checksum, isImage: false, default);
        return new SnapshotRef(1, tip.Position);
    }

    static async Task<byte[]> ReadAsync(VaultAccess vault, ulong position)
    {
        var reader = await SnapshotReader.OpenAsync(vault, new SnapshotRef(1, new Position(position)), default);
        var content = new byte[reader.Details.SizeBytes];
        await reader.ReadAsync(packsInFlight: 1, (offset, bytes) => bytes.CopyTo(content.AsSpan((int)offset)), default);
        return content;
    }

    static ulong[] Hashes(ReadOnlySpan<byte> content)
    {
        var hashes = new ulong[content.Length / PageSize];
        for (var i = 0; i < hashes.Length; i++)
        {
            hashes[i] = BinaryPrimitives.ReadUInt64LittleEndian(content[(i * PageSize)..]);
        }

        return hashes;
    }

    /// <summary>What a prune does for which nothing is reached from a snapshot any more.</summary>
    async Task CondemnAsync(VaultAccess vault, SnapshotRef old)
    {
        var use = await PackUse.ReadAsync(await VaultCatalog.LoadAsync(vault, default), new HashSet<SnapshotRef> { old }, default);
        var garbage = await Garbage.FindAsync(use, time.GetUtcNow(), default);
        await Repacking.RunAsync(vault, use, garbage.Sparse, progressed: null, time, default);
        var number = await Condemnations.LastAsync(vault, default) + 1;
        var record = new CondemnedRecord
        {
            At = time.GetUtcNow(),
            Host = "h",
            Pid = 1,
            GraceSeconds = (long)Pruner.GraceDefault.TotalSeconds,
            Groups =
            [
                new CondemnedGroup("old", "", [VaultKeys.Snapshot(old.Branch, old.Position)]),
                .. PrunePlan.Nothing.With(garbage).Condemned,
            ],
            Pruned = [],
        };
        using var writer = vault.NewObject();
        var header = new ObjectHeader { Kind = ObjectKind.Condemned, VaultId = vault.Id, Number = number };
        var (bytes, _) = writer.Finish(header, VaultJson.Write(record, VaultJson.Default.CondemnedRecord));
        Assert.True(await vault.PutAsync(VaultKeys.CondemnedBy(number), bytes, default));
    }

    static async Task<int> CountAsync(MemoryStore store, string prefix) => await store.ListAsync(prefix, null, default).CountAsync();

    static async Task<List<string>> FindingsAsync(MemoryStore store)
    {
        var report = await new VaultVerifier((await VaultAccess.FindAsync(store, "app", default))!, new VerifyOptions()).RunAsync(default);
        return [.. report.Findings.Select(finding => $"{finding.Key}: {finding.What}")];
    }

    /// <summary>A destination that says when it stored what it has.</summary>
    sealed class DatedStore(IObjectStore inner, DateTimeOffset? storedAt) : ForwardingStore(inner)
    {
        public override IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
            base.ListAsync(prefix, after, cancellationToken).Select(row => row with { StoredAt = storedAt });
    }
}
