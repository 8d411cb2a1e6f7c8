namespace Salvor.Vault.Copies;

/// <summary>What becomes of a further destination that does not have what the first had before it came.</summary>
public enum IncompleteCopy
{
    /// <summary>It is filled up.</summary>
    Backfill,

    /// <summary>Nothing is copied there until somebody has filled it up.</summary>
    Refuse,

    /// <summary>It is filled up, and said to be incomplete until then.</summary>
    Warn,
}

/// <summary>Nothing is copied to a further destination, as the operator asked for where it is incomplete.</summary>
sealed class IncompleteCopyException(string message, string hint)
    : SalvorException(FailureKind.DestinationUnreachable, message, hint);

/// <summary>
/// Tells a copy that lacks history from one that is only behind. What it lacks after its own end it gets by following; what it lacks
/// before that is a new destination, one that was never complete, or one from which somebody removed something.
/// </summary>
static class CopyBeginning
{
    /// <summary>What a copy lacks of what the first had up to where the copy ends, in words; null where that is nothing.</summary>
    public static string? Lack(VaultCatalog first, VaultCatalog copy)
    {
        if (first.Oldest is not { } oldest)
        {
            // The first full copy is not finished: both begin together.
            return null;
        }

        if (copy.Oldest is not { } begins || copy.IsEmpty)
        {
            return "nothing there can be restored";
        }

        // Later snapshots may be on their way while the log has passed them. What they are for is restored from those before them.
        return begins.Order.CompareTo(oldest.Order) > 0
            ? $"it begins with {Name(begins)}, and the first with {Name(oldest)}"
            : first.Branches.Select(branch => Hole(first, copy, branch.Number)).FirstOrDefault(hole => hole is not null);
    }

    /// <summary>What is missing before the end of a branch at the copy. What expired at the first is not.</summary>
    static string? Hole(VaultCatalog first, VaultCatalog copy, uint branch)
    {
        var (here, there) = (first.Logs(branch), copy.Logs(branch));
        foreach (var number in there.Missing.Where(number => !here.Missing.Contains(number) && !here.IsPruned(number, number)))
        {
            return $"log object {number} of branch {branch} is missing there";
        }

        // A branch is copied to its end before the next one is begun.
        return branch < copy.Branches.Last().Number && there.Last < here.Last
            ? $"the log of branch {branch} ends with object {there.Last} there, and with {here.Last} at the first"
            : null;
    }

    static string Name(SnapshotRef snapshot) => $"position {snapshot.Position} of branch {snapshot.Branch}";
}
