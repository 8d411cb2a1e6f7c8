using Salvor.Sqlite.Native;
using Salvor.Sqlite.Restore;
using Salvor.Tests.Support;

namespace Salvor.Tests.Sqlite.Restore;

public sealed class IntegrityCheckTests : IDisposable
{
    readonly TemporaryDirectory directory = new();

    string Database => directory["app.db"];

    public void Dispose() => directory.Dispose();

    [Theory]
    [InlineData(IntegrityCheckDepth.Full)]
    [InlineData(IntegrityCheckDepth.Quick)]
    public void A_sound_database_passes(IntegrityCheckDepth depth)
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 1000);

        IntegrityCheck.Run(Database, depth, default);
    }

    [Fact]
    public void A_database_in_wal_mode_is_checked_without_leaving_a_file_beside_it()
    {
        PythonDatabase.LeaveWithLog(directory["source.db"]);
        File.Copy(directory["source.db"], Database);

        IntegrityCheck.Run(Database, IntegrityCheckDepth.Full, default);

        Assert.Equal([Database], Directory.GetFiles(directory.Path, "app.db*"));
    }

    [Theory]
    [InlineData("100% sure? #1 & ä.db")]
    [InlineData("a b%20c.db")]
    [InlineData("q?mode=memory.db")]
    public void Any_name_of_a_file_is_meant_literally(string name)
    {
        PythonDatabase.Make(directory[name], firstId: 1, lastId: 10);
        using (var connection = new SqliteConnection(IntegrityCheck.UriOf(directory[name]), LibSqlite.OpenReadOnly | LibSqlite.OpenUri))
        {
            Assert.Equal(["10"], connection.QueryTexts("SELECT count(*) FROM t"));
        }

        IntegrityCheck.Run(directory[name], IntegrityCheckDepth.Full, default);
    }

    [Fact]
    public void A_row_that_is_missing_from_an_index_is_found_by_the_full_check_only()
    {
        MakeWithWrongIndex();

        var failure = Assert.Throws<SalvorException>(() => IntegrityCheck.Run(Database, IntegrityCheckDepth.Full, default));
        IntegrityCheck.Run(Database, IntegrityCheckDepth.Quick, default);

        Assert.Equal(FailureKind.Integrity, failure.Kind);
        Assert.StartsWith(
            $"{Database} fails integrity_check: wrong # of entries in index other_name; row 1 missing from index t_name; row 2 ",
            failure.Message,
            StringComparison.Ordinal);
        Assert.Equal(9, failure.Message.Count(character => character == ';'));
        Assert.Equal(
            "The source was like this at that moment: restore an earlier one, 'salvor list' shows them, "
            + "or keep this one with '--no-check'.",
            failure.Hint);
    }

    [Fact]
    public void Damage_of_the_pages_is_listed_on_one_line()
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 10);
        using (var connection = new SqliteConnection(Database, LibSqlite.OpenReadWrite))
        {
            connection.Execute("PRAGMA writable_schema=ON");
            connection.Execute("DELETE FROM sqlite_master WHERE name = 't'");
            connection.Execute("DELETE FROM sqlite_master WHERE name = 't_name'");
        }

        var failure = Assert.Throws<SalvorException>(() => IntegrityCheck.Run(Database, IntegrityCheckDepth.Full, default));

        Assert.Equal($"{Database} fails integrity_check: Page 2 is never used; Page 3 is never used", failure.Message);
    }

    [Theory]
    [InlineData(100, 0x44, "database disk image is malformed")]
    [InlineData(0, (byte)'X', "file is not a database")]
    public void A_file_that_sqlite_cannot_read_at_all_fails_with_its_words(long offset, byte value, string words)
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 10);
        Overwrite(offset, value);

        var failure = Assert.Throws<SalvorException>(() => IntegrityCheck.Run(Database, IntegrityCheckDepth.Quick, default));

        Assert.Equal(FailureKind.Integrity, failure.Kind);
        Assert.Equal($"{Database} fails quick_check: {words}", failure.Message);
    }

    [Fact]
    public void A_root_page_that_does_not_exist_is_damage_although_it_stands_in_the_schema()
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 10);
        ChangeSchema("rootpage = 99");

        var failure = Assert.Throws<SalvorException>(() => IntegrityCheck.Run(Database, IntegrityCheckDepth.Full, default));

        Assert.Equal(FailureKind.Integrity, failure.Kind);
    }

    [Fact]
    public void A_definition_that_this_library_cannot_parse_is_not_called_damage()
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 10);
        ChangeSchema("sql = 'CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT) FROM_THE_FUTURE'");

        var failure = Assert.Throws<UncheckableDatabaseException>(() => IntegrityCheck.Run(Database, IntegrityCheckDepth.Full, default));

        Assert.Equal(FailureKind.Failure, failure.Kind);
        Assert.Equal(
            $"{Database} cannot be checked by SQLite {SqliteConnection.LibraryVersion}, which does not know all that it uses: "
            + "malformed database schema (t) - unknown table option: FROM_THE_FUTURE",
            failure.Message);
        Assert.Equal(
            "Restore with '--no-check', then run 'PRAGMA integrity_check' with the app's own SQLite and extensions.", failure.Hint);
    }

    [Theory]
    [InlineData(47, 9)] // the schema format
    [InlineData(19, 3)] // the version for readers
    public void A_newer_file_format_is_not_called_damage(long offset, byte value)
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 10);
        Overwrite(offset, value);

        Assert.Throws<UncheckableDatabaseException>(() => IntegrityCheck.Run(Database, IntegrityCheckDepth.Full, default));
    }

    [Theory]
    [InlineData("app.create_function('f', 1, lambda x: x, deterministic=True)", "f(name)", "unknown function: f()")]
    [InlineData("app.create_collation('c', lambda x, y: (x > y) - (x < y))", "name COLLATE c", "no such collation sequence: c")]
    public void An_index_by_an_extension_of_the_app_is_not_called_damage(string extension, string column, string words)
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 10);
        PythonDatabase.Run(Database, $"""
            {extension}
            app.execute("CREATE INDEX own ON t ({column})")
            """).Dispose();

        var failure = Assert.Throws<UncheckableDatabaseException>(() => IntegrityCheck.Run(Database, IntegrityCheckDepth.Full, default));

        Assert.EndsWith(words, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_check_that_was_cancelled_before_it_began_stops()
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 50_000);

        Assert.Throws<OperationCanceledException>(() => IntegrityCheck.Run(Database, IntegrityCheckDepth.Full, new(canceled: true)));
    }

    [Fact]
    public void A_check_that_is_under_way_stops()
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 1_000_000);
        using var stop = new CancellationTokenSource();

        // A thread of its own: a timer waits for one of the pool, which other tests may keep busy for longer than the check takes.
        var stopping = new Thread(() =>
        {
            Thread.Sleep(20);
            stop.Cancel();
        });
        stopping.Start();

        Assert.Throws<OperationCanceledException>(() => IntegrityCheck.Run(Database, IntegrityCheckDepth.Full, stop.Token));
        stopping.Join();
    }

    void MakeWithWrongIndex()
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 50);
        using var connection = new SqliteConnection(Database, LibSqlite.OpenReadWrite);
        connection.Execute("CREATE TABLE other (name TEXT)");
        connection.Execute("CREATE INDEX other_name ON other (name)");
        connection.Execute("PRAGMA writable_schema=ON");
        connection.Execute(
            "UPDATE sqlite_master SET rootpage = -rootpage "
            + "+ (SELECT sum(rootpage) FROM sqlite_master WHERE name IN ('t_name', 'other_name')) "
            + "WHERE name IN ('t_name', 'other_name')");
    }

    void ChangeSchema(string assignment)
    {
        using var connection = new SqliteConnection(Database, LibSqlite.OpenReadWrite);
        connection.Execute("PRAGMA writable_schema=ON");
        connection.Execute($"UPDATE sqlite_master SET {assignment} WHERE name = 't'");
    }

    void Overwrite(long offset, byte value)
    {
        using var file = File.OpenHandle(Database, FileMode.Open, FileAccess.Write);
        RandomAccess.Write(file, [value], offset);
    }
}
