using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>What of a snapshot is restored, and how.</summary>
public sealed record TreeRestoreOptions
{
    /// <summary>What is restored; everything where it is empty.</summary>
    public PathPatterns Include { get; init; } = PathPatterns.None;

    /// <summary>What is not.</summary>
    public PathPatterns Exclude { get; init; } = PathPatterns.None;

    /// <summary>Whom it belongs to.</summary>
    public Ownership Owners { get; init; } = new(OwnerBy.Name, null, null);

    /// <summary>What permissions it gets.</summary>
    public Modes Modes { get; init; } = new(null, null);

    /// <summary>Whether all is made durable before it appears. Tests of something else need not wait for the disk.</summary>
    internal bool Flushes { get; init; } = true;

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }
}

/// <summary>
/// Writes a snapshot into a directory that is new or empty. Everything is made below one hidden directory and moved into place when all of
/// it is there, checked and durable; stopped before that, nothing of it shows. Whatever the vault says, nothing is written elsewhere: each
/// name is made in a directory that this process made and holds open.
/// </summary>
public sealed class TreeRestorer(TreeSnapshot snapshot, TreeRestoreOptions options)
{
    static ReadOnlySpan<byte> Staging => ".salvor-restoring"u8;

    readonly List<Level> levels = [];
    readonly List<string> problems = [];
    readonly bool isRoot = Posix.EffectiveUserId() == 0;
    long files;
    long entries;
    long bytes;
    (long Files, long Bytes) lacking;
    long foreign;

    /// <summary>A directory of the snapshot that the restore is in; made when something of it is wanted.</summary>
    sealed record Level(TreeEntry Entry, byte[] Path, bool IsWanted)
    {
        public SafeFileHandle? Directory { get; set; }
    }

    /// <summary>Restores. Throws where the target is not empty, and where nothing of the snapshot is wanted.</summary>
    public async Task<RestoredTree> RunAsync(string target, CancellationToken cancellationToken)
    {
        var isNew = !Directory.Exists(target);
        Directory.CreateDirectory(target);
        using var root = DirectoryCalls.OpenRoot(target);
        ExpectFree(root, target);
        RequireSpace(target);
        DirectoryCalls.RemoveTree(root, Staging);
        DirectoryCalls.MakeDirectory(root, Staging);
        try
        {
            using (var staging = DirectoryCalls.TryOpenDirectory(root, Staging, out var error)
                ?? throw new PosixException(error, "open", target))
            {
                var fetched = await WriteAsync(staging, cancellationToken);
                ExpectSomething();
                if (options.Flushes)
                {
                    options.Progressed?.Invoke(new WorkProgress("flushing to the disk"));
                    DirectoryCalls.FlushFileSystem(staging, target);
                }

                foreach (var name in DirectoryCalls.List(staging, target))
                {
                    Move(staging, name, root);
                }

                DirectoryCalls.RemoveTree(root, Staging);
                DurableFile.FlushDirectory(target);
                NoteForeign();
                return new RestoredTree(files, entries, bytes, fetched) { Lacking = lacking, Problems = problems };
            }
        }
        catch
        {
            levels.ForEach(level => level.Directory?.Dispose());
            DirectoryCalls.RemoveTree(root, Staging);
            if (isNew)
            {
                Directory.Delete(target);
            }

            throw;
        }
    }

    /// <summary>What owners would become, without writing anything.</summary>
    public async Task<RestoredTree> PlanAsync(CancellationToken cancellationToken)
    {
        await using var listing = snapshot.ReadListing();
        while (await listing.ReadAsync(cancellationToken) is { } entry)
        {
            if (entry.Kind == TreeEntryKind.End)
            {
                levels.RemoveAt(levels.Count - 1);
                continue;
            }

            var path = PathOf(entry);
            var isWanted = IsWanted(entry, path);
            if (isWanted)
            {
                _ = options.Owners.Of(entry);
                Count(entry, entry.ContentBytes);
            }

            if (entry.Kind == TreeEntryKind.Directory)
            {
                levels.Add(new Level(entry, path, isWanted));
            }
        }

        snapshot.ExpectFit(listing);
        ExpectSomething();
        return new RestoredTree(files, entries, bytes, 0) { Problems = problems };
    }

