using Salvor.Vault.Format;
using Salvor.Vault.Pruning;

namespace Salvor.Vault.Wal;

/// <summary>A part of an object that is read.</summary>
public readonly record struct WalPart(WalRef Source, WalRange Range);

/// <summary>Addresses of a branch that no object holds, although what is before and after them is there.</summary>
public sealed record WalGap(uint Branch, uint Timeline, WalRange Range)
{
    public override string ToString() => $"{Range} of timeline {Timeline}";
}

/// <summary>
/// What of the log a vault holds, from listing it: no object is read. A catalogue is a view of one moment.
/// </summary>
public sealed class WalCatalog
{
    readonly Dictionary<uint, List<WalRef>> objects = [];
    readonly Dictionary<uint, Branch> branches;
    readonly HashSet<uint> proved = [];

    WalCatalog(VaultAccess vault, IReadOnlyList<Branch> branches) =>
        (Vault, Branches, this.branches) = (vault, branches, branches.ToDictionary(branch => branch.Number));

    public VaultAccess Vault { get; }

    /// <summary>In order of their numbers.</summary>
    public IReadOnlyList<Branch> Branches { get; }

    /// <summary>Lists a vault.</summary>
    public static async Task<WalCatalog> LoadAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        var condemned = await Condemnations.LoadAsync(vault, cancellationToken);
        var catalog = new WalCatalog(vault, await VaultCatalog.ListBranchesAsync(vault, cancellationToken));
        await foreach (var row in vault.ListAsync(VaultKeys.Wals, after: null, cancellationToken))
        {
            if (!condemned.Hides(row.Key))
            {
                catalog.Add(VaultKeys.WalOf(row.Key, row.SizeBytes));
            }
        }

