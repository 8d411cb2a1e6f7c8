namespace Salvor.Vault.Verify;

/// <summary>A branch as far as it is known: where it left its parent, and its last position.</summary>
sealed record KnownBranch(uint Number, uint Parent, ulong Fork, ulong Last);

/// <summary>
/// Says which restore points need something that is damaged. A restore begins at the newest snapshot at or before its point and reads
/// the log from there, on every branch on its way.
/// </summary>
sealed class LostPoints(IReadOnlyCollection<KnownBranch> branches, IReadOnlyCollection<SnapshotRef> snapshots)
{
    /// <summary>What needs everything, such as the identity of the vault.</summary>
    public const string Everything = "nothing can be restored from this copy";

    /// <summary>What only writers and people read.</summary>
    public const string Nothing = "no restore point needs it";

    /// <summary>What readers see through.</summary>
    public const string NothingWhileKept = "restores read what is kept, for as long as it is";

    /// <summary>What only a superseded object could give.</summary>
    public const string Finer = "restore points that only it has still cannot be restored from this copy";

    /// <summary>What needs the log object of a branch whose first position is this.</summary>
    /// <param name="isBeginning">No reader gets past it, whatever snapshots there are: it proves where the branch begins.</param>
    public string OfLog(uint branch, ulong position, bool isBeginning) =>
        Sentence(Spans(branch, position, isBeginning ? null : position).ToList());

    /// <summary>What begins at a snapshot.</summary>
    public string OfSnapshots(IEnumerable<SnapshotRef> needed) =>
        Sentence([.. needed.SelectMany(item => Spans(item.Branch, item.Position.Value, item.Position.Value + 1))]);

    /// <summary>What is on a branch, or on one that left it.</summary>
    public string OfBranch(uint branch) => Sentence(Spans(branch, 0, endsAfter: null).ToList());

    /// <summary>
    /// The points of a branch from a position on, up to the first snapshot from which they can be reached without it, and those of the
    /// branches that left it there.
    /// </summary>
    /// <param name="endsAfter">A snapshot from this position on helps; null where none does.</param>
    IEnumerable<(uint Branch, ulong First, ulong Last)> Spans(uint branch, ulong first, ulong? endsAfter)
    {
        var known = branches.FirstOrDefault(item => item.Number == branch);
        var next = snapshots
            .Where(item => item.Branch == branch && endsAfter is { } after && item.Position.Value >= after)
            .Select(item => item.Position.Value)
            .DefaultIfEmpty(ulong.MaxValue)
            .Min();
        var last = Math.Min(next - 1, known?.Last ?? ulong.MaxValue);
        if (Math.Max(first, 1) <= last)
        {
            yield return (branch, Math.Max(first, 1), last);
        }

        foreach (var child in branches.Where(item => item.Parent == branch && item.Fork >= first && item.Fork < next))
        {
            foreach (var span in Spans(child.Number, child.Fork + 1, endsAfter is null ? null : child.Fork))
            {
                yield return span;
            }
        }
    }

    string Sentence(List<(uint Branch, ulong First, ulong Last)> spans)
    {
        if (spans.Count == 0)
        {
            return Nothing;
        }

        var parts = spans
            .GroupBy(span => span.Branch)
            .OrderBy(group => group.Key)
            .Select(group => string.Join(", ", Merged(group).Select(Range)) + (branches.Count > 1 ? $" of branch {group.Key}" : ""));
        return $"restore points {string.Join(" and ", parts)} cannot be restored from this copy";
    }

    static string Range((ulong First, ulong Last) span) =>
        span.Last == ulong.MaxValue - 1 || span.Last == ulong.MaxValue ? $"from {span.First} on"
        : span.First == span.Last ? $"{span.First}"
        : $"{span.First}-{span.Last}";

    static List<(ulong First, ulong Last)> Merged(IEnumerable<(uint Branch, ulong First, ulong Last)> spans)
    {
        var merged = new List<(ulong First, ulong Last)>();
        foreach (var (_, first, last) in spans.OrderBy(span => span.First))
        {
            if (merged.Count > 0 && first <= merged[^1].Last + 1)
            {
                merged[^1] = (merged[^1].First, Math.Max(merged[^1].Last, last));
            }
            else
            {
                merged.Add((first, last));
            }
        }

        return merged;
    }
}
