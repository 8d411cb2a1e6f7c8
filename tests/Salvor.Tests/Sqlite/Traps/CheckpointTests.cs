using Salvor.Sqlite;
using Salvor.Tests.Support;

namespace Salvor.Tests.Sqlite.Traps;

/// <summary>Apps that checkpoint by themselves, readers that hold the log, and writers that die in the middle.</summary>
public sealed class CheckpointTests
{
    static readonly TimeSpan BusyTimeout = TimeSpan.FromSeconds(10);

    [Theory]
    [InlineData("PASSIVE", 0)]
    [InlineData("FULL", 0)]
    [InlineData("RESTART", 0)]
    [InlineData("TRUNCATE", 0)]
    [InlineData("PASSIVE", 3)]
    [InlineData("FULL", 3)]
    [InlineData("RESTART", 3)]
    [InlineData("TRUNCATE", 3)]
    public async Task An_app_that_checkpoints_all_the_time_gets_through_and_loses_nothing(string mode, int readers)
    {
        await using var rig = new TrapRig();
        await using var app = await PublishedFramesTests.SmallAppAsync(rig);
        await rig.StartAsync();
        var start = await rig.SyncAsync();
        await using var reading = readers == 0 ? null : StartReaders(rig.Database, readers);
        var longest = TimeSpan.Zero;
        const int Rounds = 30;
        for (var round = 0; round < Rounds; round++)
        {
            await app.DoAsync("INSERT INTO t VALUES (?, randomblob(500))", repeat: 10);
            var took = await app.TimeAsync($"PRAGMA wal_checkpoint({mode})");
            longest = took > longest ? took : longest;
        }

        var end = await rig.SyncAsync();
        TestContext.Current.TestOutputHelper?.WriteLine($"the longest checkpoint took {longest.TotalMilliseconds:0} ms");
        Assert.True(longest < BusyTimeout, $"a checkpoint took {longest}");
        Assert.Equal((ulong)(Rounds * 10), end.Value - start.Value);
        Assert.Equal(0, rig.Status.Resyncs);
        Assert.Equal($"{Rounds * 10}", await rig.RestoredAsync("SELECT count(*) FROM t"));
        if (readers == 0)
        {
            // A checkpoint has to find its way past us while nobody reads.
            Assert.Equal("0", (await app.ReadAsync("PRAGMA wal_checkpoint(TRUNCATE)")).Split('|')[0]);
            Assert.Equal(0, new FileInfo(rig.Log).Length);
            await rig.AssertSameBytesAsync();
        }
    }

    [Fact]
    public async Task A_checkpoint_on_a_slow_disk_waits_for_the_disk_and_not_for_us()
    {
        const int SyncMilliseconds = 2200;
        await using var rig = new TrapRig();
        var shim = rig.Scratch["slowsync.so"];
        await TrapRig.ShellAsync($"gcc -shared -fPIC -O1 -o '{shim}' '{Tool.PathOf("failsync.c")}' -ldl");
        var environment = new Dictionary<string, string> { ["LD_PRELOAD"] = shim, ["SLOWSYNC"] = $"{SyncMilliseconds}" };
        await using var app = SqlApp.Start(rig.Database, environment: environment);
        await app.DoAsync("PRAGMA journal_mode=WAL");
        await app.DoAsync("CREATE TABLE t (x)");
        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES (1)");
        await rig.SyncAsync();

        var took = await app.TimeAsync("PRAGMA wal_checkpoint(RESTART)");

        // A look that comes only after pauses that double would be two seconds late.
        Assert.InRange(took.TotalMilliseconds, SyncMilliseconds, SyncMilliseconds + 1500);
    }

