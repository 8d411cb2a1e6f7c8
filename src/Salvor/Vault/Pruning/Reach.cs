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
        // Going down, what stays needs all numbers from the lowest snapshot on from which anything above is reached.
        var needed = ulong.MaxValue;
        for (var i = branch.Chain.Count - 1; i >= 0; i--)
        {
            stays[i] |= branch.Chain[i].Entry.Last >= needed;
            if (stays[i] && branch.Chain[i].Points.Count > 0)
            {
                needed = Math.Min(needed, NumberBefore(branch, branch.Chain[i]) + 1);
            }
        }
    }

    /// <summary>The first object whose points cannot all be reached, and the number that is missing for it; null where all can.</summary>
    public static (PruneObject Object, ulong Number)? FindBroken(PruneBranch branch)
    {
        var (first, last) = (0UL, 0UL);
        foreach (var item in branch.Chain)
        {
            // The numbers without a hole down from here.
            first = last > 0 && last + 1 >= item.Entry.First ? Math.Min(first, item.Entry.First) : item.Entry.First;
            last = item.Entry.Last;
            if (item.Points.Count > 0 && first > NumberBefore(branch, item) + 1)
            {
                return (item, first - 1);
            }
        }

        return null;
    }

    /// <summary>The snapshot from which an object with this first point is reached; null where that is one of another branch.</summary>
    public static PruneSnapshot? SnapshotBefore(PruneBranch branch, Position first)
    {
        var (low, high) = (0, branch.Snapshots.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = branch.Snapshots[middle].Position <= first ? (middle + 1, high) : (low, middle);
        }

        return low == 0 ? null : branch.Snapshots[low - 1];
    }

    /// <summary>The first point that an object offers, or one below it.</summary>
    public static Position First(PruneObject item) =>
        item.Points.Concat(item.Finer.SelectMany(finer => finer.Points)).Min(point => point.Position);

    /// <summary>The number after which the state stands from which an object is reached; 0: where the branch begins.</summary>
    static ulong NumberBefore(PruneBranch branch, PruneObject item) => SnapshotBefore(branch, First(item))?.Number ?? 0;
}
