using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Restore;

/// <summary>What a restore of a cluster does, decided before anything is written.</summary>
/// <param name="Backup">The backup that it begins with.</param>
/// <param name="Branch">The timeline that it follows.</param>
/// <param name="End">Where the recovery ends, as the server is told.</param>
/// <param name="Log">The log that is handed to the server.</param>
/// <param name="Shape">Of the cluster.</param>
/// <param name="LastCommit">The newest transaction that is to be there afterwards; null where there is none after the backup.</param>
public sealed record RecoveryPlan(
    ClusterBackup Backup, Branch Branch, RecoveryEnd End, WalRange Log, WalShape Shape, WalPoint? LastCommit)
{
    /// <summary>Up to where the recovered server must have applied its log, or the restore failed.</summary>
    public Lsn Promised => LastCommit is { } commit && commit.End > Backup.Log.End ? commit.End : Backup.Log.End;
}

/// <summary>
/// Chooses the backup and the end of a recovery from what a vault holds. What cannot be reached is refused by name here, and never found
/// out by a server that has thrown away the only good copy.
/// </summary>
/// <param name="catalog">The log.</param>
/// <param name="backups">The base backups, in any order.</param>
public sealed class RecoveryPlanner(WalCatalog catalog, IReadOnlyList<ClusterBackup> backups)
{
    /// <summary>Makes a plan. Throws <see cref="FailureKind.NotRestorable"/> where the vault does not lead there.</summary>
    /// <param name="target">What is wanted.</param>
    /// <param name="timeline">The timeline that is followed; null: the newest.</param>
    /// <param name="backupId">The backup to begin with; null: the newest that leads there.</param>
    /// <param name="action">What the server does then.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task<RecoveryPlan> PlanAsync(
        RecoveryTarget target, uint? timeline, ulong? backupId, RecoveryAction action, CancellationToken cancellationToken)
    {
        try
        {
            return await ChooseAsync(target, timeline, backupId, action, cancellationToken);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.NotRestorable)
        {
            var nearest = RecoveryWindows.NearestTo(target, await RecoveryWindows.FindAsync(catalog, backups, cancellationToken));
            throw nearest.Length == 0
                ? e
                : new SalvorException(e.Kind, e.Message, $"{e.Hint} What can be recovered, nearest to it: {nearest}.", e);
        }
    }

    /// <summary>The backups from which a timeline is reached by a path of branches.</summary>
    internal static IEnumerable<ClusterBackup> Leading(
        IReadOnlyList<(Branch Branch, WalRange Own)> path, IEnumerable<ClusterBackup> backups)
    {
        var own = path.ToDictionary(item => item.Branch.Number, item => item.Own);
        return backups.Where(backup => own.TryGetValue(backup.Branch, out var range) && backup.Log.End <= range.End);
    }

    async Task<RecoveryPlan> ChooseAsync(
        RecoveryTarget target, uint? timeline, ulong? backupId, RecoveryAction action, CancellationToken cancellationToken)
    {
        var branch = BranchOf(timeline);
        var usable = Usable(branch, backupId);
        SalvorException? failure = null;
        foreach (var backup in usable)
        {
            try
            {
                return await FromAsync(backup, branch, target, action, cancellationToken);
            }
            catch (SalvorException e) when (e.Kind == FailureKind.NotRestorable)
            {
                // The one before it may lead there. What is told is how far the newest one gets.
                failure ??= e;
            }
        }

        throw failure!;
    }

    Branch BranchOf(uint? timeline)
    {
        var found = timeline is { } number ? WalBranches.Find(catalog.Branches, number)
            : catalog.Branches is [.., var newest] ? newest : null;
        return found ?? throw NotRestorable(
            timeline is null ? "nothing is backed up yet" : $"there is no timeline {timeline}",
            timeline is null ? "Run 'salvor backup' first." : $"There are: {string.Join(", ", catalog.Branches.Select(TimelineOf))}.");
    }

    /// <summary>The backups from which a branch can be followed, the newest first.</summary>
    List<ClusterBackup> Usable(Branch branch, ulong? backupId)
    {
        var usable = Leading(catalog.PathTo(branch.Number), backups)
            .Where(backup => backupId is null || backup.Id == backupId)
            .OrderByDescending(backup => backup.Log.End).ToList();
        return usable.Count > 0 ? usable : throw NotRestorable(
            backupId is { } id
                ? $"timeline {TimelineOf(branch)} cannot be recovered from backup {id}"
                : $"no backup leads to timeline {TimelineOf(branch)}",
            "'salvor list' shows the backups, and what can be recovered from each.");
    }

    async Task<RecoveryPlan> FromAsync(
        ClusterBackup backup, Branch branch, RecoveryTarget target, RecoveryAction action, CancellationToken cancellationToken)
    {
        var reach = await WalReader.ReachAsync(catalog, branch.Number, backup.Log.First, cancellationToken);
        if (reach < backup.Log.End)
        {
            throw NotRestorable(
                $"backup {backup.Id} is consistent from {backup.Log.End} on, and the log behind it ends at {reach}",
                "Run 'salvor verify' to learn what is missing, and 'salvor repair' where another destination has it.");
        }

        var search = new WalSearch(catalog, branch.Number);
        var shape = await search.ShapeAsync(backup.Log.First, cancellationToken);
        var (stop, last, recordEnd) = await StopAsync(search, backup, branch, target, reach, cancellationToken);
        var end = stop is RecoveryStop.Consistent ? backup.Log.End
            : recordEnd is { } at ? Lsn.Min((at + (shape.SegmentBytes - 1)).Floor(shape.SegmentBytes), reach)
            : reach;
        return new RecoveryPlan(
            backup, branch, new RecoveryEnd(TimelineOf(branch), stop, action), new WalRange(backup.Log.First, end), shape,
            last is { } commit ? new WalPoint(commit.End, commit.TimeMicros) : null);
    }

    /// <summary>Where it stops, the last commit before that, and where the record ends at which it stops, if at one.</summary>
    async Task<(RecoveryStop Stop, WalEvent? LastCommit, Lsn? RecordEnd)> StopAsync(
        WalSearch search, ClusterBackup backup, Branch branch, RecoveryTarget target, Lsn reach, CancellationToken cancellationToken)
    {
        var after = new WalRange(backup.Log.End, reach);
        switch (target)
        {
            case RecoveryTarget.Latest:
                var (_, newest) = await search.FirstAsync(after, _ => false, _ => false, cancellationToken);
                return (new RecoveryStop.AtEnd(), newest, null);
            case RecoveryTarget.Immediate:
                return (new RecoveryStop.Consistent(), null, null);
            case RecoveryTarget.Time { At: var time }:
                return await AtTimeAsync(search, backup, after, time, cancellationToken);
            case RecoveryTarget.Address { At: var address }:
                return await AtAddressAsync(search, backup, branch, after, address, cancellationToken);
            case RecoveryTarget.Transaction { Xid: var xid, Inclusive: var inclusive }:
                var (ended, before) = await search.FirstAsync(
                    after, _ => true, item => item.IsCommit && item.Xid == xid, cancellationToken);
                return ended is { } transaction
                    ? (new RecoveryStop.At(transaction.Start, inclusive), inclusive ? transaction : before, transaction.End)
                    : throw NotFound(target, backup, after, before);
            case RecoveryTarget.Named { Name: var name }:
                var (named, committed) = await search.FirstAsync(
                    after, index => index.Names.Any(item => item.Name == name),
                    item => item.Kind == WalEventKind.RestorePoint && item.Name == name, cancellationToken);
                return named is { } point
                    ? (new RecoveryStop.At(point.Start, Inclusive: true), committed, point.End)
                    : throw NotFound(target, backup, after, committed);
            default:
                throw new InvalidOperationException($"no way to recover to {target}");
        }
    }

    /// <summary>
    /// PostgreSQL stops before the first commit that is later; told so by its address, it does so also where that is the last one there is.
    /// </summary>
    async Task<(RecoveryStop Stop, WalEvent? LastCommit, Lsn? RecordEnd)> AtTimeAsync(
        WalSearch search, ClusterBackup backup, WalRange after, DateTimeOffset time, CancellationToken cancellationToken)
    {
        var micros = Micros.Of(time);
        if (time < backup.Time)
        {
            throw NotRestorable(
                $"backup {backup.Id} was begun at {InstantText.Format(backup.Time)}, after {InstantText.Format(time)}",
                "Choose a later moment: 'salvor list' shows from when on there is one.");
        }

        // An object that tells of no commit may hold some behind a record that could not be read when it was stored.
        var (later, before) = await search.FirstAsync(
            backup.Log with { End = after.End },
            index => index.Commits == 0 || index.Last.TimeMicros > micros || index.First.TimeMicros > micros,
            item => item.IsCommit && item.TimeMicros > micros, cancellationToken);
        if (later is not { } next)
        {
            // The moment of the last commit is one that the log reaches: nothing has to come after it.
            if (before is { } last && last.TimeMicros == micros && last.End > backup.Log.End)
            {
                return (new RecoveryStop.At(last.Start, Inclusive: true), last, last.End);
            }

            throw NotFound(new RecoveryTarget.Time(time), backup, after, before);
        }

        return next.End > backup.Log.End
            ? (new RecoveryStop.At(next.Start, Inclusive: false), before, next.End)
            : throw NotRestorable(
                $"backup {backup.Id} has what was committed until {InstantText.Format(Micros.ToTime(next.TimeMicros))} or later, which is "
                    + $"after {InstantText.Format(time)}",
                "Choose a later moment, or an earlier backup: 'salvor list' shows them.");
    }

    async Task<(RecoveryStop Stop, WalEvent? LastCommit, Lsn? RecordEnd)> AtAddressAsync(
        WalSearch search, ClusterBackup backup, Branch branch, WalRange after, Lsn address, CancellationToken cancellationToken)
    {
        if (address < after.First || address > after.End)
        {
            throw NotRestorable(
                $"from backup {backup.Id} timeline {TimelineOf(branch)} can be recovered to {after}, and {address} is not in that",
                "Choose an address in it, another backup or another timeline.");
        }

        // An object that tells of no commit may hold one that begins in the segment before, which somebody else stored.
        var (next, before) = await search.FirstAsync(
            after, index => index.Commits == 0 || index.Last.End > address, item => item.IsCommit && item.End > address, cancellationToken);

        // Where nothing is committed after it, the end of the log is that state too: no server has to look for a record that is not there.
        return (next is { } later ? new RecoveryStop.At(later.Start, Inclusive: false) : new RecoveryStop.AtEnd(), before, next?.End);
    }

    SalvorException NotFound(RecoveryTarget target, ClusterBackup backup, WalRange after, WalEvent? last) => NotRestorable(
        $"{target} is not in the log after backup {backup.Id}, which reaches to {after.End}"
            + (last is { } commit
                ? $", with its last commit at {InstantText.Format(Micros.ToTime(commit.TimeMicros))}"
                : ", without a commit"),
        "Leave the target out to recover everything that is there; 'salvor list' shows what that is.");

    static uint TimelineOf(Branch branch) => WalBranches.HistoryOf(branch).Timeline;

    SalvorException NotRestorable(string message, string hint) =>
        new(FailureKind.NotRestorable, $"{message}, in vault {catalog.Vault.Location}", hint);
}
