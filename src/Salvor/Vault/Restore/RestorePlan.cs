using Salvor.Vault.Format;

namespace Salvor.Vault.Restore;

/// <summary>The log objects of one branch from one number to another, both included, and the last position that counts.</summary>
public readonly record struct LogSegment(uint Branch, ulong First, ulong Last, Position Until);

/// <summary>
/// How to reach a position: the newest usable snapshot at or before it, then the log from there. Made without reading any content, so a dry
/// run prints the same plan that a real run carries out.
/// </summary>
/// <param name="Branch">The branch that was asked for.</param>
/// <param name="Target">The position to reach.</param>
/// <param name="Snapshot">Where to start.</param>
/// <param name="Log">What to apply, in order.</param>
public sealed record RestorePlan(uint Branch, Position Target, SnapshotRef Snapshot, IReadOnlyList<LogSegment> Log)
{
    /// <summary>The link that the log has where the snapshot stands in it.</summary>
    public Hash256 SnapshotLineage { get; init; }

    /// <summary>How many log objects are read.</summary>
    public ulong LogObjectCount => Log.Aggregate(0UL, (sum, segment) => sum + (segment.Last - segment.First + 1));
}

/// <summary>A restore point: where a branch was at a time.</summary>
public sealed record RestorePoint(uint Branch, Position Position, DateTimeOffset Time);

/// <summary>Finds restore points and plans how to reach them.</summary>
public sealed class RestorePlanner(VaultCatalog catalog)
{
    readonly Dictionary<(uint, ulong), LogObject> cache = [];

    /// <summary>The branch that is being written.</summary>
    public uint NewestBranch => catalog.IsEmpty ? throw NothingBackedUp() : catalog.Branches.Last().Number;

    /// <summary>The last restore point of a branch.</summary>
    public async Task<RestorePoint> LatestAsync(uint branch, CancellationToken cancellationToken)
    {
        var number = await LastFinalAsync(branch, cancellationToken);
        if (number != 0)
        {
            return PointAt(await ReadAsync(branch, number, cancellationToken), last: true);
        }

        // A branch on which nothing happened yet ends where it forked.
        var record = catalog.Branch(branch).Record;
        return record.Parent == 0
            ? throw NothingBackedUp()
            : await PointAsync(record.Parent, new Position(record.ForkPosition), cancellationToken);
    }

    /// <summary>The first restore point of a branch's own log, or null where it has none.</summary>
    public async Task<RestorePoint?> FirstAsync(uint branch, CancellationToken cancellationToken)
    {
        for (var number = 1UL; number <= catalog.Logs(branch).Last; number++)
        {
            var log = await ReadAsync(branch, number, cancellationToken);
            if (log.Details.Final)
            {
                return PointAt(log, last: false);
            }
        }

        return null;
    }

    /// <summary>A position on the way to a branch, with its time. Throws where there is no such restore point.</summary>
    public async Task<RestorePoint> PointAsync(uint branch, Position position, CancellationToken cancellationToken)
    {
        var latest = await LatestAsync(branch, cancellationToken);
        if (position.Value == 0 || position > latest.Position)
        {
            throw new SalvorException(
                FailureKind.NotRestorable,
                $"there is no restore point {position} on branch {branch}; the newest is {latest.Position} of "
                    + Text.InstantText.Format(latest.Time),
                $"Restore the newest one with '--position {latest.Position}', or run 'salvor list' for all.");
        }

        await ExpectForksAsync(branch, cancellationToken);
        var owner = OwnerOf(branch, position);
        var log = await ReadAsync(owner, await FindAsync(owner, position, cancellationToken), cancellationToken);
        var commit = log.Details.Commits[(int)(position.Value - log.Header.PositionFirst)];
        return new RestorePoint(owner, position, Micros.ToTime(commit.TimeMicros));
    }

