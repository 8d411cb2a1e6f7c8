using Salvor.Storage;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;

namespace Salvor.Vault.Verify;

/// <summary>What the log needs to know of a snapshot.</summary>
/// <param name="Number">The log number after which it stands.</param>
/// <param name="LineageAfter">The link that the log has there.</param>
/// <param name="DetailsHash">What a base names it by.</param>
/// <param name="IsImage">Whether it needs a base.</param>
readonly record struct SnapshotFacts(ulong Number, Hash256 LineageAfter, Hash256 DetailsHash, bool IsImage);

/// <summary>
/// Checks all log objects: those that cover all numbers with the fewest, as a chain, and all others each by itself. While it runs, a writer
/// may merge objects and remove what is superseded: it goes on with what covers the same numbers then.
/// </summary>
sealed class LogCheck
{
    readonly VerifyRun run;
    readonly IReadOnlyDictionary<SnapshotRef, SnapshotFacts> snapshots;
    readonly Condemnations condemned;
    readonly ILookup<(uint, ulong), KeyValuePair<SnapshotRef, SnapshotFacts>> standing;

    public LogCheck(
        VerifyRun run, Condemnations condemned, IReadOnlyDictionary<uint, BranchRecord> branches,
        IReadOnlyDictionary<SnapshotRef, SnapshotFacts> snapshots)
    {
        (this.run, this.condemned, this.snapshots) = (run, condemned, snapshots);
        standing = snapshots.ToLookup(item => (item.Key.Branch, item.Value.Number));
        Chain = new LogChain(run.Vault, branches, (key, branch, position, layer, what) =>
        {
            var isBeginning = VaultKeys.LogEntryOf(key, 0).Entry.First == 1;
            run.Add(key, layer, what, lost => lost.OfLog(branch, position, isBeginning));
        })
        {
            Linked = CheckSnapshots,
            IsPruned = (branch, first, last) => new BranchLog([], condemned.PrunedOf(branch)).IsPruned(first, last),
        };
    }

    /// <summary>Where all branches end.</summary>
    public LogChain Chain { get; }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        foreach (var branch in await BranchesAsync(cancellationToken))
        {
            await RunAsync(branch, cancellationToken);
        }

