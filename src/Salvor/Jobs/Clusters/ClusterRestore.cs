using System.Globalization;
using System.Text;
using Salvor.Files;
using Salvor.Platform;
using Salvor.Postgres.Restore;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

namespace Salvor.Jobs.Clusters;

/// <summary>A cluster that is ready to be started.</summary>
/// <param name="Path">Its data directory.</param>
/// <param name="Files">What was written of the backup.</param>
/// <param name="LogBytes">How much log was put beside it.</param>
/// <param name="Tablespaces">Where tablespaces are, by their numbers.</param>
/// <param name="Added">Files of settings that the backup does not have, and without which no server starts.</param>
public sealed record RestoredCluster(
    string Path, RestoredTree Files, long LogBytes, IReadOnlyDictionary<uint, string> Tablespaces, IReadOnlyList<string> Added)
{
    /// <summary>How many transactions the log has that were committed.</summary>
    public long Commits { get; init; }

    /// <summary>Where the log is not what a server can read, which ends its recovery there; null where all of it is.</summary>
    public WalProblem? LogProblem { get; init; }

    /// <summary>
    /// Throws where a server has recovered what it can read, and that is not all: it takes a record that it cannot read for the end.
    /// </summary>
    internal void ExpectAllOfLog(Lsn replayed, RecoveryPlan plan)
    {
        if (LogProblem is { } problem && plan.End.Stop is RecoveryStop.AtEnd)
        {
            throw new SalvorException(
                FailureKind.Integrity,
                $"the server stopped at {replayed}, and the log goes on to {plan.Log.End}: at {problem.At} {problem.What}",
                "Make a base backup now.");
        }
    }
}

/// <summary>
/// Brings a cluster back: the files of a backup, all the log that its recovery needs, and the settings that tell the server where it ends.
/// What the server cannot do without comes last, so nothing that is incomplete ever starts.
/// </summary>
/// <param name="snapshot">The backup of the plan.</param>
/// <param name="catalog">The log.</param>
/// <param name="plan">What is done.</param>
public sealed class ClusterRestore(TreeSnapshot snapshot, WalCatalog catalog, RecoveryPlan plan)
{
    const string Control = "/" + ControlFile.Path;
    const string SettingsFile = "postgresql.auto.conf";
    const string Log = "/pg_wal";

    /// <summary>
    /// What the server must not find: where tablespaces were on the source, to which it would link, and that it was a standby.
    /// </summary>
    static readonly string[] LeftOut = [Control, "/tablespace_map", "/standby.signal", "/recovery.signal"];

    long commits;
    WalProblem? problem;
    bool isChanged;
    int? major;

    /// <summary>Whom the files belong to; the user that starts the server has to own them.</summary>
    public Ownership Owners { get; init; } = new(OwnerBy.Name, null, null);

    /// <summary>Where tablespaces go, by their numbers. One without a place goes to TARGET.tablespaces/NUMBER.</summary>
    public IReadOnlyDictionary<uint, string> Tablespaces { get; init; } = new Dictionary<uint, string>();

    /// <summary>
    /// Whether the recovery may use the places of tablespaces that were made after the backup began: it makes and empties them by the paths
    /// that they had, which on the machine of the source are those of the server that runs.
    /// </summary>
    public bool MayMakeTablespaces { get; init; }

    /// <summary>
    /// Whether the directory may have an older or newer state of the same cluster, or what an unfinished restore of it left: what of it
    /// proves to be the same is kept, and what the backup does not have is removed.
    /// </summary>
    public bool IsOver { get; init; }

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>Where a restore that failed left what one with <see cref="IsOver"/> goes on from; null where nothing was changed.</summary>
    public string? Unfinished { get; private set; }

    /// <summary>
    /// Throws where it may not go into a directory: with <see cref="IsOver"/> a running server, no data directory, or that of another
    /// cluster or version; else one that is not empty.
    /// </summary>
    public async Task ExpectPossibleAsync(string target, CancellationToken cancellationToken)
    {
        await ExpectPossibleAsync(new ClusterDirectory(target), isOurs: false, cancellationToken);
    }

    async Task ExpectPossibleAsync(ClusterDirectory directory, bool isOurs, CancellationToken cancellationToken)
    {
        if (IsOver)
        {
            major ??= await ClusterRecovery.MajorAsync(snapshot, plan.Backup.Id, cancellationToken);
            directory.ExpectSame(WalBranches.SystemIdOf(plan.Branch), major.Value);
        }
        else
        {
            directory.ExpectFree(isOurs);
        }
    }