        return catalog;
    }

    /// <summary>As the other, from what was listed already.</summary>
    internal static WalCatalog Of(VaultAccess vault, IReadOnlyList<Branch> branches, IEnumerable<WalRef> listed)
    {
        var catalog = new WalCatalog(vault, branches);
        foreach (var entry in listed)
        {
            catalog.Add(entry);
        }

        return catalog;
    }

    /// <summary>The objects of a branch, by their first address and then by their end.</summary>
    public IReadOnlyList<WalRef> Objects(uint branch) => objects.GetValueOrDefault(branch) ?? [];

    /// <summary>After the last address of a branch; 0/0 where nothing is.</summary>
    public Lsn EndOf(uint branch) => Objects(branch).Select(item => item.Range.End).DefaultIfEmpty().Max();

    /// <summary>The objects of a branch by the blocks that they lie in.</summary>
    public IEnumerable<IReadOnlyList<WalRef>> Blocks(uint branch)
    {
        var block = new List<WalRef>();
        foreach (var entry in Objects(branch))
        {
            if (block.Count > 0 && !WalRange.BlockOf(block[0].Range.First).Has(entry.Range.First))
            {
                yield return block;
                block = [];
            }

            block.Add(entry);
        }

        if (block.Count > 0)
        {
            yield return block;
        }
    }

    /// <summary>The objects of a branch that only repeat what a longer one has, and that one.</summary>
    public IEnumerable<(WalRef Object, WalRef By)> Superseded(uint branch) => Blocks(branch).SelectMany(SupersededIn);

    static IEnumerable<(WalRef Object, WalRef By)> SupersededIn(IReadOnlyList<WalRef> block)
    {
        var covers = new List<WalRef>();
        foreach (var entry in block.OrderByDescending(item => item.Range.Length))
        {
            var by = covers.FindIndex(cover => cover.Range.First <= entry.Range.First && entry.Range.End <= cover.Range.End);
            if (by >= 0)
            {
                yield return (entry, covers[by]);
            }
            else
            {
                covers.Add(entry);
            }
        }
    }

    /// <summary>What a branch holds itself, without that of its parents: ranges with gaps between them.</summary>
    public IReadOnlyList<WalRange> Spans(uint branch)
    {
        var spans = new List<WalRange>();
        foreach (var entry in Objects(branch))
        {
            Join(spans, entry.Range);
        }

        return spans;
    }

    /// <summary>
    /// The gaps on the way to a branch, of which each is in the branch that should have it. What is before the first byte is none.
    /// </summary>
    public IReadOnlyList<WalGap> Gaps(uint branch)
    {
        var (gaps, reached) = (new List<WalGap>(), default(Lsn?));
        foreach (var (owner, own) in PathTo(branch))
        {
            foreach (var span in Spans(owner.Number).Select(span => span.Within(own)).Where(span => !span.IsEmpty))
            {
                if (reached is { } end && end < span.First)
                {
                    var missing = new WalRange(Lsn.Max(end, own.First), span.First);
                    gaps.AddRange(end < own.First ? Before(branch, new WalRange(end, own.First)) : []);
                    gaps.AddRange(missing.IsEmpty ? [] : [new WalGap(owner.Number, owner.Record.Timeline ?? 0, missing)]);
                }

                reached = Lsn.Max(reached ?? span.End, span.End);
            }
        }

        return gaps;
    }

    /// <summary>What is missing in the branches that own a range.</summary>
    IEnumerable<WalGap> Before(uint branch, WalRange range) => PathTo(branch)
        .Select(item => new WalGap(item.Branch.Number, item.Branch.Record.Timeline ?? 0, item.Own.Within(range)))
        .Where(gap => !gap.Range.IsEmpty);

    /// <summary>Up to where the log to a branch is there without a gap, from an address on; that address where nothing is.</summary>
    public Lsn Reach(uint branch, Lsn from) =>
        Walk(PathTo(branch), new WalRange(from, new Lsn(ulong.MaxValue)), _ => { }, without: null);

    /// <summary>
    /// The fewest parts of objects that make up a range on the way to a branch; they end early where something is missing.
    /// </summary>
    /// <param name="without">The keys of objects that turned out to be of no use.</param>
    public IReadOnlyList<WalPart> Cover(uint branch, WalRange range, IReadOnlySet<string>? without = null)
    {
        var parts = new List<WalPart>();
        Walk(PathTo(branch), range, parts.Add, without);
        return parts;
    }

    /// <summary>As the other, of what a branch has itself.</summary>
    public IReadOnlyList<WalPart> CoverOwn(uint branch, WalRange range, IReadOnlySet<string>? without = null)
    {
        var parts = new List<WalPart>();
        Walk([(branches[branch], new WalRange(Lsn.None, new Lsn(ulong.MaxValue)))], range, parts.Add, without);
        return parts;
    }

    /// <summary>The branches from the first one to this one, each with the addresses that count on this way.</summary>
    public IReadOnlyList<(Branch Branch, WalRange Own)> PathTo(uint branch)
    {
        var path = new List<(Branch, WalRange)>();
        var end = new Lsn(ulong.MaxValue);
        for (var next = branch; next != 0;)
        {
            if (!branches.TryGetValue(next, out var item))
            {
                throw new DamagedObjectException(VaultKeys.Branch(next), "it is missing, and its log is needed") { IsMissing = true };
            }

            ExpectOrigin(item);
            var fork = new Lsn(item.Record.ForkPosition);
            path.Add((item, new WalRange(fork, Lsn.Max(fork, end))));
            (end, next) = (Lsn.Min(fork, end), item.Record.Parent);
        }

        path.Reverse();
        return path;
    }

    /// <summary>A record that says another parent than its history would lead to the log of another timeline.</summary>
    void ExpectOrigin(Branch branch)
    {
        if (!proved.Add(branch.Number))
        {
            return;
        }

        var history = WalBranches.HistoryOf(branch);
        if (history.Parents.Count > 0 && branches.TryGetValue(branch.Record.Parent, out var parent)
            && parent.Record.Timeline != history.Parents[^1].Timeline)
        {
            throw new DamagedObjectException(
                VaultKeys.Branch(branch.Number), "its parent is of another timeline than its history says");
        }
    }

    Lsn Walk(
        IReadOnlyList<(Branch Branch, WalRange Own)> path, WalRange range, Action<WalPart> add, IReadOnlySet<string>? without)
    {
        var at = range.First;
        while (at < range.End)
        {
            // What a timeline has from before it began is a copy: PostgreSQL begins with the whole segment.
            var owner = path.Index().Last(item => item.Index == 0 || item.Item.Own.First <= at).Index;
            var found = path.Skip(owner).Select(item => (Longest(item.Branch.Number, at, without), item.Own))
                .FirstOrDefault(item => item.Item1 is not null);
            if (found.Item1 is not { } entry)
            {
                break;
            }

            var limit = found.Own.First <= at ? found.Own.End : Lsn.Min(found.Own.First, path[owner].Own.End);
            var part = new WalRange(at, Lsn.Min(Lsn.Min(entry.Range.End, limit), range.End));
            add(new WalPart(entry, part));
            at = part.End;
        }

        return at;
    }

    /// <summary>Of the objects of a branch that hold an address the one that reaches furthest.</summary>
    WalRef? Longest(uint branch, Lsn at, IReadOnlySet<string>? without)
    {
        var list = Objects(branch);
        var start = FirstFrom(list, WalRange.BlockOf(at).First);
        WalRef? longest = null;
        for (var i = start; i < list.Count && list[i].Range.First <= at; i++)
        {
            if (list[i].Range.Has(at) && !(longest?.Range.End >= list[i].Range.End) && without?.Contains(list[i].Key) != true)
            {
                longest = list[i];
            }
        }

        return longest;
    }

    static int FirstFrom(IReadOnlyList<WalRef> list, Lsn address)
    {
        var (low, high) = (0, list.Count);
        while (low < high)
        {
            var middle = low + ((high - low) / 2);
            (low, high) = list[middle].Range.First < address ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    static void Join(List<WalRange> spans, WalRange range)
    {
        if (spans.Count > 0 && range.First <= spans[^1].End)
        {
            spans[^1] = spans[^1] with { End = Lsn.Max(spans[^1].End, range.End) };
        }
        else
        {
            spans.Add(range);
        }
    }

    void Add(WalRef entry)
    {
        // In the order of the keys, which is that of the addresses.
        (objects.TryGetValue(entry.Branch, out var list) ? list : objects[entry.Branch] = []).Add(entry);
    }
}
