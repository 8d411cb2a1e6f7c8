using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Vault;

/// <summary>
/// A writer that was frozen while another one went on, merged the log and deleted what was merged: the numbers are free again, and must
/// not be used again.
/// </summary>
public sealed class FrozenWriterTests
{
    readonly MemoryStore store = new();
    readonly ManualTime time = new();

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task A_writer_that_was_frozen_looks_before_it_publishes(bool clockTells, bool timerTells)
    {
        var frozen = await OpenAsync(store);
        await AppendAsync(frozen, 1);
        await TakeOverAsync(frozen.Tip);
        time.Advance(clockTells ? TimeSpan.FromMinutes(2.5) : TimeSpan.Zero, timerTells ? TimeSpan.FromMinutes(2.5) : TimeSpan.Zero);

        var failure = await Assert.ThrowsAsync<TakenOverException>(() => AppendAsync(frozen, 2));

        Assert.Equal("another writer added log/000001/0000000000000002-0000000000000039 to vault memory/app", failure.Message);
        Assert.Equal(1UL, frozen.Tip.Number);
        Assert.Null(await store.SizeAsync("app/log/000001/0000000000000002", default));
    }

    [Fact]
    public async Task A_writer_that_was_frozen_in_the_middle_of_a_put_looks_before_it_counts_it()
    {
        LogWriter frozen = null!;
        var isFreezing = false;
        var freezing = new FaultyStore(store, call => isFreezing && call.Operation == StoreOperation.Put ? Freeze() : Fault.None);
        frozen = await OpenAsync(freezing);
        await AppendAsync(frozen, 1);
        isFreezing = true;

        await Assert.ThrowsAsync<TakenOverException>(() => AppendAsync(frozen, 2));

        // It did store something, under a number that was free; nobody reads it, and it is not called durable.
        Assert.NotNull(await store.SizeAsync("app/log/000001/0000000000000002", default));
        Assert.Equal(1UL, frozen.Tip.Number);
        var catalog = await VaultReading.OpenAsync(store);
        Assert.Equal([(1UL, 1UL), (2, 39), (40, 40)], catalog.Logs(1).Chain.Select(entry => (entry.First, entry.Last)));
        var spans = await RestoreSpans.FindAsync(catalog, default);
        Assert.Equal([(1UL, 40UL)], spans.Select(span => (span.First.Value, span.Last.Value)));

        Fault Freeze()
        {
            isFreezing = false;
            Assert.True(TakeOverAsync(frozen.Tip).Wait(TimeSpan.FromMinutes(1)));
            time.Advance(TimeSpan.FromMinutes(11), TimeSpan.FromMinutes(11));
            return Fault.None;
        }
    }

    [Fact]
    public async Task A_writer_that_publishes_steadily_looks_once_and_one_that_paused_looks_again()
    {
        var looks = 0;
        var counting = new FaultyStore(store, call =>
        {
            looks += call.Operation == StoreOperation.List ? 1 : 0;
            return Fault.None;
        });
        var writer = await OpenAsync(counting);
        looks = 0;

        for (var page = 1u; page < 5; page++)
        {
            await AppendAsync(writer, page);
            time.Advance(TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(2));
        }

        Assert.Equal(1, looks);
        time.Advance(TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1));
        await AppendAsync(writer, 5);
        Assert.Equal(2, looks);
    }

    [Fact]
    public async Task Its_own_object_whose_answer_was_lost_is_not_foreign()
    {
        var isLost = false;
        var lossy = new FaultyStore(store, call => call.Operation == StoreOperation.Put && isLost ? Fault.After : Fault.None);
        var writer = await OpenAsync(lossy);
        isLost = true;
        await Assert.ThrowsAsync<StorageException>(() => AppendAsync(writer, 1));
        isLost = false;
        time.Advance(TimeSpan.FromHours(1), TimeSpan.FromHours(1));

        await AppendAsync(writer, 1);

        Assert.Equal(1UL, writer.Tip.Number);
    }

    /// <summary>Another writer adds 39 objects, merges all but its last, and deletes what is merged.</summary>
    async Task TakeOverAsync(LogTip tip)
    {
        var vault = (await VaultAccess.FindAsync(store, "app", default))!;
        var rival = new LogWriter(vault, tip, epoch: 2, new ManualTime());
        for (var page = 2u; page <= 40; page++)
        {
            await AppendAsync(rival, page);
        }

        var catalog = await VaultCatalog.LoadAsync(vault, default);
        IReadOnlyList<LogEntry> merged = [.. catalog.Logs(1).Chain.Skip(1).SkipLast(1)];
        await new Compactor(catalog).RunAsync(1, new CompactionRun(merged, null), default);
        foreach (var entry in merged)
        {
            await store.DeleteAsync("app/" + VaultKeys.Log(1, entry), default);
        }
    }

    async Task<LogWriter> OpenAsync(IObjectStore through)
    {
        await VaultAccess.OpenOrCreateAsync(store, "app", "sqlite", "/data/app.db", TimeProvider.System, default);
        var vault = (await VaultAccess.FindAsync(through, "app", default))!;
        var catalog = await VaultCatalog.LoadAsync(vault, default);
        if (catalog.IsEmpty)
        {
            await Forks.BeginAsync(catalog, 1, TimeProvider.System, default);
        }

        var start = new LogTip(1, 0, Position.None, 0, Lineage.StartOf(vault.Secrets, vault.Id, 1, Position.None, Hash256.Zero));
        return new LogWriter(vault, start, epoch: 1, time);
    }

    /// <summary>A transaction that adds this page to a database of the pages before it.</summary>
    async Task AppendAsync(LogWriter writer, uint page)
    {
        var hasher = (await VaultAccess.FindAsync(store, "app", default))!.Hasher;
        var checksum = 0UL;
        for (var earlier = 1u; earlier < page; earlier++)
        {
            checksum ^= hasher.Hash(earlier, Content(earlier));
        }

        var hash = hasher.Hash(page, Content(page));
        using var change = new ChangeSetBuilder(page == 1 ? LogKind.Base : LogKind.Commits, 512, checksum);
        change.AddPage(page, hash, Content(page));
        change.AddCommit(page, page, page, checksum ^ hash);
        await writer.AppendAsync(change, default);
    }

    static byte[] Content(uint page) => [.. Enumerable.Repeat((byte)page, 512)];
}
