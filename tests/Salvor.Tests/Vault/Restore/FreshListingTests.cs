using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Vault.Restore;

/// <summary>A restore or a list while somebody else merges and deletes what it is about to read.</summary>
public sealed class FreshListingTests
{
    readonly MemoryStore store = new();
    VaultModel model = null!;

    [Fact]
    public async Task What_is_superseded_while_it_is_read_is_listed_and_planned_anew()
    {
        await PrepareAsync();
        var after = 0;
        for (var reads = 0; reads >= after; after++)
        {
            var (memory, merge) = await CopyAsync();
            reads = 0;
            var racing = new FaultyStore(memory, call =>
            {
                if (call.Operation == StoreOperation.Read && call.Key.Contains("/log/", StringComparison.Ordinal) && reads++ == after)
                {
                    Assert.True(merge().Wait(TimeSpan.FromMinutes(1)));
                }

                return Fault.None;
            });

            var point = model.Points.Last();
            Assert.Equal(point.Content, await RestoreAsync(racing, point.Position));
        }

        Assert.True(after > 20, $"only {after} reads were tried");
    }

    [Fact]
    public async Task An_object_that_is_gone_for_good_is_named()
    {
        await PrepareAsync();
        var broken = (await FrozenStore.CopyAsync(store)).Without("app/log/000001/0000000000000007");
        var lists = 0;
        var counting = new FaultyStore(broken, call =>
        {
            lists += call.Operation == StoreOperation.List && call.Key.EndsWith("log/", StringComparison.Ordinal) ? 1 : 0;
            return Fault.None;
        });

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(() => RestoreAsync(counting, model.Points.Last().Position));

        Assert.Equal("object log/000001/0000000000000007 is damaged: it is missing from memory", failure.Message);
        Assert.Equal(1, lists);
    }

    [Fact]
    public async Task What_vanishes_again_and_again_ends_with_its_name()
    {
        await PrepareAsync();
        var lists = 0;
        var lying = new FaultyStore(new Vanishing(store), call =>
        {
            lists += call.Operation == StoreOperation.List && call.Key.EndsWith("log/", StringComparison.Ordinal) ? 1 : 0;
            return Fault.None;
        });

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(() => RestoreAsync(lying, model.Points.Last().Position));

        Assert.True(failure.IsMissing);
        Assert.Equal(3, lists);
    }

    static async Task<byte[]> RestoreAsync(IObjectStore through, Position position) => await FreshListing.UseAsync(
        (await VaultAccess.FindAsync(through, "app", default))!,
        async catalog => await VaultReading.WriteAsync(catalog, await new RestorePlanner(catalog).PlanAsync(1, position, default)),
        default);

    async Task PrepareAsync()
    {
        model = await VaultModel.CreateAsync(store, new Random(5), 512);
        await model.BeginAsync();
        while (model.Tip.Number < 20)
        {
            await model.CommitAsync(transactions: 1);
        }
    }

    /// <summary>A copy of the vault, and what merges its log and deletes what it merged.</summary>
    async Task<(MemoryStore Store, Func<Task> Merge)> CopyAsync()
    {
        var copy = new MemoryStore();
        await foreach (var row in store.ListAsync("", null, default))
        {
            await copy.PutAsync(row.Key, await store.GetAsync(row.Key, 1 << 24, default), default);
        }

        return (copy, async () =>
        {
            var catalog = await VaultReading.OpenAsync(copy);
            IReadOnlyList<LogEntry> merged = [.. catalog.Logs(1).Chain.SkipLast(1)];
            await new Compactor(catalog).RunAsync(1, new CompactionRun(merged, null), default);
            foreach (var entry in merged)
            {
                await copy.DeleteAsync("app/" + VaultKeys.Log(1, entry), default);
            }
        });
    }

    /// <summary>Lists an object that cannot be read.</summary>
    sealed class Vanishing(IObjectStore inner) : IObjectStore
    {
        const string Key = "app/log/000001/0000000000000007";

        public string Location => inner.Location;

        public Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
            inner.PutAsync(key, content, cancellationToken);

        public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
            key == Key ? throw StorageErrors.NotFound(key, Location) : inner.ReadAsync(key, offset, buffer, cancellationToken);

        public async Task<long?> SizeAsync(string key, CancellationToken cancellationToken) =>
            key == Key ? null : await inner.SizeAsync(key, cancellationToken);

        public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
            inner.ListAsync(prefix, after, cancellationToken);

        public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
            inner.ReplaceAsync(key, content, cancellationToken);

        public Task DeleteAsync(string key, CancellationToken cancellationToken) => inner.DeleteAsync(key, cancellationToken);
    }
}
