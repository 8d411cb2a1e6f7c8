using System.Diagnostics;
using System.Text;
using Salvor.Platform;
using Salvor.Tests.Support;

namespace Salvor.Tests.Platform;

public sealed class LockFileTests : IDisposable
{
    static readonly DateTimeOffset Since = new(2026, 11, 20, 10, 30, 0, TimeSpan.Zero);

    readonly TemporaryDirectory directory = new();

    string LockPath => directory["lock"];

    public void Dispose() => directory.Dispose();

    [Fact]
    public void A_lock_that_is_held_is_refused_naming_the_holder()
    {
        using var held = LockFile.Acquire(LockPath, Holder());

        var refusal = Assert.Throws<SalvorException>(() => LockFile.Acquire(LockPath, Holder()));

        var host = Environment.MachineName;
        Assert.Equal(FailureKind.Locked, refusal.Kind);
        Assert.Equal(
            $"{LockPath} is held by pid {Environment.ProcessId} on host {host} since 2026-11-20T10:30:00Z", refusal.Message);
        Assert.Equal(
            $"Run 'salvor status' to see what it does, wait for it, or stop it: 'kill {Environment.ProcessId}' on {host}.",
            refusal.Hint);
    }

    [Fact]
    public void A_lock_held_by_a_program_that_does_not_say_who_it_is_is_still_refused()
    {
        using var silent = Posix.Open(LockPath, Posix.ReadWrite | Posix.Create);
        Assert.True(Posix.TryLock(silent, exclusive: true, LockPath));

        var refusal = Assert.Throws<SalvorException>(() => LockFile.Acquire(LockPath, Holder()));

        Assert.Equal($"{LockPath} is held by another process", refusal.Message);
        Assert.Equal($"Run 'fuser -v {LockPath}' to see which.", refusal.Hint);
    }

    [Fact]
    public void The_holder_can_be_asked_for_while_it_holds()
    {
        using var held = LockFile.Acquire(LockPath, Holder());

        Assert.Equal(Holder(), LockFile.HolderOf(LockPath));
    }

    [Fact]
    public void A_released_lock_has_no_holder()
    {
        LockFile.Acquire(LockPath, Holder()).Dispose();

        Assert.True(File.Exists(LockPath));
        Assert.Null(LockFile.HolderOf(LockPath));
    }

    [Fact]
    public void A_lock_that_was_never_taken_has_no_holder() => Assert.Null(LockFile.HolderOf(directory["absent/lock"]));

    [Fact]
    public void A_killed_holder_holds_no_longer_although_the_file_still_names_it()
    {
        using var child = TestChild.HoldingLock(LockPath);
        Assert.Equal(child.Pid, LockFile.HolderOf(LockPath)?.Pid);

        child.Kill();

        Assert.NotEqual(0, new FileInfo(LockPath).Length);
        Assert.Null(LockFile.HolderOf(LockPath));
        LockFile.Acquire(LockPath, Holder()).Dispose();
    }

    [Fact]
    public void A_lock_held_by_another_process_is_refused_with_its_id()
    {
        using var child = TestChild.HoldingLock(LockPath);

        var refusal = Assert.Throws<SalvorException>(() => LockFile.Acquire(LockPath, Holder()));

        Assert.StartsWith($"{LockPath} is held by pid {child.Pid} on host ", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Children_do_not_inherit_the_lock()
    {
        using var child = StartSleep(out var held);
        held.Dispose();

        Assert.DoesNotContain(LockPath, OpenFilesOf(child.Id));
        LockFile.Acquire(LockPath, Holder()).Dispose();
        child.Kill();
    }

    [Fact]
    public void The_file_is_for_its_owner_only()
    {
        using var held = LockFile.Acquire(LockPath, Holder());

        Assert.Equal(0b110_000_000u, FileStat.Of(LockPath)?.Permissions);
    }

    [Fact]
    public void A_symbolic_link_in_place_of_the_lock_is_refused()
    {
        File.CreateSymbolicLink(LockPath, directory["elsewhere"]);

        Assert.Throws<PosixException>(() => LockFile.Acquire(LockPath, Holder()));
        Assert.False(File.Exists(directory["elsewhere"]));
    }

    [Fact]
    public void Those_who_look_at_a_lock_do_not_keep_others_from_taking_it()
    {
        using var stop = new CancellationTokenSource();
        var looking = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                LockFile.HolderOf(LockPath);
            }
        });
        looking.Start();

        for (var i = 0; i < 200; i++)
        {
            LockFile.Acquire(LockPath, Holder()).Dispose();
        }

        stop.Cancel();
        looking.Join();
    }

    [Fact]
    public void The_file_is_json_with_documented_fields()
    {
        using var held = LockFile.Acquire(LockPath, new("h", "b", 12, 34, Since, "/run/s.sock", "1.2.3"));

        // .NET takes a lock of its own to read, which the holder's lock refuses; any other reader is welcome.
        using var file = Posix.Open(LockPath, Posix.ReadOnly);
        var text = new byte[RandomAccess.GetLength(file)];
        RandomAccess.Read(file, text, fileOffset: 0);
        Assert.Equal(
            """{"host":"h","boot_id":"b","pid":12,"start_ticks":34,"since":"2026-11-20T10:30:00+00:00","""
            + "\"socket\":\"/run/s.sock\",\"version\":\"1.2.3\",\"user\":\"\",\"command\":\"\"}",
            Encoding.UTF8.GetString(text));
    }

    static LockHolder Holder() => LockHolder.Current(Since, socket: null, "0.1.0");

    static string[] OpenFilesOf(int pid) =>
        [.. Directory.EnumerateFiles($"/proc/{pid}/fd").Select(name => new FileInfo(name).LinkTarget ?? "")];

    Process StartSleep(out LockFile held)
    {
        held = LockFile.Acquire(LockPath, Holder());
        return Process.Start("sleep", "60");
    }
}
