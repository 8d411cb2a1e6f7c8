using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Finds and removes what a directory has and a snapshot does not, as far as it would be restored if the snapshot had it. Only what is
/// inside of a configured path can be known not to be in it. What is not known stays: what lies where something was left out, or could
/// not be read, what is mounted there, and vaults.
/// </summary>
/// <param name="snapshot">What is restored.</param>
/// <param name="options">What of it.</param>
/// <param name="root">The directory that is restored into, open.</param>
/// <param name="removes">Whether it is removed; else it is only counted.</param>
sealed class TreeSurplus(TreeSnapshot snapshot, TreeRestoreOptions options, SafeFileHandle root, bool removes)
{
    readonly EntryStat place = EntryStat.Of(root, "the target");
    readonly List<string> removed = [];
    readonly List<string> kept = [];
    readonly List<Level> levels =
    [
        new(root, options.Top, options.HasAll ? new(root, options.Top) : null, default(Rules) with { IsInside = options.HasAll }),
    ];

    readonly HashSet<(ulong Device, ulong Inode)> never = OwnPlaces.Of(options.Never);
    readonly HashSet<string> goneDatabases = [];
    long besideGaps;
    long besideUnreadable;
    bool isAnyWhole = options.HasAll;

    /// <param name="Directory">Null where it is not there.</param>
    /// <param name="Path">In the snapshot.</param>
    /// <param name="Names">What is in it; null where it is not inside of what is restored, or not there.</param>
    /// <param name="Rules">What may go.</param>
    sealed record Level(SafeFileHandle? Directory, byte[] Path, NamesThere? Names, Rules Rules);

    /// <param name="IsInside">Whether it is one that is restored, and does not only lead there.</param>
    /// <param name="IsVault">Whether it is a vault or in one.</param>
    /// <param name="IsKept">Whether what the snapshot does not have stays, because it was left out, or is today.</param>
    /// <param name="HasGaps">Whether it stays, because a pattern left out something.</param>
    /// <param name="IsPartial">Whether it stays, because something could not be read.</param>
    readonly record struct Rules(bool IsInside, bool IsVault, bool IsKept, bool HasGaps, bool IsPartial)
    {
        public bool Removes => IsInside && !IsVault && !IsKept && !HasGaps && !IsPartial;
    }

    /// <summary>How many names.</summary>
    public long Count { get; private set; }

    /// <summary>Their paths in the backup, in order; at most <see cref="TreeBackupResult.ProblemsMax"/>.</summary>
    public IReadOnlyList<string> Removed => removed;

    /// <summary>How many names are in both, inside of the restored paths.</summary>
    public long Common { get; private set; }

    /// <summary>Whether nothing may be removed: what is not in the listing may have been there nevertheless.</summary>
    public bool IsUncertain { get; private set; }

    /// <summary>What stays, and why, each a line.</summary>
    public IReadOnlyList<string> Kept => kept;

    /// <summary>Whether something may be removed below a directory of the listing, for what it itself says.</summary>
    public static bool MayRemove(TreeEntry entry) =>
        entry.Marks.HasFlag(TreeEntryMarks.Root) && !entry.Marks.HasFlag(TreeEntryMarks.Narrowed);

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

        if (IsUncertain)
        {
            (Count, besideGaps, besideUnreadable) = (0, 0, 0);
            removed.Clear();
            kept.Clear();
            kept.Add("nothing is removed: some of what could not be read when this was backed up has no entry, and nobody knows where");
        }
        else if (!isAnyWhole)
        {
            kept.Add("nothing is removed: this backup does not say of any directory that all of it was to be kept");
        }

