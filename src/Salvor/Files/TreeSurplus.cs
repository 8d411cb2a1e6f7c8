using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Finds and removes what a directory has and a snapshot does not, as far as it would be restored if the snapshot had it. Only what is
/// inside of a configured path can be known not to be in it; what was left out there, and what is on another file system, stays.
/// </summary>
/// <param name="snapshot">What is restored.</param>
/// <param name="options">What of it.</param>
/// <param name="root">The directory that is restored into, open.</param>
/// <param name="removes">Whether it is removed; else it is only counted.</param>
sealed class TreeSurplus(TreeSnapshot snapshot, TreeRestoreOptions options, SafeFileHandle root, bool removes)
{
    readonly ulong device = EntryStat.Of(root, "the target").Device;
    readonly List<string> removed = [];
    readonly List<Level> levels = [new(root, [], null, false)];
    readonly HashSet<(ulong Device, ulong Inode)> never =
        [.. options.Never.Select(FileIdentity.Of).OfType<FileIdentity>().Select(identity => (identity.Device, identity.Inode))];

    /// <param name="Directory">Null where it is not there.</param>
    /// <param name="Path">In the snapshot.</param>
    /// <param name="Names">What is in it; null where nothing of it is removed.</param>
    /// <param name="IsInside">Whether it is one that is restored, and does not only lead there.</param>
    sealed record Level(SafeFileHandle? Directory, byte[] Path, NamesThere? Names, bool IsInside);

    /// <summary>How many names.</summary>
    public long Count { get; private set; }

    /// <summary>Their paths in the backup, in order; at most <see cref="TreeBackupResult.ProblemsMax"/>.</summary>
    public IReadOnlyList<string> Removed => removed;

    /// <summary>How many names are in both, inside of the restored paths.</summary>
    public long Common { get; private set; }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            await GoAsync(cancellationToken);
        }
        finally
        {
            levels.Skip(1).ToList().ForEach(level => level.Directory?.Dispose());
        }
    }

    async Task GoAsync(CancellationToken cancellationToken)
    {
        await using var listing = new WantedListing(snapshot, options);
        while (await listing.ReadAsync(cancellationToken) is { } item)
        {
            var parent = levels[^1];
            if (item.Entry.Kind == TreeEntryKind.End)
            {
                parent.Names?.End(name => TryRemove(parent, name));
                parent.Directory?.Dispose();
                levels.RemoveAt(levels.Count - 1);
                continue;
            }

            if (parent.Names?.Reach(item.Entry.Name, name => TryRemove(parent, name)) == true)
            {
                Meet(parent, item);
            }

            if (item.Entry.Kind == TreeEntryKind.Directory)
            {
                levels.Add(Enter(parent, item));
            }
        }
    }

    /// <summary>A directory that is something else in the snapshot, or the other way about, has to go too.</summary>
    void Meet(Level parent, WantedEntry item)
    {
        var isDirectory = EntryStat.In(parent.Directory!, item.Entry.Name, out _) is { Type: EntryStat.Directory };
        if (isDirectory == (item.Entry.Kind == TreeEntryKind.Directory))
        {
            Common++;
        }
        else if (item.IsWanted && !TryRemove(parent, item.Entry.Name))
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"{DirectoryCalls.Show(item.Path)} is no directory in the backup, and something in it is not to be removed",
                "Move it away, then try again.");
        }
    }

    Level Enter(Level parent, WantedEntry item)
    {
        var directory = parent.Directory is null ? null : DirectoryCalls.TryOpenDirectory(parent.Directory, item.Entry.Name, out _);
        if (directory is not null && EntryStat.Of(directory, DirectoryCalls.Show(item.Path)).Device != device)
        {
            directory.Dispose();
            directory = null;
        }

        var isInside = parent.IsInside || item.Entry.Marks.HasFlag(TreeEntryMarks.Root);
        var isListed = isInside && (item.Entry.Marks & (TreeEntryMarks.LeftOut | TreeEntryMarks.Unreadable)) == 0;
        return new Level(directory, item.Path, directory is not null && isListed ? new NamesThere(directory, item.Path) : null, isInside);
    }

    bool TryRemove(Level parent, byte[] name) => TryRemove(parent.Directory!, name, [.. parent.Path, (byte)'/', .. name]);

    /// <summary>Removes a name with all below it, as far as it may go; false where something stays.</summary>
    bool TryRemove(SafeFileHandle directory, byte[] name, byte[] path)
    {
        if (EntryStat.In(directory, name, out _) is not { } stat)
        {
            return true;
        }

        var isDirectory = stat.Type == EntryStat.Directory;
        if (never.Contains((stat.Device, stat.Inode)) || options.Kept.MatchesAtOrAbove(path, isDirectory)
            || options.Exclude.MatchesAtOrAbove(path, isDirectory) || (isDirectory && !TryEmpty(directory, name, path))
            || !options.Wants(path, isDirectory))
        {
            return false;
        }

        if (removed.Count < TreeBackupResult.ProblemsMax)
        {
            removed.Add(DirectoryCalls.Show(path) + (isDirectory ? "/" : ""));
        }

        Count++;
        if (removes)
        {
            DirectoryCalls.Remove(directory, name, isDirectory);
        }

        return true;
    }

    bool TryEmpty(SafeFileHandle parent, byte[] name, byte[] path)
    {
        using var directory = DirectoryCalls.TryOpenDirectory(parent, name, out var error)
            ?? throw new PosixException(error, "open", DirectoryCalls.Show(path));
        if (EntryStat.Of(directory, DirectoryCalls.Show(path)).Device != device)
        {
            return false;
        }

        var isEmpty = true;
        foreach (var inside in DirectoryCalls.List(directory, DirectoryCalls.Show(path)))
        {
            isEmpty &= TryRemove(directory, inside, [.. path, (byte)'/', .. inside]);
        }

        return isEmpty;
    }
}
