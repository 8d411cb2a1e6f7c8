using System.Diagnostics;
using Salvor.Platform;
using Salvor.Sqlite.Restore;
using Salvor.Tests.Support;

namespace Salvor.Tests.Sqlite.Restore;

/// <summary>
/// A restore is stopped after each of its steps. What a kill leaves is what lies on the disk at that moment, so the directory is copied
/// there, with its hard links, and an app opens what it finds in the copy.
/// </summary>
public sealed class RestoreStepTests : IDisposable
{
    const string OldRows = "1-200 200";
    const string NewRows = "1-10 10";

    readonly TemporaryDirectory directory = new();
    readonly List<(string Step, string Path)> states = [];

    string Database => directory["live/app.db"];

    public void Dispose() => directory.Dispose();

    [Theory]
    [InlineData(RestoreMode.InPlace, 6)]
    [InlineData(RestoreMode.Overwrite, 9)]
    public void A_kill_at_any_step_leaves_the_old_database_or_the_new_one_complete(RestoreMode mode, int stepCount)
    {
        Restore(mode, Posix.TryLink);

        Assert.Equal(stepCount, states.Count);
        foreach (var (step, state) in states)
        {
            var isPublished = states.FindIndex(item => item.Step == step) >= states.FindIndex(IsPublishing);
            AssertAppFinds(isPublished ? NewRows : OldRows, state, step);
        }
    }

    [Fact]
    public void An_app_that_starts_while_the_database_is_moved_aside_cannot_destroy_its_log()
    {
        Restore(RestoreMode.InPlace, Posix.TryLink);

        var (_, state) = states[states.FindIndex(item => item.Step.StartsWith("renamed ", StringComparison.Ordinal))];
        Assert.False(File.Exists(Path.Combine(state, "app.db")));
        Assert.True(File.Exists(Path.Combine(state, "app.db-wal")));
        PythonDatabase.Run(Path.Combine(state, "app.db"), "app.execute('CREATE TABLE t (a)')").Dispose();

        Assert.Equal(OldRows, PythonDatabase.Rows(Assert.Single(AsideIn(state))));
    }

