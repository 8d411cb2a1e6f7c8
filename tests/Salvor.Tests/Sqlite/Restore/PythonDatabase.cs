using System.Diagnostics;
using Salvor.Sqlite.Native;
using Salvor.Tests.Support;

namespace Salvor.Tests.Sqlite.Restore;

/// <summary>An app in a real process of its own: python with a database, until it is killed.</summary>
sealed class PythonDatabase : IDisposable
{
    readonly Process process;

    PythonDatabase(Process process) => this.process = process;

    public int Pid => process.Id;

    /// <summary>Runs statements in <c>app</c>, a connection to the database, and returns when they are done and the app idles.</summary>
    public static PythonDatabase Run(string path, string statements)
    {
        var program = $"""
            import sqlite3, sys, time
            app = sqlite3.connect(sys.argv[1], isolation_level=None)
            {statements}
            print("ready", flush=True)
            time.sleep(600)
            """;
        var start = new ProcessStartInfo(Tool.Python, [Tool.WithoutSite, "-c", program, path]) { RedirectStandardOutput = true };
        var process = Process.Start(start)!;
        Assert.Equal("ready", process.StandardOutput.ReadLine());
        return new(process);
    }

    /// <summary>Leaves a database whose rows from 101 to 200 are only in its log, as a crash does.</summary>
    public static void LeaveWithLog(string path)
    {
        Make(path, firstId: 1, lastId: 100);
        using var app = Run(path, $"""
            app.execute("PRAGMA journal_mode=WAL")
            app.execute("PRAGMA wal_autocheckpoint=0")
            for i in range(101, 201): app.execute("INSERT INTO t VALUES (?, 'late')", [i])
            """);
    }

    /// <summary>Makes a database of rows with these ids.</summary>
    public static void Make(string path, int firstId, int lastId)
    {
        using var connection = new SqliteConnection(path, LibSqlite.OpenReadWrite | LibSqlite.OpenCreate);
        connection.Execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
        connection.Execute("CREATE INDEX t_name ON t (name)");
        connection.Execute(
            $"WITH RECURSIVE s(i) AS (SELECT {firstId} UNION ALL SELECT i + 1 FROM s WHERE i < {lastId}) "
            + "INSERT INTO t SELECT i, 'n' || i FROM s");
    }

    /// <summary>What an app sees in a database that <see cref="Make"/> made: its rows, as "first-last count".</summary>
    public static string Rows(string path)
    {
        using var connection = new SqliteConnection(path, LibSqlite.OpenReadWrite);
        Assert.Equal(["ok"], connection.QueryTexts("PRAGMA integrity_check"));
        return connection.QueryTexts("SELECT min(id) || '-' || max(id) || ' ' || count(*) FROM t")[0];
    }

    public void Dispose()
    {
        process.Kill();
        process.WaitForExit();
        process.Dispose();
    }
}