    async Task<long> WriteAsync(SafeFileHandle staging, CancellationToken cancellationToken)
    {
        await using var listing = snapshot.ReadListing();
        await using var content = snapshot.ReadContent();
        while (await listing.ReadAsync(cancellationToken) is { } entry)
        {
            if (entry.Kind == TreeEntryKind.End)
            {
                Leave();
                continue;
            }

            var path = PathOf(entry);
            var isWanted = IsWanted(entry, path);
            if (entry.Kind == TreeEntryKind.Directory)
            {
                levels.Add(new Level(entry, path, isWanted));
                if (isWanted)
                {
                    _ = DirectoryFor(staging);
                }
            }
            else if (isWanted)
            {
                await MakeAsync(staging, DirectoryFor(staging), entry, path, content, listing.ContentOffset, cancellationToken);
            }
        }

        snapshot.ExpectFit(listing);
        return content.FetchedBytes;
    }

    /// <summary>The directory in which the next name is made: it is made with those above it, if it was not yet.</summary>
    SafeFileHandle DirectoryFor(SafeFileHandle staging)
    {
        var parent = staging;
        foreach (var level in levels)
        {
            if (level.Directory is null)
            {
                DirectoryCalls.MakeDirectory(parent, level.Entry.Name);
                level.Directory = DirectoryCalls.TryOpenDirectory(parent, level.Entry.Name, out var error)
                    ?? throw new PosixException(error, "open", DirectoryCalls.Show(level.Path));
                Count(level.Entry, 0);
                if (level.Entry.Marks.HasFlag(TreeEntryMarks.Unreadable))
                {
                    Note(level.Path, "what is in it could not be read when it was backed up");
                }
            }

            parent = level.Directory;
        }

        return parent;
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
                Dress(directory, level.Entry, level.Path);
            }
        }
    }

    async Task MakeAsync(
        SafeFileHandle staging, SafeFileHandle parent, TreeEntry entry, byte[] path, ContentStream content, ulong offset,
        CancellationToken cancellationToken)
    {
        switch (entry.Kind)
        {
            case TreeEntryKind.File when entry.Marks.HasFlag(TreeEntryMarks.Unreadable):
                Note(path, "it could not be read when it was backed up");
                lacking = (lacking.Files + 1, lacking.Bytes + (entry.FirstPath.Length == 0 ? entry.SizeBytes : 0));
                return;
            case TreeEntryKind.File:
                if (entry.FirstPath.Length == 0 || !TryLink(staging, parent, entry))
                {
                    await WriteFileAsync(parent, entry, path, content, offset, cancellationToken);
                }

                break;
            case TreeEntryKind.Link:
                DirectoryCalls.MakeLink(parent, entry.Name, entry.Target);
                DressPlace(parent, entry, path);
                break;
            default:
                if (!TryMakeSpecial(parent, entry, path))
                {
                    return;
                }

                break;
        }

        Count(entry, 0);
    }

    async Task WriteFileAsync(
        SafeFileHandle parent, TreeEntry entry, byte[] path, ContentStream content, ulong offset, CancellationToken cancellationToken)
    {
        using var file = DirectoryCalls.CreateFile(parent, entry.Name);
        var until = options.Include.IsEmpty && options.Exclude.IsEmpty ? content.Length : offset + (ulong)entry.ContentBytes;
        foreach (var extent in entry.Extents ?? [new TreeExtent(0, entry.SizeBytes)])
        {
            for (var done = 0L; done < extent.Length;)
            {
                var data = await content.ReadAsync(offset, until, cancellationToken);
                data = data[..(int)Math.Min(data.Length, extent.Length - done)];
                if (data.IsEmpty)
                {
                    throw new Salvor.Vault.Format.DamagedObjectException(snapshot.Key, "its content ends within a file");
                }

                RandomAccess.Write(file, data.Span, extent.Offset + done);
                (done, offset) = (done + data.Length, offset + (ulong)data.Length);
                bytes += data.Length;
                Tell(path);
            }
        }

        if (entry.Extents is not null)
        {
            RandomAccess.SetLength(file, entry.SizeBytes);
        }

        if (entry.Marks.HasFlag(TreeEntryMarks.Changed))
        {
            Note(path, "it changed while it was backed up, or could not be read to its end");
        }

        Dress(file, entry, path);
    }

    void Tell(byte[] path)
    {
        // Nobody knows before how much of it a pattern takes.
        var total = options.Include.IsEmpty && options.Exclude.IsEmpty ? (long)snapshot.Details.Content.Length : 0;
        options.Progressed?.Invoke(
            new WorkProgress("restoring", bytes, total) { Count = $"{files} files", Item = DirectoryCalls.Show(path) });
    }

    /// <summary>
    /// Gives the file that was met first another name. False where that is not there: then this name gets the content, which the snapshot
    /// has for each.
    /// </summary>
    static bool TryLink(SafeFileHandle staging, SafeFileHandle parent, TreeEntry entry)
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

            DirectoryCalls.AddName(from, parts.Span, parent, entry.Name);
            return true;
        }
        finally
        {
            opened.ForEach(item => item.Dispose());
        }
    }

    bool TryMakeSpecial(SafeFileHandle parent, TreeEntry entry, byte[] path)
    {
        var type = entry.Kind switch
        {
            TreeEntryKind.Pipe => EntryStat.Pipe,
            TreeEntryKind.CharacterDevice => EntryStat.CharacterDevice,
            TreeEntryKind.BlockDevice => EntryStat.BlockDevice,
            _ => EntryStat.Socket,
        };
        if (DirectoryCalls.TryMakeSpecial(parent, entry.Name, type, entry.DeviceMajor, entry.DeviceMinor) is not 0 and var error)
        {
            Note(path, $"it was not made: {Errno.Describe(error)}");
            return false;
        }

        DressPlace(parent, entry, path);
        return true;
    }

    /// <summary>Owner, attributes, permissions and time, in the order in which one does not undo the other.</summary>
    void Dress(SafeFileHandle opened, TreeEntry entry, byte[] path)
    {
        var isOwned = IsOwned(entry, path, (user, group) => Posix.ChangeOwner(opened, user, group));
        foreach (var (name, value) in entry.Attributes)
        {
            if (ExtendedAttributes.TrySet(opened, new ExtendedAttribute(name, value)) is not 0 and var error)
            {
                Note(path, $"attribute {DirectoryCalls.Show(name)} was not set: {Errno.Describe(error)}");
            }
        }

        Posix.ChangeMode(opened, PermissionsOf(entry, path, isOwned), DirectoryCalls.Show(path));
        DirectoryCalls.SetModified(opened, entry.ModifiedNanoseconds, entry.Name);
    }

    /// <summary>The same of what cannot be opened.</summary>
    void DressPlace(SafeFileHandle parent, TreeEntry entry, byte[] path)
    {
        var isOwned = IsOwned(entry, path, (user, group) => DirectoryCalls.TryChangeOwner(parent, entry.Name, user, group));
        if (entry.Attributes.Count > 0)
        {
            using var place = DirectoryCalls.TryOpenPlace(parent, entry.Name, out var error)
                ?? throw new PosixException(error, "open", DirectoryCalls.Show(path));
            foreach (var attribute in entry.Attributes)
            {
                if (ExtendedAttributes.TrySet(place, new ExtendedAttribute(attribute.Name, attribute.Value)) is not 0 and var failure)
                {
                    Note(path, $"attribute {DirectoryCalls.Show(attribute.Name)} was not set: {Errno.Describe(failure)}");
                }
            }
        }

        if (entry.Kind != TreeEntryKind.Link)
        {
            DirectoryCalls.ChangeMode(parent, entry.Name, PermissionsOf(entry, path, isOwned));
        }

        DirectoryCalls.SetModified(parent, entry.Name, entry.ModifiedNanoseconds);
    }

    uint PermissionsOf(TreeEntry entry, byte[] path, bool isOwned)
    {
        var permissions = options.Modes.Of(entry, options.Owners, isOwned);
        if (isOwned && permissions != options.Modes.Of(entry))
        {
            Note(path, "it ran as its owner, who is another one here: it no longer does");
        }

        return permissions;
    }

    /// <summary>Only root gives files away: for others that is told once, and not of each.</summary>
    bool IsOwned(TreeEntry entry, byte[] path, Func<uint, uint, int> change)
    {
        var (user, group) = options.Owners.Of(entry);
        var error = change(user, group);
        if (error == 0)
        {
            return true;
        }

        if (error == Errno.NotPermitted && !isRoot)
        {
            foreign++;
        }
        else
        {
            Note(path, $"its owner was not set: {Errno.Describe(error)}");
        }

        return false;
    }

    void NoteForeign()
    {
        if (foreign > 0)
        {
            problems.Add($"{foreign} name(s) belonged to others, and belong to you now: only root can give files away");
        }
    }

    static void ExpectFree(SafeFileHandle root, string target)
    {
        if (!Posix.TryLock(root, exclusive: true, target))
        {
            throw new SalvorException(
                FailureKind.Locked, $"another restore writes to {target}", "Let it end, or name another directory with '--output'.");
        }

        if (DirectoryCalls.List(root, target).Any(name => !name.AsSpan().SequenceEqual(Staging)))
        {
            throw new SalvorException(
                FailureKind.Usage, $"{target} is not empty", "Name a directory with '--output' that is new or empty.");
        }
    }

    void RequireSpace(string target)
    {
        var needed = Math.Min(snapshot.Details.Totals.Bytes, (long)snapshot.Details.Content.Length);
        if (options.Include.IsEmpty && options.Exclude.IsEmpty && DiskSpace.FreeBytes(target) is { } free && free < needed)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"not enough room in {target}: the restore needs {SizeText.Format(needed)}, has {SizeText.Format(free)} free",
                $"Free some ('df -h {target}' shows how much is left), or choose another disk with '--output'.");
        }
    }

    /// <summary>A directory that its owner may not write to cannot be moved by others than root until they may.</summary>
    static void Move(SafeFileHandle from, byte[] name, SafeFileHandle to)
    {
        try
        {
            DirectoryCalls.Move(from, name, to);
        }
        catch (PosixException e) when (e.Error == Errno.AccessDenied
            && EntryStat.In(from, name, out _) is { Type: EntryStat.Directory } stat)
        {
            DirectoryCalls.ChangeMode(from, name, Posix.OwnerOnlyDirectory);
            DirectoryCalls.Move(from, name, to);
            DirectoryCalls.ChangeMode(to, name, stat.Permissions);
        }
    }

    byte[] PathOf(TreeEntry entry) => [.. levels.Count == 0 ? [] : levels[^1].Path, (byte)'/', .. entry.Name];

    bool IsWanted(TreeEntry entry, byte[] path)
    {
        var isDirectory = entry.Kind == TreeEntryKind.Directory;
        return (options.Include.IsEmpty || options.Include.MatchesAtOrAbove(path, isDirectory))
            && !options.Exclude.MatchesAtOrAbove(path, isDirectory);
    }

    void Count(TreeEntry entry, long content)
    {
        entries++;
        files += entry.Kind == TreeEntryKind.File ? 1 : 0;
        bytes += content;
    }

    void ExpectSomething()
    {
        if (entries == 0 && !options.Include.IsEmpty)
        {
            throw new SalvorException(
                FailureKind.NotRestorable, "nothing in this backup matches what '--include' names", "'salvor find' looks for names in it.");
        }
    }

    void Note(byte[] path, string what)
    {
        if (problems.Count < TreeBackupResult.ProblemsMax)
        {
            problems.Add($"{DirectoryCalls.Show(path)}: {what}");
        }
    }
}
