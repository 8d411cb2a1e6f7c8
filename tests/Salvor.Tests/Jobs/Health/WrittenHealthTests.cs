using Microsoft.Extensions.Logging.Abstractions;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Health;
using Salvor.Sqlite;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Jobs.Health;

/// <summary>
/// What a real host writes of itself, read as <c>salvor status</c> reads it. A second of the test is thirty of this clock.
/// </summary>
public sealed class WrittenHealthTests : IAsyncLifetime
{
    readonly ScratchDirectory scratch = new();
    readonly FastTime time = new(30);
    readonly HeldStore store = new();
    ProtectionHost? host;

    public async ValueTask InitializeAsync()
    {
        await CommitAsync("PRAGMA journal_mode = WAL; CREATE TABLE t(x);");
        host = new ProtectionHost("test", time, new Random(1), NullLogger.Instance);
        host.Add(
            new ReplicatorOptions
            {
                Name = "app", Path = scratch["app.db"], StateDirectory = scratch["state"], Batch = SqliteSourceConfig.BatchDefault,
                BlockMax = SqliteSourceConfig.BlockMaxDefault, WalMaxBytes = SqliteSourceConfig.WalMaxBytesDefault,
                SnapshotEvery = TimeSpan.FromMinutes(1), DestinationName = "offsite",
            },
            store);
        await host.SyncAsync("app", TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        store.Holds = null;
        await host!.DisposeAsync();
        scratch.Dispose();
    }

    [Fact]
    public async Task Lag_grows_where_the_destination_hangs_and_nothing_else_happens()
    {
        await Eventually.HoldsAsync(() => Read() is { State: HealthState.Healthy, Lag.Ticks: 0 }, () => $"{Read()}");
        store.Holds = "app/log/";

        await CommitAsync("INSERT INTO t VALUES (1)");

        // Nothing fails, so nothing is told: only the file says since when a commit waits.
        await Eventually.HoldsAsync(() => Read().Lag > TimeSpan.FromMinutes(1), () => $"{Read()}");
        var health = Read();
        Assert.Equal((HealthState.Healthy, "offsite"), (health.State, health.Destinations[0].Name));
        Assert.Equal(
            ["lag"],
            HealthCheck.Problems(health, HealthLimits.None with { Lag = TimeSpan.FromMinutes(1) }).Select(problem => problem.Kind));
    }

    [Fact]
    public async Task Backups_are_counted_also_where_nothing_changed_and_where_they_fail()
    {
        await Eventually.HoldsAsync(() => Read().Backup is { Succeeded: >= 2, SizeBytes: > 0 }, () => $"{Read().Backup}");
        var backup = await host!.BackUpAsync("app", new BackupRequest("x", "incremental", null), TestContext.Current.CancellationToken);
        Assert.Equal(backup.Id, Read().Backup!.BackupId);
        Assert.True(Read().AgeOf(Read().Backup!.LastSuccessAt) < TimeSpan.FromMinutes(5));

        await CommitAsync("INSERT INTO t VALUES (1)");
        foreach (var folder in (string[])["app/log/", "app/snapshots/"])
        {
            foreach (var item in await store.ListAsync(folder, null, CancellationToken.None).ToListAsync())
            {
                await store.DeleteAsync(item.Key, CancellationToken.None);
            }
        }

        await Assert.ThrowsAnyAsync<SalvorException>(
            () => host.BackUpAsync("app", new BackupRequest("y", "incremental", null), TestContext.Current.CancellationToken));
        var mark = Read().Backup!;
        Assert.True(mark is { Failed: > 0, Failure.Length: > 0, LastFailureAt: not null }, $"{mark}");
        Assert.Equal(backup.Id, mark.BackupId);
    }

    [Fact]
    public async Task What_was_stopped_says_since_when_nobody_captures()
    {
        await host!.DisposeAsync();

        var health = Read();

        Assert.Equal(HealthState.Stopped, health.State);
        Assert.NotNull(health.Last!.UncapturedSince);
    }

    SourceHealth Read() => new HealthReader(time).Read(
        new HealthTarget("app", scratch["app.db"], scratch["state"], Config: null));

    Task CommitAsync(string sql) => Tool.SqlAsync(scratch["app.db"], sql);
}
