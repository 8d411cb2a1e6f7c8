using Microsoft.Win32.SafeHandles;
using System.Diagnostics;
using System.Text;
using Salvor.Platform;
using Salvor.Tests.Support;

namespace Salvor.Tests.Platform;

public sealed class InotifyTests : IDisposable
{
    static readonly TimeSpan Long = TimeSpan.FromSeconds(20);

    readonly TemporaryDirectory directory = new();
    readonly Inotify inotify = new();
    readonly List<FileEvent> events = [];

    public void Dispose()
    {
        inotify.Dispose();
        directory.Dispose();
    }

    [Fact]
    public void A_created_file_appears()
    {
        var watch = inotify.Watch(directory.Path);

        File.Create(directory["a"]).Dispose();

        Assert.True(inotify.Wait(Long, events));
        Assert.Equal(new(watch, "a", FileChange.Appeared), events[0]);
    }

    [Fact]
    public void A_written_file_is_modified()
    {
        File.Create(directory["a"]).Dispose();
        var watch = inotify.Watch(directory.Path);

        File.AppendAllText(directory["a"], "x");

        Assert.True(inotify.Wait(Long, events));
        Assert.Equal([new FileEvent(watch, "a", FileChange.Modified)], events);
    }

    [Fact]
    public void A_renamed_file_vanishes_under_one_name_then_appears_under_the_other()
    {
        File.Create(directory["a"]).Dispose();
        var watch = inotify.Watch(directory.Path);

        File.Move(directory["a"], directory["b"]);

        Assert.True(inotify.Wait(Long, events));
        Assert.Equal([new(watch, "a", FileChange.Vanished), new FileEvent(watch, "b", FileChange.Appeared)], events);
    }

    [Fact]
    public void A_created_directory_is_told_from_a_file()
    {
        var watch = inotify.Watch(directory.Path);

        Directory.CreateDirectory(directory["d"]);

        Assert.True(inotify.Wait(Long, events));
        Assert.Equal([new FileEvent(watch, "d", FileChange.Appeared | FileChange.Directory)], events);
    }

    [Fact]
    public void A_removed_directory_says_so_itself()
    {
        var inner = Directory.CreateDirectory(directory["inner"]).FullName;
        var watch = inotify.Watch(inner);

        Directory.Delete(inner);

        Assert.True(inotify.Wait(Long, events));
        Assert.Equal([new FileEvent(watch, "", FileChange.DirectoryGone)], events);
        inotify.Unwatch(watch);
    }

    [Fact]
    public void One_directory_by_two_paths_is_one_watch()
    {
        File.CreateSymbolicLink(directory["link"], directory.Path);

        Assert.Equal(inotify.Watch(directory.Path), inotify.Watch(directory["link"]));
    }

    [Fact]
    public void An_ended_watch_tells_nothing_more()
    {
        inotify.Unwatch(inotify.Watch(directory.Path));

        File.Create(directory["a"]).Dispose();

        Assert.False(inotify.Wait(TimeSpan.FromMilliseconds(20), events));
    }

    [Fact]
    public void Waiting_ends_when_the_time_is_over()
    {
        var started = Stopwatch.GetTimestamp();

        Assert.False(inotify.Wait(TimeSpan.FromMilliseconds(1.5), events));

        Assert.True(Stopwatch.GetElapsedTime(started) >= TimeSpan.FromMilliseconds(1.5));
    }

    [Fact]
    public void Zero_time_looks_without_waiting() => Assert.False(inotify.Wait(TimeSpan.Zero, events));

    [Fact]
    public void A_wake_before_the_wait_is_not_lost()
    {
        inotify.Wake();

        Assert.True(inotify.Wait(Timeout.InfiniteTimeSpan, events));
        Assert.Empty(events);
        Assert.False(inotify.Wait(TimeSpan.Zero, events));
    }

    [Fact]
    public void A_wake_ends_a_wait_without_limit()
    {
        var waiting = new Thread(() => inotify.Wait(Timeout.InfiniteTimeSpan, []));
        waiting.Start();

        inotify.Wake();

        Assert.True(waiting.Join(Long));
    }

