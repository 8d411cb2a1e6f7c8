using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Doctor;
using Salvor.Sqlite;
using Salvor.Sqlite.Restore;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Doctor;

public sealed class SourceChecksTests : IDisposable
{
    readonly DoctorRig rig = new();

    public void Dispose() => rig.Dispose();

    [Fact]
    public async Task A_database_in_wal_mode_is_well_and_nothing_beside_it_changes()
    {
        await rig.CreateDatabaseAsync();
        var before = Directory.GetFileSystemEntries(rig["app"]);

        var checks = SourceChecks.Judge(Gather());

        Assert.DoesNotContain(checks, check => check.Level == CheckLevel.Fail);
        Assert.EndsWith("8 KiB, pages of 4 KiB", DoctorRig.Find(checks, "source", "the database can be read as ").Detail);
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(checks, "source", "it uses a write-ahead log").Level);
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(checks, "source", "its log is short").Level);
        Assert.Equal(before, Directory.GetFileSystemEntries(rig["app"]));
    }

    [Fact]
    public void A_database_that_is_not_there_is_what_a_restore_is_for() => DoctorRig.AssertFound(
        SourceChecks.Judge(Gather()), CheckLevel.Warn, "source", "the database is not there", rig.Database,
        "salvor restore app --if-db-not-exists");

    [Fact]
    public void A_file_that_is_no_database_fails()
    {
        File.WriteAllBytes(rig.Database, [.. Enumerable.Repeat((byte)7, 8192)]);

        DoctorRig.AssertFound(
            SourceChecks.Judge(Gather()), CheckLevel.Fail, "source", "the file is not a database, or is encrypted",
            $"{rig.Database} is not a SQLite database", "encrypted databases (SQLCipher, SEE)", FailureKind.SourceUnreadable);
    }

    [Fact]
    public void A_folder_in_place_of_a_database_fails()
    {
        Directory.CreateDirectory(rig.Database);

        DoctorRig.AssertFound(
            SourceChecks.Judge(Gather()), CheckLevel.Fail, "source", "the database cannot be protected", "is a directory", "with 'paths:",
            FailureKind.SourceUnreadable);
    }

    [Fact]
    public async Task A_rollback_journal_is_told_and_so_is_one_that_a_crash_left()
    {
        await rig.SqlAsync("CREATE TABLE t(x);");
        File.WriteAllBytes(rig.Database + "-journal", [1]);

        var checks = SourceChecks.Judge(Gather());

        DoctorRig.AssertFound(
            checks, CheckLevel.Warn, "source", "it uses a rollback journal", "reading the file again",
            $"sqlite3 {rig.Database} 'PRAGMA journal_mode=WAL'");
        DoctorRig.AssertFound(
            checks, CheckLevel.Warn, "source", "an app ended in the middle of a transaction", "-journal is still there", "Start the app");
    }

    [Fact]
    public async Task A_log_that_only_grows_is_told()
    {
        await rig.CreateDatabaseAsync();
        using (var log = File.OpenHandle(rig.Database + "-wal", FileMode.Create, FileAccess.Write))
        {
            RandomAccess.SetLength(log, 65 << 20);
        }

        DoctorRig.AssertFound(
            SourceChecks.Judge(Gather()), CheckLevel.Warn, "source", "its log has grown very long", "65 MiB beside 8 KiB",
            "wal_checkpoint(TRUNCATE)");
    }

    [Theory]
    [InlineData("CREATE TABLE _litestream_seq(id);", "Litestream")]
    [InlineData("CREATE TABLE __marmot__changes(id);", "Marmot")]
    public async Task Another_tool_that_holds_the_log_is_named(string sql, string tool)
    {
        await rig.SqlAsync(sql);

        DoctorRig.AssertFound(
            SourceChecks.Judge(Gather()), CheckLevel.Warn, "source", $"{tool} follows it, or did", "two tools that hold one log",
            $"Stop {tool} once Salvor has a first copy");
    }

    [Fact]
    public async Task The_folder_that_litestream_makes_is_seen()
    {
        await rig.CreateDatabaseAsync();
        Directory.CreateDirectory(rig["app/.app.db-litestream"]);

        Assert.Equal(["Litestream"], Gather().Tools);
    }

    [Fact]
    public async Task Whether_another_tool_is_there_is_unknown_where_the_tables_cannot_be_read()
    {
        await rig.CreateDatabaseAsync();

        var check = DoctorRig.Find(SourceChecks.Judge(Gather() with { Tools = null }), "source", "whether another tool holds its log");

        Assert.Equal((CheckLevel.Warn, false), (check.Level, check.Known));
    }

    [Fact]
    public async Task An_app_that_locks_others_out_fails()
    {
        await rig.CreateDatabaseAsync();
        await using var app = await HoldAsync(
            "db.execute('PRAGMA locking_mode=EXCLUSIVE'); db.execute('INSERT INTO t VALUES (2)'); db.commit()");

        DoctorRig.AssertFound(
            SourceChecks.Judge(Gather()), CheckLevel.Fail, "source", "an app holds it with locking_mode=EXCLUSIVE",
            "has it open, and there is no", "Remove 'PRAGMA locking_mode=EXCLUSIVE'", FailureKind.SourceUnreadable);
    }

    [Fact]
    public async Task Two_processes_that_may_checkpoint_meet_the_defect_of_old_versions()
    {
        await rig.CreateDatabaseAsync();
        await using var one = await HoldAsync("db.execute('SELECT * FROM t').fetchall()");
        await using var other = await HoldAsync("db.execute('SELECT * FROM t').fetchall()");
        var facts = Gather();

        DoctorRig.AssertFound(
            SourceChecks.Judge(facts with { SqliteVersion = "3.40.1" }), CheckLevel.Warn, "source", "2 processes may checkpoint it",
            "SQLite 3.40.1 is installed", "Update SQLite to 3.51.3");
        Assert.Equal(
            CheckLevel.Ok,
            DoctorRig.Find(SourceChecks.Judge(facts with { SqliteVersion = "3.51.3" }), "source", "the installed SQLite does not").Level);
        Assert.Equal(
            CheckLevel.Ok,
            DoctorRig.Find(
                SourceChecks.Judge(facts with { SqliteVersion = "3.40.1", Users = [new DatabaseUser(1, "app", false)] }), "source",
                "Salvor never checkpoints").Level);
    }

    [Theory]
    [InlineData("3.6.23", false)]
    [InlineData("3.7.0", true)]
    [InlineData("3.51.2", true)]
    [InlineData("3.51.3", false)]
    [InlineData("3.52.0", false)]
    public void The_defect_is_in_the_versions_that_have_it(string version, bool expected) =>
        Assert.Equal(expected, SourceChecks.HasResetDefect(version));

    [Fact]
    public async Task Who_may_not_read_or_write_is_told_so()
    {
        await rig.CreateDatabaseAsync();
        var facts = Gather() with { User = "nobody" };

        DoctorRig.AssertFound(
            SourceChecks.Judge(facts with { MayRead = false }), CheckLevel.Fail, "source", "nobody may not read the database", rig.Database,
            "Run Salvor as the user that owns the database", FailureKind.SourceUnreadable);
        DoctorRig.AssertFound(
            SourceChecks.Judge(facts with { MayWrite = false }), CheckLevel.Fail, "source",
            "nobody may not write to the database and its folder", "share memory in files beside it",
            "Run Salvor as the user that owns the database", FailureKind.SourceUnreadable);
        DoctorRig.AssertFound(
            SourceChecks.Judge(facts with { State = facts.State with { MayWrite = false } }), CheckLevel.Fail, "source",
            "nobody may not write local state", ".salvor", "'state_dir'", FailureKind.SourceUnreadable);
    }

    [Fact]
    public void A_disk_that_is_read_only_may_not_be_written()
    {
        using var mount = TemporaryMount.OfOneMebibyte(rig["app"]);
        Assert.True(FolderFacts.Of(rig["app/.salvor"]).MayWrite);
        mount.MakeReadOnly();

        Assert.False(FolderFacts.Of(rig["app/.salvor"]).MayWrite);
    }

    [Fact]
    public async Task A_disk_without_room_for_a_restore_fails_with_both_figures()
    {
        await rig.CreateDatabaseAsync();
        using var mount = TemporaryMount.OfOneMebibyte(Directory.CreateDirectory(rig["restored"]).FullName);
        var facts = Gather() with { VaultBytes = 10 << 20 };

        DoctorRig.AssertFound(
            SourceChecks.Judge(facts), CheckLevel.Fail, "source", "there is no room for a restore into scratch",
            "1 MiB free, up to 11 MiB needed", $"df -h {rig["restored"]}", FailureKind.Failure);
        DoctorRig.AssertFound(
            SourceChecks.Judge(facts with { State = facts.State with { FreeBytes = 1 << 20 } }), CheckLevel.Warn, "source",
            "there is not enough room for local state", "1 MiB free, up to 4 GiB needed", "choose a folder on another disk");
        Assert.False(DoctorRig.Find(
            SourceChecks.Judge(facts with { Scratch = facts.Scratch with { FreeBytes = null } }), "source",
            "whether there is room for a restore into scratch").Known);
    }

    [Fact]
    public async Task A_file_system_that_a_program_serves_is_unknown()
    {
        await rig.CreateDatabaseAsync();

        Assert.False(DoctorRig.Find(
            SourceChecks.Judge(Gather() with { IsFuse = true }), "source", "whether its file system keeps SQLite's locks").Known);
    }

    [Fact]
    public async Task The_header_is_read_as_sqlite_writes_it()
    {
        await rig.SqlAsync("PRAGMA page_size = 65536; PRAGMA journal_mode = WAL; CREATE TABLE t(x);");

        Assert.Equal(new DatabaseHeader(65536, IsWal: true, PageCount: 2), DatabaseLook.ReadHeader(rig.Database));
        Assert.Null(DatabaseHeader.TryParse(new byte[100]));
        Assert.Null(DatabaseHeader.TryParse("SQLite format 3\0"u8));
    }

    /// <summary>A process that has the database open.</summary>
    async Task<ChildProcess> HoldAsync(string python)
    {
        const string Open = "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1]); ";
        var program = $"{Open}{python}; print('open', flush=True); time.sleep(3600)";
        var process = ChildProcess.Start(Tool.Python, ["-c", program, rig.Database]);
        await Eventually.HoldsAsync(
            () => process.Stdout.Contains("open", StringComparison.Ordinal), () => process.Stderr, Eventually.StartMax);
        return process;
    }

    SourceFacts Gather()
    {
        var source = ConfigFile.Load(rig.ConfigPath, _ => null).Sources["app"];
        return SourceFacts.Gather(source, new SourceMember("app", rig.Database), rig["restored"]);
    }
}