    [Fact]
    public async Task The_log_of_an_app_that_leaves_checkpoints_to_SQLite_stays_as_small_as_without_us()
    {
        await using var rig = new TrapRig();
        await using var app = await PublishedFramesTests.SmallAppAsync(rig);
        await app.DoAsync("PRAGMA wal_autocheckpoint=100");
        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES (?, randomblob(1000))", repeat: 5000);
        await rig.SyncAsync();

        // Without us it has 100 frames; a few times that may pass before the gap between two commits is found.
        Assert.InRange(new FileInfo(rig.Log).Length, 1, 2000 * 4096);
        Assert.Equal("5000", await rig.RestoredAsync("SELECT count(*) FROM t"));
        Assert.Equal(0, rig.Status.Resyncs);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Readers_at_different_marks_may_use_all_slots(bool before)
    {
        await using var rig = new TrapRig();
        await using var app = await PublishedFramesTests.SmallAppAsync(rig);
        if (!before)
        {
            await rig.StartAsync();
        }

        // Each reader begins at another commit, so each wants a mark of its own; there are four.
        const int Readers = 7;
        for (var reader = 0; reader < Readers; reader++)
        {
            await app.DoAsync($"INSERT INTO t VALUES ({reader}, 'seen')");
            await app.DoAsync("BEGIN", connection: $"reader-{reader}");
            Assert.Equal($"{reader + 1}", await app.ReadAsync("SELECT count(*) FROM t", $"reader-{reader}"));
        }

        if (before)
        {
            await rig.StartAsync();
        }

        await app.DoAsync("INSERT INTO t VALUES (?, 'later')", repeat: 50);
        await rig.SyncAsync();
        Assert.Equal("57", await rig.RestoredAsync("SELECT count(*) FROM t"));

        for (var reader = 0; reader < Readers; reader++)
        {
            Assert.Equal($"{reader + 1}", await app.ReadAsync("SELECT count(*) FROM t", $"reader-{reader}"));
            await app.DoAsync("COMMIT", connection: $"reader-{reader}");
        }

        // With the readers gone the log must come free again, and whatever slot we had must not hold it for ever.
        await app.DoAsync("INSERT INTO t VALUES (?, 'after')", repeat: 50);
        await Eventually.HoldsAsync(
            async () => (await app.ReadAsync("PRAGMA wal_checkpoint(TRUNCATE)")).StartsWith("0|0", StringComparison.Ordinal),
            () => $"the log is never free\n{rig}");
        await app.DoAsync("INSERT INTO t VALUES (?, 'last')", repeat: 50);
        await rig.SyncAsync();
        Assert.Equal("157", await rig.RestoredAsync("SELECT count(*) FROM t"));
        Assert.Equal(0, rig.Status.Resyncs);
    }

    [Fact]
    public async Task A_reader_that_never_ends_makes_the_log_grow_and_loses_nothing()
    {
        await using var rig = new TrapRig();
        await using var app = await PublishedFramesTests.SmallAppAsync(rig);
        await app.DoAsync("PRAGMA wal_autocheckpoint=100");
        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES (0, 0)");
        await app.DoAsync("BEGIN", connection: "reader");
        await app.DoAsync("SELECT * FROM t", connection: "reader");
        await app.DoAsync("INSERT INTO t VALUES (?, randomblob(1000))", repeat: 3000);
        await rig.SyncAsync();
        Assert.Equal("3001", await rig.RestoredAsync("SELECT count(*) FROM t"));
        Assert.True(new FileInfo(rig.Log).Length > 3000 * 4096);

        await app.DoAsync("COMMIT", connection: "reader");
        Assert.StartsWith("0|", await app.ReadAsync("PRAGMA wal_checkpoint(TRUNCATE)"), StringComparison.Ordinal);
        await rig.AssertSameBytesAsync();
        Assert.Equal(0, rig.Status.Resyncs);
    }

    [Fact]
    public async Task A_writer_killed_between_the_copies_of_the_header_is_recovered_from()
    {
        await using var rig = new TrapRig();
        await using var app = await PublishedFramesTests.SmallAppAsync(rig);
        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES (?, 'kept')", repeat: 10);
        await rig.SyncAsync();
        await app.KillAsync();

        // Nobody else is there who could repair it.
        await TrapRig.WalAsync("torn", $"{rig.Database}-shm");
        await rig.SyncAsync();
        Assert.Equal("10", await rig.RestoredAsync("SELECT count(*) FROM t"));

        await using var next = SqlApp.Start(rig.Database);
        await next.DoAsync("INSERT INTO t VALUES (?, 'after')", repeat: 10);
        await next.DoAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        await next.DoAsync("INSERT INTO t VALUES (?, 'last')", repeat: 10);
        await rig.SyncAsync();
        Assert.Equal("30", await rig.RestoredAsync("SELECT count(*) FROM t"));
        Assert.Equal(0, rig.Status.Resyncs);
    }

    [Fact]
    public async Task A_header_damaged_under_living_writers_is_recovered_from()
    {
        await using var rig = new TrapRig();
        await using var app = await PublishedFramesTests.SmallAppAsync(rig);
        await rig.StartAsync();
        for (var round = 1; round <= 5; round++)
        {
            await app.DoAsync("INSERT INTO t VALUES (?, 1)", repeat: 20);
            await TrapRig.WalAsync("torn", $"{rig.Database}-shm");
            await app.DoAsync("INSERT INTO t VALUES (?, 2)", repeat: 20);
            await rig.SyncAsync();
            Assert.Equal($"{40 * round}", await rig.RestoredAsync("SELECT count(*) FROM t"));
        }

        Assert.Equal(0, rig.Status.Resyncs);
    }

    [Fact]
    public async Task A_header_that_somebody_else_is_about_to_repair_is_waited_for()
    {
        // The lock that a repair needs is byte 120 of the wal-index, see "WAL locks" in SQLite's description of the wal-index format.
        const string Program = """
            import fcntl, os, sys, time
            with open(sys.argv[1], "r+b", buffering=0) as index:
                fcntl.lockf(index, fcntl.LOCK_EX, 1, 120)
                first = index.read(48)
                index.seek(0)
                index.write(bytes(byte ^ 0xff for byte in first))
                print("torn", flush=True)
                while not os.path.exists(sys.argv[2]):
                    time.sleep(0.01)
                index.seek(0)
                index.write(first)
            """;
        await using var rig = new TrapRig();
        await using var app = await PublishedFramesTests.SmallAppAsync(rig);
        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES (?, 1)", repeat: 20);
        await rig.SyncAsync();
        var said = rig.Said.ToList();
        var mayRepair = rig.Scratch["may-repair"];
        await using var repairer = ChildProcess.Start(Tool.Python, ["-c", Program, $"{rig.Database}-shm", mayRepair]);
        await Eventually.HoldsAsync(() => repairer.Stdout.Contains("torn", StringComparison.Ordinal), () => $"{repairer.Stderr}");
        var sync = rig.SyncAsync();

        // Long enough for many attempts at a repair of our own; each is refused, and none holds up the capture of other databases.
        await Task.Delay(TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken);
        await rig.Engine.RunAsync(() => true).WaitAsync(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
        Assert.False(sync.IsCompleted);
        await File.WriteAllTextAsync(mayRepair, "", TestContext.Current.CancellationToken);
        await sync;

        Assert.Equal("20", await rig.RestoredAsync("SELECT count(*) FROM t"));
        Assert.Equal(said, rig.Said);
        Assert.Equal(0, rig.Status.Resyncs);
    }

    static ChildProcess StartReaders(string database, int count)
    {
        // At random marks and for random times, so that slots are taken and given back all the time.
        const string Program = """
            import random, sqlite3, sys, time
            readers = [sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None) for _ in range(int(sys.argv[2]))]
            while True:
                reader = random.choice(readers)
                reader.execute("COMMIT" if reader.in_transaction else "BEGIN")
                reader.execute("SELECT count(*) FROM t").fetchone()
                time.sleep(random.random() / 100)
            """;
        return ChildProcess.Start(Tool.Python, ["-c", Program, database, $"{count}"]);
    }
}
