using Salvor.Storage;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

namespace Salvor.Vault.Verify;

/// <summary>How much is read.</summary>
public sealed record VerifyOptions
{
    /// <summary>Headers, details and the chain only.</summary>
    public bool Quick { get; init; }

    /// <summary>Which objects are read whole, where not <see cref="Quick"/>.</summary>
    public Sample Sample { get; init; } = Sample.All;

    /// <summary>How many objects are read at a time.</summary>
    public int Parallelism { get; init; } = Math.Clamp(Environment.ProcessorCount, 1, 8);

    /// <summary>Told how much was read. Where it is set, what there is to read is listed first.</summary>
    public Action<WorkProgress>? Progressed { get; init; }
}

/// <summary>
/// Checks one copy of a vault: every object by itself, and that they fit together. It goes on after a damage, so that one run tells all
/// of them. Memory is bounded by the objects in flight, the names of the packs, the numbers of the log objects of a branch, and a few
/// numbers for each snapshot and branch.
/// </summary>
public sealed class VaultVerifier
{
    /// <summary>What a key that is none of Salvor's costs.</summary>
    internal const string Hiding = "readers of the listing stop at it";

    readonly VaultAccess vault;
    readonly VerifyRun run;
    readonly Dictionary<uint, BranchRecord> branches = [];
    readonly HashSet<Hash256> packs = [];
    readonly Dictionary<string, HashSet<SnapshotRef>> brokenPacks = [];
    readonly Dictionary<SnapshotRef, SnapshotFacts> snapshots = [];
    readonly HashSet<SnapshotRef> listedSnapshots = [];
    readonly SortedSet<ulong> trees = [];
    readonly List<WalNeed> needs = [];
    readonly HashSet<SnapshotRef> offered = [];
    Condemnations condemned = Condemnations.None;

    /// <param name="vault">The copy; its own copies elsewhere are not asked.</param>
    /// <param name="options">How much is read.</param>
    public VaultVerifier(VaultAccess vault, VerifyOptions options)
    {
        this.vault = vault.Alone();
        run = new VerifyRun(this.vault, options);
    }

    /// <summary>Checks everything once. Throws only where the destination itself does not work.</summary>
    public async Task<VerifyReport> RunAsync(CancellationToken cancellationToken)
    {
        await run.PrepareAsync(cancellationToken);

        // Before the log is listed: what is stored from here on cannot look as if it were missing.
        var head = await FindHeadAsync(cancellationToken);
        await CheckRecordsAsync(cancellationToken);
        await CheckKeysAsync(cancellationToken);

        await CheckCondemnedAsync(cancellationToken);

        // Backups and snapshots are listed before what they need, for the same reason.
        var backups = await vault.ListAsync(VaultKeys.Backups, after: null, cancellationToken)
            .Where(row => !condemned.Hides(row.Key)).ToListAsync(cancellationToken);
        var roots = await vault.ListAsync(VaultKeys.Snapshots, after: null, cancellationToken)
            .Where(row => !condemned.Hides(row.Key)).ToListAsync(cancellationToken);
        await CheckPacksAsync(cancellationToken);
        await CheckSnapshotsAsync(roots, cancellationToken);
        await CheckBackupsAsync(backups, head, cancellationToken);
        var log = new LogCheck(run, condemned, branches, snapshots);
        await log.RunAsync(cancellationToken);
        CheckHead(head, log.Chain);
        var wal = new WalCheck(run, condemned, branches);
        if (vault.Identity.IsPostgres)
        {
            // What is not offered yet may wait for its log.
            await wal.RunAsync([.. needs.Where(need => offered.Contains(need.Snapshot))], cancellationToken);
        }

        await CheckNamesAsync(cancellationToken);
        await run.LookBeneathAsync(cancellationToken);
        foreach (var key in run.Hidden.Where(key => !condemned.Hides(key) && !run.IsNamed(key)))
        {
            run.AddHidden(key);
        }

        return Report(log.Chain) with { WalGaps = wal.Gaps };
    }

