using Microsoft.Extensions.Logging.Abstractions;
using Salvor.Jobs;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs;

/// <summary>A process that begins while the place that is written first does not work.</summary>
public sealed class DestinationAwayTests
{
    [Fact]
    public async Task Says_that_nothing_is_captured_and_loses_nothing_that_was_committed_meanwhile()
    {
        using var scratch = new ScratchDirectory();
        await Tool.SqlAsync(scratch["app.db"], "PRAGMA journal_mode = WAL; CREATE TABLE t(x);");
        var isAway = true;
        var memory = new MemoryStore();
        var store = new FaultyStore(memory, _ => isAway ? Fault.Before : Fault.None);
        await using var host = new ProtectionHost("test", TimeProvider.System, new Random(1), NullLogger.Instance);
        host.Add(
            new ReplicatorOptions
            {
                Name = "app", Path = scratch["app.db"], StateDirectory = scratch["state"], Batch = TimeSpan.Zero,
                BlockMax = TimeSpan.FromMilliseconds(200), WalMaxBytes = 1 << 30, OutboxBytesMax = 1 << 20,
            },
            store);

        await Eventually.HoldsAsync(
            () => host.Statuses[0].State == SourceState.BackingOff, () => $"{host.Statuses[0]}", Eventually.StartMax);
        Assert.EndsWith(
            "; until that works nothing of this database is captured, and what is committed meanwhile becomes one restore point",
            host.Statuses[0].Detail, StringComparison.Ordinal);

        await Tool.SqlAsync(scratch["app.db"], "INSERT INTO t VALUES (1)");
        await Tool.SqlAsync(scratch["app.db"], "INSERT INTO t VALUES (2); PRAGMA wal_checkpoint(TRUNCATE)");
        isAway = false;
        var position = await host.SyncAsync("app", TestContext.Current.CancellationToken);

        Assert.Equal("", host.Statuses[0].Detail);
        var restored = scratch["restored.db"];
        var content = await VaultReading.RestoreAsync(memory, 1, position);
        await File.WriteAllBytesAsync(restored, content, TestContext.Current.CancellationToken);
        await using var app = SqlApp.Start(restored);
        Assert.Equal("1,2", await app.ReadAsync("SELECT group_concat(x) FROM t"));
    }
}