        Chain.End();
    }

    async Task RunAsync(uint branch, CancellationToken cancellationToken)
    {
        var (log, parts) = await ListAsync(branch, cancellationToken);
        var done = new Done();
        for (var next = 1UL; next <= log.Last;)
        {
            var chain = log.Within(next, log.Last).Where(entry => !entry.IsMissing).ToList();
            next = ulong.MaxValue;
            await foreach (var (row, (read, failure)) in run.EachAsync(
                chain.Select(entry => new ObjectInfo(VaultKeys.Log(branch, entry), entry.StoredBytes)).ToAsyncEnumerable(), LogAsync,
                cancellationToken))
            {
                var entry = VaultKeys.LogEntryOf(row.Key, row.SizeBytes).Entry;
                if (failure is { Damage.IsMissing: true })
                {
                    var fresh = await ListAsync(branch, cancellationToken);
                    if (Covers(fresh.Log, entry))
                    {
                        ((log, parts), next) = (fresh, entry.First);
                        break;
                    }
                }

                await AddAsync(branch, row, entry, read, failure, done, cancellationToken);
            }
        }

        var others = log.Entries.Select(entry => new ObjectInfo(VaultKeys.Log(branch, entry), entry.StoredBytes)).Concat(parts);
        await foreach (var (row, (_, failure)) in run.EachAsync(
            others.Where(row => !done.Keys.Contains(row.Key)).ToAsyncEnumerable(), LogAsync, cancellationToken))
        {
            // What is superseded may be removed at any time.
            if (failure is { Damage.IsMissing: false })
            {
                var entry = VaultKeys.LogEntryOf(row.Key, row.SizeBytes).Entry;
                var isNeeded = done.Thinned.Any(by => by.First <= entry.First && entry.Last <= by.Last);
                run.Add(row.Key, failure, _ => isNeeded ? LostPoints.Finer : LostPoints.Nothing);
            }
        }

        Task<LogObject> LogAsync(ObjectInfo row) => ObjectCheck.LogAsync(run.Vault, row.Key, run.IsWhole(row.Key), cancellationToken);
    }

    /// <summary>The keys of the chain with its parts, and the objects of it that do not have all commits of their range.</summary>
    sealed class Done
    {
        public HashSet<string> Keys { get; } = [];

        public List<LogEntry> Thinned { get; } = [];
    }

    async Task AddAsync(
        uint branch, ObjectInfo row, LogEntry entry, LogObject? log, LayerException? failure, Done done,
        CancellationToken cancellationToken)
    {
        done.Keys.Add(row.Key);
        Chain.Add(branch, entry, log);
        var position = log?.Header.PositionFirst ?? Chain.NextPosition;

        // Of what only frames or details are damaged, the header still proves where the branch begins.
        var isBeginning = entry.First == 1 && failure?.Layer is not (FindingLayer.Frame or FindingLayer.Details);
        run.Add(row.Key, failure, lost => lost.OfLog(branch, position, isBeginning));
        if (log is null)
        {
            return;
        }

        if (log.Header.PositionLast - log.Header.PositionFirst + 1 != (ulong)log.Details.Commits.Count)
        {
            done.Thinned.Add(entry);
        }

        if (log.Details.Kind == LogKind.Base)
        {
            CheckImage(branch, log);
        }

        await CheckPartsAsync(branch, entry, log, done, cancellationToken);
    }

    /// <summary>The earlier parts of a compacted object are the ones that it was made with.</summary>
    async Task CheckPartsAsync(uint branch, LogEntry entry, LogObject log, Done done, CancellationToken cancellationToken)
    {
        var pages = (long)log.Details.Pages.Count;
        var isWhole = true;
        foreach (var part in log.Details.Parts)
        {
            var key = VaultKeys.LogPart(branch, entry, part.Number);
            done.Keys.Add(key);
            var (read, failure) = await VerifyRun.TryAsync(
                key, () => ObjectCheck.LogAsync(run.Vault, key, run.IsWhole(key), cancellationToken));
            run.Count(new ObjectInfo(key, read?.StoredBytes ?? 0), run.IsWhole(key));
            failure ??= read!.Proof == part.DetailsHash ? null : new LayerException(
                FindingLayer.Lineage, new DamagedObjectException(key, $"it is not the part that {log.Key} was made with"));
            run.Add(key, failure, lost => lost.OfLog(branch, log.Header.PositionFirst, isBeginning: false));
            pages += read?.Details.Pages.Count ?? 0;
            isWhole &= failure is null;
        }

        if (isWhole && log.Details.IsCompacted && pages != log.Details.Commits.Sum(commit => (long)commit.Pages))
        {
            run.Add(
                log.Key, FindingLayer.Details, "its commits do not account for the pages of its parts",
                lost => lost.OfLog(branch, log.Header.PositionFirst, isBeginning: false));
        }
    }

    /// <summary>A snapshot stands in the log where it says.</summary>
    void CheckSnapshots(uint branch, ulong number, Hash256 link)
    {
        foreach (var (snapshot, facts) in standing[(branch, number)])
        {
            if (facts.LineageAfter != link)
            {
                run.Add(
                    VaultKeys.Snapshot(snapshot.Branch, snapshot.Position), FindingLayer.Lineage,
                    "its place in the log has another lineage", lost => lost.OfSnapshots([snapshot]));
            }
        }
    }

    /// <summary>A base completes the image that it names.</summary>
    void CheckImage(uint branch, LogObject log)
    {
        foreach (var (_, image) in snapshots.Where(item => item.Key.Branch == branch && item.Value.IsImage))
        {
            if (image.DetailsHash != log.Details.Snapshot)
            {
                run.Add(
                    log.Key, FindingLayer.Lineage, "it completes another image than the one that is there",
                    lost => lost.OfLog(branch, log.Header.PositionFirst, isBeginning: false));
            }
        }
    }

    static bool Covers(BranchLog log, LogEntry gone) =>
        log.Within(gone.First, log.Last) is [{ IsMissing: false } by, ..] && (by.First, by.Last) != (gone.First, gone.Last);

    /// <summary>The branches that have a log, in order. Keys that are none of Salvor's are told.</summary>
    async Task<IReadOnlyCollection<uint>> BranchesAsync(CancellationToken cancellationToken)
    {
        var branches = new SortedSet<uint>();
        await foreach (var row in run.Vault.ListAsync(VaultKeys.Logs, after: null, cancellationToken))
        {
            try
            {
                VaultKeys.LogEntryOf(row.Key, row.SizeBytes);
                branches.Add(VaultKeys.BranchOf(row.Key));
            }
            catch (DamagedObjectException e)
            {
                run.Count(row, whole: false);
                run.Add(row.Key, FindingLayer.Listing, e.What, _ => VaultVerifier.Hiding);
            }
        }

        return branches;
    }

    /// <summary>The log of a branch, and the parts of compacted objects.</summary>
    async Task<(BranchLog Log, IReadOnlyList<ObjectInfo> Parts)> ListAsync(uint branch, CancellationToken cancellationToken)
    {
        var entries = new List<LogEntry>();
        var parts = new List<ObjectInfo>();
        await foreach (var row in run.Vault.ListAsync(VaultKeys.LogsOf(branch), after: null, cancellationToken))
        {
            run.NoteHidden(row);
            if (!run.IsNamed(row.Key) && !condemned.Hides(row.Key))
            {
                var (entry, part) = VaultKeys.LogEntryOf(row.Key, row.SizeBytes);
                if (part == 0)
                {
                    entries.Add(entry);
                }
                else
                {
                    parts.Add(row);
                }
            }
        }

        return (new BranchLog(entries, condemned.PrunedOf(branch)), parts);
    }
}
