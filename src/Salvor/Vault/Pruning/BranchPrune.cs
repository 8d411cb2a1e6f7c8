using Salvor.Text;
using Salvor.Vault.Compaction;

namespace Salvor.Vault.Pruning;

/// <summary>
/// What a prune does to one branch. Five things go: what is rewritten more coarsely; what was, by an earlier run that was stopped; what was
/// merged by a writer that did not live to remove it; objects all of whose points have expired, where nothing that is kept is reached
/// through them; and snapshots from which nothing is reached.
/// </summary>
sealed class BranchPrune
{
    /// <summary>A writer that lives has merged what is older, and removed it ten minutes later.</summary>
    static readonly TimeSpan MergedRemoved = TimeSpan.FromDays(1);

    readonly PruneBranch branch;
    readonly PrunePolicy policy;
    readonly Ladder ladder;
    readonly IReadOnlySet<Position> named;
    readonly DateTimeOffset now;
    readonly Dictionary<Position, KeptBecause> kept;
    readonly List<PlannedRewrite> rewrites = [];
    readonly List<CondemnedGroup> condemned = [];
    readonly List<PrunedRange> pruned = [];
    readonly List<(PruneSnapshot Snapshot, bool IsKept, string Reason)> snapshots = [];

    /// <summary>The first point of each object that there will be.</summary>
    readonly List<Position> firsts = [];

    public BranchPrune(PruneBranch branch, PrunePolicy policy, IReadOnlySet<Position> named, DateTimeOffset now)
    {
        (this.branch, this.policy, this.named, this.now) = (branch, policy, named, now);
        ladder = policy.LadderAt(now);
        kept = KeptOf();
        if (branch.IsBroken)
        {
            return;
        }

        var stays = StaysOf();
        for (var i = 0; i < stays.Length; i++)
        {
            if (!stays[i])
            {
                Expire(branch.Chain[i]);
            }
        }

        var runs = RunsOf(stays);
        foreach (var run in runs)
        {
            Rewrite(run);
        }

        var rewritten = runs.SelectMany(run => run.Entries).ToHashSet();
        foreach (var item in branch.Chain.Index().Where(item => stays[item.Index] && !rewritten.Contains(item.Item.Entry)))
        {
            Thin(item.Item);
        }

        JudgeSnapshots();
    }

    public IReadOnlyList<PlannedRewrite> Rewrites => rewrites;

    public IReadOnlyList<CondemnedGroup> Condemned => condemned;

    public IReadOnlyList<PrunedRange> Pruned => pruned;

    /// <summary>The snapshots that go.</summary>
    public IEnumerable<SnapshotRef> Snapshots =>
        snapshots.Where(item => !item.IsKept).Select(item => new SnapshotRef(branch.Number, item.Snapshot.Position));

    public long CondemnedBytes { get; private set; }

    /// <summary>Spans of points with the same fate for the same reason.</summary>
    public IEnumerable<PruneLine> Lines
    {
        get
        {
            if (branch.IsBroken)
            {
                yield return new PruneLine($"branch {branch.Number}", true, "a log object is missing; run 'salvor repair' first");
                yield break;
            }

            var goes = condemned.SelectMany(group => group.Keys).ToHashSet();
            var runs = rewrites.SelectMany(rewrite => rewrite.Run.Entries.Select(entry => (entry, rewrite.Run.Kept!)))
                .ToDictionary(item => item.entry, item => item.Item2);
            var fates = branch.Chain.SelectMany(item => item.Points.Select(point => (Point: point, Fate: FateOf(item, point, goes, runs))));
            LadderPoint? first = null;
            var (last, fate, count) = (default(LadderPoint), default((bool IsKept, string Reason)), 0);
            foreach (var item in fates)
            {
                if (first is not null && item.Fate != fate)
                {
                    yield return Line(first.Value, last, count, fate);
                    first = null;
                }

                (count, first) = (first is null ? 1 : count + 1, first ?? item.Point);
                (last, fate) = (item.Point, item.Fate);
            }

            if (first is not null)
            {
                yield return Line(first.Value, last, count, fate);
            }

            foreach (var (snapshot, isKept, reason) in snapshots)
            {
                var time = InstantText.Format(Micros.ToTime(snapshot.TimeMicros));
                yield return new PruneLine($"branch {branch.Number}, snapshot {snapshot.Position} of {time}", isKept, reason);
            }
        }
    }

