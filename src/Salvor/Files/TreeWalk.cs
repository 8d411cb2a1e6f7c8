using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Goes through directories in the order of names and writes down what is there. It holds a directory open while it is in it, so that
/// whoever moves or exchanges things meanwhile cannot lead it elsewhere. What cannot be read is noted, and the walk goes on.
/// </summary>
sealed partial class TreeWalk(TreeOptions options, TreeSnapshotWriter writer, ParentTree? parent, WalkReport report, TimeProvider time)
{
    /// <summary>A time younger than this may be that of two changes, because file systems count in steps.</summary>
    static readonly TimeSpan Young = TimeSpan.FromSeconds(2);

    const int ReadsMax = 2;

    readonly FileIntake intake = new(writer, options.RereadBytesMax, report.Tell);
    readonly Dictionary<(ulong Device, ulong Inode), FirstName> firstNames = [];
    readonly Dictionary<uint, string> users = [];
    readonly Dictionary<uint, string> groups = [];
    readonly HashSet<(ulong Device, ulong Inode)> never = OwnPlaces.Of(options.Never);

    /// <summary>Writes down all that is below these roots, and the directories that lead to them.</summary>
    public async Task RunAsync(IReadOnlyList<TreeRoot> roots, CancellationToken cancellationToken)
    {
        using var top = DirectoryCalls.OpenRoot("/");
        if (roots.Any(root => root.Parts.Count == 0))
        {
            var place = new Place(top, [], EntryStat.Of(top, "/").Device, parent is not null);
            await InsideAsync(place, DirectoryCalls.List(top, "/"), cancellationToken);
        }
        else
        {
            await TowardsAsync(new Place(top, [], 0, parent is not null), roots, cancellationToken);
        }
    }

    /// <summary>A directory that the walk is in.</summary>
    /// <param name="Directory">Open.</param>
    /// <param name="Path">From the top of the tree, with a slash before each name.</param>
    /// <param name="Device">The file system of the root.</param>
    /// <param name="IsKnown">Whether the snapshot before has it.</param>
    readonly record struct Place(SafeFileHandle Directory, byte[] Path, ulong Device, bool IsKnown)
    {
        /// <summary>Whether it is marked as one of which not all could be read.</summary>
        public bool IsPartial { get; init; }

        /// <summary>The names in it that have a log or a journal beside them; null where they were not listed.</summary>
        public HashSet<byte[]>? WithSides { get; init; }

        /// <summary>The databases in it that were copied.</summary>
        public HashSet<byte[]> Copied { get; } = new(ByteArrays.Comparer);

        public byte[] PathOf(ReadOnlySpan<byte> name) => [.. Path, (byte)'/', .. name];
    }

    /// <summary>A file that has several names.</summary>
    sealed record FirstName(byte[] Path, IReadOnlyList<PendingEntry> Chunks, TreeEntry Entry);

    /// <summary>Of the directories above the roots only themselves are written down.</summary>
    async Task TowardsAsync(Place place, IReadOnlyList<TreeRoot> roots, CancellationToken cancellationToken)
    {
        var depth = place.Path.Count(item => item == (byte)'/');
        var groups = roots.GroupBy(root => root.Parts[depth], ByteArrays.Comparer);
        foreach (var group in groups.OrderBy(group => group.Key, ByteArrays.Comparer))
        {
            var (name, path) = (group.Key, place.PathOf(group.Key));
            if (group.Any(root => root.Parts.Count == depth + 1))
            {
                await EntryAsync(place, name, isRoot: true, cancellationToken);
                continue;
            }

            var stat = EntryStat.In(place.Directory, name, out var error)
                ?? throw new PosixException(error, "look at", DirectoryCalls.Show(path), FailureKind.SourceUnreadable);
            using var directory = DirectoryCalls.TryOpenPlace(place.Directory, name, out error)
                ?? throw new PosixException(error, "open", DirectoryCalls.Show(path), FailureKind.SourceUnreadable);
            var known = await MatchAsync(place, name, cancellationToken);
            await AddAsync(Describe(stat, name, TreeEntryKind.Directory, AttributesOf(directory, stat, known, path)), cancellationToken);
            var isKnown = known?.Kind == TreeEntryKind.Directory;
            await TowardsAsync(new Place(directory, path, 0, isKnown), [.. group], cancellationToken);
            await EndAsync(isKnown, cancellationToken);
        }
    }

