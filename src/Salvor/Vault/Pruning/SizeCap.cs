using Salvor.Vault.Compaction;

namespace Salvor.Vault.Pruning;

/// <summary>What goes because a vault has a limit of its size, besides what goes by the ladder and the rules for backups.</summary>
/// <param name="Before">Restore points before this time, but for those that nothing may drop.</param>
/// <param name="TakesWanted">Whether backups before it go too that have a label, or days of their own.</param>
public sealed record SizeCut(DateTimeOffset Before, bool TakesWanted)
{
    /// <summary>Why something goes by it.</summary>
    public const string Reason = "'max_total_size' leaves no room for it";

    /// <summary>Whether a backup goes by it that would stay otherwise.</summary>
    public bool Takes(BackupVerdict verdict) =>
        verdict is { IsKept: true, IsFixed: false } && verdict.Backup.Time < Before && (TakesWanted || !verdict.IsWanted);
}

/// <summary>
/// Fits a plan to a limit of the size, by estimate: what a plan condemns counts as gone, although the grace holds it for a while, and what
/// is made in its place is not known yet. The next prune sees how it came out.
/// </summary>
static class SizeCap
{
    const long HourMicros = 3_600_000_000;

    /// <summary>
    /// The plan that drops no more than it must: the oldest restore points, by whole hours, and of the backups those last that somebody
    /// wanted. Where nothing that may go makes the vault fit, nothing goes for its size, and the plan says by how much it is too large.
    /// </summary>
    public static PrunePlan Find(PruneView view, PrunePolicy policy, long bytesMax, DateTimeOffset now)
    {
        var uncut = PrunePlan.Find(view, policy with { BytesMax = null }, now);
        var least = ExcessOf(uncut);
        if (least == 0)
        {
            return uncut;
        }

        var cuts = CutsOf(view);
        return FirstThatFits(takesWanted: false) ?? FirstThatFits(takesWanted: true) ?? uncut with { ExcessBytes = least };

        long ExcessOf(PrunePlan plan) => Math.Max(0, view.StoredBytes - plan.CondemnedBytes - PacksOf(plan) - bytesMax);

        long PacksOf(PrunePlan plan) => plan.Snapshots.Sum(snapshot => view.PackBytes.GetValueOrDefault(snapshot));

        // A later cut takes all that an earlier one does, so the first that fits is found by halving.
        PrunePlan? FirstThatFits(bool takesWanted)
        {
            PrunePlan? best = null;
            var (low, high) = (0, cuts.Count - 1);
            while (low <= high)
            {
                var middle = (low + high) / 2;
                var plan = PrunePlan.Find(view, policy with { Cut = new SizeCut(cuts[middle], takesWanted) }, now);
                var excess = ExcessOf(plan);
                least = Math.Min(least, excess);
                (best, low, high) = excess == 0 ? (plan, low, middle - 1) : (best, middle + 1, high);
            }

            return best;
        }
    }

    /// <summary>The ends of all hours in which something was committed, oldest first.</summary>
    static List<DateTimeOffset> CutsOf(PruneView view)
    {
        var points = view.Branches.SelectMany(branch => branch.Chain)
            .SelectMany(item => item.Points.Concat(item.Finer.SelectMany(finer => finer.Points))).Select(point => point.TimeMicros);
        return
        [
            .. points.Concat(view.Backups.Select(backup => Micros.Of(backup.Time)))
                .Select(micros => LadderUnits.IndexOf(micros, Granularity.Hours)).Distinct().Order()
                .Select(hour => Micros.ToTime(Math.Min((hour + 1) * HourMicros, Micros.Of(DateTimeOffset.MaxValue)))),
        ];
    }
}