    /// <summary>
    /// Restores into a directory that is new or empty, or over what is there. Stopped before the end, no server starts from what is there.
    /// </summary>
    public async Task<RestoredCluster> RunAsync(string target, CancellationToken cancellationToken)
    {
        var directory = new ClusterDirectory(target);
        await ExpectPossibleAsync(directory.Path, cancellationToken);
        await ExpectSmallAsync(cancellationToken);
        var tablespaces = new ClusterPlaces(directory.Path, plan.Backup.Id);
        var places = await tablespaces.FindAsync(snapshot, Tablespaces, cancellationToken);
        var isNew = !Directory.Exists(directory.Path);
        RequireSpace(directory.Path, IsOver && directory.HasContent);
        Directory.CreateDirectory(directory.Path);
        using var mark = RestoreMark.Take(directory.Path, WalBranches.SystemIdOf(plan.Branch));
        try
        {
            // Another restore may have ended here since.
            await ExpectPossibleAsync(directory, isOurs: true, cancellationToken);
            return await RunAsync(directory, tablespaces, places, IsOver && directory.HasContent, mark, cancellationToken);
        }
        catch
        {
            RecoveryFolder.Remove(directory.Path, RecoveryFolder.NewName);
            if (directory.HasContent && (isChanged || !directory.IsArmed))
            {
                Unfinished = directory.Path;
                throw;
            }

            mark.Remove();
            if (!directory.HasContent)
            {
                RecoveryFolder.Remove(directory.Path);
            }

            if (isNew && !directory.HasContent)
            {
                Directory.Delete(directory.Path);
            }

            throw;
        }
    }

    /// <summary>
    /// The log comes first: what of it cannot be read, or may not be applied, is met before anything of the cluster is fetched or changed.
    /// </summary>
    async Task<RestoredCluster> RunAsync(
        ClusterDirectory directory, ClusterPlaces tablespaces, IReadOnlyDictionary<uint, ClusterPlace> places, bool isOver,
        RestoreMark mark, CancellationToken cancellationToken)
    {
        var (target, folder) = (directory.Path, new RecoveryFolder(directory.Path));
        var log = await AddLogAsync(folder, cancellationToken);
        using var control = new MemoryStream();
        await TreeSearch.DumpAsync(snapshot, Encoding.ASCII.GetBytes(Control), control, cancellationToken);
        string[] told = isOver ? [.. tablespaces.Abandoned(places), .. LinkedLog(target)] : [];
        var options = OptionsOf(isOver) with
        {
            Exclude = PathPatterns.Parse([.. LeftOut, .. places.Keys.Select(ClusterPlaces.SourceOf)]),
            Apart = [.. ClusterDirectory.Own, .. await LinksAsync(target, cancellationToken)],
        };
        if (isOver)
        {
            // What is in the way is told while the cluster that is there is still one.
            await new TreeRestorer(snapshot, options).PlanAsync(target, cancellationToken);
            directory.Disarm();
        }

        isChanged = true;
        LeftOut.Select(name => target + name).ToList().ForEach(path => Posix.Unlink(path));
        folder.Exchange();
        var files = await new TreeRestorer(snapshot, options).RunAsync(target, cancellationToken);
        if (!directory.Exists)
        {
            throw new SalvorException(
                FailureKind.Integrity, $"backup {plan.Backup.Id} has no file PG_VERSION, which every cluster has",
                "Restore from another backup, and run 'salvor verify --deep'.");
        }

        Own(target, target);
        files = await RestoreTablespacesAsync(files, target, tablespaces, places, cancellationToken);
        Give(Path.Combine(target, RecoveryFolder.Name), target);
        var added = AddSettingsFiles(target);
        WriteSettings(target, ControlFile.Settings(control.ToArray()));
        Flush(target);

        // Without it no server starts, so it comes when all else is durable.
        Write(target, Control[1..], control.ToArray());
        mark.Remove();
        var paths = places.ToDictionary(item => item.Key, item => item.Value.Path);
        return new RestoredCluster(target, files with { Problems = [.. told, .. files.Problems] }, log, paths, added)
        {
            Commits = commits, LogProblem = problem,
        };
    }

    /// <summary>
    /// Links in place of what a server has at its top, as to a file of settings elsewhere. A server sends none of them, so that the backup
    /// lacks one says nothing. The log is the exception: what is there is not what the restored cluster needs.
    /// </summary>
    async Task<IEnumerable<string>> LinksAsync(string target, CancellationToken cancellationToken)
    {
        var links = Directory.EnumerateFileSystemEntries(target)
            .Where(path => FileStat.Of(path, followLinks: false) is { Kind: FileKind.Link } && path != target + Log)
            .Select(path => '/' + Path.GetFileName(path)).ToHashSet();
        if (links.Count > 0)
        {
            await foreach (var item in TreeSearch.EntriesAsync(snapshot, cancellationToken))
            {
                links.Remove(Encoding.UTF8.GetString(item.Path));
            }
        }

        return links.Select(path => path[1..]);
    }

