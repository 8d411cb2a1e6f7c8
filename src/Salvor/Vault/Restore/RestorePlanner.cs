using Salvor.Text;
using Salvor.Vault.Format;

namespace Salvor.Vault.Restore;

/// <summary>Finds restore points and plans how to reach them.</summary>
public sealed class RestorePlanner(VaultCatalog catalog)
{
    readonly LogSearch search = new(catalog);

    /// <summary>The branch that is being written.</summary>
    public uint NewestBranch => catalog.IsEmpty ? throw NothingBackedUp() : catalog.Branches.Last().Number;

    /// <summary>The last restore point of a branch.</summary>
    public async Task<RestorePoint> LatestAsync(uint branch, CancellationToken cancellationToken)
    {
        if (await search.LastFinalAsync(branch, Chain(branch), cancellationToken) is { } entry)
        {
            // The last commit of an object is never dropped.
            var header = await search.HeaderAsync(branch, entry, cancellationToken);
            return new RestorePoint(branch, new(header.PositionLast), Micros.ToTime(header.TimeLastMicros));
        }

        // A branch on which nothing happened yet ends where it forked.
        var record = catalog.Branch(branch).Record;
        return record.Parent == 0
            ? throw NothingBackedUp()
            : await PointAsync(record.Parent, new Position(record.ForkPosition), cancellationToken);
    }

    /// <summary>The first restore point of a branch's own log, or null where it has none.</summary>
    public async Task<RestorePoint?> FirstAsync(uint branch, CancellationToken cancellationToken) =>
        await search.FirstAsync(branch, Chain(branch), cancellationToken);

    /// <summary>Whether a branch's own log has a restore point.</summary>
    public async Task<bool> HasPointsAsync(uint branch, CancellationToken cancellationToken) =>
        await search.LastFinalAsync(branch, Chain(branch), cancellationToken) is not null;

    /// <summary>A position on the way to a branch, with its time. Throws where there is no such restore point.</summary>
    public async Task<RestorePoint> PointAsync(uint branch, Position position, CancellationToken cancellationToken)
    {
        await ExpectForksAsync(branch, cancellationToken);
        var owner = OwnerOf(branch, position);
        if (position == Position.None || await search.FindAsync(owner, Chain(owner), position, cancellationToken) is null)
        {
            var latest = await LatestAsync(branch, cancellationToken);
            throw new SalvorException(
                FailureKind.NotRestorable,
                $"there is no restore point {position} on branch {branch}; the newest is {latest.Position} of "
                    + InstantText.Format(latest.Time),
                $"Restore the newest one with '--position {latest.Position}', or run 'salvor list' for all.");
        }

        var log = (await HolderAsync(owner, position, cancellationToken)).Log;
        return new RestorePoint(owner, position, Micros.ToTime(log.Details.Commits[log.LastAt(position)].TimeMicros));
    }

    /// <summary>As <see cref="PointAsync"/>; null where the position was dropped.</summary>
    internal async Task<RestorePoint?> FindAsync(uint branch, Position position, CancellationToken cancellationToken)
    {
        try
        {
            return await PointAsync(branch, position, cancellationToken);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.NotRestorable)
        {
            return null;
        }
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
            var end = new Position(i + 1 < path.Count ? path[i + 1].Record.ForkPosition : ulong.MaxValue);
            if (await search.LastAsync(path[i].Number, Chain(path[i].Number), wanted, end, cancellationToken) is { } point)
            {
                return point;
            }
        }

