using System.Text.Json;
using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Jobs.Notify;

/// <summary>The local state of notifications: what was seen, what waits, what was counted. Losing it costs a message told twice.</summary>
static class NotifyState
{
    const string FolderName = "notify";
    const string MemoryName = "seen.json";
    const string LockName = "lock";

    /// <summary>The folder; null where no source says where local state is.</summary>
    public static string? DirectoryOf(SalvorConfig config)
    {
        if (config.Notifications?.StateDirectory is { } given)
        {
            return Path.Combine(given, FolderName);
        }

        var states = config.Sources.Values.Select(StateOf)
            .Concat(config.SnapshotSources.Select(source => ConfiguredSources.StateOf(config, source)));
        return states.FirstOrDefault() is { } first ? Path.Combine(first, FolderName) : null;
    }

    /// <summary>Of many databases, the folder in which they are looked for: members come and go.</summary>
    static string StateOf(SqliteSourceConfig source) => source.StateDirectory
        ?? (source.Path is { } path ? LocalState.DefaultDirectory(path) : Path.Combine(source.Paths!.BaseDirectory, LocalState.FolderName));

    /// <summary>Which run tells something, as lines of a log in JSON name it; <c>journalctl _PID=..</c> finds the others.</summary>
    public static string RunOf(string process, DateTimeOffset now) =>
        $"{process} (pid {Environment.ProcessId} since {InstantText.Format(now)})";

    /// <summary>Makes the folder, but not the one of an application that is not there yet.</summary>
    public static void Ensure(string directory)
    {
        if (!Directory.Exists(Path.GetDirectoryName(Path.GetDirectoryName(directory))))
        {
            throw new DirectoryNotFoundException($"{Path.GetDirectoryName(Path.GetDirectoryName(directory))} does not exist");
        }

        LocalState.EnsureDirectory(directory);
    }

    /// <summary>Takes the right to look and to send.</summary>
    /// <param name="directory">The folder; null where there is none.</param>
    /// <param name="time">The clock.</param>
    /// <param name="isHeld">Whether another process has it, and tells what there is to tell.</param>
    /// <returns>Null where another process has it, or where nothing can be written.</returns>
    public static LockFile? TryLock(string? directory, TimeProvider time, out bool isHeld)
    {
        isHeld = false;
        if (directory is null)
        {
            return null;
        }

        try
        {
            Ensure(directory);
            return LockFile.Acquire(
                Path.Combine(directory, LockName),
                LockHolder.Current(time.GetUtcNow(), socket: null, LocalState.Version, "notifications"));
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            // Where nothing can be written, no other process can be here either; what follows from that is said when it is tried.
            isHeld = e is SalvorException { Kind: FailureKind.Locked };
            return null;
        }
    }

    public static WatchMemory ReadMemory(string? directory) => directory is null
        ? new()
        : JsonMark.TryRead(Path.Combine(directory, MemoryName), NotifyJson.Default.WatchMemory) ?? new();

    /// <summary>Writes what was seen where it differs from what is written; what is written now.</summary>
    public static byte[] WriteMemory(string? directory, WatchMemory memory, byte[] written, ILogger logger)
    {
        var content = JsonSerializer.SerializeToUtf8Bytes(memory, NotifyJson.Default.WatchMemory);
        if (directory is null || content.AsSpan().SequenceEqual(written))
        {
            return written;
        }

        try
        {
            Ensure(directory);
            DurableFile.Replace(Path.Combine(directory, MemoryName), content);
            return content;
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            logger.ToldNotWritten(directory, e.Message);
            return content;
        }
    }

    /// <summary>All that is configured, from the start: what appears with its first failure never increased.</summary>
    public static IReadOnlyList<NotifierFigures> FiguresOf(
        NotificationsConfig? config, IReadOnlyDictionary<string, NotifierCounts> counts, Func<string, int> queued) =>
        config is null
            ? []
            : [.. config.Notifiers.Select(notifier => notifier.Name).Concat(config.HasPing ? [NotifyPing.Name] : Array.Empty<string>())
                .Select(name => new NotifierFigures(name, counts.GetValueOrDefault(name) ?? new(), queued(name)))];

    /// <summary>The same from another process than the one that sends.</summary>
    public static IReadOnlyList<NotifierFigures> ReadFigures(SalvorConfig config)
    {
        if (config.Notifications is not { } notifications)
        {
            return [];
        }

        var directory = DirectoryOf(config);
        var waiting = NotifyQueue.CountWaiting(directory);
        return FiguresOf(notifications, NotifyQueue.ReadCounts(directory), name => waiting.GetValueOrDefault(name));
    }
}
