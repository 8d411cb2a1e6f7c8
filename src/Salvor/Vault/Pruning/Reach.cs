namespace Salvor.Vault.Pruning;

/// <summary>
/// Which log objects are needed so that every restore point of others can be reached: all from the newest snapshot at or before its first
/// point. A restore chooses that snapshot and reads the log from there.
/// </summary>
static class Reach
{
    /// <summary>Adds what is needed for what stays.</summary>
    /// <param name="branch">The branch; its chain may have holes where something was pruned.</param>
    /// <param name="stays">For each object of the chain whether it stays. Only ever set.</param>
    public static void Extend(PruneBranch branch, bool[] stays)
    {
        for (var i = branch.Chain.Count - 1; i >= 0; i--)
        {
            if (!stays[i] || branch.Chain[i].Points.Count == 0)
            {
                continue;
            }

            var from = NumberBefore(branch, branch.Chain[i]) + 1;
            for (var j = i - 1; j >= 0 && branch.Chain[j].Entry.Last >= from; j--)
            {
                stays[j] = true;
            }
        }
    }

    /// <summary>The first object whose points cannot all be reached, and the number that is missing for it; null where all can.</summary>
    public static (PruneObject Object, ulong Number)? FindBroken(PruneBranch branch)
    {
        for (var i = 0; i < branch.Chain.Count; i++)
        {
            if (branch.Chain[i].Points.Count == 0)
            {
                continue;
            }

            var from = NumberBefore(branch, branch.Chain[i]) + 1;
            var needed = branch.Chain[i].Entry.First;
            for (var j = i - 1; j >= 0 && needed > from && branch.Chain[j].Entry.Last + 1 >= needed; j--)
            {
                needed = Math.Min(needed, branch.Chain[j].Entry.First);
            }

            if (needed > from)
            {
                return (branch.Chain[i], needed - 1);
            }
        }

        return null;
    }

    /// <summary>The snapshot from which an object with this first point is reached; null where that is one of another branch.</summary>
    public static PruneSnapshot? SnapshotBefore(PruneBranch branch, Position first) =>
        branch.Snapshots.Where(snapshot => snapshot.Position <= first).Select(snapshot => (PruneSnapshot?)snapshot).LastOrDefault();

    /// <summary>The first point that an object offers, or one below it.</summary>
    public static Position First(PruneObject item) =>
        item.Points.Concat(item.Finer.SelectMany(finer => finer.Points)).Min(point => point.Position);

    /// <summary>The number after which the state stands from which an object is reached; 0: where the branch begins.</summary>
    static ulong NumberBefore(PruneBranch branch, PruneObject item) => SnapshotBefore(branch, First(item))?.Number ?? 0;
}
