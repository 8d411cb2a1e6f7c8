using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Tests.Vault.Snapshots;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Tests.Vault;

/// <summary>
/// Every call to the store fails, before and after its effect; then the same operation is run again. It must end where an undisturbed
/// run ends, and the number of calls is part of the promise.
/// </summary>
public sealed class VaultFaultTests
{
    [Fact]
    public async Task Making_a_vault_is_two_sizes_put_read() => Assert.Equal(4, await EveryFault.TryAsync(
        createStore: () => new MemoryStore(),
        operation: OpenAsync,
        check: async store =>
        {
            Assert.Equal(["app/vault"], await KeysAsync(store));
            var (first, second) = (await OpenAsync(store), await OpenAsync(store));
            Assert.Equal(first.Id, second.Id);
        }));

    [Fact]
    public async Task Opening_a_vault_is_one_read() => Assert.Equal(1, await EveryFault.TryAsync(
        createStore: () => Prepared(OpenAsync),
        operation: OpenAsync,
        check: async store => Assert.Equal(["app/vault"], await KeysAsync(store))));

    /// <summary>A claim whose answer was lost is a number that nobody uses: the next one is free, and no two writers share one.</summary>
    [Fact]
    public async Task A_claim_is_a_listing_and_a_put_after_the_opening()
    {
        uint epoch = 0;

        Assert.Equal(1 + 2, await EveryFault.TryAsync(
            createStore: () => Prepared(OpenAsync),
            operation: async store => epoch = await new WriterClaims(await OpenAsync(store)).ClaimAsync(Claim, default),
            check: async store =>
            {
                Assert.InRange(epoch, 1u, 2u);
                Assert.Equal(
                    Enumerable.Range(1, (int)epoch).Select(number => $"app/claims/{number:D10}"), (await KeysAsync(store)).SkipLast(1));
            }));
        Assert.Equal(1u, epoch);
    }

    /// <summary>
    /// The writer looks once at the end of the log, appends a change-set that failed again, and then the next, as whoever publishes does.
    /// </summary>
    [Fact]
    public async Task Appending_is_one_put_and_nothing_is_skipped_or_stored_twice() => Assert.Equal(1 + 1 + 4, await EveryFault.TryAsync(
        createStore: () => Prepared(OpenAsync),
        operation: async store =>
        {
            var vault = await OpenAsync(store);
            var start = Lineage.StartOf(vault.Secrets, vault.Id, 1, Position.None, Hash256.Zero);
            var writer = new LogWriter(vault, new LogTip(1, 0, Position.None, 0, start), epoch: 1, TimeProvider.System);
            foreach (var (page, final) in (IEnumerable<(uint, bool)>)[(1, true), (2, false), (3, true), (4, true)])
            {
                using var change = Change(page, final);
                try
                {
                    await writer.AppendAsync(change, default);
                }
                catch (StorageException e) when (e.MayPass)
                {
                    await writer.AppendAsync(change, default);
                }
            }

            Assert.Equal((4UL, 3UL), (writer.Tip.Number, writer.Tip.Position.Value));
        },
        check: async store =>
        {
            var catalog = await VaultReading.OpenAsync(store);
            Assert.Equal(4UL, catalog.Logs(1).Last);
            var link = Lineage.StartOf(catalog.Vault.Secrets, catalog.Vault.Id, 1, Position.None, Hash256.Zero);
            foreach (var (number, position) in (IEnumerable<(uint, ulong)>)[(1, 1), (2, 2), (3, 2), (4, 3)])
            {
                var log = await catalog.ReadLogAsync(1, number, default);
                Assert.Equal(link, log.Header.LineageBefore);
                Assert.Equal((position, number), (log.Header.PositionFirst, log.Details.Pages.Single().Number));
                link = log.Header.LineageAfter;
            }
        }));

