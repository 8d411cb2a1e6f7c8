using System.Globalization;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Sqlite.Traps;

/// <summary>Databases that grow, shrink and look in unusual ways.</summary>
public sealed class ShapeTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    public async Task Pages_that_a_database_grew_by_without_writing_them_are_restored(int pages)
    {
        await using var rig = new TrapRig();
        await using (var app = await FilledAsync(rig, "none"))
        {
            await rig.StartAsync();
            await rig.SyncAsync();
            await rig.StopAsync();
            await app.KillAsync();
        }

        await TrapRig.WalAsync("grow", rig.Log, $"{pages}");
        File.Delete($"{rig.Database}-shm");
        await rig.StartAsync();
        await rig.SyncAsync();
        Assert.Equal(0, rig.Status.Resyncs);

        // Nothing refers to the new pages, which the check of a whole database finds; so only its bytes are compared here.
        await TrapRig.ShellAsync($"sqlite3 '{rig.Database}' 'PRAGMA wal_checkpoint(TRUNCATE)'");
        var catalog = await rig.CatalogAsync();
        var latest = await new Salvor.Vault.Restore.RestorePlanner(catalog).LatestAsync(1, default);
        var restored = await VaultReading.RestoreAsync(rig.Store, 1, latest.Position);
        await rig.StopAsync();
        Assert.Equal(await File.ReadAllBytesAsync(rig.Database, default), restored);
    }

    [Theory]
    [InlineData("none", "VACUUM")]
    [InlineData("full", "DELETE FROM t WHERE x % 2 = 0")]
    [InlineData("incremental", "PRAGMA incremental_vacuum(50)")]
    public async Task A_database_that_shrinks_and_grows_again_is_the_same_to_the_byte(string autoVacuum, string shrink)
    {
        await using var rig = new TrapRig();
        await using var app = await FilledAsync(rig, autoVacuum);
        await rig.StartAsync();
        for (var round = 0; round < 4; round++)
        {
            var large = long.Parse(await app.ReadAsync("PRAGMA page_count"), CultureInfo.InvariantCulture);
            await app.DoAsync("DELETE FROM t WHERE x % 3 = 0");
            await app.DoAsync(shrink);
            var small = long.Parse(await app.ReadAsync("PRAGMA page_count"), CultureInfo.InvariantCulture);
            Assert.True(small < large, $"{shrink} did not shrink {large} pages");
            await rig.SyncAsync();
            Assert.Equal($"{small}", await rig.RestoredAsync("PRAGMA page_count"));
            await app.DoAsync("INSERT INTO t VALUES (?, randomblob(400))", repeat: 600);
            if (round % 2 == 1)
            {
                await rig.SyncAsync();
                Assert.StartsWith("0|", await app.ReadAsync("PRAGMA wal_checkpoint(TRUNCATE)"), StringComparison.Ordinal);
                await rig.AssertSameBytesAsync();
            }
        }

        await rig.AssertAllOfferedRestoreAsync();
        Assert.Equal(0, rig.Status.Resyncs);
    }

    [Fact]
    public async Task Pages_with_reserved_bytes_are_opaque()
    {
        await using var rig = new TrapRig();
        await TrapRig.ShellAsync(
            $"printf '.filectrl reserve_bytes 8\\nPRAGMA journal_mode=WAL;\\nCREATE TABLE t (x, y);\\n' | sqlite3 '{rig.Database}'");
        Assert.Equal("8", (await TrapRig.ShellAsync($"od -An -tu1 -j20 -N1 '{rig.Database}'")).Trim());
        await using var app = SqlApp.Start(rig.Database);
        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES (?, randomblob(3000))", repeat: 50);
        await rig.SyncAsync();
        Assert.Equal("50", await rig.RestoredAsync("SELECT count(*) FROM t"));
        await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        await rig.AssertSameBytesAsync();
    }

    /// <summary>The page that holds the byte at 1 GiB is never used, whatever its size.</summary>
    [Theory]
    [InlineData(512, 2097153)]
    [InlineData(1024, 1048577)]
    [InlineData(4096, 262145)]
    [InlineData(65536, 16385)]
    public void The_lock_byte_page_is_the_first_behind_one_gibibyte(uint pageSize, uint page) =>
        Assert.Equal(page, DatabasePages.LockBytePage(pageSize));

    [Fact]
    public async Task A_database_over_one_gibibyte_is_restored_around_its_lock_byte_page()
    {
        // It takes half a minute and three gigabytes; the arithmetic has a test of its own that always runs.
        var blobs = Environment.GetEnvironmentVariable("SALVOR_ALL") == "1" ? 11 : 1;
        await using var rig = new TrapRig();
        await using var app = SqlApp.Start(rig.Database);
        await app.DoAsync("PRAGMA page_size=65536");
        await app.DoAsync("PRAGMA journal_mode=WAL");
        await app.DoAsync("PRAGMA synchronous=OFF");
        await app.DoAsync("CREATE TABLE t (x, y)");
        await app.DoAsync("INSERT INTO t VALUES (?, zeroblob(100000000))", repeat: blobs - 1);
        await rig.StartAsync();
        await app.DoAsync($"INSERT INTO t VALUES ({blobs}, zeroblob(100000000))");
        await app.DoAsync("INSERT INTO t VALUES (-1, 'behind it')");
        await rig.SyncAsync();
        Assert.Equal("1", await rig.RestoredAsync("SELECT count(*) FROM t WHERE y = 'behind it'"));
        await app.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        await rig.AssertSameBytesAsync();
    }

    static async Task<SqlApp> FilledAsync(TrapRig rig, string autoVacuum)
    {
        var app = SqlApp.Start(rig.Database);
        await app.DoAsync($"PRAGMA auto_vacuum={autoVacuum}");
        await app.DoAsync("PRAGMA journal_mode=WAL");
        await app.DoAsync("PRAGMA wal_autocheckpoint=0");
        await app.DoAsync("CREATE TABLE t (x, y)");
        await app.DoAsync("BEGIN");
        await app.DoAsync("INSERT INTO t VALUES (?, randomblob(400))", repeat: 3000);
        await app.DoAsync("COMMIT");
        return app;
    }
}
