using Salvor.Vault.Format;
using Salvor.Vault.Wal;

namespace Salvor.Vault.Pruning;

/// <summary>A base backup, and the log without which it is none.</summary>
/// <param name="Id">Of the backup.</param>
/// <param name="Branch">The timeline that it was made on.</param>
/// <param name="Log">From the start of the segment in which its recovery begins up to where it is consistent.</param>
/// <param name="IsWhole">Whether all of that is listed.</param>
public readonly record struct WalUse(ulong Id, uint Branch, WalRange Log, bool IsWhole);

/// <summary>The log of a cluster, as a prune sees it.</summary>
/// <param name="Catalog">What is listed and not condemned.</param>
/// <param name="Uses">Of all backups.</param>
/// <param name="Young">The branches of which something was stored in the last day: a backup may be on its way there.</param>
/// <param name="Stop">Why nothing of the log may go, whatever the backups need; null where it may.</param>
public sealed record PruneWal(WalCatalog Catalog, IReadOnlyList<WalUse> Uses, IReadOnlySet<uint> Young, string? Stop)
{
    /// <summary>No backup takes longer, so what is stored for one is older only where it is offered, or never will be.</summary>
    public static readonly TimeSpan YoungAge = TimeSpan.FromHours(24);

    /// <summary>A server has no larger segments.</summary>
    const uint SegmentBytesMax = 1 << 30;

    /// <summary>The backups that cannot be made consistent, because log is missing.</summary>
    public IEnumerable<ulong> Broken => Uses.Where(use => !use.IsWhole).Select(use => use.Id).Concat(Hidden);

    /// <summary>The backups whose snapshots are not listed.</summary>
    public required IReadOnlyList<ulong> Hidden { get; init; }

    /// <summary>The newest backup from which the newest timeline is reached; null where there is none.</summary>
    public ulong? Leading => Catalog.Branches is [.., var newest] && Catalog.PathTo(newest.Number) is var path
        ? Uses.Where(use => use.IsWhole && path.Any(item => item.Branch.Number == use.Branch && use.Log.End <= item.Own.End))
            .Select(use => (ulong?)use.Id).Max()
        : null;

    /// <summary>Reads it: the log is listed after the backups that need it.</summary>
    /// <param name="catalog">The vault.</param>
    /// <param name="branches">With the snapshots of the backups.</param>
    /// <param name="backups">All.</param>
    /// <param name="now">The time.</param>
    /// <param name="cancellationToken">Ends it.</param>
    internal static async Task<PruneWal> ReadAsync(
        VaultCatalog catalog, IEnumerable<PruneBranch> branches, IReadOnlyList<BackupRecord> backups, DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        var (listed, young) = (new List<WalRef>(), new HashSet<uint>());
        await foreach (var row in catalog.Vault.ListAsync(VaultKeys.Wals, after: null, cancellationToken)
            .Where(row => !catalog.Condemned.Hides(row.Key)))
        {
            var entry = VaultKeys.WalOf(row.Key, row.SizeBytes);
            listed.Add(entry);
            if (now - row.StoredAt < YoungAge)
            {
                young.Add(entry.Branch);
            }
        }

        var log = WalCatalog.Of(catalog.Vault, [.. catalog.Branches], listed);
        var firsts = branches
            .SelectMany(branch => branch.Snapshots.Select(item => (branch.Number, item.Position, item.First)))
            .ToDictionary(item => new SnapshotRef(item.Number, item.Position), item => new Lsn(item.First.Value));
        var (uses, hidden, stop) = (new List<WalUse>(), new List<ulong>(), MissingBackup(catalog, backups));
        foreach (var backup in backups)
        {
            if (firsts.TryGetValue(new SnapshotRef(backup.Branch, new Position(backup.Position)), out var first))
            {
                uses.Add(await UseAsync(log, backup, first, cancellationToken));
            }
            else
            {
                hidden.Add(backup.Id);
                stop ??= $"backup {backup.Id} has no snapshot; run 'salvor repair' first";
            }
        }

        return new PruneWal(log, uses, young, stop) { Hidden = hidden };
    }

    /// <summary>An incomplete listing must not look as if an old backup were gone.</summary>
    static string? MissingBackup(VaultCatalog catalog, IReadOnlyList<BackupRecord> backups)
    {
        var known = catalog.Backups.Select(id => (id, id)).Concat(catalog.Condemned.BackupsGone)
            .Concat(backups.SelectMany(backup => backup.Before?.Gone ?? []).Select(range => (range.First, range.Last)));
        var missing = NumberRanges.Missing(known, catalog.Backups is [.., var last] ? last : 0).Select(range => range.First).Cast<ulong?>();
        return missing.FirstOrDefault() is { } id ? $"the record of backup {id} is missing; run 'salvor repair' first" : null;
    }

