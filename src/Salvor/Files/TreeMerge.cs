using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Moves what <see cref="TreeStaging"/> made into a directory that has something in it, file after file: each takes the place of what has
/// its name. What it left where it was, because it is the same, gets its attributes.
/// </summary>
sealed class TreeMerge(
    TreeSnapshot snapshot, TreeRestoreOptions options, RestoreNotes notes, SafeFileHandle staging, ExistingTree existing) : IDisposable
{
    static readonly byte[][] Sides = ["-wal"u8.ToArray(), "-shm"u8.ToArray(), "-journal"u8.ToArray()];

    readonly List<Level> levels =
    [
        new(TreeEntry.End, [], false) { Staged = staging, Target = existing.Root, IsInside = options.HasAll },
    ];

    readonly EntryDress dress = new(options, notes);

    sealed record Level(TreeEntry Entry, byte[] Path, bool IsWanted)
    {
        public SafeFileHandle? Staged { get; set; }

        public SafeFileHandle? Target { get; set; }

        /// <summary>What its permissions were, where they are others for now.</summary>
        public uint? Permissions { get; set; }

        /// <summary>Whether it was moved as a whole.</summary>
        public bool IsMoved { get; set; }

        public bool IsInside { get; init; }

        /// <summary>
        /// What belonged to databases that are replaced, and was moved away, and whether it is what was proved: what the snapshot has of it
        /// comes back.
        /// </summary>
        public Dictionary<byte[], bool> Stale { get; } = new(ByteArrays.Comparer);
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var listing = new WantedListing(snapshot, options);
        while (await listing.ReadAsync(cancellationToken) is { } item)
        {
            var parent = levels[^1];
            if (item.Entry.Kind == TreeEntryKind.End)
            {
                Leave(parent);
                continue;
            }

            if (item.Entry.Kind == TreeEntryKind.Directory)
            {
                levels.Add(new Level(item.Entry, item.Path, item.IsWanted)
                {
                    IsInside = parent.IsInside || item.Entry.Marks.HasFlag(TreeEntryMarks.Root),
                });
            }

            if (item.IsWanted && Reach() is { IsMoved: false } level && item.Entry.Kind != TreeEntryKind.Directory)
            {
                Place(level, item);
            }
        }
    }

    public void Dispose() => levels.Skip(1).ToList().ForEach(Close);

    Level Reach()
    {
        for (var i = 1; i < levels.Count; i++)
        {
            if (levels[i] is { Target: null, IsMoved: false } level)
            {
                Enter(levels[i - 1], level);
            }
        }

        return levels[^1];
    }

    void Enter(Level parent, Level level)
    {
        var name = level.Entry.Name;
        if (parent.IsMoved)
        {
            level.IsMoved = true;
            return;
        }

        level.Target = DirectoryCalls.TryOpenDirectory(parent.Target!, name, out var error);
        if (level.Target is null && error == Errno.NoEntry)
        {
            if (EntryStat.In(parent.Staged!, name, out _) is { } made)
            {
                existing.ExpectWhole(made, level.Path);
            }

            TreeRestorer.Move(parent.Staged!, name, parent.Target!);
            level.IsMoved = true;
            return;
        }

        level.Staged = level.Target is null ? null : DirectoryCalls.TryOpenDirectory(parent.Staged!, name, out error);
        if (level.Staged is null)
        {
            throw new PosixException(error, "open", DirectoryCalls.Show(level.Path));
        }

        LetWrite(level);
    }

    /// <summary>A directory of one's own that may not be written to is for as long as things are moved there.</summary>
    static void LetWrite(Level level)
    {
        const uint MayChange = 0b011_000_000;
        var (stat, user) = (EntryStat.Of(level.Target!, DirectoryCalls.Show(level.Path)), Posix.EffectiveUserId());
        if (user != 0 && stat.UserId == user && (stat.Permissions & MayChange) != MayChange)
        {
            Posix.ChangeMode(level.Target!, stat.Permissions | MayChange, DirectoryCalls.Show(level.Path));
            level.Permissions = stat.Permissions;
        }
    }

    void Place(Level level, WantedEntry item)
    {
        var name = item.Entry.Name;
        var isFile = item.Entry.Kind == TreeEntryKind.File && ExistingTree.IsMade(item.Entry);
        var isStaged = EntryStat.In(level.Staged!, name, out _) is not null;
        if (isFile)
        {
            MoveSidesAway(level, isStaged ? level.Staged! : level.Target!, name);
        }

        if (isStaged)
        {
            DirectoryCalls.Move(level.Staged!, name, level.Target!);
        }

        var isBack = level.Stale.TryGetValue(name, out var isUntouched);
        if (isFile && (!isStaged || isBack))
        {
            using var file = DirectoryCalls.TryOpenFile(level.Target!, name, out var error)
                ?? throw new PosixException(error, "open", DirectoryCalls.Show(item.Path));
            if (!(isBack ? isUntouched : existing.IsUntouched(EntryStat.Of(file, DirectoryCalls.Show(item.Path)))))
            {
                throw ExistingTree.Changed(item.Path);
            }

            dress.Dress(file, item.Entry, item.Path, isNew: false);
        }
    }

    /// <summary>
    /// SQLite would play the log of the database that was there into the one that takes its place, also where that is cut off in between.
    /// One that the snapshot has too, and that stayed where it was, comes back from the directory in which the rest is removed.
    /// </summary>
    void MoveSidesAway(Level level, SafeFileHandle directory, byte[] name)
    {
        foreach (var side in Sides)
        {
            byte[] beside = [.. name, .. side];
            if (beside.Length > DirectoryCalls.NameBytesMax
                || EntryStat.In(level.Target!, beside, out _) is not { Type: EntryStat.Regular } stat || !IsDatabase(directory, name))
            {
                continue;
            }

            if (EntryStat.In(level.Staged!, beside, out _) is null)
            {
                DirectoryCalls.Move(level.Target!, beside, level.Staged!);
                level.Stale[beside] = existing.IsUntouched(stat);
            }
            else
            {
                DirectoryCalls.Remove(level.Target!, beside, isDirectory: false);
            }
        }
    }

    static bool IsDatabase(SafeFileHandle directory, byte[] name)
    {
        Span<byte> begin = stackalloc byte[16];
        using var file = DirectoryCalls.TryOpenFile(directory, name, out _);
        return file is not null && ContentChunker.IsDatabase(begin[..RandomAccess.Read(file, begin, 0)]);
    }

    /// <summary>
    /// The attributes of a directory come last: until then it is written to. One that only leads to what is restored keeps its own.
    /// </summary>
    void Leave(Level level)
    {
        levels.RemoveAt(levels.Count - 1);
        if (level is { Target: { } target, IsWanted: true, IsInside: true })
        {
            dress.Dress(target, level.Entry, level.Path, isNew: false);
        }
        else if (level is { Target: { } other, Permissions: { } permissions })
        {
            Posix.ChangeMode(other, permissions, DirectoryCalls.Show(level.Path));
        }

        Close(level);
    }

    static void Close(Level level)
    {
        level.Staged?.Dispose();
        level.Target?.Dispose();
    }
}
