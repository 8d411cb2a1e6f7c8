using Salvor.Postgres;
using Salvor.Tests.Support;
using Salvor.Tests.Vault.Wal;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>A vault that lacks something, or has it damaged, while a real server is followed into it.</summary>
public sealed class WalVaultFaultsTests : WalReceiverRig
{
    [Fact]
    public async Task A_damaged_object_of_the_vault_keeps_no_log_from_being_received()
    {
        await using var server = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        var publishing = Follow(server);
        await server.SqlAsync("create table t as select i from generate_series(1, 1000) i");
        await ReachedAsync(server, publishing, 1);
        await StopAllAsync();
        var key = $"pg/{VaultKeys.Branch(1)}";
        var record = (await (await VaultAsync()).GetAsync(VaultKeys.Branch(1), default))!;
        await ReplaceAsync(key, [.. record[..^1], (byte)(record[^1] ^ 1)]);

        publishing = Follow(server);
        await server.SqlAsync("insert into t select i from generate_series(1, 60000) i");
        Assert.True(Lsn.TryParse(await server.SqlAsync("select pg_current_wal_flush_lsn()"), out var end));
        await Eventually.HoldsAsync(
            () => (publishing.Receiver?.Spool?.Flushed >= end && publishing.Failure is DamagedObjectException) || Runs[^1].Run.IsCompleted,
            Told, Eventually.StartMax);

        Assert.False(Runs[^1].Run.IsCompleted, Told());
        Assert.Contains(Heard, text => text.StartsWith("the log is not published: ", StringComparison.Ordinal)
            && text.Contains(VaultKeys.Branch(1), StringComparison.Ordinal));
        await ReplaceAsync(key, record);
        await ReachedAsync(server, publishing, 1);
        await AssertSameAsync(server, 1);
    }

    [Fact]
    public async Task A_gap_of_the_vault_is_filled_where_the_slot_still_has_the_log()
    {
        await using var server = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        await server.SqlAsync("select pg_create_physical_replication_slot('salvor', true); create table t (i int)");
        var filling = Follow(server, options => options with { Slot = "other", Folder = Scratch["other"] });
        for (var i = 0; i < 4; i++)
        {
            await server.SqlAsync("insert into t select i from generate_series(1, 30000) i");
            await ReachedAsync(server, filling, 1);
        }

        await StopAllAsync();
        var (vault, catalog) = (await VaultAsync(), await WalCatalog.LoadAsync(await VaultAsync(), default));
        await vault.DeleteAsync(catalog.Objects(1)[catalog.Objects(1).Count / 2].Key, default);
        Assert.NotEmpty((await WalCatalog.LoadAsync(vault, default)).Gaps(1));

        var publishing = Follow(server);
        await server.SqlAsync("create table the_last (i int)");
        await ReachedAsync(server, publishing, 1);

        Assert.Empty((await WalCatalog.LoadAsync(vault, default)).Gaps(1));
        Assert.DoesNotContain(Heard, text => text.StartsWith("a gap", StringComparison.Ordinal));
        await AssertSameAsync(server, 1);
    }

    [Fact]
    public async Task Where_a_later_timeline_proves_that_one_went_on_its_missing_log_is_not_called_absent()
    {
        await using var server = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        var publishing = Follow(server);
        await server.SqlAsync("create table t as select i from generate_series(1, 100000) i");
        await PromoteAsync(server);
        await server.SqlAsync("create table of_timeline_2 as select i from generate_series(1, 5000) i");
        await ReachedAsync(server, publishing, 2);
        await StopAllAsync();
        var (vault, catalog) = (await VaultAsync(), await WalCatalog.LoadAsync(await VaultAsync(), default));
        var fork = new Lsn(catalog.Branches[1].Record.ForkPosition).Floor(PostgresServer.SegmentBytes);
        var lost = new Lsn(fork.Value - (2 * PostgresServer.SegmentBytes));
        foreach (var entry in catalog.Objects(1).Where(entry => entry.Range.End > lost))
        {
            await vault.DeleteAsync(entry.Key, default);
        }

        var got = await GetAsync(lost);
        var after = await GetAsync(fork + PostgresServer.SegmentBytes);

        Assert.Equal((WalGet.Unknown, WalGet.Absent), (got, after));
        Assert.Matches("^the log of timeline 1 is missing from [0-9A-F/]+ on in vault ", Heard.Last());

        Task<int> GetAsync(Lsn at) => WalGet.RunAsync(
            [VaultAsync], WalSegment.Of(1, at, PostgresServer.SegmentBytes).Name, Scratch["got"], e => Heard.Enqueue(e.Message), default);
    }

    async Task ReplaceAsync(string key, byte[] bytes)
    {
        await Store.DeleteAsync(key, default);
        await Store.PutAsync(key, bytes, default);
    }
}