    static async Task<WalUse> UseAsync(WalCatalog log, BackupRecord backup, Lsn first, CancellationToken cancellationToken)
    {
        var needed = new WalRange(first, new Lsn(backup.Position));
        if (log.Cover(backup.Branch, needed with { End = first + 1 }) is not [var part, ..])
        {
            return new WalUse(backup.Id, backup.Branch, needed with { First = first.Floor(SegmentBytesMax) }, IsWhole: false);
        }

        // A server reads a segment from its start, wherever in it the recovery begins.
        var shape = await WalReader.ShapeAsync(log.Vault, part.Source, cancellationToken);
        needed = needed with { First = first.Floor(shape.SegmentBytes) };
        return new WalUse(backup.Id, backup.Branch, needed, log.Reach(backup.Branch, needed.First) >= needed.End);
    }
}

/// <summary>
/// What of the log of a cluster goes: of each timeline what is before all that a recovery from a kept backup can ask for, and timelines to
/// which none leads any more. Nothing after the oldest kept backup goes, and never a part of an object.
/// </summary>
sealed class WalPrune
{
    /// <summary>A record is one object: what is more goes the next time.</summary>
    const int KeysMax = 100_000;

    readonly PruneWal wal;
    readonly IReadOnlyList<WalUse> uses;
    readonly Dictionary<uint, (Lsn Start, ulong Backup)> starts = [];

    /// <param name="wal">The log.</param>
    /// <param name="isKept">Whether a backup stays.</param>
    public WalPrune(PruneWal wal, Predicate<ulong> isKept)
    {
        this.wal = wal;
        uses = [.. wal.Uses.Where(use => isKept(use.Id))];
        foreach (var branch in wal.Catalog.Branches)
        {
            AddStarts(wal.Catalog.PathTo(branch.Number));
        }

        var going = wal.Catalog.Branches.SelectMany(branch => wal.Catalog.Objects(branch.Number)).Where(Goes).Take(KeysMax)
            .GroupBy(entry => entry.Branch).ToDictionary(group => group.Key, group => group.ToList());
        foreach (var branch in wal.Catalog.Branches)
        {
            Add(branch, going.GetValueOrDefault(branch.Number) ?? []);
        }
    }

    public List<CondemnedGroup> Condemned { get; } = [];

    public List<PruneLine> Lines { get; } = [];

    public long CondemnedBytes { get; private set; }

    /// <summary>Whether nothing that is kept can ask for an object, be it listed or not.</summary>
    public bool Goes(WalRef entry) => wal.Stop is null && uses.Count > 0
        && (starts.TryGetValue(entry.Branch, out var known) ? entry.Range.End <= known.Start : IsAbandoned(entry.Branch));

    /// <summary>Where no backup leads, the next one may: on the newest timeline, and on one that is being written.</summary>
    bool IsAbandoned(uint branch) => wal.Catalog.Branches.Any(item => item.Number == branch)
        && branch != wal.Catalog.Branches[^1].Number && !wal.Young.Contains(branch);

    /// <summary>Where the log begins that recoveries along a path can ask for, of each timeline on it.</summary>
    void AddStarts(IReadOnlyList<(Branch Branch, WalRange Own)> path)
    {
        foreach (var use in uses.Where(use => path.Any(item => item.Branch.Number == use.Branch && use.Log.End <= item.Own.End)))
        {
            foreach (var (branch, own) in path.Where(item => use.Log.First < item.Own.End))
            {
                // What a timeline has from before it began belongs to its first segment, which a server wants whole.
                var start = own.First < use.Log.First ? use.Log.First : Lsn.None;
                if (!starts.TryGetValue(branch.Number, out var known) || start < known.Start)
                {
                    starts[branch.Number] = (start, use.Id);
                }
            }
        }
    }

    void Add(Branch branch, List<WalRef> going)
    {
        var gone = going.ToHashSet();
        var leads = starts.ContainsKey(branch.Number);
        var staying = wal.Catalog.Objects(branch.Number).Where(entry => !gone.Contains(entry)).ToList();
        var why = leads ? "no backup that is kept begins before its end" : "no backup that is kept leads to this timeline";
        if (going.Count > 0)
        {
            Condemned.Add(new CondemnedGroup(why, "", [.. going.Select(entry => entry.Key)]));
            CondemnedBytes += going.Sum(entry => entry.StoredBytes);
            Lines.Add(new PruneLine(Subject(branch, going), false, why));
        }

        if (staying.Count > 0)
        {
            Lines.Add(new PruneLine(Subject(branch, staying), true, WhyKept(branch.Number)));
        }
    }

    string WhyKept(uint branch) => wal.Stop
        ?? (starts.TryGetValue(branch, out var first)
            ? $"recoveries from backup {first.Backup} on need it"
            : "no backup leads here yet");

    static string Subject(Branch branch, List<WalRef> objects)
    {
        var range = new WalRange(objects[0].Range.First, objects.Max(entry => entry.Range.End));
        return $"log {range} of timeline {branch.Record.Timeline}, {objects.Count} object(s) with "
            + $"{objects.Sum(entry => entry.StoredBytes)} bytes";
    }
}
