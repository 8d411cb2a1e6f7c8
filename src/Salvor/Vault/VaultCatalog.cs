using Salvor.Storage;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;

namespace Salvor.Vault;

/// <summary>A snapshot in a listing. Its content is read only when it is needed.</summary>
public readonly record struct SnapshotRef(uint Branch, Position Position)
{
    /// <summary>What sorts them: by branch, and on that by position.</summary>
    internal (uint Branch, ulong Position) Order => (Branch, Position.Value);
}

/// <summary>A line of history.</summary>
public sealed record Branch(uint Number, BranchRecord Record)
{
    /// <summary>Of the writer that began it.</summary>
    public uint Epoch { get; init; }
}

/// <summary>A log object that was read and checked by itself.</summary>
/// <param name="Proof">Changes with anything that the object says: its own link, or the hash of the details of a compacted one.</param>
public sealed record LogObject(string Key, ObjectHeader Header, LogDetails Details, Hash256 Proof, long StoredBytes)
{
    /// <summary>The position of the commit of this index.</summary>
    public Position PositionOf(int commit) =>
        new(Details.Positions.Count == 0 ? Header.PositionFirst + (ulong)commit : Details.Positions[commit]);

    /// <summary>The index of the last commit at or before a position; negative where all are after it.</summary>
    public int LastAt(Position position)
    {
        var (low, high) = (-1, Details.Commits.Count - 1);
        while (low < high)
        {
            var middle = high - ((high - low) / 2);
            (low, high) = PositionOf(middle) <= position ? (middle, high) : (low, middle - 1);
        }

        return low;
    }

    /// <summary>Whether a position is a restore point of this object.</summary>
    public bool Has(Position position) => LastAt(position) is >= 0 and var index && PositionOf(index) == position;
}

/// <summary>
/// What a vault holds, from listing it: branches, log numbers and snapshots. Log objects are read when asked for. A catalogue is a view of
/// one moment; make a new one to see what came since.
/// </summary>
public sealed class VaultCatalog
{
    readonly SortedDictionary<uint, Branch> branches = [];
    readonly Dictionary<uint, BranchLog> logs = [];
    readonly List<SnapshotRef> snapshots = [];
    readonly List<ulong> backups = [];

    VaultCatalog(VaultAccess vault) => Vault = vault;

    public VaultAccess Vault { get; }

    /// <summary>In order of their numbers; the last is the one that is being written.</summary>
    public IReadOnlyCollection<Branch> Branches => branches.Values;

    public IReadOnlyList<SnapshotRef> Snapshots => snapshots;

    /// <summary>The snapshot before which nothing can be restored; null where there is none.</summary>
    public SnapshotRef? Oldest => snapshots.Count == 0 ? null : snapshots.MinBy(item => item.Order);

    /// <summary>The ids of the backups, ascending; <see cref="Vault.Backups"/> reads them.</summary>
    public IReadOnlyList<ulong> Backups => backups;

    /// <summary>What prunes condemned. None of it is listed here, though it can be read for as long as it is there.</summary>
    public Condemnations Condemned { get; private set; } = Condemnations.None;

    public bool IsEmpty => branches.Count == 0;

    public static async Task<VaultCatalog> LoadAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        // Before the log: what stands for a condemned object was durable before that was condemned, so it is listed then.
        var catalog = new VaultCatalog(vault) { Condemned = await Condemnations.LoadAsync(vault, cancellationToken) };
        await AddAsync(VaultKeys.Branches);

        // Each has a collection of its own, and at a destination far away each is a round trip.
        await Task.WhenAll(AddAsync(VaultKeys.Logs), AddAsync(VaultKeys.Snapshots), AddAsync(VaultKeys.Backups));
        return catalog;