    TreeRestoreOptions OptionsOf(bool isOver) => new()
    {
        Owners = Owners, Progressed = Progressed, IsOver = isOver, Deletes = isOver, IsInPlace = isOver, HasAll = true,

        // Nothing is used before the control file is there.
        Flushes = false,
    };

    /// <summary>Each tablespace goes to its place when the data directory says that it is there.</summary>
    async Task<RestoredTree> RestoreTablespacesAsync(
        RestoredTree files, string target, ClusterPlaces tablespaces, IReadOnlyDictionary<uint, ClusterPlace> places,
        CancellationToken cancellationToken)
    {
        foreach (var (id, place) in places)
        {
            tablespaces.Link(id, place.Path);
            var there = OptionsOf(place.IsOver) with
            {
                Top = Encoding.ASCII.GetBytes(ClusterPlaces.SourceOf(id)), Apart = place.Others,
            };
            files = files.With(await new TreeRestorer(snapshot, there).RunAsync(place.Path, cancellationToken));
            Own(place.Path, target);
            if (Path.GetDirectoryName(place.Path) == tablespaces.Beside)
            {
                Own(tablespaces.Beside, target);
            }

            Flush(place.Path);
        }

        return files;
    }

    /// <summary>Makes a directory that of the user that starts the server, and of nobody else.</summary>
    static void Own(string path, string target)
    {
        using var opened = DirectoryCalls.OpenRoot(path);
        Posix.ChangeMode(opened, Posix.OwnerOnlyDirectory, path);
        if (Environment.IsPrivilegedProcess && FileStat.Of(Path.Combine(target, "PG_VERSION")) is { } version
            && Posix.ChangeOwner(opened, version.UserId, version.GroupId) is > 0 and var error)
        {
            throw new PosixException(error, "change the owner of", path);
        }
    }

    /// <summary>The log of a cluster may be on another disk. It is not written to: nobody knows what else is there.</summary>
    static IEnumerable<string> LinkedLog(string target)
    {
        var log = target + Log;
        return FileStat.Of(log, followLinks: false) is { Kind: FileKind.Link }
            ? [$"pg_wal was in {File.ResolveLinkTarget(log, false)?.FullName}, and is in the data directory now; what is there stays"]
            : [];
    }

    void Flush(string directory)
    {
        Progressed?.Invoke(new WorkProgress("flushing to the disk"));
        using var opened = DirectoryCalls.OpenRoot(directory);
        DirectoryCalls.FlushFileSystem(opened, directory);
    }

    /// <summary>What is read into memory is as small as a server makes it.</summary>
    async Task ExpectSmallAsync(CancellationToken cancellationToken)
    {
        const long ControlBytesMax = 64 << 10;
        const long SettingsBytesMax = 1 << 20;
        await foreach (var item in TreeSearch.EntriesAsync(snapshot, cancellationToken))
        {
            var most = item.Path.AsSpan().SequenceEqual(Encoding.ASCII.GetBytes(Control)) ? ControlBytesMax
                : item.Path.AsSpan().SequenceEqual(Encoding.ASCII.GetBytes("/" + SettingsFile)) ? SettingsBytesMax
                : long.MaxValue;
            if ((long)item.Entry.SizeBytes > most)
            {
                throw new SalvorException(
                    FailureKind.Integrity,
                    $"{Encoding.UTF8.GetString(item.Path)} of backup {plan.Backup.Id} has {item.Entry.SizeBytes} bytes, and no server "
                        + $"makes more than {most}",
                    "Restore from another backup, and run 'salvor verify --deep'.");
            }
        }
    }

