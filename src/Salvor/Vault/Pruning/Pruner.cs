using Salvor.Platform;
using Salvor.Storage;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Verify;

namespace Salvor.Vault.Pruning;

/// <summary>What carrying out earlier records did.</summary>
/// <param name="Objects">How many objects were deleted.</param>
/// <param name="Bytes">Their bytes.</param>
/// <param name="Refused">How many the destination does not allow to delete.</param>
/// <param name="RefusedBytes">Their bytes.</param>
/// <param name="HeldObjects">How many wait for the end of their grace.</param>
/// <param name="HeldBytes">Their bytes.</param>
public sealed record PruneDeletion(
    long Objects, long Bytes, long Refused, long RefusedBytes, long HeldObjects, long HeldBytes);

/// <summary>
/// Prunes one vault in two phases. The first makes coarser objects and puts a record that condemns what goes; the second, by a later run,
/// proves that nothing that is offered needs what was condemned, and deletes it. It may be killed anywhere, and may run beside a writer,
/// readers and other prunes: what it decides it decides by create-if-absent.
/// </summary>
/// <param name="vault">The first destination of the source, without its copies: those follow it.</param>
/// <param name="time">The clock.</param>
public sealed class Pruner(VaultAccess vault, TimeProvider time)
{
    /// <summary>How long what was condemned can be taken back, where nothing else is said.</summary>
    public static readonly TimeSpan GraceDefault = TimeSpan.FromDays(7);

    /// <summary>No backup may take longer than this, so whoever needs what was condemned has said so by then.</summary>
    public static readonly TimeSpan GraceMin = TimeSpan.FromHours(24);

    /// <summary>What names an object goes before it, so that a run that is stopped leaves nothing that names what is not there.</summary>
    static readonly string[] DeletedInOrder =
    [
        VaultKeys.Backups, VaultKeys.Snapshots, VaultKeys.Logs, VaultKeys.Wals, VaultKeys.Packs,
    ];

    /// <summary>How many objects a record condemns at most, about.</summary>
    internal int KeysMax { get; init; } = 100_000;

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>Each time another prune was faster.</summary>
    const int AttemptsMax = 10;

    /// <summary>What a prune would do now.</summary>
    public async Task<PrunePlan> PlanAsync(
        PrunePolicy policy, (uint Branch, Position Position)? proven, CancellationToken cancellationToken)
    {
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        return (await PlanAsync(catalog, policy, proven, cancellationToken)).Plan;
    }

