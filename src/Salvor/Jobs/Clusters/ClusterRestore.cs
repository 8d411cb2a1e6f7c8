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
    const string Control = "/global/pg_control";
    const string TablespaceFolder = "pg_tblspc";
    const string SettingsFile = "postgresql.auto.conf";
    const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>
    /// What the server must not find: where tablespaces were on the source, to which it would link, and that it was a standby.
    /// </summary>
    static readonly string[] LeftOut = [Control, "/tablespace_map", "/standby.signal", "/recovery.signal"];

    long commits;
    WalProblem? problem;

    /// <summary>Whom the files belong to; the user that starts the server has to own them.</summary>
    public Ownership Owners { get; init; } = new(OwnerBy.Name, null, null);

    /// <summary>Where tablespaces go, by their numbers. One without a place goes to TARGET.tablespaces/NUMBER.</summary>
    public IReadOnlyDictionary<uint, string> Tablespaces { get; init; } = new Dictionary<uint, string>();

    /// <summary>
    /// Whether the recovery may use the places of tablespaces that were made after the backup began: it makes and empties them by the paths
    /// that they had, which on the machine of the source are those of the server that runs.
    /// </summary>
    public bool MayMakeTablespaces { get; init; }

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>Restores into a directory that is new or empty. Stopped before the end, no server starts from what is there.</summary>
    public async Task<RestoredCluster> RunAsync(string target, CancellationToken cancellationToken)
    {
        var directory = new ClusterDirectory(target);
        directory.ExpectFree();
        var places = await PlacesAsync(directory.Path, cancellationToken);
        RequireSpace(directory.Path);
        var files = await RestoreFilesAsync(directory.Path, places, cancellationToken);
        File.SetUnixFileMode(directory.Path, OwnerOnly);
        if (!directory.Exists)
        {
            throw new SalvorException(
                FailureKind.Integrity, $"backup {plan.Backup.Id} has no file PG_VERSION, which every cluster has",
                "Restore from another backup, and run 'salvor verify --deep'.");
        }

        Give(directory.Path, directory.Path);
        var log = await AddLogAsync(directory.Path, cancellationToken);
        var added = AddSettingsFiles(directory.Path);
        using var control = new MemoryStream();
        await TreeSearch.DumpAsync(snapshot, Encoding.ASCII.GetBytes(Control), control, cancellationToken);
        WriteSettings(directory.Path, ControlFile.Settings(control.ToArray()));

        // Without it no server starts, so it comes when all else is durable.
        Write(directory.Path, Control[1..], control.ToArray());
        return new RestoredCluster(directory.Path, files, log, places, added) { Commits = commits, LogProblem = problem };
    }

    /// <summary>The files go first to the data directory, and then each tablespace to its place.</summary>
    async Task<RestoredTree> RestoreFilesAsync(
        string target, IReadOnlyDictionary<uint, string> places, CancellationToken cancellationToken)
    {
        string[] elsewhere = [.. places.Keys.Select(SourceOf)];
        var restored = await RestoreAsync(target, PathPatterns.None, PathPatterns.Parse([.. LeftOut, .. elsewhere]), cancellationToken);
        foreach (var (id, place) in places)
        {
            var (source, staged) = (SourceOf(id), place.TrimEnd('/') + ".salvor");
            await RestoreAsync(staged, PathPatterns.Parse([source]), PathPatterns.None, cancellationToken);
            Move(Path.Combine(staged, source[1..]), place, staged);
            Give(place, target);
            File.CreateSymbolicLink(target + source, place);
        }

        if (places.Count > 0)
        {
            DurableFile.FlushDirectory(Path.Combine(target, TablespaceFolder));
        }

        if (places.Keys.Any(id => !Tablespaces.ContainsKey(id)))
        {
            File.SetUnixFileMode(Beside(target), OwnerOnly);
            Give(Beside(target), target);
            DurableFile.FlushDirectory(Path.GetDirectoryName(target)!);
        }

        return restored;
    }

    /// <summary>Where a tablespace is in the backup.</summary>
    static string SourceOf(uint id) => string.Create(CultureInfo.InvariantCulture, $"/{TablespaceFolder}/{id}");

    static string Beside(string target) => target + ".tablespaces";

    Task<RestoredTree> RestoreAsync(string target, PathPatterns include, PathPatterns exclude, CancellationToken cancellationToken) =>
        new TreeRestorer(snapshot, new() { Include = include, Exclude = exclude, Owners = Owners, Progressed = Progressed })
            .RunAsync(target, cancellationToken);

    /// <summary>An empty directory of that name goes: it is only the place.</summary>
    static void Move(string from, string to, string staged)
    {
        if (Directory.Exists(to))
        {
            Directory.Delete(to);
        }

        Directory.Move(from, to);
        Directory.Delete(staged, recursive: true);
        DurableFile.FlushDirectory(Path.GetDirectoryName(to)!);
    }

    /// <summary>
    /// Where each tablespace of the backup goes: never into the data directory, where a server that finds more than links ends its
    /// recovery.
    /// </summary>
    async Task<IReadOnlyDictionary<uint, string>> PlacesAsync(string target, CancellationToken cancellationToken)
    {
        var places = new Dictionary<uint, string>();
        await foreach (var item in TreeSearch.EntriesAsync(snapshot, cancellationToken))
        {
            ExpectSmall(item);
            if (TablespaceOf(item) is { } id)
            {
                places[id] = Tablespaces.GetValueOrDefault(id) ?? Path.Combine(Beside(target), Path.GetFileName(SourceOf(id)));
            }
        }

        if (Tablespaces.Keys.Where(id => !places.ContainsKey(id)).Cast<uint?>().FirstOrDefault() is { } absent)
        {
            throw new SalvorException(
                FailureKind.Usage, $"backup {plan.Backup.Id} has no tablespace {absent}",
                $"'salvor list SOURCE {plan.Backup.Id}:/{TablespaceFolder}' shows those that it has.");
        }

        if (places.Values.Select(Path.GetFullPath).Distinct().Count() < places.Count)
        {
            throw new SalvorException(
                FailureKind.Usage, "two tablespaces cannot be restored to one directory", "Give each a directory of its own.");
        }

        foreach (var (id, place) in places)
        {
            if (!Path.IsPathRooted(place) || (Directory.Exists(place) && Directory.EnumerateFileSystemEntries(place).Any()))
            {
                throw new SalvorException(
                    FailureKind.Usage, $"tablespace {id} cannot be restored to {place}: that is no full path of a new or empty directory",
                    "Choose another place; what is there may be the tablespace of a server that runs.");
            }
        }

        return places;
    }

    /// <summary>What is read into memory is as small as a server makes it.</summary>
    void ExpectSmall(TreePath item)
    {
        const long ControlBytesMax = 64 << 10;
        const long SettingsBytesMax = 1 << 20;
        var most = item.Path.AsSpan().SequenceEqual(Encoding.ASCII.GetBytes(Control)) ? ControlBytesMax
            : item.Path.AsSpan().SequenceEqual(Encoding.ASCII.GetBytes("/" + SettingsFile)) ? SettingsBytesMax
            : long.MaxValue;
        if ((long)item.Entry.SizeBytes > most)
        {
            throw new SalvorException(
                FailureKind.Integrity,
                $"{Encoding.UTF8.GetString(item.Path)} of backup {plan.Backup.Id} has {item.Entry.SizeBytes} bytes, and no server makes "
                    + $"more than {most}",
                "Restore from another backup, and run 'salvor verify --deep'.");
        }
    }

    /// <summary>The number of a tablespace whose directory this is.</summary>
    static uint? TablespaceOf(TreePath item)
    {
        var path = Encoding.UTF8.GetString(item.Path);
        var name = path.AsSpan(path.LastIndexOf('/') + 1);
        return item.Entry.Kind == TreeEntryKind.Directory
            && uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && path == SourceOf(id) ? id : null;
    }

    /// <summary>The log needs room twice: where it is handed out, and where the server puts what it takes.</summary>
    void RequireSpace(string target)
    {
        var above = target;
        while (!Directory.Exists(above))
        {
            above = Path.GetDirectoryName(above)!;
        }

        var needed = snapshot.Details.Totals.Bytes + plan.Log.Length;
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
    async Task<long> AddLogAsync(string target, CancellationToken cancellationToken)
    {
        var folder = new RecoveryFolder(target);
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
        Give(Path.Combine(target, RecoveryFolder.Name), target);
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