    PruneLine Line(LadderPoint first, LadderPoint last, int count, (bool IsKept, string Reason) fate) => new(
        $"branch {branch.Number}, {count} restore point(s) {first.Position}-{last.Position} of "
            + $"{InstantText.Format(Micros.ToTime(first.TimeMicros))} to {InstantText.Format(Micros.ToTime(last.TimeMicros))}",
        fate.IsKept, fate.Reason);

    (bool IsKept, string Reason) FateOf(
        PruneObject item, LadderPoint point, HashSet<string> goes, Dictionary<LogEntry, IReadOnlySet<Position>> runs)
    {
        var isRun = runs.TryGetValue(item.Entry, out var keptByRun);
        var isKept = isRun ? keptByRun!.Contains(point.Position) : !goes.Contains(VaultKeys.Log(branch.Number, item.Entry));
        return (isKept, kept.GetValueOrDefault(point.Position) switch
        {
            KeptBecause.Commits => "every commit",
            KeptBecause.Minutes => "the last of its minute",
            KeptBecause.Hours => "the last of its hour",
            KeptBecause.Days => "the last of its day",
            KeptBecause.Newest => "the newest of its branch",
            KeptBecause.Named => "a backup, a proven point or the beginning of a branch",
            _ when !isKept && IsExpired(point) =>
                policy.Keep.RungOf(AgeOf(point)) is null ? "it has expired" : SizeCut.Reason,
            _ when !isKept => "a kept one follows in its unit of the ladder",
            _ => "what is kept is stored with it, or reached through it",
        });
    }

    /// <summary>The points that the ladder keeps, of the coarse objects by themselves and together with what is below them.</summary>
    Dictionary<Position, KeptBecause> KeptOf()
    {
        var coarse = branch.Chain.SelectMany(item => item.Points).ToList();
        var all = branch.Chain.SelectMany(item => item.Finer.SelectMany(finer => finer.Points).Concat(item.Points))
            .DistinctBy(point => point.Position).OrderBy(point => point.Position).ToList();
        return LadderVerdicts.Find(ladder, coarse, named, now)
            .Concat(LadderVerdicts.Find(ladder, all, named, now))
            .Where(verdict => verdict.IsKept).DistinctBy(verdict => verdict.Point.Position)
            .ToDictionary(verdict => verdict.Point.Position, verdict => verdict.Because);
    }

    /// <summary>Which objects of the chain stay, whatever is done to them then.</summary>
    bool[] StaysOf()
    {
        var chain = branch.Chain;
        var stays = new bool[chain.Count];
        for (var i = chain.Count - 1; i >= 0; i--)
        {
            // A part goes and stays with the change-set that ends after it.
            stays[i] = i == chain.Count - 1
                || (chain[i].Points.Count == 0
                    ? stays[i + 1]
                    : !IsDue(chain[i]) || Points(chain[i]).Any(point => !IsExpired(point) || kept.ContainsKey(point.Position)));
        }

        // Ranges may overlap where a writer was frozen: what is needed for another is not taken apart.
        for (var i = 0; i + 1 < chain.Count; i++)
        {
            if (chain[i + 1].Entry.First <= chain[i].Entry.Last)
            {
                (stays[i], stays[i + 1]) = (true, true);
            }
        }

        Reach.Extend(branch, stays);
        return stays;
    }

    /// <summary>Whether anything may happen to an object yet.</summary>
    bool IsDue(PruneObject item) => policy.Before is not { } before || Micros.ToTime(item.Points[^1].TimeMicros) < before;

    /// <summary>Whether it goes for the size alone. What a rewrite of it would leave is not known, so none counts as making room.</summary>
    bool IsCut(PruneObject item) => IsExpired(item.Points[^1]) && policy.Keep.RungOf(AgeOf(item.Points[^1])) is not null;

    bool IsExpired(LadderPoint point) => ladder.RungOf(AgeOf(point)) is null;

    TimeSpan AgeOf(LadderPoint point) => now - Micros.ToTime(point.TimeMicros);

    static IEnumerable<LadderPoint> Points(PruneObject item) => item.Points.Concat(item.Finer.SelectMany(finer => finer.Points));

    void Expire(PruneObject item)
    {
        pruned.Add(new PrunedRange(branch.Number, item.Entry.First, item.Entry.Last));
        Condemn("all its restore points have expired", "", [item, .. item.Finer]);
    }

