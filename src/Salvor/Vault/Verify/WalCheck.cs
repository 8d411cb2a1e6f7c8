using System.Globalization;
using Salvor.Storage;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Wal;

namespace Salvor.Vault.Verify;

/// <summary>A base backup, and the log that it needs to be consistent.</summary>
readonly record struct WalNeed(SnapshotRef Snapshot, WalRange Range);

/// <summary>
/// Checks the log of a vault of PostgreSQL: every object by itself and against its branch, that those with the same addresses have the same
/// bytes, and that no base backup lacks what it needs. Other gaps are no damage: they are told by <see cref="Gaps"/>.
/// </summary>
sealed class WalCheck(VerifyRun run, Condemnations condemned, IReadOnlyDictionary<uint, BranchRecord> branches)
{
    readonly List<WalRef> sound = [];
    readonly List<(string Key, LayerException Failure)> broken = [];

    /// <summary>What is missing between what is there.</summary>
    public IReadOnlyList<WalGap> Gaps { get; private set; } = [];

    /// <summary>Checks everything once.</summary>
    /// <param name="needs">What the base backups need.</param>
    /// <param name="cancellationToken">Ends it between two objects.</param>
    public async Task RunAsync(IReadOnlyList<WalNeed> needs, CancellationToken cancellationToken)
    {
        var rows = run.Vault.ListAsync(VaultKeys.Wals, after: null, cancellationToken).Where(row => !condemned.Hides(row.Key));
        var starts = new Dictionary<Lsn, Lsn>();
        await foreach (var (row, (facts, failure)) in run.EachAsync(rows, CheckAsync, cancellationToken))
        {
            // What was merged may be removed at any time; that something of it is missing then, the gaps tell.
            if (failure is null)
            {
                sound.Add(facts.Ref);
                foreach (var need in needs.Where(need => facts.Ref.Range.Has(need.Range.First)))
                {
                    // A server reads a segment from its start, wherever in it the recovery begins.
                    starts[need.Range.First] = need.Range.First.Floor(facts.Shape.SegmentBytes);
                }
            }
            else if (!failure.Damage.IsMissing)
            {
                broken.Add((row.Key, failure));
            }
        }

        var known = branches.Select(item => new Branch(item.Key, item.Value)).OrderBy(item => item.Number).ToList();
        var catalog = WalCatalog.Of(run.Vault, known, sound);
        foreach (var (key, failure) in broken)
        {
            run.Add(key, failure, _ => ConsequenceOf(catalog, key));
        }

        foreach (var orphan in sound.Select(entry => entry.Branch).Distinct().Where(number => !branches.ContainsKey(number)))
        {
            if (!run.IsNamed(VaultKeys.Branch(orphan)))
            {
                run.Add(
                    VaultKeys.Branch(orphan), FindingLayer.Listing, "it is missing, and its log is there", lost => lost.OfBranch(orphan));
            }
        }

        await CompareAsync(catalog, cancellationToken);
        CheckNeeds(catalog, needs, starts);
        Gaps = [.. known.Where(branch => IsWhole(branch.Number)).SelectMany(branch => catalog.Gaps(branch.Number)).Distinct()
            .OrderBy(gap => gap.Branch).ThenBy(gap => gap.Range.First)];

        Task<WalFacts> CheckAsync(ObjectInfo row) => this.CheckAsync(row.Key, cancellationToken);
    }

    async Task<WalFacts> CheckAsync(string key, CancellationToken cancellationToken)
    {
        var facts = await ObjectCheck.WalAsync(run.Vault, key, run.IsWhole(key), cancellationToken);
        var systemId = facts.Shape.SystemId.ToString(CultureInfo.InvariantCulture);
        return branches.TryGetValue(facts.Ref.Branch, out var record) && (record.Timeline != facts.Timeline || record.SystemId != systemId)
            ? throw Misplaced(key, $"it is of timeline {facts.Timeline} of the cluster {systemId}, and its branch is not")
            : facts;
    }

    /// <summary>Objects that overlap were stored by several writers, or one was made of others.</summary>
    async Task CompareAsync(WalCatalog catalog, CancellationToken cancellationToken)
    {
        foreach (var block in catalog.Branches.SelectMany(branch => catalog.Blocks(branch.Number)))
        {
            for (var i = 1; i < block.Count; i++)
            {
                var before = block.Take(i).MaxBy(item => item.Range.End);
                var common = before.Range.Within(block[i].Range);
                if (!common.IsEmpty && run.IsWhole(block[i].Key) && run.IsWhole(before.Key))
                {
                    await CompareAsync(before, block[i], common, cancellationToken);
                }
            }
        }
    }

    async Task CompareAsync(WalRef one, WalRef other, WalRange common, CancellationToken cancellationToken)
    {
        var bytes = new byte[2][];
        foreach (var (index, entry) in new[] { one, other }.Index())
        {
            var (content, failure) = await VerifyRun.TryAsync(entry.Key, async () =>
            {
                using var wal = await WalObject.OpenAsync(run.Vault, entry, whole: false, cancellationToken);
                var read = new byte[common.Length];
                await wal.ReadAsync(common, read, cancellationToken);
                return read;
            });
            if (failure is not null)
            {
                // It was good a moment ago: merged, and removed.
                return;
            }

            bytes[index] = content!;
        }

        var same = bytes[0].AsSpan().CommonPrefixLength(bytes[1]);
        if (same < common.Length)
        {
            run.Add(
                other.Key, FindingLayer.Lineage, $"it has other bytes at {common.First + same} than {one.Key}",
                _ => "a recovery past that address takes those of the longer one");
        }
    }

    void CheckNeeds(WalCatalog catalog, IReadOnlyList<WalNeed> needs, Dictionary<Lsn, Lsn> starts)
    {
        foreach (var (snapshot, range) in needs.Where(need => IsWhole(need.Snapshot.Branch)))
        {
            var start = starts.GetValueOrDefault(range.First, range.First);
            if (catalog.Reach(snapshot.Branch, start) is var reach && reach < range.End)
            {
                run.Add(
                    VaultKeys.Snapshot(snapshot.Branch, snapshot.Position), FindingLayer.Lineage,
                    $"it needs the log {range}, and that is missing from {reach} on", lost => lost.OfSnapshots([snapshot]));
            }
        }
    }

    static string ConsequenceOf(WalCatalog catalog, string key)
    {
        var entry = VaultKeys.WalOf(key, storedBytes: 0);
        var reach = catalog.Branches.Any(branch => branch.Number == entry.Branch)
            ? catalog.CoverOwn(entry.Branch, entry.Range).Select(part => part.Range.End).DefaultIfEmpty(entry.Range.First).Last()
            : entry.Range.First;
        return reach >= entry.Range.End ? LostPoints.Nothing : $"no recovery from a backup before it gets past {reach}";
    }

    /// <summary>Whether all branches on the way to one are there.</summary>
    bool IsWhole(uint branch)
    {
        for (; branch != 0 && branches.TryGetValue(branch, out var record) && record.Parent < branch; branch = record.Parent)
        {
        }

        return branch == 0;
    }

    static LayerException Misplaced(string key, string what) => new(FindingLayer.Details, new DamagedObjectException(key, what));
}
