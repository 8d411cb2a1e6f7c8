using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault.Compaction;

public sealed class LogMergerTests
{
    const string First = "app/log/000001/0000000000000001";

    readonly MemoryStore store = new();
    readonly ManualTime time = new();
    VaultModel model = null!;

    [Fact]
    public async Task Fresh_objects_are_merged_and_removed_ten_minutes_later()
    {
        var merger = await PrepareAsync();

        Assert.Equal(LogWriter.SupersededKept, await merger.RunAsync(default));
        Assert.Equal([(1UL, 39UL), (40, 40)], await ChainAsync());
        time.Advance(TimeSpan.FromMinutes(9.9));
        await merger.RunAsync(default);
        Assert.NotNull(await store.SizeAsync(First, default));
        time.Advance(TimeSpan.FromMinutes(0.1));
        await merger.RunAsync(default);

        Assert.Equal(2, await store.ListAsync("app/log/", null, default).CountAsync());
        foreach (var point in model.Points)
        {
            Assert.Equal(point.Content, await VaultReading.RestoreAsync(store, 1, point.Position));
        }
    }

    [Fact]
    public async Task The_ten_minutes_are_those_of_the_process_that_deletes()
    {
        await (await PrepareAsync()).RunAsync(default);
        time.Advance(TimeSpan.FromHours(1));

        await Merger(epoch: 1).RunAsync(default);

        Assert.NotNull(await store.SizeAsync(First, default));
    }

    [Fact]
    public async Task Who_does_not_hold_the_claim_any_more_deletes_nothing()
    {
        var merger = await PrepareAsync();
        await merger.RunAsync(default);
        var claim = new ClaimRecord
        {
            Host = "b",
            BootId = "b",
            Pid = 2,
            StartTicks = 2,
            WriterId = "b",
            Since = DateTimeOffset.UnixEpoch,
            Version = "1",
        };
        await new WriterClaims(model.Vault).ClaimAsync(claim, default);
        time.Advance(TimeSpan.FromMinutes(10));

        await merger.RunAsync(default);

        Assert.NotNull(await store.SizeAsync(First, default));
    }

    [Fact]
    public async Task Nothing_is_deleted_for_an_object_that_was_damaged_since()
    {
        var merger = await PrepareAsync();
        await merger.RunAsync(default);
        var key = "app/" + VaultKeys.Log(1, new LogEntry(1, 39, 0));
        var damaged = Forge.Change((await store.GetAsync(key, 1 << 24, default))!, bytes => bytes[ObjectHeader.SizeBytes + 9] ^= 1);
        await store.DeleteAsync(key, default);
        await store.PutAsync(key, damaged, default);
        time.Advance(TimeSpan.FromMinutes(10));

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(() => merger.RunAsync(default));

        Assert.Equal($"object {key[4..]} is damaged: it does not match its hash", failure.Message);
        Assert.NotNull(await store.SizeAsync(First, default));
    }

    [Fact]
    public async Task Where_nothing_may_be_deleted_merging_goes_on_and_what_is_superseded_stays()
    {
        var refusing = new RefusingStore(store);
        await PrepareAsync();
        var merger = new LogMerger((await VaultAccess.FindAsync(refusing, "app", default))!, 1, time);
        await merger.RunAsync(default);
        time.Advance(TimeSpan.FromMinutes(10));
        await merger.RunAsync(default);
        await merger.RunAsync(default);
        while (model.Tip.Number < 80)
        {
            await model.CommitAsync(transactions: 1);
        }

        time.Advance(Micros.ToTime(model.Tip.TimeMicros) - time.GetUtcNow() + TimeSpan.FromMinutes(1));
        await merger.RunAsync(default);

        Assert.Equal(1, refusing.Asked);
        Assert.NotNull(await store.SizeAsync(First, default));
        Assert.True((await ChainAsync()).Count < 41, "what came later was not merged");
    }

    [Fact]
    public async Task An_idle_vault_comes_to_rest()
    {
        var merger = await PrepareAsync();
        var passes = 0;
        for (TimeSpan? again = TimeSpan.Zero; again is { } delay; passes++)
        {
            time.Advance(delay);
            again = await merger.RunAsync(default);
            Assert.True(passes < 10, "it never ends");
        }

        Assert.Equal([(1UL, 39UL), (40, 40)], await ChainAsync());
    }

    /// <summary>40 objects of one commit each, all of the last minutes.</summary>
    async Task<LogMerger> PrepareAsync()
    {
        model = await VaultModel.CreateAsync(store, new Random(5), 512);
        await model.BeginAsync();
        while (model.Tip.Number < 40)
        {
            await model.CommitAsync(transactions: 1);
        }

        time.Advance(Micros.ToTime(model.Tip.TimeMicros) - time.GetUtcNow() + TimeSpan.FromMinutes(1));
        return Merger(epoch: 1);
    }

    sealed class RefusingStore(IObjectStore inner) : ForwardingStore(inner)
    {
        public int Asked { get; private set; }

        public override Task DeleteAsync(string key, CancellationToken cancellationToken)
        {
            Asked++;
            throw new StorageException(StorageFailure.Denied, "no", "No.");
        }
    }

    LogMerger Merger(uint epoch) => new(model.Vault, epoch, time);

    async Task<IReadOnlyList<(ulong, ulong)>> ChainAsync() =>
        [.. (await VaultReading.OpenAsync(store)).Logs(1).Chain.Select(entry => (entry.First, entry.Last))];
}
