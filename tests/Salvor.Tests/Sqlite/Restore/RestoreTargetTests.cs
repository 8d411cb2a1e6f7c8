using System.Diagnostics;
using Salvor.Platform;
using Salvor.Sqlite.Restore;
using Salvor.Tests.Support;

namespace Salvor.Tests.Sqlite.Restore;

public sealed class RestoreTargetTests : IDisposable
{
    const string Aside = ".before-restore-20261120T103000Z";

    readonly TemporaryDirectory directory = new();

    string Database => directory["app.db"];

    string[] Names => [.. Directory.GetFileSystemEntries(directory.Path).Select(path => Path.GetFileName(path)).Order()];

    public void Dispose() => directory.Dispose();

    [Fact]
    public void A_new_file_has_its_content_for_its_owner_only()
    {
        var restored = Restore(RestoreMode.NewFile);

        Assert.Equal(Database, restored.Path);
        Assert.Empty(restored.MovedAside);
        Assert.Equal("1-10 10", PythonDatabase.Rows(Database));
        Assert.Equal(0b110_000_000u, FileStat.Of(Database)?.Permissions);
        Assert.Equal(["app.db"], Names);
    }

    [Fact]
    public void A_new_file_does_not_replace_one()
    {
        File.WriteAllText(Database, "kept");

        var refusal = Assert.Throws<SalvorException>(() => Prepare(RestoreMode.NewFile));

        Assert.Equal(FailureKind.Usage, refusal.Kind);
        Assert.Equal($"{Database} exists already", refusal.Message);
        Assert.Equal(
            "Choose another file with '--output', replace it with '--force', or restore over the configured database with '--in-place'.",
            refusal.Hint);
        Assert.Equal("kept", File.ReadAllText(Database));
    }

    [Fact]
    public void A_file_that_appears_meanwhile_is_not_replaced_by_a_new_one()
    {
        using var target = Prepare(RestoreMode.NewFile);
        RestoreImage.WriteTo(target.File);
        File.WriteAllText(Database, "kept");

        Assert.Equal($"{Database} exists already", Assert.Throws<SalvorException>(() => target.Commit(null, default)).Message);
        Assert.Equal("kept", File.ReadAllText(Database));
    }

    [Fact]
    public void In_place_keeps_the_old_database_with_its_log_as_one_that_can_be_opened()
    {
        PythonDatabase.LeaveWithLog(Database);

        var restored = Restore(RestoreMode.InPlace);

        Assert.Equal([Database + Aside, $"{Database}{Aside}-wal", $"{Database}{Aside}-shm"], restored.MovedAside);
        Assert.Equal("1-10 10", PythonDatabase.Rows(Database));
        Assert.Equal("1-200 200", PythonDatabase.Rows(Database + Aside));
    }

    [Fact]
    public void Overwriting_leaves_nothing_of_the_old_database()
    {
        PythonDatabase.LeaveWithLog(Database);

        var restored = Restore(RestoreMode.Overwrite);

        Assert.Empty(restored.MovedAside);
        Assert.Equal("1-10 10", PythonDatabase.Rows(Database));
        Assert.Equal(["app.db"], Names);
    }

    [Theory]
    [InlineData(RestoreMode.NewFile)]
    [InlineData(RestoreMode.Overwrite)]
    [InlineData(RestoreMode.InPlace)]
    public void A_stale_log_beside_an_absent_database_is_moved_aside_because_sqlite_would_replay_it(RestoreMode mode)
    {
        PythonDatabase.LeaveWithLog(Database);
        var image = File.ReadAllBytes(Database);
        File.Copy(Database + "-wal", directory["unaware.db-wal"]);
        File.WriteAllBytes(directory["unaware.db"], image);
        File.Delete(Database);
        Assert.Equal("1-200 200", PythonDatabase.Rows(directory["unaware.db"]));

        var restored = Restore(mode, image);

        Assert.Equal([$"{Database}{Aside}-wal", $"{Database}{Aside}-shm"], restored.MovedAside);
        Assert.Equal("1-100 100", PythonDatabase.Rows(Database));
    }