    /// <summary>
    /// The first phase: rewrites, and condemns what goes. Returns the plan that was carried out, and the number of the record; null where
    /// nothing goes.
    /// </summary>
    public async Task<(PrunePlan Plan, ulong? Number)> CondemnAsync(
        PrunePolicy policy, (uint Branch, Position Position)? proven, TimeSpan grace, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
            var (plan, use) = await PlanAsync(catalog, policy, proven, cancellationToken);
            var groups = await RewriteAsync(catalog, plan, cancellationToken);
            await Repacking.RunAsync(vault, use, plan.Repacked, Progressed, time, cancellationToken);
            if (groups.Count == 0)
            {
                return (plan, null);
            }

            var present = await ListAsync(cancellationToken);
            var retirement = Retirement.Find(catalog.Condemned, present.ContainsKey, time.GetUtcNow());
            if (await TryPutAsync(catalog.Condemned.Last + 1, groups, plan.Pruned, retirement, grace, cancellationToken) is { } number)
            {
                return (plan, number);
            }

            ExpectAttempts(attempt);
        }
    }

    /// <summary>
    /// Condemns one backup. Its restore point goes by the ladder, like all others. Returns the number of the record. Throws where the
    /// backup may not go.
    /// </summary>
    public async Task<ulong> CondemnBackupAsync(
        ulong id, (uint Branch, Position Position)? proven, TimeSpan grace, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
            await BackupRemoval.ExpectAllowedAsync(catalog, id, proven, cancellationToken);
            var group = new CondemnedGroup("its deletion was asked for", "", [VaultKeys.Backup(id)]);
            if (await TryPutAsync(catalog.Condemned.Last + 1, [group], [], Retirement.None, grace, cancellationToken) is { } number)
            {
                return number;
            }

            ExpectAttempts(attempt);
        }
    }

    /// <summary>The second phase: deletes what earlier runs condemned and whose grace is over.</summary>
    /// <param name="dryRun">Only counts it.</param>
    /// <param name="cancellationToken">Ends it between two objects.</param>
    public async Task<PruneDeletion> DeleteAsync(bool dryRun, CancellationToken cancellationToken)
    {
        Progressed?.Invoke(new WorkProgress("listing"));
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        var sizes = await ListAsync(cancellationToken);
        var total = new PruneDeletion(0, 0, 0, 0, 0, 0);
        foreach (var item in catalog.Condemned.All.Where(item => !item.IsUndeleted))
        {
            var present = item.Keys.Where(sizes.ContainsKey).Distinct().ToList();
            if (!item.IsDeleting && item.GraceEnds > time.GetUtcNow())
            {
                total = total with
                {
                    HeldObjects = total.HeldObjects + present.Count, HeldBytes = total.HeldBytes + present.Sum(key => sizes[key]),
                };
            }
            else if (dryRun)
            {
                var due = present.Except(item.Outcome?.Kept ?? []).ToList();
                total = total with { Objects = total.Objects + due.Count, Bytes = total.Bytes + due.Sum(key => sizes[key]) };
                Forget(due);
            }
            else if ((item.Outcome ?? await DecideAsync(item, OutcomeRecord.Deleting, cancellationToken))
                is { Decision: OutcomeRecord.Deleting } outcome)
            {
                var due = present.Except(outcome.Kept).ToList();
                total = await DeleteAsync(due, sizes, total, cancellationToken);
                Forget(due);
            }
        }

        if (!dryRun)
        {
            // Read again: what was decided just now may have taken others over.
            await DeleteRetiredAsync(vault, await Condemnations.LoadAsync(vault, cancellationToken), cancellationToken);
        }

        return total;

        // What two records name counts once.
        void Forget(List<string> due) => due.ForEach(key => sizes.Remove(key));
    }

    /// <summary>Deletes the records that others took over: each before its outcome, without which it would count as open.</summary>
    internal static async Task DeleteRetiredAsync(VaultAccess vault, Condemnations condemned, CancellationToken cancellationToken)
    {
        var retired = condemned.Retired.ToList();
        if (retired.Count == 0)
        {
            return;
        }

        foreach (var prefix in (string[])[VaultKeys.Condemned, VaultKeys.Outcomes])
        {
            await foreach (var row in vault.ListHereAsync(prefix, after: null, cancellationToken))
            {
                if (VaultKeys.TryNumberOf(row.Key) is { } number && retired.Any(range => range.First <= number && number <= range.Last))
                {
                    await vault.TryDeleteAsync(row.Key, cancellationToken);
                }
            }
        }
    }

    /// <summary>The sizes of all objects that a prune may delete.</summary>
    async Task<Dictionary<string, long>> ListAsync(CancellationToken cancellationToken)
    {
        var sizes = new Dictionary<string, long>();
        foreach (var prefix in DeletedInOrder.Where(prefix => prefix != VaultKeys.Wals || vault.Identity.IsPostgres))
        {
            await foreach (var row in vault.ListHereAsync(prefix, after: null, cancellationToken))
            {
                sizes[row.Key] = row.SizeBytes;
            }
        }

        return sizes;
    }

    /// <summary>
    /// Takes back what a prune condemned, and what later ones did that are still open: they were planned without what comes back, and it
    /// may need what they condemned. Returns the numbers of those. Throws where it is being deleted, and where there is none of this
    /// number.
    /// </summary>
    public async Task<IReadOnlyList<ulong>> UndeleteAsync(ulong number, CancellationToken cancellationToken)
    {
        var condemned = await Condemnations.LoadAsync(vault, cancellationToken);
        if (condemned.All.FirstOrDefault(item => item.Number == number) is not { } item)
        {
            var others = condemned.All.Where(other => other.Outcome is null).Select(other => other.Number).ToList();
            throw new SalvorException(
                FailureKind.Usage,
                $"vault {vault.Location} has no record {number} of a prune",
                others.Count == 0 ? "Nothing can be taken back." : $"What can be taken back has the number {string.Join(", ", others)}.");
        }

        // The newest first: stopped anywhere, what is condemned was planned with what is condemned before it.
        IEnumerable<Condemnation> open = item.Outcome is not null
            ? []
            : condemned.All.Where(other => other.Outcome is null && other.Number > number && IsPlanned(other));
        var later = new List<ulong>();
        foreach (var next in open.OrderByDescending(other => other.Number))
        {
            if ((await DecideAsync(next, OutcomeRecord.Undeleted, cancellationToken)).Decision == OutcomeRecord.Undeleted)
            {
                later.Insert(0, next.Number);
            }
        }

        return (item.Outcome ?? await DecideAsync(item, OutcomeRecord.Undeleted, cancellationToken)).Decision == OutcomeRecord.Undeleted
            ? later
            : throw new SalvorException(
                FailureKind.NotRestorable,
                $"what prune {number} condemned in vault {vault.Location} is being deleted already",
                "Another destination may have it still: 'salvor list --from' with its path.");
    }

    /// <summary>Whether log or snapshots go by it, and not only a backup that somebody asked to delete.</summary>
    static bool IsPlanned(Condemnation item) => item.Keys.Any(key =>
        key.StartsWith(VaultKeys.Logs, StringComparison.Ordinal) || key.StartsWith(VaultKeys.Snapshots, StringComparison.Ordinal)
        || key.StartsWith(VaultKeys.Wals, StringComparison.Ordinal));

    async Task<(PrunePlan Plan, PackUse Use)> PlanAsync(
        VaultCatalog catalog, PrunePolicy policy, (uint Branch, Position Position)? proven, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        Progressed?.Invoke(new WorkProgress("planning"));
        var view = await PruneReading.ReadAsync(catalog, proven, now, cancellationToken);
        if (policy.BytesMax is not null)
        {
            var all = await PackUse.ReadAsync(catalog, new HashSet<SnapshotRef>(), cancellationToken);
            view = view with
            {
                StoredBytes = await PruneReading.StoredBytesAsync(catalog, cancellationToken), PackBytes = all.BytesOfLastUsers(),
            };
        }

        var plan = Bounded(view, policy, now);
        var use = await PackUse.ReadAsync(catalog, plan.Snapshots, cancellationToken);
        if (use.Missing is { } pack)
        {
            var line = new PruneLine("the packs", true, $"{VaultKeys.Pack(pack)} is missing; run 'salvor repair' first");

            // What the newer ones lack, an older one may have.
            return (PrunePlan.Nothing with { Lines = [.. plan.Lines.Where(item => item.IsKept), line] }, use);
        }

        return (plan.With(await Garbage.FindAsync(use, now, cancellationToken)), use);
    }

    /// <summary>A record is one object, so where too much would go at once, the older half goes first, or half of that.</summary>
    PrunePlan Bounded(PruneView view, PrunePolicy policy, DateTimeOffset now)
    {
        var plan = PrunePlan.Find(view, policy, now);
        var times = view.Branches.SelectMany(branch => branch.Chain).SelectMany(item => item.Points)
            .Select(point => Micros.ToTime(point.TimeMicros)).Order().ToList();
        for (var count = times.Count / 2; count > 0 && plan.Condemned.Sum(group => group.Keys.Count) > KeysMax; count /= 2)
        {
            var before = times[count] < policy.Before || policy.Before is null ? times[count] : policy.Before;
            plan = PrunePlan.Find(view, policy with { Before = before }, now);
        }

        return plan;
    }

    void ExpectAttempts(int made)
    {
        if (made == AttemptsMax)
        {
            throw new SalvorException(
                FailureKind.Locked, $"other prunes of vault {vault.Location} were faster {AttemptsMax} times",
                "Run one prune at a time, then try again.");
        }
    }

    /// <summary>Carries out the rewrites. Returns what goes then: without what could not be rewritten as planned.</summary>
    async Task<IReadOnlyList<CondemnedGroup>> RewriteAsync(
        VaultCatalog catalog, PrunePlan plan, CancellationToken cancellationToken)
    {
        var made = new HashSet<string>();
        foreach (var (index, rewrite) in plan.Rewrites.Index())
        {
            Progressed?.Invoke(new WorkProgress("merging the log", index, plan.Rewrites.Count) { Unit = "merges" });

            // It reads back what it wrote before it returns.
            var entries = await new Compactor(catalog).RunAsync(rewrite.Branch, rewrite.Run, cancellationToken);
            made.UnionWith(entries.Select(entry => VaultKeys.Log(rewrite.Branch, entry)));
        }

        var planned = plan.Rewrites
            .Select(rewrite => VaultKeys.Log(rewrite.Branch, new LogEntry(rewrite.Run.Entries[0].First, rewrite.Run.Entries[^1].Last, 0)))
            .ToHashSet();
        return [.. plan.Condemned.Where(group => !planned.Contains(group.By) || made.Contains(group.By))
            .Where(group => !catalog.Condemned.Hides(group.By))];
    }

    async Task<ulong?> TryPutAsync(
        ulong number, IReadOnlyList<CondemnedGroup> groups, IReadOnlyList<PrunedRange> pruned, Retirement retirement, TimeSpan grace,
        CancellationToken cancellationToken)
    {
        var here = ProcessIdentity.Current();
        var record = new CondemnedRecord
        {
            At = time.GetUtcNow(),
            Host = here.Host,
            Pid = here.Pid,
            GraceSeconds = (long)(grace < GraceMin ? GraceMin : grace).TotalSeconds,
            Groups = groups,
            Pruned = [.. pruned, .. retirement.Pruned],
            Retired = retirement.Records,
            PrunedBackups = retirement.Backups,
        };
        return await PutAsync(
            VaultKeys.CondemnedBy(number), ObjectKind.Condemned, number,
            VaultJson.Write(record, VaultJson.Default.CondemnedRecord), cancellationToken)
            ? number
            : null;
    }

    /// <summary>Decides what becomes of a record, unless somebody did. Returns what counts.</summary>
    async Task<OutcomeRecord> DecideAsync(Condemnation item, string decision, CancellationToken cancellationToken)
    {
        Progressed?.Invoke(new WorkProgress("proving that nothing needs it"));
        var kept = decision == OutcomeRecord.Deleting
            ? await new PruneProof(vault, time).ExpectNotNeededAsync(item, cancellationToken)
            : [];
        var here = ProcessIdentity.Current();
        var record = new OutcomeRecord { Decision = decision, Kept = kept, At = time.GetUtcNow(), Host = here.Host, Pid = here.Pid };
        var key = VaultKeys.Outcome(item.Number);
        return await PutAsync(
            key, ObjectKind.Outcome, item.Number, VaultJson.Write(record, VaultJson.Default.OutcomeRecord), cancellationToken)
            ? record
            : await Condemnations.ReadOutcomeAsync(vault, key, cancellationToken);
    }

    async Task<bool> PutAsync(string key, ObjectKind kind, ulong number, byte[] details, CancellationToken cancellationToken)
    {
        using var writer = vault.NewObject();
        var (bytes, _) = writer.Finish(new ObjectHeader { Kind = kind, VaultId = vault.Id, Number = number }, details);
        return await vault.PutAsync(key, bytes, cancellationToken) || await vault.HoldsAsync(key, bytes, cancellationToken);
    }

    /// <summary>A log object goes before its parts: with it they are needed, without it they are leftovers.</summary>
    static (int, bool) PhaseOf(string key) => (
        Array.IndexOf(DeletedInOrder, key[..(key.IndexOf('/') + 1)]),
        key.StartsWith(VaultKeys.Logs, StringComparison.Ordinal) && VaultKeys.LogEntryOf(key, 0).Part > 0);

    async Task<PruneDeletion> DeleteAsync(
        List<string> keys, Dictionary<string, long> sizes, PruneDeletion total, CancellationToken cancellationToken)
    {
        var handled = 0;
        foreach (var phase in keys.GroupBy(PhaseOf).OrderBy(phase => phase.Key).Select(phase => phase.ToList()))
        {
            var isDone = new bool[phase.Count];
            await InFlight.ForEachAsync(
                phase.Count,
                async index =>
                {
                    isDone[index] = await vault.TryDeleteAsync(phase[index], cancellationToken);
                    Progressed?.Invoke(
                        new WorkProgress("deleting", Interlocked.Increment(ref handled), keys.Count) { Unit = "objects" });
                },
                cancellationToken);
            var done = phase.Where((_, index) => isDone[index]).ToList();
            var doneBytes = done.Sum(key => sizes[key]);
            total = total with
            {
                Objects = total.Objects + done.Count,
                Bytes = total.Bytes + doneBytes,
                Refused = total.Refused + phase.Count - done.Count,
                RefusedBytes = total.RefusedBytes + phase.Sum(key => sizes[key]) - doneBytes,
            };
        }

        return total;
    }
}
