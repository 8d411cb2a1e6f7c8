using Salvor.Platform;

namespace Salvor.Jobs.Config;

/// <summary>
/// What was found in some directories, for as long as none of them has changed since: a look at a thousand files, of which none is new,
/// then costs a look at their directory.
/// </summary>
sealed class DirectoryMemory(TimeProvider time)
{
    /// <summary>
    /// Far longer than a tick of the clock of any file system: what changes in the tick in which a directory was read does not show.
    /// </summary>
    static readonly TimeSpan SettledAfter = TimeSpan.FromSeconds(10);

    readonly Lock gate = new();
    Found? last;

    /// <summary>The same list as the last time where nothing changed; else what the search finds.</summary>
    /// <param name="search">
    /// Calls its argument for each directory before it reads it, and returns what it found and whether that was all.
    /// </param>
    public IReadOnlyList<string> Recall(Func<Action<string>, (IReadOnlyList<string> Files, bool IsComplete)> search)
    {
        Found? known;
        lock (gate)
        {
            known = last;
        }

        if (known?.Directories.All(item => FileStat.Of(item.Path) is { } now && StateOf(now) == item.State) == true)
        {
            return known.Files;
        }

        var directories = new List<(string, State)>();
        var isSettled = true;
        var (files, isComplete) = search(path =>
        {
            var stat = FileStat.Of(path);
            isSettled &= stat is { } seen && IsSettled(seen);
            directories.Add((path, stat is { } found ? StateOf(found) : default));
        });
        lock (gate)
        {
            last = isSettled && isComplete && directories.Count > 0 ? new Found(files, directories) : null;
        }

        return files;
    }

    bool IsSettled(FileStat stat) =>
        (time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks - (stat.ModifiedNanoseconds / TimeSpan.NanosecondsPerTick)
            > SettledAfter.Ticks;

    static State StateOf(FileStat stat) => new(stat.Identity, stat.Permissions, stat.ModifiedNanoseconds);

    readonly record struct State(FileIdentity Identity, uint Permissions, long ModifiedNanoseconds);

    sealed record Found(IReadOnlyList<string> Files, IReadOnlyList<(string Path, State State)> Directories);
}
