using System.Collections.Concurrent;
using Salvor.Platform;

namespace Salvor.Sqlite.Capture;

/// <summary>Something that the engine wakes when its time has come. All its calls come from the engine's thread.</summary>
abstract class EngineTask
{
    /// <summary>Never, except for events.</summary>
    public const long Never = long.MaxValue;

    /// <summary>When it is due, in timestamps of the engine's clock.</summary>
    internal long DueAt { get; set; } = Never;

    internal bool IsAdded { get; set; }

    /// <summary>Does what is due and returns when to be called next.</summary>
    public abstract long Wake(long now);

    /// <summary>A step threw, and the task will not be woken again.</summary>
    public abstract void Fail(Exception e);
}

/// <summary>Takes the events of one directory.</summary>
delegate void FileListener(string name, FileChange change);

/// <summary>
/// One thread and one inotify descriptor for all databases of a process: waits for events and due times, and runs short, non-blocking
/// steps. Whatever may take long (reading a whole database, publishing) happens elsewhere and comes back by <see cref="Post"/>.
/// </summary>
sealed class CaptureEngine : IDisposable
{
    readonly Inotify inotify = new();
    readonly ConcurrentQueue<Action> posted = new();
    readonly PriorityQueue<EngineTask, long> due = new();
    readonly Dictionary<string, (int Watch, List<(string? Prefix, FileListener Listener)> Listeners)> directories = [];
    readonly Dictionary<int, List<(string? Prefix, FileListener Listener)>> byWatch = [];
    readonly TimeProvider time;
    readonly Thread thread;
    volatile bool stopping;

    public CaptureEngine(TimeProvider time)
    {
        this.time = time;
        Turns = new Turns(time);
        thread = new Thread(Run) { Name = "capture", IsBackground = true };
        thread.Start();
    }

    public Turns Turns { get; }

    /// <summary>One snapshot at a time: there is no hurry, and the sources have the processors first.</summary>
    public SemaphoreSlim SnapshotTurn { get; } = new(1);

    /// <summary>Room for reading frames, shared by all tasks because only one runs at a time.</summary>
    public byte[] Buffer { get; private set; } = new byte[256 << 10];

    /// <summary>Called where the handling of an event or a posted action threw. A last resort: they handle what they know.</summary>
    public required Action<Exception> Failed { get; init; }

    public long Now => time.GetTimestamp();

    public long After(TimeSpan delay) => Now + Ticks(delay);

    public long Ticks(TimeSpan delay) => (long)(delay.TotalSeconds * time.TimestampFrequency);

    /// <summary>Runs on the engine's thread, soon.</summary>
    public void Post(Action action)
    {
        posted.Enqueue(action);
        if (!stopping && Environment.CurrentManagedThreadId != thread.ManagedThreadId)
        {
            inotify.Wake();
        }
    }

    /// <summary>Runs on the engine's thread and returns the result.</summary>
    public Task<T> RunAsync<T>(Func<T> action)
    {
        var completion = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(() =>
        {
            try
            {
                completion.SetResult(action());
            }
            catch (Exception e)
            {
                completion.SetException(e);
            }
        });
        return completion.Task;
    }

    /// <summary>On the engine's thread: wakes the task as soon as possible, and adds it if needed.</summary>
    public void WakeSoon(EngineTask task)
    {
        task.IsAdded = true;
        Schedule(task, 0);
    }

    public static void Remove(EngineTask task)
    {
        task.IsAdded = false;
        task.DueAt = EngineTask.Never;
    }

    /// <summary>
    /// On the engine's thread: calls the listener for events of files in a directory whose name begins like this (null: all). An overflow
    /// is told as an empty name. The directory must exist.
    /// </summary>
    public IDisposable Listen(string directory, string? prefix, FileListener listener)
    {
        if (!directories.TryGetValue(directory, out var entry))
        {
            entry = (inotify.Watch(directory), []);
            directories[directory] = entry;
            byWatch[entry.Watch] = entry.Listeners;
        }

        var item = (prefix, listener);
        entry.Listeners.Add(item);
        return new Subscription(() => Post(() => Unlisten(directory, item)));
    }

    public void EnsureBuffer(int bytes)
    {
        if (Buffer.Length < bytes)
        {
            Buffer = new byte[bytes];
        }
    }

    public void Dispose()
    {
        stopping = true;
        inotify.Wake();
        thread.Join();
        inotify.Dispose();
        Turns.Dispose();
        SnapshotTurn.Dispose();
    }

    void Run()
    {
        var events = new List<FileEvent>();
        while (!stopping)
        {
            RunPosted();
            var wait = RunDue();
            events.Clear();
            inotify.Wait(posted.IsEmpty ? wait : TimeSpan.Zero, events);
            foreach (var item in events)
            {
                Dispatch(item);
            }
        }
    }

    void RunPosted()
    {
        // Only those that are there now: what they post in turn waits for the next round, so that events get their turn too.
        for (var count = posted.Count; count > 0 && posted.TryDequeue(out var action); count--)
        {
            Guarded(null, action);
        }
    }

    TimeSpan RunDue()
    {
        var now = Now;
        while (due.TryPeek(out var task, out var at))
        {
            if (!task.IsAdded || task.DueAt != at)
            {
                due.Dequeue();
                continue;
            }

            if (at > now)
            {
                return time.GetElapsedTime(now, at);
            }

            due.Dequeue();
            task.DueAt = EngineTask.Never;
            Guarded(task, () => Schedule(task, Math.Max(task.Wake(now), now + 1)));
        }

        return Timeout.InfiniteTimeSpan;
    }

    void Schedule(EngineTask task, long at)
    {
        if (task.IsAdded && at < task.DueAt)
        {
            task.DueAt = at;
            due.Enqueue(task, at);
        }
    }

    void Dispatch(FileEvent item)
    {
        if (item.Change.HasFlag(FileChange.Overflow))
        {
            foreach (var listener in byWatch.Values.SelectMany(listeners => listeners).ToList())
            {
                Guarded(null, () => listener.Listener("", FileChange.Overflow));
            }
        }
        else if (byWatch.TryGetValue(item.Watch, out var listeners))
        {
            for (var i = 0; i < listeners.Count; i++)
            {
                var (prefix, listener) = listeners[i];
                if (prefix is null || item.Name.Length == 0 || item.Name.StartsWith(prefix, StringComparison.Ordinal))
                {
                    Guarded(null, () => listener(item.Name, item.Change));
                }
            }
        }
    }

    void Guarded(EngineTask? task, Action action)
    {
        try
        {
            action();
        }
        catch (Exception e)
        {
            // One database must not end the capture of all others.
            if (task is null)
            {
                Failed(e);
                return;
            }

            Remove(task);
            task.Fail(e);
        }
    }

    void Unlisten(string directory, (string?, FileListener) item)
    {
        if (directories.TryGetValue(directory, out var entry) && entry.Listeners.Remove(item) && entry.Listeners.Count == 0)
        {
            directories.Remove(directory);
            byWatch.Remove(entry.Watch);
            inotify.Unwatch(entry.Watch);
        }
    }

    sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