    [Fact]
    public void Disposal_ends_a_wait_without_limit()
    {
        var waiting = new Thread(() => Record.Exception(() => inotify.Wait(Timeout.InfiniteTimeSpan, [])));
        waiting.Start();

        inotify.Dispose();

        Assert.True(waiting.Join(Long));
        Assert.Throws<ObjectDisposedException>(() => inotify.Wait(TimeSpan.Zero, events));
    }

    [Fact]
    public void Names_of_known_files_are_made_once()
    {
        inotify.Watch(directory.Path);

        File.Create(directory["a"]).Dispose();
        inotify.Wait(Long, events);
        var first = events[0].Name;
        File.Delete(directory["a"]);
        inotify.Wait(Long, events);

        Assert.Same(first, events[0].Name);
    }

    [Fact]
    public void Waiting_for_changes_of_known_files_allocates_nothing()
    {
        inotify.Watch(directory.Path);
        using var file = Posix.Open(directory["a"], Posix.ReadWrite | Posix.Create);
        for (var i = 0; i < 3; i++)
        {
            RandomAccess.Write(file, [1], fileOffset: 0);
            Assert.True(inotify.Wait(Long, events));
        }

        // What the runtime needs once, such as for a better version of the code, is not ours.
        Assert.Contains(0, Enumerable.Range(0, 3).Select(_ => AllocatedBy(changes: 1_000, file)));
    }

    long AllocatedBy(int changes, SafeFileHandle file)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < changes; i++)
        {
            RandomAccess.Write(file, [1], fileOffset: 0);
            inotify.Wait(Long, events);
        }

        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    [Fact]
    public void Thousands_of_directories_are_watched_by_one_descriptor()
    {
        var watches = Enumerable.Range(0, 1_000)
            .Select(i => inotify.Watch(Directory.CreateDirectory(directory[$"{i}"]).FullName))
            .ToList();

        Directory.CreateDirectory(directory["999/new"]);

        Assert.True(inotify.Wait(Long, events));
        Assert.Equal([new FileEvent(watches[999], "new", FileChange.Appeared | FileChange.Directory)], events);
    }

    [Fact]
    public void Names_are_forgotten_rather_than_kept_without_bound()
    {
        var names = new FileNames();
        var first = names.Of("first"u8);

        for (var i = 0; i < FileNames.CountMax; i++)
        {
            names.Of(Encoding.UTF8.GetBytes($"{i}"));
        }

        Assert.NotSame(first, names.Of("first"u8));
    }

    /// <summary>The kernel's queue is bounded (16,384 events by default); distinct names keep it from merging events.</summary>
    [Fact]
    public void Dropped_events_are_announced()
    {
        var limit = int.Parse(File.ReadAllText("/proc/sys/fs/inotify/max_queued_events"));
        Assert.SkipWhen(limit > 100_000, "the queue is too long to fill it here");
        inotify.Watch(directory.Path);

        for (var i = 0; i <= limit / 2; i++)
        {
            File.Create(directory["a"]).Dispose();
            File.Delete(directory["a"]);
        }

        var all = new List<FileEvent>();
        while (inotify.Wait(TimeSpan.Zero, events))
        {
            all.AddRange(events);
        }

        Assert.Contains(new FileEvent(-1, "", FileChange.Overflow), all);
    }

    [Fact]
    public void A_missing_directory_is_named()
    {
        var failure = Assert.Throws<PosixException>(() => inotify.Watch(directory["absent"]));

        Assert.Equal(FailureKind.SourceUnreadable, failure.Kind);
        Assert.Equal($"cannot watch {directory["absent"]}: no such file or directory", failure.Message);
        Assert.Equal($"Check the spelling: 'namei -l {directory["absent"]}' shows where the path ends.", failure.Hint);
    }

    [Fact]
    public void The_limit_of_watches_is_named_with_its_setting()
    {
        var failure = Inotify.WatchFailure(Errno.NoSpace, "/data");

        Assert.Equal(FailureKind.Failure, failure.Kind);
        Assert.Equal("cannot watch /data: the user's limit of watched directories is reached", failure.Message);
        Assert.Equal(
            "Raise it: 'sysctl -w fs.inotify.max_user_watches=1048576', and in /etc/sysctl.d to keep it.", failure.Hint);
    }
}
