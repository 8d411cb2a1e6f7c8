using System.Runtime.CompilerServices;
using Salvor.Storage;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

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

    /// <summary>Called now and then with the bytes that were read, from any thread.</summary>
    public Action<long>? Progressed { get; init; }
}

/// <summary>
/// Checks one copy of a vault: every object by itself, and that they fit together. It goes on after a damage, so that one run tells all
/// of them. Memory is bounded by the objects in flight, the names of the packs and a few numbers for each snapshot and branch.
/// </summary>
public sealed class VaultVerifier
{
    /// <summary>How many findings are kept; all are counted.</summary>
    const int FindingsMax = 1000;

    readonly VaultAccess vault;
    readonly VerifyOptions options;
    readonly List<(string Key, FindingLayer Layer, string What, Func<LostPoints, string> Consequence)> findings = [];
    readonly Dictionary<uint, BranchRecord> branches = [];
    readonly HashSet<Hash256> packs = [];
    readonly Dictionary<string, HashSet<SnapshotRef>> brokenPacks = [];
    readonly Dictionary<SnapshotRef, (ObjectHeader Header, Hash256 DetailsHash, bool IsImage)> snapshots = [];
    readonly HashSet<SnapshotRef> listedSnapshots = [];
    Sample sample;
    long findingCount;
    long objects;
    long objectsRead;
    long bytes;

    /// <param name="vault">The copy; its own copies elsewhere are not asked.</param>
    /// <param name="options">How much is read.</param>
    public VaultVerifier(VaultAccess vault, VerifyOptions options)
    {
        this.vault = vault.Copies.Count == 0 ? vault : vault.With([], fellThrough: null);
        (this.options, sample) = (options, options.Sample);
    }

    /// <summary>Checks everything once. Throws only where the destination itself does not work.</summary>
    public async Task<VerifyReport> RunAsync(CancellationToken cancellationToken)
    {
        if (sample.SizeBytes is not null)
        {
            sample = sample.For(await TotalBytesAsync(cancellationToken));
        }

        // Before the log is listed: what is stored from here on cannot look as if it were missing.
        var head = await FindHeadAsync(cancellationToken);
        await CheckRecordsAsync(cancellationToken);
        await CheckPacksAsync(cancellationToken);
        await CheckSnapshotsAsync(cancellationToken);
        var chain = await CheckLogAsync(cancellationToken);
        CheckHead(head, chain);
        await CheckNamesAsync(cancellationToken);
        return Report(chain);
    }

    bool IsWhole(string key) => !options.Quick && sample.Takes(key);

    async Task<long> TotalBytesAsync(CancellationToken cancellationToken)
    {
        var total = 0L;
        await foreach (var row in vault.ListAsync("", after: null, cancellationToken))
        {
            total += row.SizeBytes;
        }

        return total;
    }