        Task AddAsync(string prefix) => catalog.AddAsync(vault.ListAsync(prefix, after: null, cancellationToken), cancellationToken);
    }

    /// <summary>As the other, from one listing of all that is in the vault.</summary>
    /// <param name="listed">Given every object of the vault, in the order of the keys.</param>
    internal static async Task<VaultCatalog> LoadAsync(VaultAccess vault, Action<ObjectInfo> listed, CancellationToken cancellationToken)
    {
        var catalog = new VaultCatalog(vault) { Condemned = await Condemnations.LoadAsync(vault, cancellationToken) };
        await catalog.AddAsync(vault.ListAsync("", after: null, cancellationToken).Select(Note), cancellationToken);
        return catalog;

        ObjectInfo Note(ObjectInfo row)
        {
            listed(row);
            return row;
        }
    }

    public BranchLog Logs(uint branch) => logs.GetValueOrDefault(branch) ?? BranchLog.Empty;

    public Branch Branch(uint number) => branches.TryGetValue(number, out var branch)
        ? branch
        : throw new SalvorException(
            FailureKind.NotRestorable,
            $"vault {Vault.Location} has no branch {number}",
            $"Its branches are {string.Join(", ", branches.Keys)}; 'salvor list --from {Vault.Location}' shows what each holds.");

    /// <summary>The branches from the first one to this one: each continues its predecessor after the fork.</summary>
    public IReadOnlyList<Branch> PathTo(uint number)
    {
        var path = new List<Branch>();
        for (var next = number; next != 0; next = path[^1].Record.Parent)
        {
            path.Add(path.Count == 0 || branches.ContainsKey(next)
                ? Branch(next)
                : throw new DamagedObjectException(VaultKeys.Branch(next), $"it is missing, and branch {path[^1].Number} continues it")
                {
                    IsMissing = true,
                });
        }

        path.Reverse();
        return path;
    }

    /// <summary>The link that the first log object of a branch continues.</summary>
    public Hash256 LineageStart(Branch branch) =>
        Hash256.TryParse(branch.Record.ForkLineage, out var link)
            ? Lineage.StartOf(Vault.Secrets, Vault.Id, branch.Number, new Position(branch.Record.ForkPosition), link)
            : throw new DamagedObjectException(VaultKeys.Branch(branch.Number), "its fork lineage is not a hash");

    /// <summary>Reads a log object as the writer made it.</summary>
    public Task<LogObject> ReadLogAsync(uint branch, ulong number, CancellationToken cancellationToken) =>
        ReadLogAsync(branch, LogEntry.Of(number, storedBytes: 0), cancellationToken);

    /// <summary>Reads a log object and checks it against its key and its own link of the lineage. Its parts are not read.</summary>
    public Task<LogObject> ReadLogAsync(uint branch, LogEntry entry, CancellationToken cancellationToken) =>
        ReadLogAsync(VaultKeys.Log(branch, entry), cancellationToken);

    /// <summary>The earlier parts of a compacted log object, in order, and the object itself.</summary>
    internal async Task<IReadOnlyList<LogObject>> ReadPartsAsync(LogObject log, CancellationToken cancellationToken)
    {
        var parts = new List<LogObject>();
        foreach (var part in log.Details.Parts)
        {
            var key = VaultKeys.LogPart(log.Header.Branch, VaultKeys.LogEntryOf(log.Key, 0).Entry, part.Number);
            var read = await ReadLogAsync(key, cancellationToken);
            parts.Add(read.Proof == part.DetailsHash
                ? read
                : throw new DamagedObjectException(key, $"it is not the part that {log.Key} was made with"));
        }

        parts.Add(log);
        return log.Details.Commits.Sum(commit => (long)commit.Pages) == parts.Sum(part => (long)part.Details.Pages.Count)
            ? parts
            : throw new DamagedObjectException(log.Key, "its commits do not account for the pages of its parts");
    }

    /// <summary>As the other two, by key.</summary>
    internal async Task<LogObject> ReadLogAsync(string key, CancellationToken cancellationToken)
    {
        using var stored = await OpenLogAsync(key, whole: false, cancellationToken);
        return await ReadDetailsAsync(stored, cancellationToken);
    }

    /// <summary>Reads the details of a log object that is open, and checks them.</summary>
    internal Task<LogObject> ReadDetailsAsync(StoredObject stored, CancellationToken cancellationToken) =>
        ReadDetailsAsync(Vault.Secrets, stored, cancellationToken);

    /// <summary>As the other, without a catalogue.</summary>
    internal static async Task<LogObject> ReadDetailsAsync(
        VaultSecrets secrets, StoredObject stored, CancellationToken cancellationToken)
    {
        var bytes = await stored.ReadDetailsAsync(cancellationToken);
        var details = LogDetails.Read(stored.Key, bytes);
        var header = stored.Header;
        var entry = VaultKeys.LogEntryOf(stored.Key, 0).Entry;
        if (details.FirstNumber != (entry.IsCompacted ? entry.First : 0))
        {
            throw new DamagedObjectException(stored.Key, $"it begins with number {details.FirstNumber}, and its name says otherwise");
        }

        if (!details.IsCompacted && header.LineageAfter != Lineage.Next(secrets, header.LineageBefore, header, bytes))
        {
            throw new DamagedObjectException(stored.Key, "its lineage does not cover what it holds");
        }

        Check(stored, header, details);
        var proof = details.IsCompacted ? secrets.NameOf(bytes) : header.LineageAfter;
        return new LogObject(stored.Key, header, details, proof, stored.Frames.Sum(frame => (long)frame.StoredBytes));
    }

    /// <summary>Opens a log object for reading its frames. Its details are not checked here.</summary>
    internal async Task<StoredObject> OpenLogAsync(string key, bool whole, CancellationToken cancellationToken)
    {
        return await Vault.OpenAsync(key, ObjectKind.Log, whole, cancellationToken, header => Misplaced(key, header));
    }

    /// <summary>The header of a log object, in one call.</summary>
    internal async Task<ObjectHeader> ReadLogHeaderAsync(uint branch, LogEntry entry, CancellationToken cancellationToken)
    {
        var key = VaultKeys.Log(branch, entry);
        return await Vault.ReadHeaderAsync(key, ObjectKind.Log, header => Misplaced(key, header), cancellationToken);
    }

    /// <summary>The headers of many log objects, in their order.</summary>
    internal Task<ObjectHeader[]> ReadLogHeadersAsync(uint branch, IReadOnlyList<LogEntry> entries, CancellationToken cancellationToken) =>
        Vault.ReadHeadersAsync(
            entries.Count, index => VaultKeys.Log(branch, entries[index]), ObjectKind.Log, Misplaced, cancellationToken);

    /// <summary>What is wrong with the header of a log object in this place, or null.</summary>
    internal static string? Misplaced(string key, ObjectHeader header) =>
        header.Branch == VaultKeys.BranchOf(key) && header.Number == VaultKeys.LogEntryOf(key, 0).Entry.Last
            ? null
            : $"it is log object {header.Number} of branch {header.Branch}, put in this place";

    /// <summary>What the header and the frames must have in common with the details.</summary>
    static void Check(StoredObject stored, ObjectHeader header, LogDetails details)
    {
        var positions = header.PositionLast - header.PositionFirst + 1;
        var isSparse = details.Positions.Count > 0;
        if (header.PositionLast < header.PositionFirst
            || (isSparse && (details.Positions[0] < header.PositionFirst || details.Positions[^1] != header.PositionLast))
            || (!isSparse && !(details.IsCompacted && !details.Final) && positions != (ulong)Math.Max(1, details.Commits.Count)))
        {
            throw new DamagedObjectException(stored.Key, "its positions do not match its commits");
        }

        if (details.Final
            && (header.TimeLastMicros != details.Commits[^1].TimeMicros
                || (isSparse
                    ? header.TimeFirstMicros > details.Commits[0].TimeMicros || !Micros.IsTime(header.TimeFirstMicros)
                    : header.TimeFirstMicros != details.Commits[0].TimeMicros)))
        {
            throw new DamagedObjectException(stored.Key, "its times do not match its commits");
        }

        if (stored.Frames.Count - 1 != details.FrameHashes.Count)
        {
            throw new DamagedObjectException(stored.Key, "its frames do not match its details");
        }

        if (header.Log != LogSummary.Of(details))
        {
            throw new DamagedObjectException(stored.Key, "its header tells of another content");
        }
    }

    /// <summary>The branches of a vault alone, in order of their numbers.</summary>
    internal static async Task<IReadOnlyList<Branch>> ListBranchesAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        var keys = await vault.ListAsync(VaultKeys.Branches, after: null, cancellationToken).Select(row => row.Key)
            .ToListAsync(cancellationToken);
        return await ReadBranchesAsync(vault, keys, cancellationToken);
    }

    static async Task<Branch[]> ReadBranchesAsync(VaultAccess vault, List<string> keys, CancellationToken cancellationToken)
    {
        var read = new Branch[keys.Count];
        await InFlight.ForEachAsync(
            read.Length, async i => read[i] = await ReadBranchAsync(vault, keys[i], cancellationToken), cancellationToken);
        return read;
    }

    static async Task<Branch> ReadBranchAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        var number = (uint)VaultKeys.NumberOf(key);
        using var stored = await vault.OpenAsync(
            key, ObjectKind.Branch, whole: true, cancellationToken,
            header => header.Branch == number ? null : $"it is branch {header.Branch}, put in this place");

        var record = VaultJson.Read(key, await stored.ReadDetailsAsync(cancellationToken), VaultJson.Default.BranchRecord);
        return record.Parent < number
            ? new Branch(number, record) { Epoch = stored.Header.Epoch }
            : throw new DamagedObjectException(key, $"it claims branch {record.Parent}, which is not older, as its parent");
    }

    async Task AddAsync(IAsyncEnumerable<ObjectInfo> rows, CancellationToken cancellationToken)
    {
        var listed = new Dictionary<uint, List<LogEntry>>();
        var begun = new List<string>();
        await foreach (var row in rows)
        {
            if (row.Key.StartsWith(VaultKeys.Logs, StringComparison.Ordinal))
            {
                var branch = VaultKeys.BranchOf(row.Key);
                AddLog(listed.TryGetValue(branch, out var entries) ? entries : listed[branch] = [], row);
            }
            else if (row.Key.StartsWith(VaultKeys.Branches, StringComparison.Ordinal))
            {
                begun.Add(row.Key);
            }
            else if (row.Key.StartsWith(VaultKeys.Snapshots, StringComparison.Ordinal))
            {
                var snapshot = new SnapshotRef(VaultKeys.BranchOf(row.Key), new Position(VaultKeys.NumberOf(row.Key)));
                AddShown(snapshots, snapshot, row.Key);
            }
            else if (row.Key.StartsWith(VaultKeys.Backups, StringComparison.Ordinal))
            {
                AddShown(backups, VaultKeys.NumberOf(row.Key), row.Key);
            }
        }

        foreach (var branch in await ReadBranchesAsync(Vault, begun, cancellationToken))
        {
            branches[branch.Number] = branch;
        }

        foreach (var (branch, entries) in listed)
        {
            logs[branch] = new BranchLog(entries, Condemned.PrunedOf(branch));
        }
    }

    void AddShown<T>(List<T> list, T item, string key)
    {
        if (!Condemned.Hides(key))
        {
            list.Add(item);
        }
    }

    void AddLog(List<LogEntry> entries, ObjectInfo row)
    {
        var (entry, part) = VaultKeys.LogEntryOf(row.Key, row.SizeBytes);
        if (Condemned.Hides(row.Key))
        {
            return;
        }

        if (part == 0)
        {
            entries.Add(entry);
        }
        else if (entries.Count > 0 && (entries[^1].First, entries[^1].Last) == (entry.First, entry.Last))
        {
            // Parts come right after the object that they belong to; without one they are leftovers.
            entries[^1] = entries[^1] with { StoredBytes = entries[^1].StoredBytes + row.SizeBytes };
        }
    }
}
