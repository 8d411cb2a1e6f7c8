using Salvor.Vault.Format;

namespace Salvor.Vault.Verify;

/// <summary>
/// Follows the coarsest log objects of all branches in order, and tells where the chain breaks. What follows a damaged object is checked on
/// from what it says itself, so that each damage is told once and all are found.
/// </summary>
/// <param name="vault">For the links.</param>
/// <param name="branches">Where each branch left its parent.</param>
/// <param name="found">Told of each damage: key, branch, first position that needs it, layer, what is wrong.</param>
sealed class LogChain(
    VaultAccess vault, IReadOnlyDictionary<uint, BranchRecord> branches, Action<string, uint, ulong, FindingLayer, string> found)
{
    readonly Dictionary<uint, ulong> lastPositions = [];
    readonly Dictionary<(uint Branch, ulong Number), Hash256> wantedLinks = WantedLinks(branches);
    uint branch;
    ulong lastNumber;
    Hash256? link;
    Position? position;
    ulong? checksum;
    ulong? openPart;

    /// <summary>How many positions are restore points, without those that only finer objects have.</summary>
    public ulong RestorePoints { get; private set; }

    /// <summary>The last position of each branch that has a log.</summary>
    public IReadOnlyDictionary<uint, ulong> LastPositions => lastPositions;

    /// <summary>The last number of each branch that has a log.</summary>
    public Dictionary<uint, ulong> LastNumbers { get; } = [];

    /// <summary>Told of each link of the chain that is known: branch, number, link.</summary>
    public Action<uint, ulong, Hash256>? Linked { get; init; }

    /// <summary>Whether numbers of a branch were pruned.</summary>
    public required Func<uint, ulong, ulong, bool> IsPruned { get; init; }

    /// <summary>The next object; null where it is damaged, which was told already.</summary>
    public void Add(uint ofBranch, LogEntry entry, LogObject? log)
    {
        if (ofBranch != branch)
        {
            Begin(ofBranch);
        }

        if (entry.First > lastNumber + 1 && IsPruned(branch, lastNumber + 1, entry.First - 1))
        {
            Lose();
            lastPositions[branch] = log is null ? lastPositions.GetValueOrDefault(branch) : log.Header.PositionFirst - 1;
        }
        else if (entry.First > lastNumber + 1)
        {
            var which = entry.First == lastNumber + 2 ? "it is missing" : $"it and those up to number {entry.First - 1} are missing";
            found(VaultKeys.Log(branch, lastNumber + 1), branch, NextPosition, FindingLayer.Listing, which);
            Lose();
        }

        // An object that was compacted over the place where the chain stands: its link there is gone.
        var overlaps = entry.First <= lastNumber;
        lastNumber = LastNumbers[branch] = Math.Max(lastNumber, entry.Last);
        if (log is null)
        {
            Lose();
            return;
        }

        Check(entry, log, overlaps);
        Continue(entry, log);
    }

    /// <summary>After the last object.</summary>
    public void End()
    {
        foreach (var ((of, number), _) in wantedLinks.Where(item => item.Key.Number > LastNumbers.GetValueOrDefault(item.Key.Branch)))
        {
            found(
                VaultKeys.Log(of, number), of, lastPositions.GetValueOrDefault(of) + 1, FindingLayer.Listing,
                "it is missing, and a branch leaves there");
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
            link = Lineage.StartOf(vault.Secrets, vault.Id, next, position.Value, parent);
            lastPositions[next] = record.ForkPosition;
        }
    }

    /// <summary>Nothing is known of what an object that cannot be read would have led to.</summary>
    void Lose() => (link, position, checksum, openPart) = (null, null, null, null);

    void Check(LogEntry entry, LogObject log, bool overlaps)
    {
        var header = log.Header;
        var details = log.Details;
        var begins = details.IsCompacted || details.FirstPart == entry.Last;
        var problem = !overlaps && link is { } known && header.LineageBefore != known
                ? "it does not continue the lineage of the object before it"
            : position is { } before && (overlaps ? header.PositionFirst > before.Next.Value : header.PositionFirst != before.Next.Value)
                ? $"it begins at position {header.PositionFirst}, and what comes before it ends at {before}"
            : !overlaps && checksum is { } sum && begins && details.ChecksumBefore != sum
                ? "it continues another state of the database than the object before it leaves"
            : position is not null && !begins && details.FirstPart != openPart
                ? $"its first part {details.FirstPart} is not before it"
            : wantedLinks.TryGetValue((branch, entry.Last), out var wanted) && header.LineageAfter != wanted
                ? "a branch left here with another lineage"
            : null;
        if (problem is not null)
        {
            found(log.Key, branch, header.PositionFirst, FindingLayer.Lineage, problem);
        }
    }

    void Continue(LogEntry entry, LogObject log)
    {
        link = log.Header.LineageAfter;
        Linked?.Invoke(branch, entry.Last, log.Header.LineageAfter);
        if (!log.Details.Final)
        {
            openPart = log.Details.FirstPart == entry.Last ? entry.Last : openPart;
            position ??= new Position(log.Header.PositionFirst - 1);
            return;
        }

        openPart = null;
        var had = position is { } reached ? log.LastAt(reached) + 1 : 0;
        RestorePoints += (ulong)(log.Details.Commits.Count - had);
        position = new Position(log.Header.PositionLast);
        checksum = log.Details.ChecksumAfter;
        lastPositions[branch] = Math.Max(lastPositions.GetValueOrDefault(branch), log.Header.PositionLast);
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