    [Fact]
    public void A_stale_journal_is_moved_aside_because_sqlite_would_roll_the_new_file_back_by_it()
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 5000);
        PythonDatabase.Run(Database, """
            app.execute("PRAGMA cache_size=5")
            app.execute("BEGIN")
            app.execute("UPDATE t SET name = name || 'x'")
            """).Dispose();
        Assert.True(File.Exists(Database + "-journal"));

        var restored = Restore(RestoreMode.InPlace);

        Assert.Equal([Database + Aside, $"{Database}{Aside}-journal"], restored.MovedAside);
        Assert.Equal("1-10 10", PythonDatabase.Rows(Database));
        Assert.Equal("1-5000 5000", PythonDatabase.Rows(Database + Aside));
    }

    [Fact]
    public void A_second_restore_in_the_same_second_keeps_what_the_first_moved_aside()
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 20);
        Restore(RestoreMode.InPlace);

        Assert.Equal([$"{Database}{Aside}-2"], Restore(RestoreMode.InPlace).MovedAside);
        Assert.Equal("1-20 20", PythonDatabase.Rows(Database + Aside));
    }

    [Theory]
    [InlineData(RestoreMode.Overwrite)]
    [InlineData(RestoreMode.InPlace)]
    public void The_new_file_has_the_owner_and_permissions_of_the_old(RestoreMode mode)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can give files away");
        PythonDatabase.Make(Database, firstId: 1, lastId: 20);
        Run("chown", "65534:65533", Database);
        Run("chmod", "0640", Database);

        Restore(mode);

        var stat = FileStat.Of(Database)!.Value;
        Assert.Equal((65534u, 65533u, 0b110_100_000u), (stat.UserId, stat.GroupId, stat.Permissions));
    }

    [Fact]
    public void In_place_of_an_absent_database_the_new_file_belongs_to_the_owner_of_the_directory()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can give files away");
        Run("chown", "65534:65533", directory.Path);

        Restore(RestoreMode.InPlace);

        var stat = FileStat.Of(Database)!.Value;
        Assert.Equal((65534u, 65533u, 0b110_000_000u), (stat.UserId, stat.GroupId, stat.Permissions));
    }

    [Fact]
    public void A_symbolic_link_stays_and_the_file_behind_it_is_restored()
    {
        Directory.CreateDirectory(directory["disk"]);
        PythonDatabase.LeaveWithLog(directory["disk/real.db"]);
        File.CreateSymbolicLink(Database, "disk/real.db");

        var restored = Restore(RestoreMode.InPlace);

        Assert.Equal(directory["disk/real.db"], restored.Path);
        Assert.Equal("disk/real.db", new FileInfo(Database).LinkTarget);
        Assert.Equal("1-10 10", PythonDatabase.Rows(Database));
        Assert.Equal("1-200 200", PythonDatabase.Rows(directory["disk/real.db"] + Aside));
    }

    [Fact]
    public void A_link_that_leads_nowhere_yet_is_followed()
    {
        File.CreateSymbolicLink(Database, directory["real.db"]);

        Assert.Equal(directory["real.db"], Restore(RestoreMode.InPlace).Path);
    }

    [Theory]
    [InlineData(RestoreMode.NewFile)]
    [InlineData(RestoreMode.InPlace)]
    public void A_directory_is_refused(RestoreMode mode)
    {
        var refusal = Assert.Throws<SalvorException>(
            () => RestoreTarget.Prepare(directory.Path, mode, RestoreTargetOptions.Default, FixedTime.Instance));

        Assert.Equal(FailureKind.Usage, refusal.Kind);
        Assert.Equal($"{directory.Path} is a directory", refusal.Message);
        Assert.Equal("Name the file to write, for example '--output restored.db'.", refusal.Hint);
    }

    [Fact]
    public void An_absent_directory_is_refused_unless_it_may_be_made()
    {
        var output = directory["a/b/app.db"];

        var refusal = Assert.Throws<SalvorException>(
            () => RestoreTarget.Prepare(output, RestoreMode.NewFile, RestoreTargetOptions.Default, FixedTime.Instance));
        Assert.Equal(FailureKind.Usage, refusal.Kind);
        Assert.Equal($"directory {directory["a/b"]} does not exist", refusal.Message);
        Assert.Equal($"Make it with 'mkdir -p {directory["a/b"]}', or choose another file with '--output'.", refusal.Hint);

        var making = RestoreTargetOptions.Default with { MakesDirectory = true };
        using (var target = RestoreTarget.Prepare(output, RestoreMode.NewFile, making, FixedTime.Instance))
        {
            Assert.Equal(0b111_000_000u, FileStat.Of(directory["a/b"])?.Permissions);
        }

        Assert.Empty(Names);
    }

    [Fact]
    public void A_name_without_room_for_the_temporary_one_is_refused()
    {
        var name = new string('n', 250);

        var refusal = Assert.Throws<SalvorException>(
            () => RestoreTarget.Prepare(directory[name], RestoreMode.NewFile, RestoreTargetOptions.Default, FixedTime.Instance));

        Assert.Equal($"the name {name} is too long to restore to: a temporary one needs 48 bytes more", refusal.Message);
    }

    [Fact]
    public void Too_little_room_is_said_with_both_figures()
    {
        Directory.CreateDirectory(directory["small"]);
        using var mount = TemporaryMount.OfOneMebibyte(directory["small"]);
        using var target = RestoreTarget.Prepare(
            directory["small/app.db"], RestoreMode.NewFile, RestoreTargetOptions.Default, FixedTime.Instance);

        target.RequireSpace(1024 * 1024);
        var failure = Assert.Throws<SalvorException>(() => target.RequireSpace(3L * 1024 * 1024 * 1024));

        Assert.Equal(FailureKind.Failure, failure.Kind);
        Assert.Equal($"not enough room in {directory["small"]}: the restore needs 3 GiB, has 1 MiB free", failure.Message);
        Assert.Equal(
            $"Free some ('df -h {directory["small"]}' shows how much is left), or choose another disk with '--output'.", failure.Hint);
    }

    [Theory]
    [InlineData(RestoreMode.Overwrite)]
    [InlineData(RestoreMode.InPlace)]
    public void A_database_that_an_app_has_open_is_refused_before_any_work(RestoreMode mode)
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 20);
        using var app = PythonDatabase.Run(Database, "app.execute('SELECT 1 FROM t').fetchall()");

        var refusal = Assert.Throws<SalvorException>(() => Prepare(mode));

        Assert.Equal(FailureKind.Locked, refusal.Kind);
        Assert.Equal($"database {Database} is open in pid {app.Pid} (python3)", refusal.Message);
        Assert.Equal(["app.db"], Names);
    }

    [Fact]
    public void An_app_that_opens_the_database_meanwhile_is_refused_at_the_end_even_where_it_was_excepted_at_first()
    {
        PythonDatabase.Make(Database, firstId: 1, lastId: 20);
        using var app = PythonDatabase.Run(Database, "app.execute('SELECT 1 FROM t').fetchall()");
        var options = RestoreTargetOptions.Default with { PidUntilCommit = app.Pid };
        using var target = RestoreTarget.Prepare(Database, RestoreMode.InPlace, options, FixedTime.Instance);
        RestoreImage.WriteTo(target.File);

        Assert.Equal(FailureKind.Locked, Assert.Throws<SalvorException>(() => target.Commit(null, default)).Kind);
        Assert.Equal("1-20 20", PythonDatabase.Rows(Database));
    }

    [Fact]
    public void A_database_that_fails_its_check_never_appears_and_the_old_one_stays()
    {
        PythonDatabase.LeaveWithLog(Database);
        using (var target = Prepare(RestoreMode.InPlace))
        {
            RestoreImage.WriteTo(target.File);
            RandomAccess.Write(target.File, [0x44], 100);

            var failure = Assert.Throws<SalvorException>(() => target.Commit(IntegrityCheckDepth.Full, default));
            Assert.Equal($"{Database} fails integrity_check: database disk image is malformed", failure.Message);
        }

        Assert.Equal(["app.db", "app.db-shm", "app.db-wal"], Names);
        Assert.Equal("1-200 200", PythonDatabase.Rows(Database));
    }

    [Fact]
    public void A_restore_that_is_cancelled_leaves_no_file()
    {
        using (var target = Prepare(RestoreMode.NewFile))
        {
            RestoreImage.WriteTo(target.File);
            Assert.Throws<OperationCanceledException>(() => target.Commit(null, new(canceled: true)));
        }

        Assert.Empty(Names);
    }

    [Fact]
    public void What_a_killed_restore_left_is_removed_by_the_next_while_that_of_a_living_one_stays()
    {
        using var living = Prepare(RestoreMode.NewFile);
        string left;
        using (var child = RestoreChild.Preparing(Database))
        {
            left = Assert.Single(Names, name => !name.Contains($".restoring-{Environment.ProcessId}-", StringComparison.Ordinal));
            Prepare(RestoreMode.NewFile).Dispose();
            Assert.Contains(left, Names);
        }

        File.WriteAllText(directory[".notes.restoring-later"], "not ours");
        Prepare(RestoreMode.NewFile).Dispose();

        Assert.DoesNotContain(left, Names);
        Assert.Equal(2, Names.Length);
        Assert.Contains(".notes.restoring-later", Names);
    }

    static void Run(params string[] command)
    {
        using var process = Process.Start(command[0], command[1..]);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    RestoreTarget Prepare(RestoreMode mode) => RestoreTarget.Prepare(Database, mode, RestoreTargetOptions.Default, FixedTime.Instance);

    RestoredFile Restore(RestoreMode mode, byte[]? image = null)
    {
        using var target = Prepare(mode);
        RestoreImage.WriteTo(target.File, image);
        return target.Commit(IntegrityCheckDepth.Full, default);
    }
}