    async Task<HeadEntry?> FindHeadAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await Heads.FindAsync(vault, cancellationToken);
        }
        catch (DamagedObjectException e) when (e.Key.StartsWith(VaultKeys.Claims, StringComparison.Ordinal))
        {
            // Told with the claims.
            return null;
        }
        catch (DamagedObjectException e)
        {
            run.Add(e.Key, FindingLayer.Head, e.What, _ => "a removal of the newest objects would not be noticed");
            return null;
        }
    }

    /// <summary>The identity, the branches and the claims.</summary>
    async Task CheckRecordsAsync(CancellationToken cancellationToken)
    {
        await foreach (var (row, (_, failure)) in run.EachAsync(
            VaultKeys.Identity, row => ObjectCheck.IdentityAsync(vault, row.Key, cancellationToken), cancellationToken))
        {
            run.Add(row.Key, failure, _ => LostPoints.Everything);
        }

        await foreach (var (row, (record, failure)) in run.EachAsync(
            VaultKeys.Branches, row => ObjectCheck.BranchAsync(vault, row.Key, cancellationToken), cancellationToken))
        {
            var number = VaultKeys.TryNumberOf(row.Key);
            if (record is not null)
            {
                branches[(uint)number!.Value] = record;
            }

            run.Add(row.Key, failure, lost => number is { } known ? lost.OfBranch((uint)known) : LostPoints.Nothing);
        }

        await foreach (var (row, (_, failure)) in run.EachAsync(
            VaultKeys.Claims, row => ObjectCheck.ClaimAsync(vault, row.Key, cancellationToken), cancellationToken))
        {
            run.Add(row.Key, failure, _ => LostPoints.Nothing);
        }
    }

    /// <summary>The key slots of an encrypted vault.</summary>
    async Task CheckKeysAsync(CancellationToken cancellationToken)
    {
        var slots = 0;
        await foreach (var (row, (_, failure)) in run.EachAsync(
            VaultKeys.KeySlots, row => ObjectCheck.KeyAsync(vault, row.Key, cancellationToken), cancellationToken))
        {
            slots += failure is null && row.Key != VaultKeys.KeyExported ? 1 : 0;
            run.Add(row.Key, failure, _ => row.Key == VaultKeys.KeyExported ? LostPoints.Nothing : "its secret opens this copy no more");
        }

        if (!vault.Secrets.IsPlain && slots == 0)
        {
            run.Add(
                VaultKeys.KeySlots, FindingLayer.Listing, "no key slot is there that could be read",
                _ => "only an exported key or another copy opens this one");
        }
    }

    /// <summary>
    /// What prunes condemned, and what became of it. Condemned objects are none of the vault any more: what is wrong with them is not told.
    /// </summary>
    async Task CheckCondemnedAsync(CancellationToken cancellationToken)
    {
        foreach (var prefix in (string[])[VaultKeys.Condemned, VaultKeys.Outcomes])
        {
            await foreach (var (row, (_, failure)) in run.EachAsync(
                prefix, row => ObjectCheck.CondemnedAsync(vault, row.Key, cancellationToken), cancellationToken))
            {
                run.Add(row.Key, failure, _ => "what was pruned on purpose may look as if it were missing");
            }
        }

        condemned = await Condemnations.LoadAsync(vault, cancellationToken);
    }

    /// <summary>The packs, and the records of where their chunks went.</summary>
    async Task CheckPacksAsync(CancellationToken cancellationToken)
    {
        await foreach (var (row, (_, failure)) in run.EachAsync(
            VaultKeys.Packs,
            async row =>
            {
                await ObjectCheck.PackAsync(vault, row.Key, run.IsWhole(row.Key), cancellationToken);
                return true;
            },
            cancellationToken))
        {
            if (failure is not null && !condemned.Hides(row.Key))
            {
                NotePack(row.Key, failure);
            }
            else if (failure is null && Hash256.TryParse(row.Key.AsSpan(VaultKeys.Packs.Length), out var name))
            {
                packs.Add(name);
            }
        }

        await foreach (var (row, (_, failure)) in run.EachAsync(
            VaultKeys.Moves, row => ObjectCheck.MoveAsync(vault, row.Key, cancellationToken), cancellationToken))
        {
            if (failure is not null)
            {
                NotePack(row.Key, failure);
            }
        }
    }

    /// <summary>A pack, or a record of a move, is told once, with all the snapshots that need it.</summary>
    HashSet<SnapshotRef> NotePack(string key, LayerException failure)
    {
        if (!brokenPacks.TryGetValue(key, out var users))
        {
            brokenPacks[key] = users = [];
            run.Add(key, failure, lost => lost.OfSnapshots(users));
        }

        return users;
    }

    async Task CheckSnapshotsAsync(IReadOnlyList<ObjectInfo> roots, CancellationToken cancellationToken)
    {
        var chunks = new ChunkTreeCheck(vault, packs, await MovesAsync(cancellationToken));
        foreach (var row in roots)
        {
            if (VaultKeys.TryNumberOf(row.Key) is { } position)
            {
                var snapshot = new SnapshotRef(VaultKeys.BranchOf(row.Key), new Position(position));
                await CheckSnapshotAsync(row, snapshot, chunks, cancellationToken);
            }
        }
    }

    /// <summary>Without those records that were found damaged, nothing is known of where chunks went.</summary>
    async Task<PackMoves> MovesAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await PackMoves.LoadAsync(vault, cancellationToken);
        }
        catch (DamagedObjectException)
        {
            return PackMoves.None;
        }
    }

    async Task CheckSnapshotAsync(ObjectInfo row, SnapshotRef snapshot, ChunkTreeCheck chunks, CancellationToken cancellationToken)
    {
        run.Count(row, whole: true);
        listedSnapshots.Add(snapshot);
        var (root, failure) = await VerifyRun.TryAsync(
            row.Key, () => ObjectCheck.SnapshotAsync(vault, row.Key, snapshot, cancellationToken));
        if (failure is not null)
        {
            run.Add(row.Key, failure, lost => lost.OfSnapshots([snapshot]));
            return;
        }

        var (header, hash, details) = root;
        snapshots[snapshot] = new SnapshotFacts(header.Number, header.LineageAfter, hash, details.IsImage);
        needs.Add(new WalNeed(snapshot, new WalRange(new Lsn(header.PositionFirst), new Lsn(header.PositionLast))));
        var damages = await chunks.RunAsync(row.Key, details, cancellationToken);
        foreach (var (key, what) in damages)
        {
            NoteInSnapshot(row.Key, snapshot, key, what);
        }

        if (details.Tree is not null && damages.Count == 0)
        {
            var (_, unsound) = await VerifyRun.TryAsync(row.Key, () => ExpectSoundAsync(snapshot, cancellationToken));
            run.Add(row.Key, unsound, lost => lost.OfSnapshots([snapshot]));
        }
    }

    async Task<bool> ExpectSoundAsync(SnapshotRef snapshot, CancellationToken cancellationToken)
    {
        var tree = await TreeSnapshot.OpenAsync(vault, snapshot, cancellationToken);
        await tree.ExpectSoundAsync(cancellationToken);
        return true;
    }

    async Task CheckBackupsAsync(IReadOnlyList<ObjectInfo> backups, HeadEntry? head, CancellationToken cancellationToken)
    {
        var chain = new BackupChain(condemned, head?.Backup ?? 0);
        await foreach (var (row, (read, failure)) in run.EachAsync(
            backups.ToAsyncEnumerable(), row => ObjectCheck.BackupAsync(vault, row.Key, cancellationToken), cancellationToken))
        {
            run.Add(row.Key, failure, _ => "this backup cannot be named; its restore point is there");
            if (VaultKeys.TryNumberOf(row.Key) is { } id)
            {
                chain.Add(id, failure is null ? read : null);
            }

            if (read.Record is { } record)
            {
                CheckSnapshotOf(row.Key, record);
            }
        }

        foreach (var (id, layer, what) in chain.Find())
        {
            run.Add(VaultKeys.Backup(id), layer, what, _ => "it cannot be named; its restore point stays as long as 'keep' keeps it");
        }
    }

    void CheckSnapshotOf(string key, BackupRecord record)
    {
        var snapshot = new SnapshotRef(record.Branch, new Position(record.Position));
        if (!listedSnapshots.Contains(snapshot))
        {
            run.Add(
                key, FindingLayer.Listing, $"its snapshot {VaultKeys.Snapshot(record.Branch, snapshot.Position)} is missing",
                _ => vault.Identity.IsTree ? "this backup cannot be restored from this copy" : "this backup is restored by the log alone");
        }
        else if (vault.Identity.IsTree)
        {
            trees.Add(record.Position);
            offered.Add(snapshot);
        }
    }

    /// <summary>What is wrong with a snapshot may be the fault of one of its packs.</summary>
    void NoteInSnapshot(string snapshotKey, SnapshotRef snapshot, string key, string what)
    {
        var failure = new LayerException(FindingLayer.Chunk, new DamagedObjectException(key, what));
        if (key == snapshotKey)
        {
            run.Add(key, failure, lost => lost.OfSnapshots([snapshot]));
        }
        else
        {
            NotePack(key, failure).Add(snapshot);
        }
    }

    /// <summary>What else says that something should be there.</summary>
    void CheckHead(HeadEntry? head, LogChain chain)
    {
        if (head is not null && chain.LastNumbers.GetValueOrDefault(head.Branch) is var last && head.Number > last)
        {
            var position = chain.LastPositions.GetValueOrDefault(head.Branch) + 1;
            run.Add(
                VaultKeys.Log(head.Branch, last + 1), FindingLayer.Head,
                $"the newest objects were removed: number {head.Number} with position {head.Position} was stored",
                lost => $"restore points {position}-{head.Position} are gone");
        }

        foreach (var orphan in chain.LastNumbers.Keys.Where(number => !branches.ContainsKey(number)))
        {
            var key = VaultKeys.Branch(orphan);
            if (!run.IsNamed(key))
            {
                run.Add(key, FindingLayer.Listing, "it is missing, and its log is there", lost => lost.OfBranch(orphan));
            }
        }

        foreach (var (number, record) in branches.Where(item => item.Value.Parent != 0 && !branches.ContainsKey(item.Value.Parent)))
        {
            var parent = record.Parent;
            run.Add(
                VaultKeys.Branch(parent), FindingLayer.Listing, $"it is missing, and branch {number} left it",
                lost => lost.OfBranch(parent));
        }
    }

    /// <summary>Keys that sort where nothing of Salvor is: they would hide what follows them.</summary>
    async Task CheckNamesAsync(CancellationToken cancellationToken)
    {
        foreach (var prefix in (string[])[VaultKeys.Branches, VaultKeys.Claims, VaultKeys.Snapshots, VaultKeys.Moves, VaultKeys.Backups,
            VaultKeys.Condemned, VaultKeys.Outcomes])
        {
            await foreach (var row in vault.ListAsync(prefix, after: null, cancellationToken))
            {
                if (VaultKeys.TryNumberOf(row.Key) is null && !run.IsNamed(row.Key))
                {
                    run.Add(
                        row.Key, FindingLayer.Listing, "its name is not how Salvor writes one",
                        _ => "readers of the listing stop at it");
                }
            }
        }
    }

    VerifyReport Report(LogChain chain)
    {
        var treeLast = vault.Identity.IsTree ? listedSnapshots.Select(item => item.Position.Value).DefaultIfEmpty().Max() : 0;
        var known = branches.Select(item => new KnownBranch(
            item.Key, item.Value.Parent, item.Value.ForkPosition, Math.Max(treeLast, chain.LastPositions.GetValueOrDefault(item.Key))));
        var orphans = chain.LastPositions.Where(item => !branches.ContainsKey(item.Key))
            .Select(item => new KnownBranch(item.Key, 0, 0, item.Value));
        var lost = new LostPoints([.. known, .. orphans], listedSnapshots);
        var newest = branches.Count == 0 ? 0 : branches.Keys.Max();
        return new VerifyReport
        {
            Destination = vault.Location,
            Objects = run.Objects,
            ObjectsRead = run.ObjectsRead,
            Bytes = run.Bytes,
            RestorePoints = chain.RestorePoints + (ulong)trees.Count,
            Newest = new Position(Math.Max(trees.Max, chain.LastPositions.GetValueOrDefault(newest))),
            Branch = newest,
            Findings = run.Findings(lost),
            FindingCount = run.FindingCount,
        };
    }
}