    /// <summary>The log needs room twice: where it is handed out, and where the server puts what it takes.</summary>
    void RequireSpace(string target, bool isOver)
    {
        var above = target;
        while (!Directory.Exists(above))
        {
            above = Path.GetDirectoryName(above)!;
        }

        var needed = (isOver ? 0 : snapshot.Details.Totals.Bytes) + plan.Log.Length;
        if (DiskSpace.FreeBytes(above) is { } free && free < needed)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"not enough room in {above}: the restore needs {SizeText.Format(needed)}, has {SizeText.Format(free)} free",
                $"Free some ('df -h {above}' shows how much is left), or choose another disk.");
        }
    }

    /// <summary>
    /// All files of the log that the server may ask for. It asks for each segment on the newest timeline first, so each timeline's own are
    /// there, with the histories.
    /// </summary>
    async Task<long> AddLogAsync(RecoveryFolder folder, CancellationToken cancellationToken)
    {
        folder.Begin();
        using var reader = new WalReader(catalog);
        var (bytes, segmentBytes) = (0L, plan.Shape.SegmentBytes);
        var path = catalog.PathTo(plan.Branch.Number);
        AddHistories(folder, path.Select(item => item.Branch));
        foreach (var (branch, own) in path)
        {
            var (timeline, range) = (WalBranches.HistoryOf(branch).Timeline, own.Within(plan.Log));
            var records = new WalRecords(plan.Shape, timeline, range.First.Floor(segmentBytes), item => Meet(item, range));
            for (var at = range.First.Floor(segmentBytes); at < range.End && !range.IsEmpty; at += segmentBytes)
            {
                var segment = WalSegment.Of(timeline, at, segmentBytes);
                Progressed?.Invoke(new WorkProgress("fetching the log", bytes, plan.Log.Length) { Item = segment.Name });
                if (await SegmentAsync(reader, segment, range, cancellationToken) is { } content)
                {
                    folder.Add(segment.Name, content);
                    bytes += content.Length;
                    records.Add(content.AsSpan(0, (int)Math.Min(content.Length, range.End - at)));
                }
            }

            problem ??= records.Problem;
        }

        folder.Finish();
        return bytes;
    }

    /// <summary>What is planned may end right before a gap, in the middle of a segment of which there is more.</summary>
    async Task<byte[]?> SegmentAsync(WalReader reader, WalSegment segment, WalRange planned, CancellationToken cancellationToken)
    {
        var (first, reach) = (segment.Range.First, catalog.Reach(plan.Branch.Number, segment.Range.First));
        if (reach >= segment.Range.End || reach < planned.End || reach <= first)
        {
            return await reader.SegmentAsync(segment, cancellationToken);
        }

        var content = new byte[segment.SizeBytes];
        await reader.ReadAsync(plan.Branch.Number, first, content.AsMemory(0, (int)(reach - first)), cancellationToken);
        return content;
    }

    /// <summary>Throws where a record that will be applied makes a tablespace.</summary>
    void Meet(WalEvent item, WalRange own)
    {
        commits += item.IsCommit && own.Has(item.Start) ? 1 : 0;
        var isApplied = item.Start >= plan.Backup.Log.First && (plan.End.Stop is not RecoveryStop.At stop || item.Start < stop.Record);
        if (item.Kind == WalEventKind.Tablespace && item.Name.StartsWith('/') && isApplied && !MayMakeTablespaces)
        {
            throw new SalvorException(
                FailureKind.NotRestorable,
                $"after backup {plan.Backup.Id} began, a tablespace was made in {item.Name}, and a recovery past {item.Start} writes there",
                $"That may be in use by the server that was backed up. Recover to the end of a transaction before {item.Start}, or "
                    + "make a backup now and begin with that.");
        }
    }

    /// <summary>
    /// The histories of all timelines, also of those that lead elsewhere: a server that is promoted takes the first number of which it
    /// finds none, and two timelines of one number could never be told apart.
    /// </summary>
    void AddHistories(RecoveryFolder folder, IEnumerable<Branch> path)
    {
        foreach (var record in path.Concat(catalog.Branches.Reverse()).Select(branch => branch.Record).DistinctBy(item => item.Timeline))
        {
            if (record is { Timeline: > 1 and var timeline, History: { Length: > 0 } history })
            {
                folder.Add($"{timeline:X8}.history", history);
            }
        }
    }

    /// <summary>
    /// Debian has them in /etc/postgresql, outside of what a server sends. Those that are made let in whom the system knows as the user
    /// that he wants to be, through the socket, and nobody else.
    /// </summary>
    static List<string> AddSettingsFiles(string target)
    {
        const string Note = "# Made by salvor restore, as the backup has none: it was outside of the data directory.\n";
        (string Name, string Content)[] files = [("postgresql.conf", Note), ("pg_hba.conf", Note + "local all all peer\n")];
        var absent = files.Where(file => FileStat.Of(Path.Combine(target, file.Name), followLinks: false) is null).ToList();
        absent.ForEach(file => Write(target, file.Name, Encoding.ASCII.GetBytes(file.Content)));
        return [.. absent.Select(file => file.Name)];
    }

    void WriteSettings(string target, IEnumerable<(string Name, string Value)> needed)
    {
        // A link would be followed, to what only root can read.
        var path = Path.Combine(target, SettingsFile);
        var existing = FileStat.Of(path, followLinks: false) is { Kind: FileKind.Regular } ? File.ReadAllText(path) : "";
        Write(target, SettingsFile, Encoding.UTF8.GetBytes(RecoverySettings.Write(existing, plan.End, needed)));
        Write(target, "recovery.signal", []);
    }

    static void Write(string target, string name, ReadOnlySpan<byte> content)
    {
        var path = Path.Combine(target, name);
        DurableFile.Replace(path, content);
        Give(path, target);
    }

    /// <summary>The user that starts the server must own all of it: what root made goes to whom the files of the backup belong.</summary>
    static void Give(string path, string target)
    {
        if (FileStat.Of(Path.Combine(target, "PG_VERSION")) is { } version)
        {
            Accounts.Give(path, version.UserId, version.GroupId);
        }
    }
}
