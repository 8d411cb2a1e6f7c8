using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault;

public sealed class OutboxTests
{
    readonly MemoryStore store = new();
    readonly MemoryStore disk = new();

    [Fact]
    public async Task What_is_kept_continues_the_vault_of_a_later_process()
    {
        var (vault, writer) = await OpenAsync();
        var outbox = NewOutbox(vault);
        await KeepAsync(outbox, writer, commits: 2);
        await KeepAsync(outbox, writer, commits: 1);

        Assert.Equal(new OutboxReplay(2, 0), await NewOutbox(vault).ReplayAsync(default));

        var catalog = await VaultReading.OpenAsync(store);
        Assert.Equal(writer.Tip.Lineage, (await catalog.ReadLogAsync(1, 2, default)).Header.LineageAfter);
        Assert.Empty(await KeysAsync());
    }

    [Fact]
    public async Task What_was_stored_before_the_process_died_is_dropped()
    {
        var (vault, writer) = await OpenAsync();
        var outbox = NewOutbox(vault);
        using var change = Change(1);
        using var log = writer.Seal(change);
        Assert.True(await outbox.TryKeepAsync(log.Key, log.Bytes, default));
        await writer.StoreAsync(log.Key, log.Bytes, log.Tip, default);

        Assert.Equal(new OutboxReplay(1, 0), await NewOutbox(vault).ReplayAsync(default));
        Assert.Empty(await KeysAsync());
    }

    [Fact]
    public async Task What_does_not_follow_from_the_end_of_the_vault_stays_where_it_is()
    {
        var (vault, writer) = await OpenAsync();
        var outbox = NewOutbox(vault);
        await KeepAsync(outbox, writer, commits: 2);
        await KeepAsync(outbox, writer, commits: 1);

        // Another writer took both numbers, and stored something else under the same positions.
        var rival = new LogWriter(vault, Start(vault), epoch: 2, TimeProvider.System);
        using var other = Change(3);
        await rival.AppendAsync(other, default);

        Assert.Equal(new OutboxReplay(0, 2), await NewOutbox(vault).ReplayAsync(default));
        Assert.Equal(2, (await KeysAsync()).Count);
        Assert.Equal(1UL, (await VaultReading.OpenAsync(store)).Logs(1).Last);
    }

    [Fact]
    public async Task A_link_that_does_not_fit_is_not_stored_although_its_number_is_free()
    {
        var (vault, writer) = await OpenAsync();
        var outbox = NewOutbox(vault);
        await KeepAsync(outbox, writer, commits: 2);
        await KeepAsync(outbox, writer, commits: 1);
        await disk.DeleteAsync("app/log/000001/0000000000000001", default);
        var rival = new LogWriter(vault, Start(vault), epoch: 2, TimeProvider.System);
        using var other = Change(1);
        await rival.AppendAsync(other, default);

        Assert.Equal(new OutboxReplay(0, 1), await NewOutbox(vault).ReplayAsync(default));
        Assert.Equal(1UL, (await VaultReading.OpenAsync(store)).Logs(1).Last);
    }

    [Fact]
    public async Task A_damaged_object_ends_what_can_be_stored()
    {
        var (vault, writer) = await OpenAsync();
        var outbox = NewOutbox(vault);
        await KeepAsync(outbox, writer, commits: 2);
        var key = Assert.Single(await KeysAsync());
        var bytes = (await disk.GetAsync(key, 1 << 20, default))!;
        bytes[^60] ^= 1;
        await disk.ReplaceAsync(key, bytes, default);

        Assert.Equal(new OutboxReplay(0, 1), await NewOutbox(vault).ReplayAsync(default));
        Assert.Equal(0UL, (await VaultReading.OpenAsync(store)).Logs(1).Last);
    }

    [Fact]
    public async Task A_full_outbox_and_a_disk_that_is_nearly_full_keep_nothing_more()
    {
        var (vault, writer) = await OpenAsync();
        using var change = Change(1);
        using var log = writer.Seal(change);

        var small = new Outbox(vault, disk, log.Bytes.Length, () => null);
        Assert.True(await small.TryKeepAsync(log.Key, log.Bytes, default));
        Assert.False(await small.TryKeepAsync("log/000001/0000000000000002", log.Bytes, default));
        Assert.Equal("the outbox is full", small.Obstacle);
        await small.DropAsync(log.Key, log.Bytes.Length, default);
        Assert.True(await small.TryKeepAsync(log.Key, log.Bytes, default));

        var crowded = new Outbox(vault, new MemoryStore(), 1 << 30, () => Outbox.FreeBytesMin + log.Bytes.Length - 1);
        Assert.False(await crowded.TryKeepAsync(log.Key, log.Bytes, default));
        Assert.Equal("the disk of the outbox is nearly full", crowded.Obstacle);
    }

    Outbox NewOutbox(VaultAccess vault) => new(vault, disk, 1 << 20, () => null);

    async Task<(VaultAccess Vault, LogWriter Writer)> OpenAsync()
    {
        var vault = await VaultAccess.OpenOrCreateAsync(store, "app", "sqlite", "/data/app.db", TimeProvider.System, default);
        await Forks.BeginAsync(await VaultCatalog.LoadAsync(vault, default), epoch: 1, TimeProvider.System, default);
        return (vault, new LogWriter(vault, Start(vault), epoch: 1, TimeProvider.System));
    }

    static LogTip Start(VaultAccess vault) =>
        new(1, 0, Position.None, 0, Lineage.StartOf(vault.Secrets, vault.Id, 1, Position.None, Hash256.Zero));

    static async Task KeepAsync(Outbox outbox, LogWriter writer, int commits)
    {
        using var change = Change(commits);
        using var log = writer.Seal(change);
        Assert.True(await outbox.TryKeepAsync(log.Key, log.Bytes, default));
        writer.Take(log);
    }

    async Task<IReadOnlyList<string>> KeysAsync() => await disk.ListAsync("", null, default).Select(row => row.Key).ToListAsync();

    static ChangeSetBuilder Change(int commits)
    {
        var change = new ChangeSetBuilder(LogKind.Commits, 512, checksumBefore: 7);
        for (var i = 0; i < commits; i++)
        {
            change.AddPage((uint)(i + 1), (ulong)i, new byte[512]);
            change.AddCommit(100 + i, 100 + i, 3, 7);
        }

        return change;
    }
}