    [Fact]
    public async Task A_snapshot_is_its_packs_and_its_root_after_the_opening()
    {
        var content = new byte[14 << 20];
        new Random(1).NextBytes(content);

        // The number of the last prune, two packs of content, one of lists, what prunes condemned meanwhile, the root.
        Assert.Equal(1 + 6, await EveryFault.TryAsync(
            createStore: () => Prepared(OpenAsync),
            operation: async store => await SnapshotTests.WriteAsync(await OpenAsync(store), 4096, content),
            check: async store =>
            {
                Assert.Equal(3 + 2, (await KeysAsync(store)).Count);
                var vault = (await VaultAccess.FindAsync(store, "app", default))!;
                var reader = await SnapshotReader.OpenAsync(vault, new SnapshotRef(1, new Position(5)), default);
                var read = new byte[content.Length];
                await reader.ReadAsync(1, (offset, piece) => piece.CopyTo(read.AsSpan((int)offset)), default);
                Assert.True(content.AsSpan().SequenceEqual(read));
            }));
    }

    /// <summary>What retries below sees its own record, and takes no second number for it.</summary>
    [Fact]
    public async Task A_backup_whose_answer_was_lost_is_one_backup()
    {
        var store = Prepared(OpenAsync);
        var lost = 0;
        var faulty = new FaultyStore(store, call =>
            call is { Operation: StoreOperation.Put, Key: "app/backups/0000000001" } && lost++ == 0 ? Fault.After : Fault.None);
        var retrying = new RetryingStore(faulty, TimeProvider.System, new Random(1), _ => { });
        var vault = await OpenAsync(retrying);

        var first = await Backups.PutAsync(vault, Backup, default);
        var second = await Backups.PutAsync(vault, Backup with { Label = "two" }, default);

        Assert.Equal((2, 1UL, 2UL), (lost, first.Id, second.Id));
        var catalog = await VaultReading.OpenAsync(store);
        Assert.Equal([1UL, 2UL], catalog.Backups);
        Assert.Equal(Backup with { Id = 1 }, await Backups.ReadAsync(catalog, 1, default) with { Before = null });
        Assert.Equal(1UL, second.Before!.Id);
        Assert.Equal("two", (await Backups.ReadAsync(catalog, 2, default)).Label);
    }

    [Fact]
    public async Task A_backup_in_the_place_of_another_is_named()
    {
        var store = Prepared(OpenAsync);
        await Backups.PutAsync(await OpenAsync(store), Backup, default);
        var frozen = await FrozenStore.CopyAsync(store);
        var catalog = await VaultReading.OpenAsync(frozen.With("app/backups/0000000007", frozen["app/backups/0000000001"]));

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(() => Backups.ReadAsync(catalog, 7, default));

        Assert.Equal("object backups/0000000007 is damaged: it is Backup object 1, put in this place", failure.Message);
    }

    static readonly BackupRecord Backup = new()
    {
        Id = 0,
        Branch = 1,
        Position = 5,
        Time = DateTimeOffset.UnixEpoch,
        Label = "",
        Mode = "full",
        CreatedAt = DateTimeOffset.UnixEpoch,
        Host = "host",
        SizeBytes = 1,
        Checksum = "0000000000000001",
        AddedBytes = 1,
    };

    static readonly ClaimRecord Claim = new()
    {
        Host = "host",
        BootId = "boot",
        Pid = 1,
        StartTicks = 1,
        WriterId = "id",
        Since = DateTimeOffset.UnixEpoch,
        Version = "1",
    };

    static Task<VaultAccess> OpenAsync(IObjectStore store) =>
        VaultAccess.OpenOrCreateAsync(store, "app", "sqlite", "/data/app.db", TimeProvider.System, default);

    static MemoryStore Prepared(Func<MemoryStore, Task> prepare)
    {
        var store = new MemoryStore();
        prepare(store).GetAwaiter().GetResult();
        return store;
    }

    static async Task<List<string>> KeysAsync(IObjectStore store) =>
        await store.ListAsync("", null, default).Select(row => row.Key).ToListAsync();

    static ChangeSetBuilder Change(uint page, bool final)
    {
        var change = new ChangeSetBuilder(LogKind.Commits, 512, checksumBefore: 0) { Final = final };
        change.AddPage(page, hash: page, new byte[512]);
        if (final)
        {
            change.AddCommit(page, page, page, checksum: page);
        }

        return change;
    }
}
