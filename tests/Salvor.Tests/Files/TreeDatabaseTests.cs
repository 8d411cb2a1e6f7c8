using System.Text;
using Salvor.Files;
using Salvor.Sqlite;
using Salvor.Sqlite.Native;
using Salvor.Tests.Support;

namespace Salvor.Tests.Files;

/// <summary>Databases of SQLite among the files of a backup.</summary>
public sealed class TreeDatabaseTests : IDisposable
{
    readonly TreeRig _rig = new();

    public TreeDatabaseTests() => Directory.CreateDirectory(_rig["scratch"]);

    public void Dispose() => _rig.Dispose();

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public async Task A_database_that_is_written_to_comes_back_as_of_one_commit(string journal)
    {
        var path = Path.Combine(_rig.Source, "app.db");
        Directory.CreateDirectory(_rig["ledgers"]);
        await using var workload = new Workload(
            path, _rig["ledgers"], new WorkloadOptions { Journal = journal, Rate = 300, CacheKib = 64 }, writerCount: 1);
        await workload.StartAsync();
        for (var round = 0; round < 6; round++)
        {
            var acked = workload.LastAcked();
            var result = await BackUpAsync();
            var restored = await _rig.RestoreAsync($"out{round}");

            Assert.Empty(result.Problems);
            Assert.Equal(["app.db"], Directory.GetFiles(restored).Select(Path.GetFileName));
            var verdict = await Oracle.JudgeAsync(Path.Combine(restored, "app.db"), workload.Ledgers, new Bounds { AtLeast = acked });
            Assert.True(verdict.Ok, string.Join('\n', verdict.Errors));
        }

        Assert.True(workload.IsRunning);
        Assert.Empty(Directory.GetFileSystemEntries(_rig["scratch"]));
    }

