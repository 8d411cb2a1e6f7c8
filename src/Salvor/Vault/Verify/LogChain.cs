using Salvor.Vault.Format;

namespace Salvor.Vault.Verify;

/// <summary>
/// Follows the log of all branches in key order, and tells where the chain breaks. What follows a damaged object is checked on from what
/// it says itself, so that each damage is told once and all are found.
/// </summary>
sealed class LogChain(
    Guid vaultId, IReadOnlyDictionary<uint, BranchRecord> branches, Action<uint, ulong, ulong, FindingLayer, string> found)
{
    readonly Dictionary<uint, ulong> lastPositions = [];
    readonly Dictionary<(uint Branch, ulong Number), Hash256> wantedLinks = WantedLinks(branches);
    uint branch;
    ulong lastNumber;
    Hash256? link;
    Position? position;
    ulong? checksum;
    ulong? openPart;

    /// <summary>The positions that are restore points.</summary>
    public ulong RestorePoints { get; private set; }

    /// <summary>The last position of each branch that has a log.</summary>
    public IReadOnlyDictionary<uint, ulong> LastPositions => lastPositions;

    /// <summary>The last number of each branch that has a log.</summary>
    public Dictionary<uint, ulong> LastNumbers { get; } = [];

    /// <summary>Told of each link of the chain that is known: branch, number, link.</summary>
    public Action<uint, ulong, Hash256>? Linked { get; init; }

    /// <summary>The next object in key order; null where it is damaged, which was told already.</summary>
    public void Add(uint ofBranch, ulong number, LogObject? log)
    {
        if (ofBranch != branch)
        {
            Begin(ofBranch);
        }

        if (number != lastNumber + 1)
        {
            var which = number == lastNumber + 2 ? "it is missing" : $"it and those up to number {number - 1} are missing";
            found(branch, lastNumber + 1, NextPosition, FindingLayer.Listing, which);
            Lose();
        }

        lastNumber = LastNumbers[branch] = number;
        if (log is null)
        {
            Lose();
            return;
        }

        Check(number, log);
        Continue(number, log);
    }

    /// <summary>After the last object.</summary>
    public void End()
    {
        foreach (var ((of, number), _) in wantedLinks.Where(item => item.Key.Number > LastNumbers.GetValueOrDefault(item.Key.Branch)))
        {
            found(of, number, lastPositions.GetValueOrDefault(of) + 1, FindingLayer.Listing, "it is missing, and a branch leaves there");
        }
    }

    /// <summary>The first position that what comes next can have.</summary>
    public ulong NextPosition => position is { } known ? known.Value + 1 : lastPositions.GetValueOrDefault(branch) + 1;

    void Begin(uint next)
    {
        (branch, lastNumber, openPart, checksum) = (next, 0, null, null);
        (link, position) = (null, null);
        if (branches.TryGetValue(next, out var record) && Hash256.TryParse(record.ForkLineage, out var parent))
        {
            position = new Position(record.ForkPosition);
            link = Lineage.StartOf(vaultId, next, position.Value, parent);
            lastPositions[next] = record.ForkPosition;
        }
    }

    /// <summary>Nothing is known of what an object that cannot be read would have led to.</summary>
    void Lose() => (link, position, checksum, openPart) = (null, null, null, null);

    void Check(ulong number, LogObject log)
    {
        var header = log.Header;
        var details = log.Details;
        var problem = link is { } known && header.LineageBefore != known ? "it does not continue the lineage of the object before it"
            : position is { } before && header.PositionFirst != before.Next.Value
                ? $"it begins at position {header.PositionFirst}, and what comes before it ends at {before}"
            : checksum is { } sum && details.FirstPart == number && details.ChecksumBefore != sum
                ? "it continues another state of the database than the object before it leaves"
            : position is not null && details.FirstPart != number && details.FirstPart != openPart
                ? $"its first part {details.FirstPart} is not before it"
            : wantedLinks.TryGetValue((branch, number), out var wanted) && header.LineageAfter != wanted
                ? "a branch left here with another lineage"
            : null;
        if (problem is not null)
        {
            found(branch, number, header.PositionFirst, FindingLayer.Lineage, problem);
        }
    }

    void Continue(ulong number, LogObject log)
    {
        link = log.Header.LineageAfter;
        Linked?.Invoke(branch, number, log.Header.LineageAfter);
        if (!log.Details.Final)
        {
            openPart = log.Details.FirstPart == number ? number : openPart;
            position ??= new Position(log.Header.PositionFirst - 1);
            return;
        }

        openPart = null;
        position = new Position(log.Header.PositionLast);
        checksum = log.Details.ChecksumAfter;
        lastPositions[branch] = Math.Max(lastPositions.GetValueOrDefault(branch), log.Header.PositionLast);
        RestorePoints += log.Header.PositionLast - log.Header.PositionFirst + 1;
    }

    static Dictionary<(uint, ulong), Hash256> WantedLinks(IReadOnlyDictionary<uint, BranchRecord> branches)
    {
        var wanted = new Dictionary<(uint, ulong), Hash256>();
        foreach (var record in branches.Values.Where(record => record.ForkNumber > 0))
        {
            if (Hash256.TryParse(record.ForkLineage, out var link))
            {
                wanted[(record.Parent, record.ForkNumber)] = link;
            }
        }

        return wanted;
    }
}