    /// <summary>The last restore point at or before a time, on the way to a branch; null where the history begins later.</summary>
    public async Task<RestorePoint?> AtAsync(uint branch, DateTimeOffset time, CancellationToken cancellationToken)
    {
        await ExpectForksAsync(branch, cancellationToken);
        var wanted = Micros.Of(time);
        var path = catalog.PathTo(branch);
        for (var i = path.Count - 1; i >= 0; i--)
        {
            // Of a branch that was left, only what lies before the fork is on the way.
            var end = i + 1 < path.Count ? path[i + 1].Record.ForkPosition : ulong.MaxValue;
            if (await LastBeforeAsync(path[i].Number, wanted, cancellationToken) is { } log)
            {
                var commits = log.Details.Commits;
                var index = commits.Count - 1;
                while (index >= 0 && (commits[index].TimeMicros > wanted || log.Header.PositionFirst + (ulong)index > end))
                {
                    index--;
                }

                if (index < 0)
                {
                    return await PointAsync(path[i].Number, new Position(Math.Min(end, log.Header.PositionFirst - 1)), cancellationToken);
                }

                var position = new Position(log.Header.PositionFirst + (ulong)index);
                return new RestorePoint(path[i].Number, position, Micros.ToTime(commits[index].TimeMicros));
            }
        }

        return null;
    }

    /// <summary>The log object that holds a restore point.</summary>
    internal async Task<LogObject> LogOfAsync(RestorePoint point, CancellationToken cancellationToken) =>
        await ReadAsync(point.Branch, await FindAsync(point.Branch, point.Position, cancellationToken), cancellationToken);

    /// <summary>Plans the way to a position. Throws where the vault does not lead there.</summary>
    public async Task<RestorePlan> PlanAsync(uint branch, Position target, CancellationToken cancellationToken)
    {
        await PointAsync(branch, target, cancellationToken);
        return await PlanStateAsync(branch, target, cancellationToken);
    }

    /// <summary>As <see cref="PlanAsync"/>, for a state that need not be a restore point: the image before the base.</summary>
    internal async Task<RestorePlan> PlanStateAsync(uint branch, Position target, CancellationToken cancellationToken)
    {
        var start = ChooseSnapshot(catalog.PathTo(OwnerOf(branch, target)), target);
        var header = await ReadHeaderAsync(start, cancellationToken);
        return await PlanFromAsync(branch, target, start, header.Number, header.LineageAfter, cancellationToken);
    }

    /// <summary>As <see cref="PlanAsync"/>, from a state that is known to be that after a log object of a branch on the way.</summary>
    /// <param name="start">The state: its branch, and its position, which is not beyond where the way leaves that branch.</param>
    /// <param name="number">The log object after which it is that; 0 for the beginning of the branch.</param>
    /// <param name="lineage">The link there.</param>
    internal async Task<RestorePlan> PlanFromAsync(
        uint branch, Position target, SnapshotRef start, ulong number, Hash256 lineage, CancellationToken cancellationToken)
    {
        var path = catalog.PathTo(OwnerOf(branch, target));
        var log = new List<LogSegment>();
        for (var i = path.TakeWhile(item => item.Number != start.Branch).Count(); i < path.Count; i++)
        {
            var owner = path[i].Number;
            var first = owner == start.Branch ? number + 1 : 1;
            var next = i + 1 < path.Count ? path[i + 1].Record : null;
            var last = next?.ForkNumber ?? await FindAsync(owner, target, cancellationToken);
            if (last >= first)
            {
                log.Add(new LogSegment(owner, first, last, next is null ? target : new Position(next.ForkPosition)));
            }
        }

        return new RestorePlan(branch, target, start, log) { SnapshotLineage = lineage };
    }

    /// <summary>
    /// The record of a branch decides whose history a position belongs to. It is proved by the first object of the branch, whose link
    /// covers where the branch left its parent.
    /// </summary>
    async Task ExpectForksAsync(uint branch, CancellationToken cancellationToken)
    {
        foreach (var item in catalog.PathTo(branch).Where(item => catalog.Logs(item.Number).Last > 0))
        {
            var first = await ReadAsync(item.Number, 1, cancellationToken);
            if (first.Header.LineageBefore != catalog.LineageStart(item))
            {
                throw new DamagedObjectException(
                    VaultKeys.Log(item.Number, 1), $"it does not begin where {VaultKeys.Branch(item.Number)} says that the branch begins");
            }
        }
    }

