using System.Collections.Concurrent;
using Microsoft.Extensions.Logging.Abstractions;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Jobs;

/// <summary>A second of this clock is five minutes.</summary>
[Collection(QuietMachine.Name)]
public sealed class HeadPublisherTests
{
    const int Factor = 300;
    static readonly TimeSpan Interval = Heads.Interval / Factor;

    [Fact]
    public async Task An_idle_daemon_renews_its_claim_with_one_put_per_quarter_of_an_hour_and_lets_go_at_the_end()
    {
        using var scratch = new ScratchDirectory();
        await Tool.SqlAsync(scratch["app.db"], "PRAGMA journal_mode = WAL; CREATE TABLE t(x);");
        var time = new FastTime(Factor);
        var puts = new ConcurrentQueue<string>();
        var memory = new MemoryStore();
        var store = new FaultyStore(memory, call =>
        {
            if (call.Operation == StoreOperation.Put)
            {
                puts.Enqueue(call.Key);
            }

            return Fault.None;
        });
        var host = new ProtectionHost("test", time, new Random(1), NullLogger.Instance);
        host.Add(
            new ReplicatorOptions
            {
                Name = "app", Path = scratch["app.db"], StateDirectory = scratch["state"], Batch = SqliteSourceConfig.BatchDefault,
                BlockMax = SqliteSourceConfig.BlockMaxDefault, WalMaxBytes = SqliteSourceConfig.WalMaxBytesDefault,
            },
            store);
        await host.SyncAsync("app", TestContext.Current.CancellationToken);
        await Eventually.HoldsAsync(() => puts.Any(IsHead), () => string.Join(' ', puts));
        puts.Clear();

        await Eventually.HoldsAsync(() => puts.Count >= 4, () => string.Join(' ', puts), 10 * Interval);

        Assert.All(puts, key => Assert.True(IsHead(key), key));
        Assert.Equal(puts.Order(StringComparer.Ordinal), puts);
        var vault = (await VaultAccess.FindAsync(memory, "app", default))!;
        var lease = (await WriterLease.FindAsync(vault, default))!;
        Assert.True(lease.Age(time.GetUtcNow()) < 2 * Heads.Interval, $"{lease} at {time.GetUtcNow()}");
        Assert.True(lease.RenewedAt >= lease.Claim.Since + (3 * Heads.Interval), $"{lease}");
        Assert.False(lease.HasEnded);
        var backup = await host.BackUpAsync("app", new BackupRequest("", "full", null), TestContext.Current.CancellationToken);

        await host.DisposeAsync();

        Assert.Equal(backup.Id, (await Heads.FindAsync(vault, default))!.Backup);
        Assert.True((await WriterLease.FindAsync(vault, default))!.HasEnded);
    }

    static bool IsHead(string key) => key.StartsWith("_heads/", StringComparison.Ordinal);
}
