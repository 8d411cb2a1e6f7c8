using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Makes what is asked for of a snapshot below one directory that nobody else may enter. What an unfinished restore left there is made use
/// of where it proves to be the same. Each name is made in a directory that this process made or found there, and holds open.
/// </summary>
/// <param name="snapshot">What is restored.</param>
/// <param name="options">What of it, and how.</param>
/// <param name="notes">Told what there is to say.</param>
/// <param name="staging">The directory.</param>
/// <param name="resumes">Whether something is there.</param>
/// <param name="existing">What is in the target beside it, where that is not empty: what is the same there is not made again.</param>
sealed class TreeStaging(
    TreeSnapshot snapshot, TreeRestoreOptions options, RestoreNotes notes, SafeFileHandle staging, bool resumes, ExistingTree? existing)
    : IDisposable
{
    readonly List<Level> levels =
    [
        new(new WantedEntry(TreeEntry.End, [], false, 0))
        {
            Directory = staging, Names = resumes ? new(staging, []) : null, There = existing?.Root, IsInside = options.HasAll,
        },
    ];

    readonly EntryDress dress = new(options, notes);

    /// <summary>A directory of the snapshot that the restore is in; made when something of it is wanted.</summary>
    sealed record Level(WantedEntry Item)
    {
        public TreeEntry Entry => Item.Entry;

        public byte[] Path => Item.Path;

        public SafeFileHandle? Directory { get; set; }

        /// <summary>The same directory in the target; null where that has none.</summary>
        public SafeFileHandle? There { get; set; }

        /// <summary>Whether what the snapshot does not have may be removed from it.</summary>
        public bool IsInside { get; init; }

        /// <summary>What was in it; null where it was made just now.</summary>
        public NamesThere? Names { get; set; }

        public bool Had(byte[] name) => Names?.Reach(name, Remove) ?? false;

        public void Remove(byte[] name) => DirectoryCalls.RemoveTree(Directory!, name);
    }

    /// <summary>Makes it, and returns how many bytes were fetched, and how many were there.</summary>
    public async Task<(long Fetched, long Reused)> RunAsync(CancellationToken cancellationToken)
    {
        await using var listing = new WantedListing(snapshot, options);
        var isAllFetched = (options.IsWhole || options is { HasAll: true, Top: [] }) && !resumes && existing is null;
        await using var content = new RestoredContent(snapshot, notes, isAllFetched);
        while (await listing.ReadAsync(cancellationToken) is { } item)
        {
            switch (item.Entry.Kind)
            {
                case TreeEntryKind.End:
                    Leave();
                    break;
                case TreeEntryKind.Directory:
                    levels.Add(new Level(item)
                    {
                        IsInside = levels[^1].IsInside || TreeSurplus.MayRemove(item.Entry),
                    });
                    if (item.IsWanted)
                    {
                        _ = Reach();
                    }

                    break;
                default:
                    if (item.IsWanted)
                    {
                        await MakeAsync(Reach(), item, content, cancellationToken);
                    }

                    break;
            }
        }

        levels[0].Names?.End(levels[0].Remove);
        return (content.FetchedBytes, content.ReusedBytes);
    }

    public void Dispose()
    {
        foreach (var level in levels.Skip(1))
        {
            level.Directory?.Dispose();
            level.There?.Dispose();
        }
    }

    /// <summary>The directory in which the next name is made: it is made with those above it, if it was not yet.</summary>
    Level Reach()
    {
        for (var i = 1; i < levels.Count; i++)
        {
            if (levels[i].Directory is null)
            {
                Enter(levels[i - 1], levels[i]);
            }
        }

        return levels[^1];
    }

    void Enter(Level parent, Level level)
    {
        var name = level.Entry.Name;
        var isThere = parent.Had(name);
        if (isThere && EntryStat.In(parent.Directory!, name, out _) is not { Type: EntryStat.Directory })
        {
            parent.Remove(name);
            isThere = false;
        }

        if (isThere)
        {
            DirectoryCalls.ChangeMode(parent.Directory!, name, Posix.OwnerOnlyDirectory);
        }
        else
        {
            DirectoryCalls.MakeDirectory(parent.Directory!, name);
        }

        level.Directory = DirectoryCalls.TryOpenDirectory(parent.Directory!, name, out var error)
            ?? throw new PosixException(error, "open", DirectoryCalls.Show(level.Path));
        level.Names = isThere ? new NamesThere(level.Directory, level.Path) : null;
        level.There = existing?.Enter(parent.There, level.Item, parent.IsInside);
        if (level.There is not null)
        {
            existing!.NoteShared(level.Directory);
        }

        notes.Count(level.Entry, 0);
        if (level.Entry.Marks.HasFlag(TreeEntryMarks.Unreadable))
        {
            notes.Note(level.Path, "what is in it could not be read when it was backed up");
        }
    }

    /// <summary>The attributes of a directory come last: until then it is written to.</summary>
    void Leave()
    {
        var level = levels[^1];
        levels.RemoveAt(levels.Count - 1);
        if (level.Directory is { } directory)
        {
            using (directory)
            using (level.There)
            {
                level.Names?.End(level.Remove);
                if (level.There is null)
                {
                    dress.Dress(directory, level.Entry, level.Path, isNew: level.Names is null);
                }
            }
        }
    }

    async Task MakeAsync(Level parent, WantedEntry item, RestoredContent content, CancellationToken cancellationToken)
    {
        var (entry, path) = (item.Entry, item.Path);
        var isThere = parent.Had(entry.Name);
        var met = existing?.Meet(parent.There, item, parent.IsInside);
        if (entry.Kind != TreeEntryKind.File)
        {
            Clear(parent, entry, isThere);
            MakeOther(parent.Directory!, entry, path);
        }
        else if (!ExistingTree.IsMade(entry))
        {
            Clear(parent, entry, isThere);
            notes.NoteUnreadable(entry, path);
        }
        else
        {
            if (entry.Marks.HasFlag(TreeEntryMarks.Changed))
            {
                notes.Note(path, "it changed while it was backed up, or could not be read to its end");
            }

            if (entry.FirstPath.Length == 0 || !TryLink(parent, entry, isThere))
            {
                await (isThere || existing is null
                    ? FileAsync(parent, item, content, isThere, cancellationToken)
                    : FileBesideAsync(parent, item, content, met, cancellationToken));
            }

            notes.Count(entry, 0);
        }
    }

    static void Clear(Level parent, TreeEntry entry, bool isThere)
    {
        if (isThere)
        {
            parent.Remove(entry.Name);
        }
    }

    async Task FileAsync(
        Level parent, WantedEntry item, RestoredContent content, bool isThere, CancellationToken cancellationToken)
    {
        var (directory, entry) = (parent.Directory!, item.Entry);
        using var old = isThere ? TryOpenOld(directory, entry, out var isMine) : Nothing(out isMine);
        if (!isMine)
        {
            Clear(parent, entry, isThere);
        }

        using var made = isMine ? null : DirectoryCalls.CreateFile(directory, entry.Name);
        var file = made ?? old!;
        await content.WriteAsync(file, item, old, cancellationToken);
        dress.Dress(file, entry, item.Path, isNew: made is not null);
    }

    /// <summary>
    /// A file that the target may have already: one that is the same stays where it is, unless it has other names, which would change with
    /// it; else what is the same in it is copied.
    /// </summary>
    async Task FileBesideAsync(
        Level parent, WantedEntry item, RestoredContent content, EntryStat? met, CancellationToken cancellationToken)
    {
        var entry = item.Entry;
        if (options.IsInPlace && await TryWriteThereAsync(parent, item, content, met, cancellationToken))
        {
            return;
        }

        using var first = entry.FirstPath.Length > 0 && options.Wants(entry.FirstPath, isDirectory: false)
            ? PathWalk.At(existing!.Root, entry.FirstPath, TryOpenThere)
            : null;
        using var same = first is null && met is { Type: EntryStat.Regular } ? TryOpenThere(parent.There!, entry.Name) : null;
        if ((first ?? same) is not { } old)
        {
            await FileAsync(parent, item, content, isThere: false, cancellationToken);
            return;
        }

        var front = await content.FrontAsync(old, item, cancellationToken);
        var stat = EntryStat.Of(old, DirectoryCalls.Show(item.Path));
        var isSame = front.Length == entry.ContentBytes && stat.SizeBytes == entry.SizeBytes && entry.Extents is null;
        if (isSame && existing!.IsUntouched(stat) && IsOwned(stat, entry)
            && (first is null ? stat.LinkCount == 1 : TryLinkThere(parent, entry, stat)))
        {
            content.Leave(item);
            return;
        }

        using var file = DirectoryCalls.CreateFile(parent.Directory!, entry.Name);
        await content.WriteAsync(file, item, front, cancellationToken);
        dress.Dress(file, entry, item.Path, isNew: true);
    }

    /// <summary>Writes into a file of the target what differs; false where it is not one that nothing else depends on.</summary>
    async Task<bool> TryWriteThereAsync(
        Level parent, WantedEntry item, RestoredContent content, EntryStat? met, CancellationToken cancellationToken)
    {
        var (entry, path) = (item.Entry, DirectoryCalls.Show(item.Path));
        using var file = met is { Type: EntryStat.Regular } && entry.Extents is null && entry.FirstPath.Length == 0
            ? DirectoryCalls.TryOpenForChange(parent.There!, entry.Name, out _)
            : null;
        if (file is null || EntryStat.Of(file, path) is not { Type: EntryStat.Regular, LinkCount: 1 } stat || !IsOwned(stat, entry))
        {
            return false;
        }

        await content.WriteAsync(file, item, file, cancellationToken);
        existing!.NoteOurs(EntryStat.Of(file, path));
        return true;
    }

    /// <summary>Whether whoever may write to a file already is the one who may afterwards.</summary>
    bool IsOwned(EntryStat stat, TreeEntry entry) =>
        stat.UserId == (Posix.EffectiveUserId() is 0 ? options.Owners.Of(entry).User : Posix.EffectiveUserId());

    static SafeFileHandle? TryOpenThere(SafeFileHandle directory, byte[] name) =>
        EntryStat.In(directory, name, out _) is { Type: EntryStat.Regular } ? DirectoryCalls.TryOpenFile(directory, name, out _) : null;

    /// <summary>Gives the file that was met first, and stays in the target, another name; false where it is another one by now.</summary>
    bool TryLinkThere(Level parent, TreeEntry entry, EntryStat stat)
    {
        PathWalk.At(existing!.Root, entry.FirstPath, (from, name) =>
        {
            DirectoryCalls.AddName(from, name, parent.Directory!, entry.Name);
            return true;
        });
        if (EntryStat.In(parent.Directory!, entry.Name, out _) is { } made
            && (made.Inode, made.ModifiedNanoseconds) == (stat.Inode, stat.ModifiedNanoseconds))
        {
            existing.NoteOurs(made);
            return true;
        }

        parent.Remove(entry.Name);
        return false;
    }

    static SafeFileHandle? Nothing(out bool isMine)
    {
        isMine = false;
        return null;
    }

    /// <summary>
    /// A file that an unfinished restore left, and whether it can be written to as it is: not where it has other names, which may have
    /// become those of other files, and not where holes may have been written to.
    /// </summary>
    static SafeFileHandle? TryOpenOld(SafeFileHandle directory, TreeEntry entry, out bool isMine)
    {
        isMine = false;
        if (EntryStat.In(directory, entry.Name, out _) is not { Type: EntryStat.Regular } stat)
        {
            return null;
        }

        if (stat.LinkCount > 1)
        {
            // It may be a file of the target.
            return DirectoryCalls.TryOpenFile(directory, entry.Name, out _);
        }

        DirectoryCalls.ChangeMode(directory, entry.Name, Posix.OwnerOnlyFile);
        var opened = DirectoryCalls.TryOpenForChange(directory, entry.Name, out _);
        isMine = opened is not null && entry.Extents is null;
        return opened;
    }

    void MakeOther(SafeFileHandle parent, TreeEntry entry, byte[] path)
    {
        if (entry.Kind == TreeEntryKind.Link)
        {
            DirectoryCalls.MakeLink(parent, entry.Name, entry.Target);
        }
        else if (DirectoryCalls.TryMakeSpecial(parent, entry.Name, TypeOf(entry), entry.DeviceMajor, entry.DeviceMinor)
            is not 0 and var error)
        {
            notes.Note(path, $"it was not made: {Errno.Describe(error)}");
            return;
        }

        dress.DressPlace(parent, entry, path);
        notes.Count(entry, 0);
    }

    static uint TypeOf(TreeEntry entry) => entry.Kind switch
    {
        TreeEntryKind.Pipe => EntryStat.Pipe,
        TreeEntryKind.CharacterDevice => EntryStat.CharacterDevice,
        TreeEntryKind.BlockDevice => EntryStat.BlockDevice,
        _ => EntryStat.Socket,
    };

    /// <summary>
    /// Gives the file that was met first another name. False where that is not there: then this name gets the content, which the snapshot
    /// has for each.
    /// </summary>
    bool TryLink(Level parent, TreeEntry entry, bool isThere) => PathWalk.At(staging, entry.FirstPath, (from, name) =>
    {
        if (EntryStat.In(from, name, out _) is not { Type: EntryStat.Regular })
        {
            return false;
        }

        Clear(parent, entry, isThere);
        DirectoryCalls.AddName(from, name, parent.Directory!, entry.Name);
        return true;
    });
}
