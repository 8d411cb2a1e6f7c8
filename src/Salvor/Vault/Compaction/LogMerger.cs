using Salvor.Vault.Format;

namespace Salvor.Vault.Compaction;

/// <summary>
/// Merges the small log objects of a vault, and removes those that this process has seen merged for ten minutes. Keeps what it knows of
/// the vault between its passes: a restart only begins the ten minutes anew.
/// </summary>
public sealed class LogMerger(VaultAccess vault, uint epoch, TimeProvider time)
{
    static readonly TimeSpan LookAgain = TimeSpan.FromHours(1);

    /// <summary>How long nothing is deleted any more where the destination refused to.</summary>
    static readonly TimeSpan RefusedFor = TimeSpan.FromHours(6);

    readonly Dictionary<(uint Branch, LogEntry Entry), ObjectHeader> headers = [];
    readonly Dictionary<(uint Branch, LogEntry Entry), long> seen = [];
    readonly HashSet<(uint Branch, LogEntry Entry)> proved = [];

    /// <summary>When the destination last refused a deletion; null where it never did.</summary>
    long? refused;

    /// <summary>
    /// One pass. Returns after which time another one has something to do although nothing was published; null where that is never.
    /// </summary>
    public async Task<TimeSpan?> RunAsync(CancellationToken cancellationToken)
    {
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        var merged = false;
        var isWaiting = false;
        foreach (var branch in catalog.Branches.Select(branch => branch.Number))
        {
            var chain = await CandidatesAsync(catalog, branch, cancellationToken);
            foreach (var run in MergePlan.Find(chain, EdgesOf(catalog, branch), time.GetUtcNow()))
            {
                merged |= (await new Compactor(catalog).RunAsync(branch, run, cancellationToken)).Count > 0;
            }

            isWaiting |= chain.Count > 1 && time.GetUtcNow() - chain[^1].TimeLast < 3 * LookAgain;
        }

        catalog = merged ? await VaultCatalog.LoadAsync(vault, cancellationToken) : catalog;
        var isPending = await DeleteAsync(catalog, cancellationToken);
        Forget(catalog);
        return isPending ? LogWriter.SupersededKept : isWaiting ? LookAgain : null;
    }

    async Task<IReadOnlyList<MergeCandidate>> CandidatesAsync(VaultCatalog catalog, uint branch, CancellationToken cancellationToken)
    {
        // Nothing is merged across a hole, nor behind it: what follows waits for a repair.
        IReadOnlyList<LogEntry> chain = [.. catalog.Logs(branch).Chain.TakeWhile(entry => !entry.IsMissing)];
        await ReadHeadersAsync(catalog, branch, chain, cancellationToken);
        var candidates = new List<MergeCandidate>();
        foreach (var entry in chain)
        {
            if (catalog.Logs(branch).IsAfterPruned(entry))
            {
                // Nothing is merged across what was pruned either.
                candidates.Add(new MergeCandidate(LogEntry.Of(entry.First - 1, storedBytes: -1), false, default, default, default));
            }

            var header = headers[(branch, entry)];
            candidates.Add(new MergeCandidate(
                entry, header.Log.Final, new Position(header.PositionLast), Micros.ToTime(header.TimeFirstMicros),
                Micros.ToTime(header.TimeLastMicros)));
        }

        return candidates;
    }

    /// <summary>Where snapshots stand and branches begin, an object ends, so that its link stays there to compare.</summary>
    static HashSet<Position> EdgesOf(VaultCatalog catalog, uint branch) =>
    [
        .. catalog.Snapshots.Where(snapshot => snapshot.Branch == branch).Select(snapshot => snapshot.Position),
        .. catalog.Branches.Where(item => item.Record.Parent == branch).Select(item => new Position(item.Record.ForkPosition)),
    ];