    async Task<HeadEntry?> FindHeadAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await Heads.FindAsync(vault, cancellationToken);
        }
        catch (DamagedObjectException e)
        {
            Add(e.Key, FindingLayer.Head, e.What, _ => "a removal of the newest objects would not be noticed");
            return null;
        }
    }

    /// <summary>The identity, the branches and the claims.</summary>
    async Task CheckRecordsAsync(CancellationToken cancellationToken)
    {
        await foreach (var (row, failure) in EachAsync(
            VaultKeys.Identity,
            row => ObjectCheck.RecordAsync(
                vault, row.Key, ObjectKind.Vault, VaultJson.Default.VaultIdentity, misplaced: null, cancellationToken),
            cancellationToken))
        {
            Add(row.Key, failure.Failure, _ => LostPoints.Everything);
        }

        await foreach (var (row, (record, failure)) in EachAsync(
            VaultKeys.Branches, row => ReadBranchAsync(row.Key, cancellationToken), cancellationToken))
        {
            var number = TryNumberOf(row.Key);
            if (record is not null)
            {
                branches[(uint)number!.Value] = record;
            }

            Add(row.Key, failure, lost => number is { } known ? lost.OfBranch((uint)known) : LostPoints.Nothing);
        }

        await foreach (var (row, (_, failure)) in EachAsync(
            VaultKeys.Claims,
            row => ObjectCheck.RecordAsync(
                vault, row.Key, ObjectKind.Claim, VaultJson.Default.ClaimRecord,
                header => header.Epoch == VaultKeys.NumberOf(row.Key) ? null : $"it is claim {header.Epoch}, put in this place",
                cancellationToken),
            cancellationToken))
        {
            Add(row.Key, failure, _ => LostPoints.Nothing);
        }
    }

    async Task<BranchRecord> ReadBranchAsync(string key, CancellationToken cancellationToken)
    {
        var number = VaultKeys.NumberOf(key);
        var record = await ObjectCheck.RecordAsync(
            vault, key, ObjectKind.Branch, VaultJson.Default.BranchRecord,
            header => header.Branch == number ? null : $"it is branch {header.Branch}, put in this place",
            cancellationToken);
        return record.Parent < number && Hash256.TryParse(record.ForkLineage, out _)
            ? record
            : throw new DamagedObjectException(key, $"it claims to leave branch {record.Parent}, which it cannot");
    }

    async Task CheckPacksAsync(CancellationToken cancellationToken)
    {
        await foreach (var (row, (_, failure)) in EachAsync(
            VaultKeys.Packs,
            async row =>
            {
                await ObjectCheck.PackAsync(vault, row.Key, IsWhole(row.Key), cancellationToken);
                return true;
            },
            cancellationToken))
        {
            if (failure is not null)
            {
                NotePack(row.Key, failure);
            }
            else if (Hash256.TryParse(row.Key.AsSpan(VaultKeys.Packs.Length), out var name))
            {
                packs.Add(name);
            }
        }
    }

    /// <summary>A pack is told once, with all the snapshots that need it.</summary>
    HashSet<SnapshotRef> NotePack(string key, LayerException failure)
    {
        if (!brokenPacks.TryGetValue(key, out var users))
        {
            brokenPacks[key] = users = [];
            Add(key, failure, lost => lost.OfSnapshots(users));
        }

        return users;
    }

    async Task CheckSnapshotsAsync(CancellationToken cancellationToken)
    {
        await foreach (var row in vault.ListAsync(VaultKeys.Snapshots, after: null, cancellationToken))
        {
            if (TryNumberOf(row.Key) is { } position)
            {
                await CheckSnapshotAsync(
                    row, new SnapshotRef(VaultKeys.BranchOf(row.Key), new Position(position)), cancellationToken);
            }
        }
    }

    async Task CheckSnapshotAsync(ObjectInfo row, SnapshotRef snapshot, CancellationToken cancellationToken)
    {
        Count(row, whole: true);
        listedSnapshots.Add(snapshot);
        try
        {
            snapshots[snapshot] = await ObjectCheck.SnapshotAsync(vault, row.Key, snapshot, cancellationToken);
            using var reader = await SnapshotReader.OpenAsync(vault, snapshot, cancellationToken);
            await reader.CheckAsync((key, what) => NoteInSnapshot(row.Key, snapshot, key, what), cancellationToken);
            foreach (var pack in reader.Details.Packs.Concat(reader.Details.ListPacks).Where(pack => !packs.Contains(pack)))
            {
                if (brokenPacks.TryGetValue(VaultKeys.Pack(pack), out var users))
                {
                    users.Add(snapshot);
                }
            }
        }
        catch (LayerException e)
        {
            Add(row.Key, e, lost => lost.OfSnapshots([snapshot]));
        }
        catch (DamagedObjectException e)
        {
            NoteInSnapshot(row.Key, snapshot, e.Key, e.What);
        }
        catch (NewerFormatException e)
        {
            NoteInSnapshot(row.Key, snapshot, e.Key, e.Message);
        }
    }

    /// <summary>What is wrong with a snapshot may be the fault of one of its packs.</summary>
    void NoteInSnapshot(string snapshotKey, SnapshotRef snapshot, string key, string what)
    {
        var failure = new LayerException(FindingLayer.Chunk, new DamagedObjectException(key, what));
        if (key == snapshotKey)
        {
            Add(key, failure, lost => lost.OfSnapshots([snapshot]));
        }
        else
        {
            NotePack(key, failure).Add(snapshot);
        }
    }

    async Task<LogChain> CheckLogAsync(CancellationToken cancellationToken)
    {
        var byNumber = snapshots.ToLookup(item => (item.Key.Branch, item.Value.Header.Number));
        var chain = new LogChain(vault.Id, branches, (branch, number, position, layer, what) => Add(
            VaultKeys.Log(branch, number), layer, what, lost => lost.OfLog(branch, position, number)))
        {
            Linked = (branch, number, link) => CheckLinks(byNumber[(branch, number)], link),
        };
        await foreach (var (row, (log, failure)) in EachAsync(
            VaultKeys.Logs,
            row => ObjectCheck.LogAsync(
                vault, row.Key, VaultKeys.BranchOf(row.Key), VaultKeys.NumberOf(row.Key), IsWhole(row.Key), cancellationToken),
            cancellationToken))
        {
            if (TryNumberOf(row.Key) is not { } number)
            {
                Add(row.Key, failure, _ => LostPoints.Nothing);
                continue;
            }

            var branch = VaultKeys.BranchOf(row.Key);
            chain.Add(branch, number, log);
            var position = log?.Header.PositionFirst ?? chain.NextPosition;
            Add(row.Key, failure, lost => lost.OfLog(branch, position, number));
            if (log is { Details.Kind: LogKind.Base })
            {
                CheckImage(row.Key, branch, number, log);
            }
        }

        chain.End();
        return chain;
    }

    /// <summary>A snapshot stands in the log where it says.</summary>
    void CheckLinks(IEnumerable<KeyValuePair<SnapshotRef, (ObjectHeader Header, Hash256, bool)>> standing, Hash256 link)
    {
        foreach (var (snapshot, (header, _, _)) in standing)
        {
            if (header.LineageAfter != link)
            {
                Add(
                    VaultKeys.Snapshot(snapshot.Branch, snapshot.Position), FindingLayer.Lineage,
                    "its place in the log has another lineage", lost => lost.OfSnapshots([snapshot]));
            }
        }
    }

    /// <summary>A base completes the image that it names.</summary>
    void CheckImage(string key, uint branch, ulong number, LogObject log)
    {
        foreach (var (_, image) in snapshots.Where(item => item.Key.Branch == branch && item.Value.IsImage))
        {
            if (image.DetailsHash != log.Details.Snapshot)
            {
                Add(
                    key, FindingLayer.Lineage, "it completes another image than the one that is there",
                    lost => lost.OfLog(branch, log.Header.PositionFirst, number));
            }
        }
    }

    /// <summary>What else says that something should be there.</summary>
    void CheckHead(HeadEntry? head, LogChain chain)
    {
        if (head is not null && chain.LastNumbers.GetValueOrDefault(head.Branch) is var last && head.Number > last)
        {
            var position = chain.LastPositions.GetValueOrDefault(head.Branch) + 1;
            Add(
                VaultKeys.Log(head.Branch, last + 1), FindingLayer.Head,
                $"the newest objects were removed: number {head.Number} with position {head.Position} was stored",
                lost => $"restore points {position}-{head.Position} are gone");
        }

        foreach (var orphan in chain.LastNumbers.Keys.Where(number => !branches.ContainsKey(number)))
        {
            var key = VaultKeys.Branch(orphan);
            if (findings.All(item => item.Key != key))
            {
                Add(key, FindingLayer.Listing, "it is missing, and its log is there", lost => lost.OfBranch(orphan));
            }
        }

        foreach (var (number, record) in branches.Where(item => item.Value.Parent != 0 && !branches.ContainsKey(item.Value.Parent)))
        {
            var parent = record.Parent;
            Add(
                VaultKeys.Branch(parent), FindingLayer.Listing, $"it is missing, and branch {number} left it",
                lost => lost.OfBranch(parent));
        }
    }

    /// <summary>Keys that sort where nothing of Salvor is: they would hide what follows them.</summary>
    async Task CheckNamesAsync(CancellationToken cancellationToken)
    {
        foreach (var prefix in (string[])[VaultKeys.Branches, VaultKeys.Claims, VaultKeys.Snapshots])
        {
            await foreach (var row in vault.ListAsync(prefix, after: null, cancellationToken))
            {
                if (TryNumberOf(row.Key) is null && findings.All(item => item.Key != row.Key))
                {
                    Add(
                        row.Key, FindingLayer.Listing, "its name is not how Salvor writes one",
                        _ => "readers of the listing stop at it");
                }
            }
        }
    }

    VerifyReport Report(LogChain chain)
    {
        var known = branches.Select(item => new KnownBranch(
            item.Key, item.Value.Parent, item.Value.ForkPosition, chain.LastPositions.GetValueOrDefault(item.Key)));
        var orphans = chain.LastPositions.Where(item => !branches.ContainsKey(item.Key))
            .Select(item => new KnownBranch(item.Key, 0, 0, item.Value));
        var lost = new LostPoints([.. known, .. orphans], listedSnapshots);
        var newest = branches.Count == 0 ? 0 : branches.Keys.Max();
        return new VerifyReport
        {
            Destination = vault.Location,
            Objects = objects,
            ObjectsRead = objectsRead,
            Bytes = bytes,
            RestorePoints = chain.RestorePoints,
            Newest = new Position(chain.LastPositions.GetValueOrDefault(newest)),
            Branch = newest,
            Findings = [.. findings.Select(item =>
                new Finding(vault.Location, item.Key, item.Layer, item.What, item.Consequence(lost)))],
            FindingCount = findingCount,
        };
    }

    /// <summary>
    /// Each object below a prefix with what its check gave, in key order; a few are checked at a time, each on a thread of its own.
    /// </summary>
    async IAsyncEnumerable<(ObjectInfo Row, (T? Value, LayerException? Failure) Result)> EachAsync<T>(
        string prefix, Func<ObjectInfo, Task<T>> check, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var ahead = new Queue<(ObjectInfo Row, Task<(T?, LayerException?)> Result)>();
        await foreach (var row in vault.ListAsync(prefix, after: null, cancellationToken))
        {
            if (ahead.Count >= options.Parallelism)
            {
                var (done, result) = ahead.Dequeue();
                yield return (done, await result);
            }

            Count(row, IsWhole(row.Key));
            ahead.Enqueue((row, Task.Run(() => TryAsync(row, check), cancellationToken)));
        }

        while (ahead.TryDequeue(out var next))
        {
            yield return (next.Row, await next.Result);
        }
    }

    static async Task<(T? Value, LayerException? Failure)> TryAsync<T>(ObjectInfo row, Func<ObjectInfo, Task<T>> check)
    {
        try
        {
            return (await check(row), null);
        }
        catch (LayerException e)
        {
            return (default, e);
        }
        catch (DamagedObjectException e)
        {
            return (default, new LayerException(FindingLayer.Details, e));
        }
        catch (NewerFormatException e)
        {
            return (default, new LayerException(FindingLayer.Envelope, new DamagedObjectException(row.Key, e.Message)));
        }
    }

    void Count(ObjectInfo row, bool whole)
    {
        objects++;
        if (whole)
        {
            objectsRead++;
            bytes += row.SizeBytes;
            options.Progressed?.Invoke(bytes);
        }
    }

    void Add(string key, LayerException? failure, Func<LostPoints, string> consequence)
    {
        if (failure is not null)
        {
            Add(key, failure.Layer, failure.Damage.What, consequence);
        }
    }

    void Add(string key, FindingLayer layer, string what, Func<LostPoints, string> consequence)
    {
        findingCount++;
        if (findings.Count < FindingsMax)
        {
            findings.Add((key, layer, what, consequence));
        }
    }

    static ulong? TryNumberOf(string key)
    {
        try
        {
            return VaultKeys.NumberOf(key);
        }
        catch (DamagedObjectException)
        {
            return null;
        }
    }
}
