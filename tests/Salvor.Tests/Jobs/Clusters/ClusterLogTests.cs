using Salvor.Postgres;
using Salvor.Postgres.Backup;
using Salvor.Postgres.Restore;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>A base backup is one only with all the log that a server reads for it.</summary>
public sealed class ClusterLogTests : IDisposable
{
    static readonly BackupRequest Request = new("ours", "full", RetentionDays: null);

    readonly ScratchDirectory scratch = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_backup_needs_the_segment_in_which_it_began_from_its_start()
    {
        await using var server = await PostgresServer.StartAsync(scratch, "pg", "wal_keep_size = 64MB");
        await server.SqlAsync("create table t as select i from generate_series(1, 1000) i");
        var vault = await VaultAsync();
        var (record, _) = await new CompleteBackup(vault, OptionsOf(server), TimeProvider.System).RunAsync(Request, Cancel);
        var (backup, _) = await ClusterBackup.OpenAsync(vault, record, Cancel);
        var start = backup.Log.First.Floor(PostgresServer.SegmentBytes);
        Assert.True(start < backup.Log.First);
        Assert.Empty((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(Cancel)).Findings);

        await RemoveAsync(vault, new WalRange(start, backup.Log.First));

        var finding = Assert.Single((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(Cancel)).Findings);
        Assert.Equal(FindingLayer.Lineage, finding.Layer);
        Assert.Equal($"it needs the log {backup.Log}, and that is missing from {start} on", finding.What);
        var stored = new StoredBaseBackup(1, 1, backup.Log, default)
        {
            StartedAt = record.Time, FinishedAt = record.Time, DetailsHash = default, StoredBytes = 0,
        };
        var log = await WalCatalog.LoadAsync(vault, Cancel);
        var offered = await Assert.ThrowsAsync<SalvorException>(
            () => new BaseBackup(vault, TimeProvider.System).OfferAsync(stored, log, Request, Cancel));
        Assert.EndsWith($"has it up to {start}", offered.Message, StringComparison.Ordinal);
        var planner = new RecoveryPlanner(log, [backup]);
        var planned = await Assert.ThrowsAsync<SalvorException>(
            () => planner.PlanAsync(new RecoveryTarget.Latest(), null, null, RecoveryAction.Promote, Cancel));
        Assert.Contains($"and the log behind it ends at {start}, in vault", planned.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_backup_does_not_wait_for_the_next_time_that_log_is_published()
    {
        await using var server = await PostgresServer.StartAsync(scratch);
        var options = OptionsOf(server) with { PublishEvery = TimeSpan.FromHours(1) };
        var (record, _) = await new CompleteBackup(await VaultAsync(), options, TimeProvider.System).RunAsync(Request, Cancel);
        Assert.Equal(1u, record.Branch);
    }

    [Fact]
    public async Task A_backup_whose_log_nobody_brings_ends()
    {
        await using var server = await PostgresServer.StartAsync(scratch);
        var backup = new CompleteBackup(await VaultAsync(), OptionsOf(server), TimeProvider.System)
        {
            IsFollowed = true, Patience = TimeSpan.Zero,
        };

        var failure = await Assert.ThrowsAsync<SalvorException>(() => backup.RunAsync(Request, Cancel));

        Assert.Equal(FailureKind.NotRestorable, failure.Kind);
        Assert.Matches(
            "^the base backup needs the log [0-9A-F/]+-[0-9A-F/]+, and in vault memory/pg that ends at [0-9A-F/]+: no more of it comes$",
            failure.Message);
        Assert.StartsWith("Look whether somebody follows the server", failure.Hint, StringComparison.Ordinal);
    }

    public void Dispose() => scratch.Dispose();

    WalReceiverOptions OptionsOf(PostgresServer server) => new()
    {
        Server = server.Connection, Folder = scratch["spool"], PublishEvery = TimeSpan.FromMilliseconds(50),
    };

    static Task<VaultAccess> VaultAsync() => VaultAccess.OpenOrCreateAsync(
        new MemoryStore(), "pg", VaultIdentity.Postgres, "pg", null, TimeProvider.System, Cancel);

    /// <summary>Removes the log of a range and no more: what else the objects have that it lies in is stored again.</summary>
    static async Task RemoveAsync(VaultAccess vault, WalRange range)
    {
        var catalog = await WalCatalog.LoadAsync(vault, Cancel);
        var hit = catalog.Objects(1).Where(entry => !entry.Range.Within(range).IsEmpty).ToList();
        foreach (var entry in hit)
        {
            var shape = await WalReader.ShapeAsync(vault, entry, Cancel);
            foreach (var rest in (WalRange[])[entry.Range with { End = range.First }, entry.Range with { First = range.End }])
            {
                if (!rest.IsEmpty)
                {
                    using var reader = new WalReader(catalog);
                    var bytes = new byte[rest.Length];
                    await reader.ReadAsync(1, rest.First, bytes, Cancel);
                    var now = DateTimeOffset.UnixEpoch;
                    await new WalWriter(vault, 1, 1, shape).StoreAsync(rest.First, bytes, now, now, Cancel);
                }
            }
        }

        foreach (var entry in hit)
        {
            await vault.DeleteAsync(entry.Key, Cancel);
        }
    }
}
