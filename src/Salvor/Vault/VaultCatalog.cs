using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>A snapshot in a listing. Its content is read only when it is needed.</summary>
public readonly record struct SnapshotRef(uint Branch, Position Position);

/// <summary>The log objects of one branch, by number.</summary>
/// <param name="Last">The highest number; 0 where there is none.</param>
/// <param name="Missing">Numbers below it that the listing does not have, up to a few of them.</param>
public sealed record LogRange(ulong Last, IReadOnlyList<ulong> Missing);

/// <summary>A line of history.</summary>
public sealed record Branch(uint Number, BranchRecord Record);

/// <summary>A log object that was read and checked by itself.</summary>
public sealed record LogObject(ObjectHeader Header, LogDetails Details, long StoredBytes);

/// <summary>
/// What a vault holds, from listing it: branches, log numbers and snapshots. Log objects are read when asked for. A catalogue is a view of
/// one moment; make a new one to see what came since.
/// </summary>
public sealed class VaultCatalog
{
    const int MissingNamedMax = 16;

    readonly SortedDictionary<uint, Branch> branches = [];
    readonly Dictionary<uint, LogRange> logs = [];
    readonly List<SnapshotRef> snapshots = [];

    VaultCatalog(VaultAccess vault) => Vault = vault;

    public VaultAccess Vault { get; }

    /// <summary>In order of their numbers; the last is the one that is being written.</summary>
    public IReadOnlyCollection<Branch> Branches => branches.Values;

    public IReadOnlyList<SnapshotRef> Snapshots => snapshots;

    public bool IsEmpty => branches.Count == 0;

    public static async Task<VaultCatalog> LoadAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        var catalog = new VaultCatalog(vault);
        await foreach (var row in vault.ListAsync(VaultKeys.Branches, after: null, cancellationToken))
        {
            var branch = await ReadBranchAsync(vault, row.Key, cancellationToken);
            catalog.branches[branch.Number] = branch;
        }

        await catalog.ListLogsAsync(cancellationToken);
        await foreach (var row in vault.ListAsync(VaultKeys.Snapshots, after: null, cancellationToken))
        {
            catalog.snapshots.Add(new SnapshotRef(VaultKeys.BranchOf(row.Key), new Position(VaultKeys.NumberOf(row.Key))));
        }

        return catalog;
    }

    public LogRange Logs(uint branch) => logs.GetValueOrDefault(branch) ?? new LogRange(0, []);

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
            path.Add(Branch(next));
        }

        path.Reverse();
        return path;
    }

    /// <summary>The link that the first log object of a branch continues.</summary>
    public Hash256 LineageStart(Branch branch) =>
        Hash256.TryParse(branch.Record.ForkLineage, out var link)
            ? Lineage.StartOf(Vault.Id, branch.Number, new Position(branch.Record.ForkPosition), link)
            : throw new DamagedObjectException(VaultKeys.Branch(branch.Number), "its fork lineage is not a hash");

    /// <summary>Reads a log object and checks it against its key and its own link of the lineage.</summary>
    public async Task<LogObject> ReadLogAsync(uint branch, ulong number, CancellationToken cancellationToken)
    {
        using var stored = await OpenLogAsync(branch, number, cancellationToken);
        return await ReadLogAsync(stored, cancellationToken);
    }

    /// <summary>As the other, for an object that was opened at its key.</summary>
    internal static async Task<LogObject> ReadLogAsync(StoredObject stored, CancellationToken cancellationToken)
    {
        var bytes = await stored.ReadDetailsAsync(cancellationToken);
        var details = LogDetails.Read(stored.Key, bytes);
        var header = stored.Header;
        if (header.LineageAfter != Lineage.Next(header.LineageBefore, header, bytes))
        {
            throw new DamagedObjectException(stored.Key, "its lineage does not cover what it holds");
        }

        var positions = header.PositionLast - header.PositionFirst + 1;
        if (header.PositionLast < header.PositionFirst || positions != (ulong)Math.Max(1, details.Commits.Count))
        {
            throw new DamagedObjectException(stored.Key, "its positions do not match its commits");
        }

        if (details.Final
            && (header.TimeFirstMicros != details.Commits[0].TimeMicros || header.TimeLastMicros != details.Commits[^1].TimeMicros))
        {
            throw new DamagedObjectException(stored.Key, "its times do not match its commits");
        }

        if (stored.Frames.Count - 1 != details.FrameHashes.Count)
        {
            throw new DamagedObjectException(stored.Key, "its frames do not match its details");
        }

        return new LogObject(header, details, stored.Frames.Sum(frame => (long)frame.StoredBytes));
    }

    /// <summary>Opens a log object for reading its frames. Its details are not checked here.</summary>
    internal async Task<StoredObject> OpenLogAsync(uint branch, ulong number, CancellationToken cancellationToken)
    {
        var key = VaultKeys.Log(branch, number);
        return await Vault.OpenAsync(
            key, ObjectKind.Log, whole: false, cancellationToken,
            header => header.Branch == branch && header.Number == number
                ? null
                : $"it is log object {header.Number} of branch {header.Branch}, put in this place");
    }

    static async Task<Branch> ReadBranchAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        var number = (uint)VaultKeys.NumberOf(key);
        using var stored = await vault.OpenAsync(
            key, ObjectKind.Branch, whole: true, cancellationToken,
            header => header.Branch == number ? null : $"it is branch {header.Branch}, put in this place");

        var record = VaultJson.Read(key, await stored.ReadDetailsAsync(cancellationToken), VaultJson.Default.BranchRecord);
        return record.Parent < number
            ? new Branch(number, record)
            : throw new DamagedObjectException(key, $"it claims branch {record.Parent}, which is not older, as its parent");
    }

    async Task ListLogsAsync(CancellationToken cancellationToken)
    {
        var last = new Dictionary<uint, ulong>();
        var missing = new Dictionary<uint, List<ulong>>();
        await foreach (var row in Vault.ListAsync(VaultKeys.Logs, after: null, cancellationToken))
        {
            var (branch, number) = (VaultKeys.BranchOf(row.Key), VaultKeys.NumberOf(row.Key));
            var expected = last.GetValueOrDefault(branch) + 1;
            var gaps = missing.TryGetValue(branch, out var known) ? known : missing[branch] = [];
            for (; expected < number && gaps.Count < MissingNamedMax; expected++)
            {
                gaps.Add(expected);
            }

            last[branch] = number;
        }

        foreach (var (branch, number) in last)
        {
            logs[branch] = new LogRange(number, missing[branch]);
        }
    }
}