    /// <summary>Deletes what was superseded for long enough; true where something waits for that.</summary>
    async Task<bool> DeleteAsync(VaultCatalog catalog, CancellationToken cancellationToken)
    {
        var due = new List<(uint Branch, LogEntry Entry, LogEntry By)>();
        var pending = false;
        foreach (var branch in catalog.Branches.Select(branch => branch.Number))
        {
            var log = catalog.Logs(branch);
            await ReadHeadersAsync(catalog, branch, log.Entries.Where(entry => entry.IsCompacted), cancellationToken);
            foreach (var (entry, by) in Superseded.Find(log, entry => IsLossless(headers[(branch, entry)])))
            {
                var key = (branch, entry);
                var since = seen.TryGetValue(key, out var known) ? known : seen[key] = time.GetTimestamp();
                pending |= time.GetElapsedTime(since) < LogWriter.SupersededKept;
                if (time.GetElapsedTime(since) >= LogWriter.SupersededKept)
                {
                    due.Add((branch, entry, by));
                }
            }
        }

        var isRefusing = refused is { } at && time.GetElapsedTime(at) < RefusedFor;
        if (due.Count > 0 && !isRefusing && await new WriterClaims(vault).NewestEpochAsync(cancellationToken) == epoch)
        {
            refused = null;
            foreach (var (branch, entry, by) in due)
            {
                await ExpectGoodAsync(catalog, branch, by, cancellationToken);
                if (!await TryDeleteAsync(catalog, branch, entry, cancellationToken))
                {
                    // By its lock, which is of one age with those behind it, or by permissions: none of them is asked for.
                    refused = time.GetTimestamp();
                    break;
                }
            }
        }

        return pending;
    }

    async Task<bool> TryDeleteAsync(VaultCatalog catalog, uint branch, LogEntry entry, CancellationToken cancellationToken)
    {
        // The parts last: without the object that names them they are leftovers, and with it they are needed.
        var parts = entry.IsCompacted ? (await catalog.ReadLogAsync(branch, entry, cancellationToken)).Details.Parts : [];
        var isDeleted = await vault.TryDeleteAsync(VaultKeys.Log(branch, entry), cancellationToken);
        foreach (var part in isDeleted ? parts : [])
        {
            isDeleted &= await vault.TryDeleteAsync(VaultKeys.LogPart(branch, entry, part.Number), cancellationToken);
        }

        return isDeleted;
    }

    /// <summary>
    /// Who made the object that takes over may have died since, and the disk may have failed: it is read before it counts.
    /// </summary>
    async Task ExpectGoodAsync(VaultCatalog catalog, uint branch, LogEntry entry, CancellationToken cancellationToken)
    {
        if (!proved.Add((branch, entry)))
        {
            return;
        }

        var key = VaultKeys.Log(branch, entry);
        try
        {
            foreach (var part in await catalog.ReadPartsAsync(await catalog.ReadLogAsync(key, cancellationToken), cancellationToken))
            {
                using var stored = await catalog.OpenLogAsync(part.Key, whole: true, cancellationToken);
                if (!stored.MatchesItsHash())
                {
                    throw new DamagedObjectException(part.Key, "it does not match its hash");
                }
            }
        }
        catch
        {
            proved.Remove((branch, entry));
            throw;
        }
    }

    static bool IsLossless(ObjectHeader header) => header.Log.Points == header.PositionLast - header.PositionFirst + 1;

    /// <summary>Reads those that are not known from an earlier pass.</summary>
    async Task ReadHeadersAsync(
        VaultCatalog catalog, uint branch, IEnumerable<LogEntry> entries, CancellationToken cancellationToken)
    {
        IReadOnlyList<LogEntry> unknown = [.. entries.Where(entry => !headers.ContainsKey((branch, entry)))];
        var read = await catalog.ReadLogHeadersAsync(branch, unknown, cancellationToken);
        for (var i = 0; i < read.Length; i++)
        {
            headers[(branch, unknown[i])] = read[i];
        }
    }

    /// <summary>Of what is gone nothing is kept, and of single objects that are merged neither.</summary>
    void Forget(VaultCatalog catalog)
    {
        var listed = catalog.Branches
            .SelectMany(branch => catalog.Logs(branch.Number).Entries.Select(entry => (branch.Number, entry))).ToHashSet();
        foreach (var gone in headers.Keys.Where(key => !listed.Contains(key)).ToList())
        {
            headers.Remove(gone);
        }

        foreach (var gone in seen.Keys.Where(key => !listed.Contains(key)).ToList())
        {
            seen.Remove(gone);
        }

        proved.IntersectWith(listed);
    }
}