        Tell(besideGaps, "a pattern left out something there when this was backed up: '--force' removes what no pattern of today keeps");
        Tell(besideUnreadable, "something there could not be read when this was backed up");
    }

    async Task GoAsync(CancellationToken cancellationToken)
    {
        await using var listing = new WantedListing(snapshot, options);
        while (await listing.ReadAsync(cancellationToken) is { } item)
        {
            var parent = levels[^1];
            if (item.Entry.Kind == TreeEntryKind.End)
            {
                parent.Names?.End(name => Pass(parent, name));
                parent.Directory?.Dispose();
                levels.RemoveAt(levels.Count - 1);
                continue;
            }

            if (parent.Names?.Reach(item.Entry.Name, name => Pass(parent, name)) == true)
            {
                Meet(parent, item);
            }

            if (item.Entry.Kind == TreeEntryKind.Directory)
            {
                isAnyWhole |= MayRemove(item.Entry);
                levels.Add(Enter(parent, item));
            }
        }

        levels[0].Names?.End(name => Pass(levels[0], name));
        IsUncertain = snapshot.Details.Totals.Unreadable > listing.Totals.Unreadable;
    }

    void Tell(long count, string why)
    {
        if (count > 0)
        {
            kept.Add($"{count} name(s) that are not in the backup stay, because {why}");
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
        else if (item.IsWanted && ExistingTree.IsMade(item.Entry)
            && (!ExistingTree.MayReplace(item.Entry) || !TryRemove(parent, item.Entry.Name)))
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"{DirectoryCalls.Show(item.Path)} is no directory in the backup, and something in it is not to be removed",
                "Move it away, then try again.");
        }
    }

    Level Enter(Level parent, WantedEntry item)
    {
        var (marks, above) = (item.Entry.Marks, parent.Rules);
        var directory = parent.Directory is null || OwnPlaces.IsOwn(item.Entry.Name)
            ? null
            : DirectoryCalls.TryOpenDirectory(parent.Directory, item.Entry.Name, out _);
        if (directory is not null && !IsHere(EntryStat.Of(directory, DirectoryCalls.Show(item.Path))))
        {
            directory.Dispose();
            directory = null;
        }

        var rules = new Rules(
            above.IsInside || MayRemove(item.Entry),
            above.IsVault || (directory is not null && OwnPlaces.IsVault(directory)),
            marks.HasFlag(TreeEntryMarks.LeftOut) || (directory is not null && IsLeftOut(directory)),
            marks.HasFlag(TreeEntryMarks.Gaps) && !options.IsOver,
            marks.HasFlag(TreeEntryMarks.Unreadable));
        return new Level(directory, item.Path, directory is null || !rules.IsInside ? null : new NamesThere(directory, item.Path), rules);
    }

    bool IsHere(EntryStat stat) => (stat.Device, stat.MountId) == (place.Device, place.MountId);

    bool IsLeftOut(SafeFileHandle directory) => CacheTag.IsLeftOut(directory, options.KeptIfPresent, options.KeepsCaches);

    /// <summary>A name that is not in the snapshot.</summary>
    void Pass(Level parent, byte[] name)
    {
        if (parent.Rules.Removes)
        {
            _ = TryRemove(parent, name);
        }
        else if (!parent.Rules.IsVault && !parent.Rules.IsKept && EntryStat.In(parent.Directory!, name, out _) is { } stat
            && !IsSpared(stat, name, PathIn(parent, name)))
        {
            besideUnreadable += parent.Rules.IsPartial ? 1 : 0;
            besideGaps += parent.Rules.IsPartial ? 0 : 1;
        }
    }

    void Keep(string line)
    {
        if (kept.Count < TreeBackupResult.ProblemsMax)
        {
            kept.Add(line);
        }
    }

    static byte[] PathIn(Level parent, byte[] name) => [.. parent.Path, (byte)'/', .. name];

    bool TryRemove(Level parent, byte[] name)
    {
        var path = PathIn(parent, name);
        if (!OwnPlaces.HoldsVault(parent.Directory!, name))
        {
            return TryRemove(parent.Directory!, name, path);
        }

        Keep($"{DirectoryCalls.Show(path)}/ stays, because a vault is in it");
        return false;
    }

    /// <summary>Whether a name stays whatever the snapshot has.</summary>
    bool IsSpared(EntryStat stat, byte[] name, byte[] path)
    {
        var isDirectory = stat.Type == EntryStat.Directory;
        return !IsHere(stat) || OwnPlaces.IsOwn(name) || options.IsOfRestore(path) || never.Contains((stat.Device, stat.Inode))
            || options.Kept.MatchesAtOrAbove(path, isDirectory) || options.Exclude.MatchesAtOrAbove(path, isDirectory);
    }

    /// <summary>Removes a name with all below it, as far as it may go; false where something stays.</summary>
    bool TryRemove(SafeFileHandle directory, byte[] name, byte[] path)
    {
        if (EntryStat.In(directory, name, out var error) is not { } stat)
        {
            return error == Errno.NoEntry;
        }

        var isDirectory = stat.Type == EntryStat.Directory;
        if (IsSpared(stat, name, path) || (isDirectory ? !TryEmpty(directory, name, path) : IsSideOfOther(directory, name, path))
            || !options.Wants(path, isDirectory) || (removes && !TryUnlink(directory, name, path, isDirectory)))
        {
            return false;
        }

        if (removed.Count < TreeBackupResult.ProblemsMax)
        {
            removed.Add(DirectoryCalls.Show(path) + (isDirectory ? "/" : ""));
        }

        if (!removes && !isDirectory && LiveDatabases.HasSide(directory, name))
        {
            goneDatabases.Add(Convert.ToHexString(path));
        }

        Count++;
        return true;
    }

    /// <summary>Whether a name is that of a log of a database that stays: with one that is replaced its logs go too.</summary>
    bool IsSideOfOther(SafeFileHandle directory, byte[] name, byte[] path)
    {
        if (LiveDatabases.BaseOf(name) is not { } database
            || goneDatabases.Contains(Convert.ToHexString(path.AsSpan(0, path.Length - name.Length + database.Length))))
        {
            return false;
        }

        using var file = EntryStat.In(directory, database, out _) is { Type: EntryStat.Regular }
            ? DirectoryCalls.TryOpenFile(directory, database, out _)
            : null;
        return file is not null && LiveDatabases.IsDatabase(file, withJournal: false);
    }

    bool TryUnlink(SafeFileHandle directory, byte[] name, byte[] path, bool isDirectory)
    {
        try
        {
            DirectoryCalls.Remove(directory, name, isDirectory);
            return true;
        }
        catch (PosixException e) when (e.Error is Errno.AccessDenied or Errno.NotPermitted or Errno.Busy or Errno.NotEmpty)
        {
            if (options.HasAll)
            {
                // A cluster with files that are not its own is another one.
                throw new PosixException(e.Error, "remove", DirectoryCalls.Show(path));
            }

            Keep($"{DirectoryCalls.Show(path)} was not removed: {Errno.Describe(e.Error)}");
            return false;
        }
    }

    bool TryEmpty(SafeFileHandle parent, byte[] name, byte[] path)
    {
        using var directory = DirectoryCalls.TryOpenDirectory(parent, name, out var error)
            ?? throw new PosixException(error, "open", DirectoryCalls.Show(path));
        if (!IsHere(EntryStat.Of(directory, DirectoryCalls.Show(path))) || IsLeftOut(directory))
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
