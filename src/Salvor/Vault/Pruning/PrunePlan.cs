using Salvor.Vault.Compaction;
using Salvor.Vault.Format;

namespace Salvor.Vault.Pruning;

/// <summary>What a prune is to keep.</summary>
/// <param name="Keep">How fine restore points stay.</param>
public sealed record PrunePolicy(Ladder Keep)
{
    /// <summary>Which backups stay.</summary>
    public BackupRules Backups { get; init; } = new();

    /// <summary>
    /// Only what ends before this goes: the time of a restore point that is proven, where nobody looks at what goes. Null: no limit.
    /// </summary>
    public DateTimeOffset? Before { get; init; }

    /// <summary>Whether nothing goes by the ladder and the rules: only garbage, and what earlier prunes condemned.</summary>
    public bool GarbageOnly { get; init; }

    /// <summary>How many bytes the vault may have; null where there is no limit.</summary>
    public long? BytesMax { get; init; }

    /// <summary>What a limit of the size makes go, besides what the ladder and the rules do.</summary>
    public SizeCut? Cut { get; init; }

    /// <summary>The ladder, no longer than the cut leaves it.</summary>
    public Ladder LadderAt(DateTimeOffset now) => Cut is { } cut ? Keep.CutAt(now - cut.Before) : Keep;
}

/// <summary>Log objects that are rewritten as one.</summary>
public sealed record PlannedRewrite(uint Branch, CompactionRun Run);

/// <summary>One line that says what becomes of something, and why.</summary>
/// <param name="Subject">A backup, or a span of restore points.</param>
public sealed record PruneLine(string Subject, bool IsKept, string Reason);

/// <summary>What a prune does to a vault. A dry run prints it, a real run carries it out.</summary>
/// <param name="Rewrites">Done first.</param>
/// <param name="Condemned">What goes then.</param>
/// <param name="Pruned">The log numbers of that which go without a replacement.</param>
/// <param name="Lines">Why.</param>
public sealed record PrunePlan(
    IReadOnlyList<PlannedRewrite> Rewrites, IReadOnlyList<CondemnedGroup> Condemned, IReadOnlyList<PrunedRange> Pruned,
    IReadOnlyList<PruneLine> Lines)
{
    /// <summary>Of a prune that only carries out earlier ones.</summary>
    public static readonly PrunePlan Nothing = new([], [], [], []);

    /// <summary>The bytes of all that goes, as listed; without the records of backups.</summary>
    public long CondemnedBytes { get; init; }

    /// <summary>Packs of which little is needed: that is moved to new ones before they are condemned.</summary>
    internal IReadOnlyList<Hash256> Repacked { get; init; } = [];

    /// <summary>The snapshots that go.</summary>
    internal IReadOnlySet<SnapshotRef> Snapshots { get; init; } = new HashSet<SnapshotRef>();

    /// <summary>The cut that the limit of the size asked for; null where it asked for none.</summary>
    public SizeCut? Cut { get; init; }

    /// <summary>How many bytes are too many even if all went that may; 0 where the vault fits, or has no limit.</summary>
    public long ExcessBytes { get; init; }

    /// <summary>Whether there is nothing to do.</summary>
    public bool IsEmpty => Rewrites.Count == 0 && Condemned.Count == 0;

    /// <summary>Adds what of the packs goes when the snapshots are gone.</summary>
    internal PrunePlan With(Garbage garbage)
    {
        const string unused = "no snapshot that is kept needs them";
        const string sparse = "less than half of each is needed, and is moved to new packs";
        var condemned = new List<CondemnedGroup>(Condemned);
        var lines = new List<PruneLine>(Lines);
        Add(garbage.Unused, garbage.UnusedBytes, unused);
        Add(garbage.Sparse, garbage.SparseBytes, sparse);
        return this with
        {
            Condemned = condemned,
            Lines = lines,
            Repacked = garbage.Sparse,
            CondemnedBytes = CondemnedBytes + garbage.UnusedBytes + garbage.SparseBytes,
        };

        void Add(IReadOnlyList<Hash256> packs, long bytes, string reason)
        {
            if (packs.Count > 0)
            {
                condemned.Add(new CondemnedGroup(reason, "", [.. packs.Select(VaultKeys.Pack)]));
                lines.Add(new PruneLine($"{packs.Count} pack(s) with {bytes} bytes", false, reason));
            }
        }
    }

    /// <summary>Makes the plan for all but the packs.</summary>
    public static PrunePlan Find(PruneView view, PrunePolicy policy, DateTimeOffset now)
    {
        if (policy.GarbageOnly)
        {
            return Nothing;
        }

        if (policy is { BytesMax: { } bytesMax, Cut: null })
        {
            return SizeCap.Find(view, policy, bytesMax, now);
        }

        var broken = (view.Wal?.Broken ?? []).ToHashSet();
        var backups = BackupVerdicts.Find(policy.Backups, view.Backups, view.Proven, now, broken, view.Wal?.Leading)
            .Select(verdict => policy.Cut is { } cut && cut.Takes(verdict)
                ? verdict with { IsKept = false, Reason = SizeCut.Reason }
                : verdict)
            .Select(verdict => verdict.IsKept || !(verdict.Backup.Time > policy.Before)
                ? verdict
                : verdict with { IsKept = true, Reason = "no newer restore point is proven" })
            .ToList();
        var plans = view.Branches.Select(branch => new BranchPrune(branch, policy, NamedOf(branch), now)).ToList();
        var gone = backups.Where(verdict => !verdict.IsKept).ToList();
        var log = view.Wal is { } wal ? new WalPrune(wal, id => gone.All(verdict => verdict.Backup.Id != id)) : null;
        List<CondemnedGroup> condemned =
        [
            .. gone.Select(verdict => new CondemnedGroup(verdict.Reason, "", [VaultKeys.Backup(verdict.Backup.Id)])),
            .. plans.SelectMany(plan => plan.Condemned),
            .. log?.Condemned ?? [],
        ];
        return new PrunePlan(
            [.. plans.SelectMany(plan => plan.Rewrites)], condemned, [.. plans.SelectMany(plan => plan.Pruned)],
            [
                .. backups.Select(verdict => new PruneLine($"backup {verdict.Backup.Id}", verdict.IsKept, verdict.Reason)),
                .. plans.SelectMany(plan => plan.Lines),
                .. log?.Lines ?? [],
            ])
        {
            CondemnedBytes = plans.Sum(plan => plan.CondemnedBytes) + (log?.CondemnedBytes ?? 0),
            Snapshots = plans.SelectMany(plan => plan.Snapshots).ToHashSet(),
            Cut = policy.Cut,
        };

        HashSet<Position> NamedOf(PruneBranch branch) =>
        [
            .. branch.Forks,
            .. backups.Where(verdict => verdict.IsKept && verdict.Backup.Branch == branch.Number)
                .Select(verdict => new Position(verdict.Backup.Position)),
            .. view.Proven is { } proven && proven.Branch == branch.Number ? [proven.Position] : Array.Empty<Position>(),
        ];
    }
}