    /// <summary>All that is in a directory.</summary>
    async Task InsideAsync(Place place, List<byte[]> names, CancellationToken cancellationToken)
    {
        place = place with { WithSides = LiveDatabases.WithSides(names) };
        foreach (var name in names)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await EntryAsync(place, name, isRoot: false, cancellationToken);
        }
    }

    async Task EntryAsync(Place place, byte[] name, bool isRoot, CancellationToken cancellationToken)
    {
        var path = place.PathOf(name);
        if (path.Length > TreeEntry.PathBytesMax)
        {
            NoteLacking(place, path, $"its path is longer than {TreeEntry.PathBytesMax} bytes");
            return;
        }

        if (EntryStat.In(place.Directory, name, out var error) is not { } stat)
        {
            // What vanished since it was listed was not there at the end of the backup either.
            if (isRoot || error != Errno.NoEntry)
            {
                NoteLacking(place, path, Errno.Describe(error));
            }

            return;
        }

        var isDirectory = stat.Type == EntryStat.Directory;
        if ((!isRoot && options.Exclude.Matches(path, isDirectory)) || (isDirectory && OwnPlaces.IsStaging(name)))
        {
            return;
        }

        var known = await MatchAsync(place, name, cancellationToken);
        switch (stat.Type)
        {
            case EntryStat.Directory:
                await DirectoryAsync(place, name, path, stat, known, isRoot, cancellationToken);
                break;
            case EntryStat.Regular:
                await PassAsync(known, cancellationToken);
                await FileAsync(place, name, path, stat, known, cancellationToken);
                break;
            default:
                await PassAsync(known, cancellationToken);
                await OtherAsync(place, name, path, stat, known, cancellationToken);
                break;
        }
    }

    async Task DirectoryAsync(
        Place place, byte[] name, byte[] path, EntryStat stat, TreeEntry? known, bool isRoot, CancellationToken cancellationToken)
    {
        var isKnown = known?.Kind == TreeEntryKind.Directory;
        if (!isKnown)
        {
            await PassAsync(known, cancellationToken);
        }

        using var directory = DirectoryCalls.TryOpenDirectory(place.Directory, name, out var error);
        if (directory is null)
        {
            if (error != Errno.NoEntry)
            {
                report.Note(path, Errno.Describe(error));
                var entry = Describe(stat, name, TreeEntryKind.Directory, known?.Attributes ?? []);
                await AddAsync(entry with { Marks = TreeEntryMarks.Unreadable }, cancellationToken);
                await EndAsync(isKnown, cancellationToken);
            }
            else if (isKnown)
            {
                await parent!.LeaveAsync(cancellationToken);
            }

            return;
        }

        var device = isRoot ? stat.Device : place.Device;
        var isLeftOut = (options.OneFileSystem && stat.Device != device) || never.Contains((stat.Device, stat.Inode))
            || CacheTag.IsLeftOut(directory, options.ExcludeIfPresent, options.ExcludeCaches);
        var described = Describe(stat, name, TreeEntryKind.Directory, AttributesOf(directory, stat, known, path));
        var (names, marks) = isLeftOut ? ([], TreeEntryMarks.LeftOut) : Look(directory, path);
        if (isRoot || place.Path.Length == 0)
        {
            marks |= TreeEntryMarks.Root | (options.IsNarrowed ? TreeEntryMarks.Narrowed : 0);
        }

        await AddAsync(described with { Marks = marks }, cancellationToken);
        var inside = new Place(directory, path, device, isKnown) { IsPartial = marks.HasFlag(TreeEntryMarks.Unreadable) };
        await InsideAsync(inside, names, cancellationToken);
        await EndAsync(isKnown, cancellationToken);
    }

    /// <summary>
    /// The names in a directory, and whether some of them will have no entry, which its own entry says: it comes before theirs. One look
    /// tells whether it may be entered; a name that cannot be looked at nevertheless is counted.
    /// </summary>
    (List<byte[]> Names, TreeEntryMarks Marks) Look(SafeFileHandle directory, byte[] path)
    {
        List<byte[]> names;
        try
        {
            names = DirectoryCalls.List(directory, DirectoryCalls.Show(path));
        }
        catch (PosixException e) when (e.Kind == FailureKind.SourceUnreadable)
        {
            report.Note(path, Errno.Describe(e.Error));
            return ([], TreeEntryMarks.Unreadable);
        }

        var isPartial = names.Exists(name => path.Length + 1 + name.Length > TreeEntry.PathBytesMax)
            || (names.Count > 0 && EntryStat.In(directory, names[0], out var error) is null && error != Errno.NoEntry);
        var hasGaps = !options.Exclude.IsEmpty && names.Exists(name => MayMatch([.. path, (byte)'/', .. name]));
        return (names, (isPartial ? TreeEntryMarks.Unreadable : 0) | (hasGaps ? TreeEntryMarks.Gaps : 0));
    }

    bool MayMatch(byte[] path) => options.Exclude.Matches(path, isDirectory: true) || options.Exclude.Matches(path, isDirectory: false);

    /// <summary>What has no entry is counted, unless that of its directory says so and counts.</summary>
    void NoteLacking(Place place, byte[] path, string what)
    {
        if (place.IsPartial)
        {
            report.Note(path, what);
        }
        else
        {
            report.NoteUnreadable(path, what);
        }
    }

    async Task FileAsync(
        Place place, byte[] name, byte[] path, EntryStat stat, TreeEntry? known, CancellationToken cancellationToken)
    {
        report.Begin(path);
        parent?.Anomalies.CountFound(name, path, known);
        if (LiveDatabases.IsSideOf(place.Copied, name) || (IsLive(place, name, stat)
            && await TryDatabaseAsync(place, name, path, stat, cancellationToken)))
        {
            return;
        }

        var isShared = stat.LinkCount > 1;
        if (isShared && firstNames.TryGetValue((stat.Device, stat.Inode), out var first) && IsUnchanged(stat, first.Entry))
        {
            Repeat(first.Chunks);
            await AddAsync(first.Entry with { Name = name, FirstPath = first.Path }, cancellationToken);
            return;
        }

        if (known is not null && known.Marks == TreeEntryMarks.None && IsUnchanged(stat, known)
            && await parent!.TakeContentAsync(cancellationToken) is { } chunks
            && await writer.Content.TryKeepAsync(chunks, cancellationToken) is { } kept)
        {
            var same = Describe(stat, name, TreeEntryKind.File, known.Attributes) with
            {
                SizeBytes = known.SizeBytes, Extents = known.Extents,
            };
            Remember(isShared, stat, path, kept, same);
            await AddAsync(same, cancellationToken);
            return;
        }

        await ReadAsync(place, name, path, stat, known, isShared, cancellationToken);
    }

    async Task ReadAsync(
        Place place, byte[] name, byte[] path, EntryStat stat, TreeEntry? known, bool isShared, CancellationToken cancellationToken)
    {
        var newBefore = writer.Content.NewBytes;
        for (var attempt = 1; ; attempt++)
        {
            using var file = DirectoryCalls.TryOpenFile(place.Directory, name, out var error);
            if (file is null)
            {
                if (error != Errno.NoEntry)
                {
                    report.Note(path, Errno.Describe(error));
                    await AddAsync(Unreadable(stat, name), cancellationToken);
                }

                return;
            }

            try
            {
                var opened = EntryStat.Of(file, DirectoryCalls.Show(path));
                if (opened.Type != EntryStat.Regular)
                {
                    // It was exchanged for something else since it was looked at.
                    await EntryAsync(place with { IsKnown = false }, name, isRoot: false, cancellationToken);
                    return;
                }

                var attributes = ReadAttributes(file, path);
                var taken = await intake.ReadAsync(file, opened, DirectoryCalls.Show(path), cancellationToken);
                if (taken is { IsDatabase: true, Chunks: not null } && MayBeTorn(place, name, path, taken)
                    && await TryDatabaseAsync(place, name, path, stat, cancellationToken))
                {
                    return;
                }

                if (taken is { IsChanged: true, Chunks: not null } && attempt < ReadsMax)
                {
                    continue;
                }

                var entry = await AddReadAsync(taken, opened, name, path, attributes, isShared, cancellationToken);
                parent?.Anomalies.CountRead(known, entry, writer.Content.NewBytes - newBefore);
                return;
            }
            catch (PosixException e) when (e.Kind == FailureKind.SourceUnreadable)
            {
                report.Note(path, Errno.Describe(e.Error));
                await AddAsync(Unreadable(stat, name), cancellationToken);
                return;
            }
        }
    }

    async Task<TreeEntry> AddReadAsync(
        TakenFile taken, EntryStat stat, byte[] name, byte[] path, IReadOnlyList<TreeAttribute> attributes, bool isShared,
        CancellationToken cancellationToken)
    {
        var entry = Describe(stat, name, TreeEntryKind.File, attributes) with
        {
            SizeBytes = taken.SizeBytes,
            Extents = taken.Extents,
            Marks = taken.IsChanged ? TreeEntryMarks.Changed : IsYoung(stat) ? TreeEntryMarks.Young : TreeEntryMarks.None,
        };
        if (taken.IsChanged)
        {
            report.Note(path, WhatHappened(taken));
        }

        report.CountRead(entry.ContentBytes);
        Repeat(taken.Chunks ?? []);
        Remember(isShared && taken.Chunks is not null, stat, path, taken.Chunks ?? [], entry);
        await AddAsync(entry, cancellationToken);
        return entry;
    }

    static string WhatHappened(TakenFile taken) => taken.Failure is { } failure
        ? $"it is kept up to where it could be read: {Errno.Describe(failure.Error)}"
        : "it changed while it was read";

    async Task OtherAsync(
        Place place, byte[] name, byte[] path, EntryStat stat, TreeEntry? known, CancellationToken cancellationToken)
    {
        var kind = stat.Type switch
        {
            EntryStat.Link => TreeEntryKind.Link,
            EntryStat.Pipe => TreeEntryKind.Pipe,
            EntryStat.CharacterDevice => TreeEntryKind.CharacterDevice,
            EntryStat.BlockDevice => TreeEntryKind.BlockDevice,
            _ => TreeEntryKind.Socket,
        };
        var failure = 0;
        var target = kind == TreeEntryKind.Link ? DirectoryCalls.TryReadLink(place.Directory, name, out failure) : [];
        using var opened = DirectoryCalls.TryOpenPlace(place.Directory, name, out var error);
        if (target is null || opened is null)
        {
            // Where it is not gone, or exchanged for something else, it is there and has no entry.
            error = error == 0 ? failure : error;
            if (error is not (Errno.NoEntry or Errno.Invalid))
            {
                NoteLacking(place, path, Errno.Describe(error));
            }

            return;
        }

        await AddAsync(
            Describe(stat, name, kind, AttributesOf(opened, stat, known, path)) with
            {
                Target = target, DeviceMajor = stat.SpecialMajor, DeviceMinor = stat.SpecialMinor,
            },
            cancellationToken);
    }

    TreeEntry Describe(EntryStat stat, byte[] name, TreeEntryKind kind, IReadOnlyList<TreeAttribute> attributes) => new()
    {
        Kind = kind,
        Name = name,
        Permissions = stat.Permissions,
        UserId = stat.UserId,
        GroupId = stat.GroupId,
        User = NameOf(users, stat.UserId, Accounts.FindUserName),
        Group = NameOf(groups, stat.GroupId, Accounts.FindGroupName),
        ModifiedNanoseconds = stat.ModifiedNanoseconds,
        ChangedNanoseconds = stat.ChangedNanoseconds,
        Inode = stat.Inode,
        Attributes = attributes,
    };

    TreeEntry Unreadable(EntryStat stat, byte[] name) => Describe(stat, name, TreeEntryKind.File, []) with
    {
        SizeBytes = stat.SizeBytes, Marks = TreeEntryMarks.Unreadable,
    };

    static string NameOf(Dictionary<uint, string> names, uint id, Func<uint, string> find) =>
        names.TryGetValue(id, out var name) ? name : names[id] = find(id);

    static bool IsUnchanged(EntryStat stat, TreeEntry known) =>
        known.Kind == TreeEntryKind.File
        && (stat.SizeBytes, stat.ModifiedNanoseconds, stat.ChangedNanoseconds, stat.Inode)
            == (known.SizeBytes, known.ModifiedNanoseconds, known.ChangedNanoseconds, known.Inode);

    bool IsYoung(EntryStat stat)
    {
        var newest = Math.Max(stat.ModifiedNanoseconds, stat.ChangedNanoseconds);
        return time.GetUtcNow() - DateTimeOffset.UnixEpoch < TimeSpan.FromTicks(newest / TimeSpan.NanosecondsPerTick) + Young;
    }

    void Remember(bool isShared, EntryStat stat, byte[] path, IReadOnlyList<PendingEntry> chunks, TreeEntry entry)
    {
        if (isShared)
        {
            firstNames.TryAdd((stat.Device, stat.Inode), new FirstName(path, chunks, entry));
        }
    }

    void Repeat(IReadOnlyList<PendingEntry> chunks)
    {
        foreach (var chunk in chunks)
        {
            writer.Content.Repeat(chunk);
        }
    }

    /// <summary>Attributes change the time of change, so where that is the same they are.</summary>
    IReadOnlyList<TreeAttribute> AttributesOf(SafeFileHandle opened, EntryStat stat, TreeEntry? known, byte[] path) =>
        known is not null && (known.ChangedNanoseconds, known.Inode) == (stat.ChangedNanoseconds, stat.Inode)
            ? known.Attributes
            : ReadAttributes(opened, path);

    IReadOnlyList<TreeAttribute> ReadAttributes(SafeFileHandle opened, byte[] path)
    {
        try
        {
            return [.. ExtendedAttributes.Of(opened, DirectoryCalls.Show(path)).Select(item => new TreeAttribute(item.Name, item.Value))];
        }
        catch (PosixException e)
        {
            report.NoteUnreadable(path, $"its attributes: {Errno.Describe(e.Error)}");
            return [];
        }
    }

    ValueTask<TreeEntry?> MatchAsync(Place place, byte[] name, CancellationToken cancellationToken) =>
        place.IsKnown ? parent!.MatchAsync(name, cancellationToken) : default;

    /// <summary>What was a directory is something else now.</summary>
    ValueTask PassAsync(TreeEntry? known, CancellationToken cancellationToken) =>
        known?.Kind == TreeEntryKind.Directory ? parent!.LeaveAsync(cancellationToken) : default;

    async Task EndAsync(bool isKnown, CancellationToken cancellationToken)
    {
        await writer.AddAsync(TreeEntry.End, cancellationToken);
        if (isKnown)
        {
            await parent!.LeaveAsync(cancellationToken);
        }
    }

    async Task AddAsync(TreeEntry entry, CancellationToken cancellationToken)
    {
        await writer.AddAsync(entry, cancellationToken);
        report.Count(entry);
    }
}