    /// <summary>Rewrites of consecutive objects that stay, never of the last one, by which the end of the log is found.</summary>
    List<CompactionRun> RunsOf(bool[] stays)
    {
        var runs = new List<CompactionRun>();
        var piece = new List<LadderEntry>();
        for (var i = 0; i + 1 < branch.Chain.Count; i++)
        {
            var item = branch.Chain[i];
            var isNext = piece.Count == 0 || piece[^1].Entry.Last + 1 == item.Entry.First;
            var isRewritten = stays[i] && (item.Points.Count == 0 || (IsDue(item) && !IsCut(item)));
            if (!isNext || !isRewritten)
            {
                runs.AddRange(LadderPlan.Find(ladder, piece, named, now));
                piece.Clear();
            }

            if (isRewritten)
            {
                piece.Add(new LadderEntry(item.Entry, item.Points));
            }
        }

        runs.AddRange(LadderPlan.Find(ladder, piece, named, now));
        return [.. runs.Where(run => run.Entries.Count > 1)];
    }

    void Rewrite(CompactionRun run)
    {
        var sources = branch.Chain.Where(item => run.Entries.Contains(item.Entry)).ToList();

        // More than the ladder asks of the run alone: what it keeps of the branch as a whole.
        var last = sources[^1].Points[^1].Position;
        var positions = sources.SelectMany(item => item.Points).Select(point => point.Position)
            .Where(position => position == last || run.Kept!.Contains(position) || kept.ContainsKey(position)).ToHashSet();
        rewrites.Add(new PlannedRewrite(branch.Number, run with { Kept = positions }));
        if (sources.All(item => Points(item).All(point => !kept.ContainsKey(point.Position) || positions.Contains(point.Position))))
        {
            var by = VaultKeys.Log(branch.Number, new LogEntry(run.Entries[0].First, run.Entries[^1].Last, 0));
            Condemn("rewritten more coarsely", by, sources.SelectMany(item => (PruneObject[])[item, .. item.Finer]));
            firsts.Add(positions.Min());
        }
        else
        {
            firsts.AddRange(sources.Where(item => item.Points.Count > 0).Select(Reach.First));
        }
    }

    /// <summary>What an earlier run rewrote and did not condemn, and what was merged and not removed.</summary>
    void Thin(PruneObject item)
    {
        var positions = item.Points.Select(point => point.Position).ToHashSet();
        if (item.Finer.Count > 0 && (item.IsLossless ? AgeOf(item.Points[^1]) > MergedRemoved : IsDue(item))
            && Points(item).All(point => !kept.ContainsKey(point.Position) || positions.Contains(point.Position)))
        {
            Condemn(
                item.IsLossless ? "merged into a larger object" : "rewritten more coarsely",
                VaultKeys.Log(branch.Number, item.Entry), item.Finer);
            firsts.Add(item.Points[0].Position);
        }
        else if (item.Points.Count > 0)
        {
            firsts.Add(Reach.First(item));
        }
    }

    void JudgeSnapshots()
    {
        var needed = firsts.Select(first => Reach.SnapshotBefore(branch, first)?.Position).ToHashSet();
        foreach (var (i, snapshot) in branch.Snapshots.Index())
        {
            // One of a cluster is offered when its log has come, which may be a day after it.
            var isNewest = branch.IsTimeline
                ? now - Micros.ToTime(snapshot.TimeMicros) < PruneWal.YoungAge
                : i == branch.Snapshots.Count - 1;
            var why = isNewest ? "the newest of its branch"
                : needed.Contains(snapshot.Position) ? "restore points are reached from it"
                : named.Contains(snapshot.Position) ? "a backup, a proven point or the beginning of a branch"
                : policy.Before is { } before && Micros.ToTime(snapshot.TimeMicros) >= before ? "no newer restore point is proven"
                : null;
            snapshots.Add((snapshot, why is not null, why ?? "no restore point is reached from it alone"));
            if (why is null)
            {
                var key = VaultKeys.Snapshot(branch.Number, snapshot.Position);
                condemned.Add(new CondemnedGroup("no restore point is reached from it alone", "", [key]));
                CondemnedBytes += snapshot.StoredBytes;
            }
        }
    }

    void Condemn(string reason, string by, IEnumerable<PruneObject> objects)
    {
        var all = objects.ToList();
        condemned.Add(new CondemnedGroup(reason, by, [.. all.SelectMany(item => item.KeysOn(branch.Number))]));
        CondemnedBytes += all.Sum(item => item.Entry.StoredBytes);
    }
}
