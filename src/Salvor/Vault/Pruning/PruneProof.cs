using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Verify;

namespace Salvor.Vault.Pruning;

/// <summary>
/// Proves, right before it is deleted, that nothing that a vault offers needs what was condemned: every restore point and every backup is
/// planned against what would remain, what stands for condemned objects is read whole, and so is a snapshot from which log goes on.
/// </summary>
sealed class PruneProof(VaultAccess vault, TimeProvider time)
{
    /// <summary>
    /// Throws <see cref="FailureKind.Integrity"/> where something of the log is needed after all. Returns what something made or taken
    /// back since needs: packs, and the log of a cluster.
    /// </summary>
    public async Task<IReadOnlyList<string>> ExpectNotNeededAsync(Condemnation item, CancellationToken cancellationToken)
    {
        try
        {
            var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
            var view = await ExpectOfferedAsync(catalog, item, cancellationToken);
            foreach (var by in item.Record.Groups.Select(group => group.By).Where(by => by.Length > 0).Distinct())
            {
                await ExpectGoodAsync(catalog, by, cancellationToken);
            }

            return [.. await PacksNeededAsync(catalog, item, cancellationToken), .. WalsNeeded(view, item)];
        }
        catch (SalvorException e) when (e.Kind is FailureKind.Integrity or FailureKind.NotRestorable)
        {
            throw Needed(item, e.Message, e);
        }
        catch (LayerException e)
        {
            throw Needed(item, e.Damage.Message, e);
        }
    }

    static async Task<IReadOnlyList<string>> PacksNeededAsync(VaultCatalog catalog, Condemnation item, CancellationToken cancellationToken)
    {
        var condemned = item.Keys.ToHashSet();
        if (!condemned.Any(key => key.StartsWith(VaultKeys.Packs, StringComparison.Ordinal)))
        {
            return [];
        }

        var use = await PackUse.ReadAsync(catalog, new HashSet<SnapshotRef>(), cancellationToken);
        return use.Missing is { } pack
            ? throw Needed(item, $"{VaultKeys.Pack(pack)} is missing", inner: null)
            : [.. use.Needed.Select(VaultKeys.Pack).Where(condemned.Contains).Order(StringComparer.Ordinal)];
    }

    /// <summary>What is condemned of the log of a cluster, and lies where a backup that is offered now can ask for it.</summary>
    static IEnumerable<string> WalsNeeded(PruneView view, Condemnation item)
    {
        var condemned = item.Keys.Where(key => key.StartsWith(VaultKeys.Wals, StringComparison.Ordinal)).ToList();
        if (condemned.Count == 0)
        {
            return [];
        }

        if (view.Wal is not { Stop: null } wal)
        {
            throw Needed(item, view.Wal?.Stop ?? "the vault is of no cluster", inner: null);
        }

        var log = new WalPrune(wal, _ => true);
        return condemned.Where(key => !log.Goes(VaultKeys.WalOf(key, storedBytes: 0)));
    }

    /// <summary>A catalogue does not list what is condemned, so it is what would remain.</summary>
    async Task<PruneView> ExpectOfferedAsync(VaultCatalog catalog, Condemnation item, CancellationToken cancellationToken)
    {
        var planner = new RestorePlanner(catalog);
        await RestoreSpans.FindAsync(catalog, cancellationToken);
        var view = await PruneReading.ReadAsync(catalog, proven: null, time.GetUtcNow(), cancellationToken);
        foreach (var branch in view.Branches)
        {
            if (branch.IsBroken)
            {
                throw Needed(item, $"branch {branch.Number} misses log object {catalog.Logs(branch.Number).Missing[0]}", inner: null);
            }

            if (Reach.FindBroken(branch) is { } broken)
            {
                throw Needed(
                    item, $"{VaultKeys.Log(branch.Number, broken.Object.Entry)} is reached through number {broken.Number}", inner: null);
            }

            // Where a timeline leaves another is an address, and no restore point.
            foreach (var fork in branch.Forks.Where(_ => !branch.IsTimeline))
            {
                await planner.PointAsync(branch.Number, fork, cancellationToken);
            }

            await ExpectStartsAsync(branch, item, cancellationToken);
        }

        foreach (var backup in view.Backups)
        {
            if (!catalog.Vault.Identity.IsTree)
            {
                await planner.PlanAsync(backup.Branch, new Position(backup.Position), cancellationToken);
            }
            else if (!catalog.Snapshots.Contains(new SnapshotRef(backup.Branch, new Position(backup.Position))))
            {
                throw Needed(item, $"backup {backup.Id} has no other snapshot", inner: null);
            }
        }

        foreach (var range in item.Record.Pruned.Where(range => range.Last >= catalog.Logs(range.Branch).Last))
        {
            throw Needed(item, $"number {range.Last} is the end of the log of branch {range.Branch}", inner: null);
        }

        return view;
    }

    /// <summary>Where log goes, what follows it is reached from a snapshot alone: all of that is read.</summary>
    async Task ExpectStartsAsync(PruneBranch branch, Condemnation item, CancellationToken cancellationToken)
    {
        var starts = new HashSet<Position>();
        foreach (var range in item.Record.Pruned.Where(range => range.Branch == branch.Number))
        {
            if (branch.Chain.FirstOrDefault(next => next.Entry.First > range.Last && next.Points.Count > 0) is { } next)
            {
                starts.UnionWith(branch.Snapshots.Where(snapshot => snapshot.Position <= next.Points[0].Position)
                    .Select(snapshot => snapshot.Position).TakeLast(1));
            }
        }

        foreach (var start in starts)
        {
            var snapshot = await SnapshotReader.OpenAsync(vault, new SnapshotRef(branch.Number, start), cancellationToken);
            await snapshot.ReadAsync(packsInFlight: 1, static (_, _) => { }, cancellationToken);
        }
    }

    async Task ExpectGoodAsync(VaultCatalog catalog, string key, CancellationToken cancellationToken)
    {
        // One that was itself rewritten and condemned since may be gone: what stands for it counts. What expired needs nothing.
        while (catalog.Condemned.GroupOf(key) is { } group)
        {
            if (group.By.Length == 0)
            {
                return;
            }

            key = group.By;
        }

        // The merging of the log may have put it into a larger object, which has all of it, or has expired since.
        var (entry, branch) = (VaultKeys.LogEntryOf(key, storedBytes: 0).Entry, VaultKeys.BranchOf(key));
        if (catalog.Logs(branch).IsPruned(entry.First, entry.Last))
        {
            return;
        }

        var wider = catalog.Logs(branch).Chain
            .LastOrDefault(next => !next.IsMissing && next.First <= entry.First && entry.Last <= next.Last);
        key = wider.Last > 0 ? VaultKeys.Log(branch, wider) : key;

        var log = await ObjectCheck.LogWithPartsAsync(vault, key, cancellationToken);
        await catalog.ReadPartsAsync(log, cancellationToken);
    }

    static SalvorException Needed(Condemnation item, string what, Exception? inner) => inner is SalvorException { Hint: Hint } known
        ? known
        : new SalvorException(
            FailureKind.Integrity, $"what prune {item.Number} condemned is needed after all, so nothing of it was deleted: {what}", Hint,
            inner);

    const string Hint = "Take it back with 'salvor prune undelete NUMBER', then run 'salvor verify'.";
}
