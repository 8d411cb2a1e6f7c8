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
sealed class TreeStaging(
    TreeSnapshot snapshot, TreeRestoreOptions options, RestoreNotes notes, SafeFileHandle staging, bool resumes) : IDisposable
{
    readonly List<Level> levels = [new(TreeEntry.End, [], false) { Directory = staging, Names = resumes ? new(staging, []) : null }];
    readonly EntryDress dress = new(options, notes);

    /// <summary>A directory of the snapshot that the restore is in; made when something of it is wanted.</summary>
    sealed record Level(TreeEntry Entry, byte[] Path, bool IsWanted)
    {
        public SafeFileHandle? Directory { get; set; }

        /// <summary>What was in it; null where it was made just now.</summary>
        public NamesThere? Names { get; set; }

        public bool Had(byte[] name) => Names?.Reach(name, Remove) ?? false;

        public void Remove(byte[] name) => DirectoryCalls.RemoveTree(Directory!, name);
    }

    /// <summary>Makes it, and returns how many bytes were fetched, and how many were there.</summary>
    public async Task<(long Fetched, long Reused)> RunAsync(CancellationToken cancellationToken)
    {
        await using var listing = new WantedListing(snapshot, options);
        await using var content = new RestoredContent(snapshot, notes, isAllFetched: options.IsWhole && !resumes);
        while (await listing.ReadAsync(cancellationToken) is { } item)
        {
            switch (item.Entry.Kind)
            {
                case TreeEntryKind.End:
                    Leave();
                    break;
                case TreeEntryKind.Directory:
                    levels.Add(new Level(item.Entry, item.Path, item.IsWanted));
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

    public void Dispose() => levels.Skip(1).ToList().ForEach(level => level.Directory?.Dispose());

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
            {
                level.Names?.End(level.Remove);
                dress.Dress(directory, level.Entry, level.Path, isNew: level.Names is null);
            }
        }
    }

    async Task MakeAsync(Level parent, WantedEntry item, RestoredContent content, CancellationToken cancellationToken)
    {
        var (entry, path) = (item.Entry, item.Path);
        var isThere = parent.Had(entry.Name);
        if (entry.Kind != TreeEntryKind.File)
        {
            Clear(parent, entry, isThere);
            MakeOther(parent.Directory!, entry, path);
        }
        else if (entry.Marks.HasFlag(TreeEntryMarks.Unreadable))
        {
            Clear(parent, entry, isThere);
            notes.NoteUnreadable(entry, path);
        }
        else
        {
            if (entry.FirstPath.Length == 0 || !TryLink(parent, entry, isThere))
            {
                await FileAsync(parent, item, content, isThere, cancellationToken);
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
        if (entry.Marks.HasFlag(TreeEntryMarks.Changed))
        {
            notes.Note(item.Path, "it changed while it was backed up, or could not be read to its end");
        }

        dress.Dress(file, entry, item.Path, isNew: made is not null);
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

        DirectoryCalls.ChangeMode(directory, entry.Name, Posix.OwnerOnlyFile);
        var opened = DirectoryCalls.TryOpenForChange(directory, entry.Name, out _);
        isMine = opened is not null && stat.LinkCount == 1 && entry.Extents is null;
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
    bool TryLink(Level parent, TreeEntry entry, bool isThere)
    {
        var parts = entry.FirstPath.AsSpan().Trim((byte)'/').ToArray().AsMemory();
        var opened = new List<SafeFileHandle>();
        try
        {
            var from = staging;
            for (int slash; (slash = parts.Span.IndexOf((byte)'/')) >= 0; parts = parts[(slash + 1)..])
            {
                if (!TreeEntry.IsName(parts.Span[..slash])
                    || DirectoryCalls.TryOpenDirectory(from, parts.Span[..slash], out _) is not { } next)
                {
                    return false;
                }

                opened.Add(from = next);
            }

            if (!TreeEntry.IsName(parts.Span) || EntryStat.In(from, parts.Span, out _) is not { Type: EntryStat.Regular })
            {
                return false;
            }

            Clear(parent, entry, isThere);
            DirectoryCalls.AddName(from, parts.Span, parent.Directory!, entry.Name);
            return true;
        }
        finally
        {
            opened.ForEach(item => item.Dispose());
        }
    }
}