        return null;
    }

    /// <summary>The log object that has a restore point.</summary>
    internal async Task<LogObject> LogOfAsync(RestorePoint point, CancellationToken cancellationToken) =>
        (await HolderAsync(point.Branch, point.Position, cancellationToken)).Log;

    /// <summary>
    /// The branch on the way to another one in whose own log a position lies, and the log object that covers it, whether or not it has it
    /// as a restore point. Null past the end, and where it was pruned.
    /// </summary>
    internal async Task<(uint Branch, LogObject Log)?> CoveringAsync(uint branch, Position position, CancellationToken cancellationToken)
    {
        var owner = OwnerOf(branch, position);
        return await search.FindAsync(owner, Chain(owner), position, cancellationToken) is { } found
            && found.Log.Header.PositionFirst <= position.Value
            ? (owner, found.Log)
            : null;
    }

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

    /// <summary>As <see cref="PlanAsync"/>, from a state that is known to be that after a log number of a branch on the way.</summary>
    /// <param name="start">The state: its branch, and its position, which is not beyond where the way leaves that branch.</param>
    /// <param name="number">The log number after which it is that; 0 for the beginning of the branch.</param>
    /// <param name="lineage">The link there.</param>
    internal async Task<RestorePlan> PlanFromAsync(
        uint branch, Position target, SnapshotRef start, ulong number, Hash256 lineage, CancellationToken cancellationToken)
    {
        var plan = new RestorePlan(branch, target, start, []) { SnapshotNumber = number, SnapshotLineage = lineage };
        return plan with { Log = await SegmentsAsync(catalog.PathTo(OwnerOf(branch, target)), plan, cancellationToken) };
    }

    /// <summary>Plans the way on from a restore point whose state is known to the end of its branch.</summary>
    internal RestorePlan PlanOn(LogObject known, Position position, Position target)
    {
        var branch = known.Header.Branch;
        var isWithin = position.Value < known.Header.PositionLast;
        var first = isWithin ? VaultKeys.LogEntryOf(known.Key, 0).Entry.First : known.Header.Number + 1;
        var entries = catalog.Logs(branch).Within(first, catalog.Logs(branch).Last);
        return new RestorePlan(
            branch, target, new SnapshotRef(branch, position), entries.Count == 0 ? [] : [new LogSegment(branch, entries, target)])
        {
            SnapshotNumber = isWithin ? first : known.Header.Number,
            SnapshotLineage = known.Header.LineageAfter,
        };
    }

    async Task<IReadOnlyList<LogSegment>> SegmentsAsync(
        IReadOnlyList<Branch> path, RestorePlan plan, CancellationToken cancellationToken)
    {
        var segments = new List<LogSegment>();
        for (var i = path.TakeWhile(item => item.Number != plan.Snapshot.Branch).Count(); i < path.Count; i++)
        {
            var branch = path[i].Number;
            var first = branch == plan.Snapshot.Branch ? plan.SnapshotNumber + 1 : 1;
            var until = i + 1 < path.Count ? new Position(path[i + 1].Record.ForkPosition) : plan.Target;
            if (until.Value == path[i].Record.ForkPosition || (branch == plan.Snapshot.Branch && until <= plan.Snapshot.Position))
            {
                continue;
            }

            var (last, _) = await HolderAsync(branch, until, cancellationToken);
            if (last.Last >= first)
            {
                segments.Add(new LogSegment(branch, [.. catalog.Logs(branch).Within(first, last.First - 1), last], until));
            }
        }

        return segments;
    }

    /// <summary>
    /// The record of a branch decides whose history a position belongs to. It is proved by the first object of the branch, whose link
    /// covers where the branch left its parent; once that is gone, the links of its snapshots and their checksums are what is left.
    /// </summary>
    async Task ExpectForksAsync(uint branch, CancellationToken cancellationToken)
    {
        foreach (var item in catalog.PathTo(branch).Where(item => Chain(item.Number).Count > 0))
        {
            var entry = Chain(item.Number)[0];
            if (entry.IsMissing || catalog.Logs(item.Number).IsAfterPruned(entry))
            {
                continue;
            }

            var first = await search.HeaderAsync(item.Number, entry, cancellationToken);
            if (first.LineageBefore != catalog.LineageStart(item))
            {
                throw new DamagedObjectException(
                    VaultKeys.Log(item.Number, entry),
                    $"it does not begin where {VaultKeys.Branch(item.Number)} says that the branch begins");
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

    /// <summary>The object of a branch's own log that has a position as a restore point. Refuses one that was dropped.</summary>
    async Task<(LogEntry Entry, LogObject Log)> HolderAsync(uint branch, Position position, CancellationToken cancellationToken)
    {
        var (entry, log) = await search.FindAsync(branch, Chain(branch), position, cancellationToken) ?? throw NothingBackedUp();
        if (log.Has(position))
        {
            return (entry, log);
        }

        var before = log.LastAt(position);
        var next = log.PositionOf(before + 1);
        throw new SalvorException(
            FailureKind.NotRestorable,
            $"position {position} on branch {branch} is no restore point any more: "
                + (before < 0 ? $"the first one kept there is {next}" : $"those kept around it are {log.PositionOf(before)} and {next}"),
            $"Use '--position {(before < 0 ? next : log.PositionOf(before))}', or run 'salvor list' for how fine each span is.");
    }

    IReadOnlyList<LogEntry> Chain(uint branch) => catalog.Logs(branch).Chain;

    SalvorException NothingBackedUp() => new(
        FailureKind.NotRestorable,
        $"nothing is backed up yet in vault {catalog.Vault.Location}",
        "Let 'salvor replicate' or 'salvor daemon' finish its first full copy; 'salvor status' shows how far it is.");
}