    [Fact]
    public async Task A_database_that_nobody_has_open_is_a_file_like_others()
    {
        var path = Path.Combine(_rig.Source, "app.db");
        await ChildProcess.RunAsync("sqlite3", [path, "PRAGMA journal_mode = WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1);"]);
        await BackUpAsync();
        var second = await BackUpAsync();

        Assert.Equal(0, second.FilesRead);
        Assert.Equal([path], Directory.GetFiles(_rig.Source));
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, await _rig.RestoreAsync("out")));
    }

    [Fact]
    public async Task A_database_with_a_log_is_a_file_like_others_where_that_is_asked_for()
    {
        var path = Path.Combine(_rig.Source, "app.db");
        using var connection = new SqliteConnection(path, LibSqlite.OpenReadWrite | LibSqlite.OpenCreate);
        connection.Execute("PRAGMA journal_mode = WAL");
        connection.Execute("CREATE TABLE t(x)");
        await _rig.BackUpAsync(options => options with
        {
            Databases = new DatabaseCopying(
                (_, _) => throw new InvalidOperationException("it was copied"), _rig["scratch"], []) { IsForOpenAlone = true },
        });
        var restored = await _rig.RestoreAsync("out");

        Assert.Equal(
            ["app.db", "app.db-shm", "app.db-wal"], Directory.GetFiles(restored).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_database_that_this_process_has_open_keeps_its_locks()
    {
        var path = Path.Combine(_rig.Source, "app.db");
        await ChildProcess.RunAsync("sqlite3", [path, "CREATE TABLE t(x); INSERT INTO t VALUES(1);"]);
        using var connection = new SqliteConnection(path, LibSqlite.OpenReadWrite);
        connection.Execute("BEGIN");
        connection.Execute("SELECT * FROM t");
        await BackUpAsync(path);
        var writer = await ChildProcess.RunAsync("sqlite3", [path, "BEGIN EXCLUSIVE; INSERT INTO t VALUES(2); COMMIT;"]);

        Assert.Contains("database is locked", writer.Stderr, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(await _rig.RestoreAsync("out"), "app.db")));
    }

    [Fact]
    public async Task What_only_looks_like_a_database_is_read_as_a_file_and_named()
    {
        var path = _rig.Write("app.db", [.. "SQLite format 3\0"u8, .. TreeRig.Bytes(1, 5000)]);
        _rig.Write("app.db-wal", "left by an app");
        var result = await BackUpAsync();

        Assert.True(result.IsPartial);
        Assert.Equal(
            [$"{path}: it is a database, and was read as a file, which may be torn: {path} is not a SQLite database"], result.Problems);
        var restored = await _rig.RestoreAsync("out");
        Assert.Equal(File.ReadAllBytes(path), File.ReadAllBytes(Path.Combine(restored, "app.db")));
        Assert.True(File.Exists(Path.Combine(restored, "app.db-wal")));
    }

    [Fact]
    public async Task A_journal_that_an_app_left_is_not_played_back_but_kept_with_its_database()
    {
        const string Crash = """
            import os, sqlite3, sys
            app = sqlite3.connect(sys.argv[1], isolation_level=None)
            app.execute("PRAGMA cache_size=2")
            app.execute("CREATE TABLE t(x)")
            app.executemany("INSERT INTO t VALUES(?)", [("committed" + "-" * 900,)] * 100)
            app.execute("BEGIN IMMEDIATE")
            app.execute("UPDATE t SET x = 'not committed' || substr(x, 20)")
            os._exit(0)
            """;
        var path = Path.Combine(_rig.Source, "app.db");
        var crashed = await ChildProcess.RunAsync("python3", ["-c", Crash, path]);
        var (database, journal) = (File.ReadAllBytes(path), File.ReadAllBytes($"{path}-journal"));
        var result = await BackUpAsync();

        Assert.Equal("", crashed.Stderr);
        Assert.Equal(database, File.ReadAllBytes(path));
        Assert.Equal(journal, File.ReadAllBytes($"{path}-journal"));
        Assert.Equal(
            [$"{path}: it is a database, and was read as a file, which may be torn: database {path} has a journal that an app left in the "
                + "middle of a transaction"],
            result.Problems);
        var restored = Path.Combine(await _rig.RestoreAsync("out"), "app.db");
        var rows = await ChildProcess.RunAsync("sqlite3", [restored, "SELECT count(*) FROM t WHERE x LIKE 'committed%'"]);
        Assert.Equal("100\n", rows.Stdout);
    }

    [Fact]
    public async Task A_copy_is_only_ever_for_its_owner()
    {
        var path = Path.Combine(_rig.Source, "app.db");
        await ChildProcess.RunAsync("sqlite3", [path, "CREATE TABLE t(x); INSERT INTO t VALUES('secret');"]);
        File.SetUnixFileMode(path, (UnixFileMode)0b110_100_100);
        _rig.Write("app.db-journal", "");
        var modes = new List<UnixFileMode>();
        await _rig.BackUpAsync(options => options with
        {
            Databases = new DatabaseCopying(
                (source, target) =>
                {
                    modes.Add(File.GetUnixFileMode(target));
                    DatabaseCopy.Write(source, target);
                    modes.Add(File.GetUnixFileMode(target));
                },
                _rig["scratch"], []),
        });

        const UnixFileMode Own = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        Assert.Equal([Own, Own], modes);
        Assert.Empty(Directory.GetFileSystemEntries(_rig["scratch"]));
    }

    [Fact]
    public async Task A_configured_source_of_files_has_what_is_in_the_log_of_a_database_only()
    {
        var path = Path.Combine(_rig.Source, "app.db");
        using var app = new SqliteConnection(path, LibSqlite.OpenReadWrite | LibSqlite.OpenCreate);
        app.Execute("PRAGMA journal_mode = WAL");
        app.Execute("CREATE TABLE t(x)");
        app.Execute("INSERT INTO t VALUES('in the log')");
        File.WriteAllText(
            _rig["salvor.yaml"],
            $$"""
            destinations: { local: { type: file, path: ./vaults } }
            sources: { tree: { type: files, paths: [{{_rig.Source}}], to: [local], state_dir: ./state } }

            """);
        Directory.CreateDirectory(_rig["vaults"]);

        // As one leaves it that was killed while it copied.
        Directory.CreateDirectory(_rig["state"]);
        File.WriteAllText(_rig["state/.copy.db.restoring-1-1-1"], "a database");
        var made = await SalvorHere.RunAsync(["backup", "tree", "--config", _rig["salvor.yaml"]]);
        var restored = await SalvorHere.RunAsync(["restore", "tree", "--config", _rig["salvor.yaml"], "--output", _rig["out"]]);
        var rows = await ChildProcess.RunAsync("sqlite3", [_rig["out"] + path, "SELECT x FROM t"]);

        Assert.True((made.ExitCode, restored.ExitCode) == (0, 0), $"{made}{restored}");
        Assert.False(File.Exists(_rig["state/.copy.db.restoring-1-1-1"]), "what a killed backup copied is there still");
        Assert.Equal("in the log\n", rows.Stdout);
    }

    Task<TreeBackupResult> BackUpAsync(params IReadOnlyList<string> open) => _rig.BackUpAsync(
        options => options with { Databases = new DatabaseCopying(DatabaseCopy.Write, _rig["scratch"], open) });
}