    SnapshotRef ChooseSnapshot(IReadOnlyList<Branch> path, Position target)
    {
        for (var i = path.Count - 1; i >= 0; i--)
        {
            var end = i + 1 < path.Count ? new Position(path[i + 1].Record.ForkPosition) : target;
            var usable = catalog.Snapshots
                .Where(snapshot => snapshot.Branch == path[i].Number && snapshot.Position <= end && snapshot.Position <= target)
                .ToList();
            if (usable.Count > 0)
            {
                return usable.MaxBy(snapshot => snapshot.Position);
            }
        }

        throw new SalvorException(
            FailureKind.Integrity,
            $"vault {catalog.Vault.Location} has no snapshot at or before position {target}",
            "Its first full copy is missing. Restore from another destination with '--from'.");
    }

    async Task<ObjectHeader> ReadHeaderAsync(SnapshotRef snapshot, CancellationToken cancellationToken)
    {
        using var stored = await catalog.Vault.OpenAsync(
            VaultKeys.Snapshot(snapshot.Branch, snapshot.Position), ObjectKind.Snapshot, whole: false, cancellationToken);
        return stored.Header;
    }

    /// <summary>The branch in whose own log a position lies, on the way to a branch.</summary>
    uint OwnerOf(uint branch, Position position)
    {
        while (catalog.Branch(branch).Record is { Parent: not 0 } record && position.Value <= record.ForkPosition)
        {
            branch = record.Parent;
        }

        return branch;
    }

    /// <summary>The number of the last part of the change-set that holds a position; 0 for position 0.</summary>
    async Task<ulong> FindAsync(uint branch, Position position, CancellationToken cancellationToken)
    {
        if (position.Value == catalog.Branch(branch).Record.ForkPosition)
        {
            return 0;
        }

        var (low, high) = (1UL, catalog.Logs(branch).Last);
        while (low < high)
        {
            var middle = low + ((high - low) / 2);
            var log = await ReadAsync(branch, middle, cancellationToken);
            (low, high) = log.Header.PositionLast < position.Value ? (middle + 1, high) : (low, middle);
        }

        for (; low <= catalog.Logs(branch).Last; low++)
        {
            var log = await ReadAsync(branch, low, cancellationToken);
            if (log.Details.Final && log.Header.PositionLast >= position.Value)
            {
                return log.Header.PositionFirst <= position.Value
                    ? low
                    : throw new DamagedObjectException(
                        VaultKeys.Log(branch, low),
                        $"it begins at position {log.Header.PositionFirst}, and none before it holds {position}");
            }
        }

        throw NothingBackedUp();
    }

    async Task<LogObject?> LastBeforeAsync(uint branch, long micros, CancellationToken cancellationToken)
    {
        var (low, high) = (0UL, catalog.Logs(branch).Last);
        while (low < high)
        {
            var middle = high - ((high - low) / 2);
            var log = await ReadAsync(branch, middle, cancellationToken);
            (low, high) = log.Header.TimeFirstMicros <= micros ? (middle, high) : (low, middle - 1);
        }

        for (; low > 0; low--)
        {
            var log = await ReadAsync(branch, low, cancellationToken);
            if (log.Details.Final)
            {
                return log;
            }
        }

        return null;
    }

    async Task<ulong> LastFinalAsync(uint branch, CancellationToken cancellationToken)
    {
        for (var number = catalog.Logs(branch).Last; number > 0; number--)
        {
            if ((await ReadAsync(branch, number, cancellationToken)).Details.Final)
            {
                return number;
            }
        }

        return 0;
    }

    async Task<LogObject> ReadAsync(uint branch, ulong number, CancellationToken cancellationToken)
    {
        if (!cache.TryGetValue((branch, number), out var log))
        {
            log = cache[(branch, number)] = await catalog.ReadLogAsync(branch, number, cancellationToken);
        }

        return log;
    }

    static RestorePoint PointAt(LogObject log, bool last) => last
        ? new(log.Header.Branch, new(log.Header.PositionLast), Micros.ToTime(log.Header.TimeLastMicros))
        : new(log.Header.Branch, new(log.Header.PositionFirst), Micros.ToTime(log.Header.TimeFirstMicros));

    SalvorException NothingBackedUp() => new(
        FailureKind.NotRestorable,
        $"nothing is backed up yet in vault {catalog.Vault.Location}",
        "Let 'salvor replicate' or 'salvor daemon' finish its first full copy; 'salvor status' shows how far it is.");
}
