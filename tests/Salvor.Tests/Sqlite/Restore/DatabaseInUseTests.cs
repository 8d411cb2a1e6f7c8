using System.Diagnostics;
using Salvor.Sqlite.Native;
using Salvor.Sqlite.Restore;
using Salvor.Tests.Support;

namespace Salvor.Tests.Sqlite.Restore;

public sealed class DatabaseInUseTests : IDisposable
{
    const string Wal = "app.execute('PRAGMA journal_mode=WAL')";

    readonly TemporaryDirectory directory = new();

    string Database => directory["app.db"];

    public void Dispose() => directory.Dispose();

    [Fact]
    public void A_database_that_nobody_has_open_has_no_users()
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 10);

        Assert.Empty(DatabaseInUse.Find(Database).Users);
        Assert.Empty(DatabaseInUse.Find(directory["absent.db"]).Users);
    }

    [Theory]
    [InlineData("app.execute('SELECT count(*) FROM t').fetchall()")] // idle, without any lock
    [InlineData(Wal)]
    [InlineData("app.execute('BEGIN EXCLUSIVE')")]
    public void An_app_that_has_it_open_is_refused_with_its_name(string statement)
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 10);
        using var app = PythonDatabase.Run(Database, statement);

        var refusal = Assert.Throws<SalvorException>(() => DatabaseInUse.Refuse(Database));

        Assert.Equal(FailureKind.Locked, refusal.Kind);
        Assert.Equal($"database {Database} is open in pid {app.Pid} (python3)", refusal.Message);
        Assert.Equal(
            $"Stop the app, check with 'fuser -v {Database}' that nothing is left, then run the same command again.", refusal.Hint);
    }

    [Fact]
    public void An_app_is_found_under_any_name_of_the_file()
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 10);
        File.CreateSymbolicLink(directory["link.db"], Database);
        using (var link = Process.Start("ln", [Database, directory["hard.db"]]))
        {
            link.WaitForExit();
        }

        using var app = PythonDatabase.Run(directory["hard.db"], "app.execute('SELECT 1 FROM t').fetchall()");

        Assert.Equal([new DatabaseUser(app.Pid, "python3", IsThisProcess: false)], DatabaseInUse.Find(directory["link.db"]).Users);
    }

    [Fact]
    public void An_app_that_runs_on_after_its_database_was_deleted_is_found_by_the_log()
    {
        using var app = PythonDatabase.Run(Database, $"{Wal}; app.execute('CREATE TABLE t (a)')");
        File.Delete(Database);

        Assert.Equal(app.Pid, Assert.Single(DatabaseInUse.Find(Database).Users).Pid);
    }

    [Theory]
    [InlineData("app.execute('BEGIN EXCLUSIVE')", 0x40000000, 512, "")]
    [InlineData(Wal, 0x40000000, 512, "")] // held by every connection in WAL mode, also an idle one
    [InlineData(Wal, 120, 9, "-shm")]
    public void Sqlites_locks_show_the_app_even_where_its_open_files_may_not_be_seen(
        string statement, long start, long length, string suffix)
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 10);
        using var app = PythonDatabase.Run(Database, $"{statement}; app.execute('SELECT 1 FROM t').fetchall()");
        using var file = Salvor.Platform.Posix.Open(Database + suffix, Salvor.Platform.Posix.ReadOnly);

        Assert.Equal(app.Pid, Salvor.Platform.RecordLocks.HolderOf(file, start, length, Database));
    }

    [Fact]
    public void This_process_is_reported_as_such_and_keeps_its_locks()
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 10);
        using var own = new SqliteConnection(Database, LibSqlite.OpenReadWrite);
        own.Execute("BEGIN IMMEDIATE");

        var user = Assert.Single(DatabaseInUse.Find(Database).Users, user => user.Pid == Environment.ProcessId);
        var refusal = DatabaseInUse.Refusal(Database, [user]);

        Assert.True(user.IsThisProcess);
        Assert.Equal("Close it in this process, then try again.", refusal.Hint);
        using var other = PythonDatabase.Run(Database, """
            app.execute("PRAGMA busy_timeout=0")
            try:
                app.execute("BEGIN IMMEDIATE")
                sys.exit(1)
            except sqlite3.OperationalError:
                pass
            """);
    }

    [Fact]
    public void The_process_that_is_excepted_is_not_refused()
    {
        using var app = PythonDatabase.Run(Database, Wal);

        DatabaseInUse.Refuse(Database, exceptPid: app.Pid);
    }

    [Fact]
    public void Of_many_processes_three_are_named()
    {
        var users = Enumerable.Range(1, 5).Select(pid => new DatabaseUser(pid, pid == 2 ? "" : "app", IsThisProcess: false));

        Assert.Equal(
            "database a.db is open in pid 1 (app), pid 2, pid 3 (app) and 2 more", DatabaseInUse.Refusal("a.db", [.. users]).Message);
        Assert.Equal(
            "database a.db is open in a process that cannot be seen from here",
            DatabaseInUse.Refusal("a.db", [new(0, "", IsThisProcess: false)]).Message);
    }
}