    [Fact]
    public void Without_hard_links_no_step_loses_a_file_or_leaves_the_new_database_beside_the_old_log()
    {
        Restore(RestoreMode.InPlace, (_, _) => Errno.NotPermitted);

        Assert.Equal(4, states.Count);
        foreach (var (step, state) in states)
        {
            var names = Directory.GetFiles(state).Select(Path.GetFileName).ToArray();
            Assert.True(names.Count(name => name!.EndsWith("-wal", StringComparison.Ordinal)) == 1, step);
            Assert.True(!names.Contains("app.db") || !names.Contains("app.db-wal"), step);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(Errno.NotPermitted)]
    public void A_restore_that_fails_at_any_step_puts_everything_back(int linkError)
    {
        for (var failing = 1; ; failing++)
        {
            using var fresh = new TemporaryDirectory();
            PythonDatabase.LeaveWithLog(fresh["app.db"]);
            var before = Names(fresh.Path);
            var published = FailAt(failing, fresh["app.db"], linkError);
            if (published)
            {
                Assert.True(failing > 3);
                return;
            }

            Assert.Equal(before, Names(fresh.Path));
            Assert.Equal(OldRows, PythonDatabase.Rows(fresh["app.db"]));
        }
    }

    [Fact]
    public void An_app_that_makes_a_database_under_our_hands_keeps_it_and_is_told_where_the_old_one_is()
    {
        Directory.CreateDirectory(directory["live"]);
        PythonDatabase.LeaveWithLog(Database);
        using var target = RestoreTarget.Prepare(Database, RestoreMode.InPlace, RestoreTargetOptions.Default, FixedTime.Instance);
        target.Stepped = step =>
        {
            if (step.StartsWith("renamed ", StringComparison.Ordinal))
            {
                File.WriteAllText(Database, "of the app");
            }
        };

        var failure = Assert.Throws<SalvorException>(() => target.Commit(null, default));

        var aside = $"{Database}.before-restore-20261120T103000Z";
        var appeared = $"{Database} appeared while the restore was about to take its name";
        Assert.Equal(FailureKind.Locked, failure.Kind);
        Assert.Equal($"{appeared}; and the old database could not be put back: {appeared}", failure.Message);
        Assert.StartsWith(
            $"Nothing is lost: it is {aside}, with its log beside it. Stop the app that made it", failure.Hint, StringComparison.Ordinal);
        Assert.Equal("of the app", File.ReadAllText(Database));
        Assert.False(File.Exists(Database + "-wal"));
        Assert.Equal(OldRows, PythonDatabase.Rows(aside));
    }

    [Fact]
    public void An_app_that_opens_the_database_in_the_last_moment_is_noticed_and_keeps_it()
    {
        Directory.CreateDirectory(directory["live"]);
        PythonDatabase.LeaveWithLog(Database);
        using var target = RestoreTarget.Prepare(Database, RestoreMode.InPlace, RestoreTargetOptions.Default, FixedTime.Instance);
        PythonDatabase? app = null;
        target.Stepped = _ => app ??= PythonDatabase.Run(Database, "app.execute('SELECT 1 FROM t').fetchall()");

        var refusal = Assert.Throws<SalvorException>(() => target.Commit(null, default));

        using (app)
        {
            Assert.Equal($"database {Database} is open in pid {app!.Pid} (python3)", refusal.Message);
        }

        Assert.Equal(OldRows, PythonDatabase.Rows(Database));
    }

    static bool IsPublishing((string Step, string Path) state) => state.Step.StartsWith("published ", StringComparison.Ordinal);

    static string[] Names(string path) => [.. Directory.GetFiles(path).Order()];

    static string[] AsideIn(string state) =>
        [.. Directory.GetFiles(state, "app.db.before-restore-*").Where(path => path.EndsWith('Z'))];

    /// <summary>What the next start of the app reads, or the operator where the name is free.</summary>
    static void AssertAppFinds(string rows, string state, string step)
    {
        var database = Path.Combine(state, "app.db");
        var found = PythonDatabase.Rows(File.Exists(database) ? database : Assert.Single(AsideIn(state)));
        Assert.True(found == rows, $"after \"{step}\": {found}, not {rows}");
    }

    /// <summary>Whether the restore was over before that step.</summary>
    static bool FailAt(int failing, string path, int linkError)
    {
        var count = 0;
        using var target = RestoreTarget.Prepare(path, RestoreMode.InPlace, RestoreTargetOptions.Default, FixedTime.Instance);
        target.Link = (from, to) => linkError != 0 ? linkError : Posix.TryLink(from, to);
        target.Stepped = step =>
        {
            if (++count == failing && !step.StartsWith("published ", StringComparison.Ordinal))
            {
                throw new PosixException(Errno.NoSpace, "rename to", path);
            }
        };
        RestoreImage.WriteTo(target.File);
        try
        {
            target.Commit(null, default);
            return true;
        }
        catch (PosixException e) when (e.Error == Errno.NoSpace)
        {
            return false;
        }
    }

    void Restore(RestoreMode mode, Func<string, string, int> link)
    {
        Directory.CreateDirectory(directory["live"]);
        PythonDatabase.LeaveWithLog(Database);
        using var target = RestoreTarget.Prepare(Database, mode, RestoreTargetOptions.Default, FixedTime.Instance);
        (target.Stepped, target.Link) = (Keep, link);
        RestoreImage.WriteTo(target.File);
        target.Commit(IntegrityCheckDepth.Full, default);
    }

    void Keep(string step)
    {
        var copy = directory[$"state-{states.Count}"];
        using var process = Process.Start("cp", ["-a", directory["live"], copy]);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        states.Add((step, copy));
    }
}
