using Salvor.Vault.Compaction;
using Salvor.Vault.Format;

namespace Salvor.Vault.Pruning;

/// <summary>A log object, as a prune sees it.</summary>
/// <param name="Entry">Its numbers and size.</param>
/// <param name="Points">Its restore points, oldest first; none for a part of a change-set.</param>
/// <param name="Parts">The numbers of its earlier parts.</param>
public sealed record PruneObject(LogEntry Entry, IReadOnlyList<LadderPoint> Points, IReadOnlyList<uint> Parts)
{
    /// <summary>Whether it has every commit of its range.</summary>
    public bool IsLossless { get; init; } = true;

    /// <summary>What covers some of the same numbers and none besides, by key.</summary>
    public IReadOnlyList<PruneObject> Finer { get; init; } = [];

    /// <summary>Its key and those of its parts.</summary>
    public IEnumerable<string> KeysOn(uint branch) =>
        [VaultKeys.Log(branch, Entry), .. Parts.Select(part => VaultKeys.LogPart(branch, Entry, part))];
}

/// <summary>A snapshot, as a prune sees it: where it stands in the log, its time, and the bytes of its root.</summary>
public readonly record struct PruneSnapshot(Position Position, ulong Number, long TimeMicros, long StoredBytes)
{
    /// <summary>Of a base backup: where its recovery begins.</summary>
    public Position First { get; init; }
}

/// <summary>A branch, as a prune sees it.</summary>
/// <param name="Number">The branch.</param>
/// <param name="Chain">The coarsest objects, in order.</param>
/// <param name="Snapshots">Those of this branch, by position.</param>
/// <param name="Forks">Where other branches leave it.</param>
/// <param name="IsBroken">Whether an object is missing. Nothing of such a branch goes until it is repaired.</param>
public sealed record PruneBranch(
    uint Number, IReadOnlyList<PruneObject> Chain, IReadOnlyList<PruneSnapshot> Snapshots, IReadOnlySet<Position> Forks, bool IsBroken)
{
    /// <summary>Whether it is one of a cluster: its newest snapshot may go as any other.</summary>
    public bool IsTimeline { get; init; }
}

/// <summary>All that a prune decides from.</summary>
/// <param name="Branches">By number.</param>
/// <param name="Backups">By id.</param>
/// <param name="Proven">The newest restore point that a verification has restored; null where none is known.</param>
public sealed record PruneView(
    IReadOnlyList<PruneBranch> Branches, IReadOnlyList<BackupRecord> Backups, (uint Branch, Position Position)? Proven)
{
    /// <summary>The log of a cluster; null where the vault is of something else.</summary>
    public PruneWal? Wal { get; init; }

    /// <summary>The bytes of all objects that are listed and not condemned. Known only where a limit of the size asks for it.</summary>
    public long StoredBytes { get; init; }

    /// <summary>The bytes of the packs that come free when a snapshot and all older ones go. As <see cref="StoredBytes"/>.</summary>
    public IReadOnlyDictionary<SnapshotRef, long> PackBytes { get; init; } = new Dictionary<SnapshotRef, long>();
}

/// <summary>Reads what a prune decides from.</summary>
static class PruneReading
{
    const int InFlight = 16;

    /// <summary>The details of all log objects and the roots of all snapshots are read, no content.</summary>
    public static async Task<PruneView> ReadAsync(
        VaultCatalog catalog, (uint Branch, Position Position)? proven, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var branches = new List<PruneBranch>();
        foreach (var branch in catalog.Branches.Select(branch => branch.Number))
        {
            branches.Add(await ReadAsync(catalog, branch, cancellationToken));
        }

        var backups = new List<BackupRecord>();
        foreach (var id in catalog.Backups)
        {
            backups.Add(await Salvor.Vault.Backups.ReadAsync(catalog, id, cancellationToken));
        }

        return new PruneView(branches, backups, proven)
        {
            Wal = catalog.Vault.Identity.IsPostgres
                ? await PruneWal.ReadAsync(catalog, branches, backups, now, cancellationToken)
                : null,
        };
    }

    /// <summary>The bytes of all that is there and not condemned.</summary>
    public static async Task<long> StoredBytesAsync(VaultCatalog catalog, CancellationToken cancellationToken)
    {
        var bytes = 0L;
        await foreach (var row in catalog.Vault.ListHereAsync("", after: null, cancellationToken))
        {
            bytes += catalog.Condemned.Hides(row.Key) ? 0 : row.SizeBytes;
        }

        return bytes;
    }

    static async Task<PruneBranch> ReadAsync(VaultCatalog catalog, uint branch, CancellationToken cancellationToken)
    {
        var forks = catalog.Branches.Where(item => item.Record.Parent == branch)
            .Select(item => new Position(item.Record.ForkPosition)).ToHashSet();
        var log = catalog.Logs(branch);
        if (log.Missing.Count > 0)
        {
            return new PruneBranch(branch, [], [], forks, IsBroken: true);
        }

        var snapshots = new List<PruneSnapshot>();
        foreach (var snapshot in catalog.Snapshots.Where(snapshot => snapshot.Branch == branch).OrderBy(item => item.Position))
        {
            using var stored = await catalog.Vault.OpenAsync(
                VaultKeys.Snapshot(branch, snapshot.Position), ObjectKind.Snapshot, whole: false, cancellationToken);
            snapshots.Add(new PruneSnapshot(
                snapshot.Position, stored.Header.Number, stored.Header.TimeLastMicros, stored.SizeBytes)
            {
                First = new Position(stored.Header.PositionFirst),
            });
        }

        return new PruneBranch(branch, await ChainAsync(catalog, branch, log, cancellationToken), snapshots, forks, IsBroken: false)
        {
            IsTimeline = catalog.Vault.Identity.IsPostgres,
        };
    }

    static async Task<IReadOnlyList<PruneObject>> ChainAsync(
        VaultCatalog catalog, uint branch, BranchLog log, CancellationToken cancellationToken)
    {
        var entries = log.Entries;
        var read = new PruneObject[entries.Count];
        var options = new ParallelOptions { MaxDegreeOfParallelism = InFlight, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, entries.Count, options, async (i, cancel) =>
            read[i] = Of(await catalog.ReadLogAsync(branch, entries[i], cancel), entries[i]));
        var byEntry = read.ToDictionary(item => item.Entry);
        var inChain = log.Chain.ToHashSet();
        var others = read.Where(item => !inChain.Contains(item.Entry)).ToList();
        return
        [
            .. log.Chain.Select(entry => byEntry[entry] with
            {
                Finer = entry.IsCompacted
                    ? [.. others.Where(item => entry.First <= item.Entry.First && item.Entry.Last <= entry.Last)]
                    : [],
            }),
        ];
    }

    static PruneObject Of(LogObject log, LogEntry entry) => new(
        entry,
        [.. log.Details.Commits.Select((commit, i) => new LadderPoint(log.PositionOf(i), commit.TimeMicros))],
        [.. log.Details.Parts.Select(part => part.Number)])
    {
        IsLossless = log.Header.Log.Points == log.Header.PositionLast - log.Header.PositionFirst + 1,
    };
}
