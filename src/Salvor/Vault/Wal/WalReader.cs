using Salvor.Vault.Format;

namespace Salvor.Vault.Wal;

/// <summary>
/// Reads the log out of a vault: any range on the way to a branch, from as few objects as have it, each frame checked. An object that is
/// of no use is read from another copy, or its addresses from other objects.
/// </summary>
/// <param name="catalog">What there is.</param>
public sealed class WalReader(WalCatalog catalog) : IDisposable
{
    readonly HashSet<string> broken = [];
    WalObject? open;
    bool isReloaded;

    /// <summary>Reads a range on the way to a branch.</summary>
    public Task ReadAsync(uint branch, Lsn first, Memory<byte> target, CancellationToken cancellationToken) =>
        ReadAsync(range => catalog.Cover(branch, range, broken), branch, first, target, cancellationToken);

    /// <summary>Reads what a branch has itself.</summary>
    internal Task ReadOwnAsync(uint branch, Lsn first, Memory<byte> target, CancellationToken cancellationToken) =>
        ReadAsync(range => catalog.CoverOwn(branch, range, broken), branch, first, target, cancellationToken);

    /// <summary>
    /// A file of the log, as the server wants it: null where the vault holds nothing of it and nothing after it. The last one, which is not
    /// complete, is filled up with zeros. Throws where something of it is missing although later ones are there, be it on a timeline that
    /// was left later.
    /// </summary>
    public async Task<byte[]?> SegmentAsync(WalSegment segment, CancellationToken cancellationToken)
    {
        if (WalBranches.Find(catalog.Branches, segment.Timeline) is not { } branch
            || segment.Range.End.Value <= branch.Record.ForkPosition)
        {
            return null;
        }

        var (range, reach) = (segment.Range, catalog.Reach(branch.Number, segment.Range.First));
        var goesOn = catalog.EndOf(branch.Number) > reach || catalog.Branches.Any(other =>
            other.Number != branch.Number && catalog.EndOf(other.Number) > reach
            && catalog.PathTo(other.Number).Any(item => item.Branch.Number == branch.Number && item.Own.End > reach));
        if (reach < range.End && goesOn)
        {
            throw Missing(segment.Timeline, reach);
        }

        if (reach == range.First)
        {
            return null;
        }

        var bytes = new byte[segment.SizeBytes];
        var had = Lsn.Min(reach, range.End) - range.First;
        await ReadAsync(branch.Number, range.First, bytes.AsMemory(0, (int)had), cancellationToken);
        return bytes;
    }

    /// <summary>What an object says of the cluster.</summary>
    public static async Task<WalShape> ShapeAsync(VaultAccess vault, WalRef entry, CancellationToken cancellationToken)
    {
        using var stored = await WalObject.OpenAsync(vault, entry, whole: false, cancellationToken);
        return stored.Details.Shape;
    }

    /// <summary>
    /// Up to where a recovery gets that begins with the record at an address: a server reads the segment of that from its start. The
    /// address itself where nothing is there.
    /// </summary>
    public static async Task<Lsn> ReachAsync(WalCatalog catalog, uint branch, Lsn record, CancellationToken cancellationToken)
    {
        if (catalog.Cover(branch, new WalRange(record, record + 1)) is not [var part, ..])
        {
            return record;
        }

        var shape = await ShapeAsync(catalog.Vault, part.Source, cancellationToken);
        return catalog.Reach(branch, record.Floor(shape.SegmentBytes));
    }

    public void Dispose() => open?.Dispose();

    async Task ReadAsync(
        Func<WalRange, IReadOnlyList<WalPart>> cover, uint branch, Lsn first, Memory<byte> target, CancellationToken cancellationToken)
    {
        SalvorException? failure = null;
        var (at, end) = (first, first + target.Length);
        while (at < end)
        {
            var parts = cover(new WalRange(at, end));
            if (parts.Count == 0 && !await ReloadAsync(failure, cancellationToken))
            {
                throw failure ?? Missing(catalog.Branches.First(item => item.Number == branch).Record.Timeline ?? 0, at);
            }

            foreach (var (entry, range) in parts)
            {
                try
                {
                    var into = target.Slice((int)(range.First - first), (int)range.Length);
                    await (await OpenAsync(entry, range, cancellationToken)).ReadAsync(range, into, cancellationToken);
                    at = range.End;
                }
                catch (SalvorException e) when (StoredObject.IsBad(e))
                {
                    // Its addresses may be in others too.
                    failure ??= e;
                    broken.Add(entry.Key);
                    break;
                }
            }
        }
    }

    /// <summary>Once: what was listed may have been merged since, and removed.</summary>
    async Task<bool> ReloadAsync(SalvorException? failure, CancellationToken cancellationToken)
    {
        if (isReloaded || failure is not DamagedObjectException { IsMissing: true })
        {
            return false;
        }

        catalog = await WalCatalog.LoadAsync(catalog.Vault, cancellationToken);
        return isReloaded = true;
    }

    /// <summary>The object that was read last stays open: mostly it is read from one end to the other.</summary>
    async Task<WalObject> OpenAsync(WalRef entry, WalRange range, CancellationToken cancellationToken)
    {
        if (open?.Ref.Key != entry.Key)
        {
            open?.Dispose();
            open = null;
            open = await WalObject.OpenAsync(catalog.Vault, entry, whole: 2 * range.Length >= entry.Range.Length, cancellationToken);
        }

        return open;
    }

    SalvorException Missing(uint timeline, Lsn at) => new(
        FailureKind.NotRestorable,
        $"the log of timeline {timeline} is missing from {at} on in vault {catalog.Vault.Location}",
        "Recovery cannot get past that address from any backup before it: recover to a point before it, or take a backup that was made "
            + "after it.");
}
