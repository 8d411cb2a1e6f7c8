using Salvor.Vault.Format;

namespace Salvor.Vault.Wal;

/// <summary>
/// Stores the log of one timeline: each range as objects of its own, whoever else stores the same. What is stored already is a success
/// where it is equal to the byte, and otherwise a <see cref="WalConflictException"/>.
/// </summary>
/// <param name="vault">The vault.</param>
/// <param name="branch">Of the timeline, from <see cref="WalBranches.EnsureAsync"/>.</param>
/// <param name="timeline">The timeline.</param>
/// <param name="shape">Of the cluster.</param>
public sealed class WalWriter(VaultAccess vault, uint branch, uint timeline, WalShape shape)
{
    readonly List<WalEvent> events = [];
    WalRecords? records;
    Lsn readFrom;
    WalProblem? problem;
    Lsn listedBlock = new(ulong.MaxValue);
    IReadOnlyList<WalRef> listed = [];

    /// <summary>
    /// Where what was stored first is no log that a recovery can read; null where it is. It is stored nevertheless: it is what the server
    /// has.
    /// </summary>
    public WalProblem? Problem => problem ?? records?.Problem;

    /// <summary>After the last whole record of what was stored; <see cref="Lsn.None"/> where that is not known.</summary>
    public Lsn WholeEnd => records?.WholeEnd ?? Lsn.None;

    /// <summary>How many bytes of objects were stored.</summary>
    public long StoredBytes { get; private set; }

    /// <summary>Stores a range. Its records are known whole where it continues what this writer stored before. Returns how many objects
    /// were made.</summary>
    /// <param name="first">The address of the first byte.</param>
    /// <param name="bytes">Not empty.</param>
    /// <param name="firstAt">When the first of them was had, by the wall clock.</param>
    /// <param name="lastAt">When the last of them was had.</param>
    /// <param name="cancellationToken">Ends it between two objects.</param>
    public async Task<int> StoreAsync(
        Lsn first, ReadOnlyMemory<byte> bytes, DateTimeOffset firstAt, DateTimeOffset lastAt, CancellationToken cancellationToken)
    {
        var range = new WalRange(first, first + bytes.Length);
        Read(range, bytes.Span);
        var made = 0;
        for (var at = first; at < range.End;)
        {
            var part = WalRange.BlockOf(at).Within(range);
            var content = bytes.Slice((int)(part.First - first), (int)part.Length);
            made += await StoreObjectAsync(part, content, firstAt, lastAt, cancellationToken) ? 1 : 0;
            at = part.End;
        }

        // A block may be stored once more, as a whole.
        var block = WalRange.BlockOf(new Lsn(range.End.Value - 1));
        events.RemoveAll(item => item.End <= block.First);
        return made;
    }

    /// <summary>Reads what is stored already, so that the records across the seam to what follows are known whole.</summary>
    public void Skip(Lsn first, ReadOnlySpan<byte> bytes) => Read(new WalRange(first, first + bytes.Length), bytes);

    /// <summary>Reads what was not read yet, and refuses what does not belong here.</summary>
    void Read(WalRange range, ReadOnlySpan<byte> bytes)
    {
        if (records is null || range.First < readFrom || range.First > records.Position)
        {
            events.Clear();
            (records, readFrom) = (new WalRecords(shape, timeline, range.First, events.Add), range.First);
        }

        for (var at = Lsn.Min(records.Position, range.End); at < range.End;)
        {
            var end = Lsn.Min(at.Floor(shape.SegmentBytes) + shape.SegmentBytes, range.End);
            records.Add(bytes[(int)(at - range.First)..(int)(end - range.First)]);
            ExpectOwn(records.Problem);
            at = end;
            if (records.HasEnded && at.Value % shape.SegmentBytes == 0)
            {
                // What follows may still be searched, and the index has to know it.
                problem ??= records.Problem;
                records = new WalRecords(shape, timeline, at, events.Add);
            }
        }
    }

    void ExpectOwn(WalProblem? found)
    {
        if (found is { IsForeign: true } foreign)
        {
            throw new SalvorException(
                FailureKind.Integrity,
                $"the log at {foreign.At} does not belong to timeline {timeline} of vault {vault.Location}: {foreign.What}",
                "Nothing of it was stored. Look which server it comes from, and whether its file was cut or overwritten.");
        }
    }

    async Task<bool> StoreObjectAsync(
        WalRange range, ReadOnlyMemory<byte> content, DateTimeOffset firstAt, DateTimeOffset lastAt, CancellationToken cancellationToken)
    {
        await CompareBlockAsync(range, content, cancellationToken);
        var index = WalIndex.Of(events, range);
        var isNew = await PutAsync(
            vault, new WalRef(branch, range), content, new WalDetails(shape, timeline, [], index), (firstAt, lastAt), Count,
            cancellationToken);
        if (!isNew)
        {
            await CompareAsync(new WalRef(branch, range), range, content, cancellationToken);
        }

        return isNew;
    }

    void Count(long bytes) => StoredBytes += bytes;

    /// <summary>Makes an object; false where its key is taken.</summary>
    /// <param name="details">Without the hashes of the frames.</param>
    internal static async Task<bool> PutAsync(
        VaultAccess vault, WalRef entry, ReadOnlyMemory<byte> content, WalDetails details,
        (DateTimeOffset First, DateTimeOffset Last) times, Action<long>? stored, CancellationToken cancellationToken)
    {
        var hashes = new List<Hash256>();
        using var writer = vault.NewObject((content.Length / 2) + (16 << 10));
        for (var start = 0; start < content.Length; start += SealedFrame.ContentBytesMax)
        {
            var part = content.Span.Slice(start, Math.Min(SealedFrame.ContentBytesMax, content.Length - start));
            var frame = SealedFrame.Seal(part, vault.Compression);
            writer.Add(frame);
            frame.Release();
            hashes.Add(vault.Secrets.NameOf(part));
        }

        var header = new ObjectHeader
        {
            Kind = ObjectKind.Wal,
            VaultId = vault.Id,
            Branch = entry.Branch,
            PositionFirst = entry.Range.First.Value,
            PositionLast = entry.Range.End.Value,
            TimeFirstMicros = Micros.Of(times.First),
            TimeLastMicros = Micros.Of(times.Last),
        };
        var (bytes, _) = writer.Finish(header, (details with { FrameHashes = hashes }).ToBytes().Span);
        if (!await vault.PutAsync(entry.Key, bytes, cancellationToken))
        {
            return false;
        }

        stored?.Invoke(bytes.Length);
        return true;
    }

    /// <summary>Compares with what was in a block when it was met first: other ranges of the same addresses.</summary>
    async Task CompareBlockAsync(WalRange range, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var block = WalRange.BlockOf(range.First);
        if (listedBlock != block.First)
        {
            (listed, listedBlock) = (await ListAsync(block, cancellationToken), block.First);
        }

        foreach (var entry in listed.Where(entry => entry.Range != range && !entry.Range.Within(range).IsEmpty))
        {
            var common = entry.Range.Within(range);
            try
            {
                await CompareAsync(
                    entry, common, content.Slice((int)(common.First - range.First), (int)common.Length), cancellationToken);
            }
            catch (DamagedObjectException)
            {
                // It was merged since, or is of no use: a verification tells it, and what is stored now takes its place.
            }
        }
    }

    async Task<IReadOnlyList<WalRef>> ListAsync(WalRange block, CancellationToken cancellationToken)
    {
        // The keys of a block are all between that of its first address and that of the next block.
        var from = VaultKeys.Wal(branch, block with { End = block.First });
        var to = VaultKeys.Wal(branch, block with { First = block.End });
        var found = new List<WalRef>();
        await foreach (var row in vault.ListAsync(VaultKeys.WalsOf(branch), from, cancellationToken))
        {
            if (string.CompareOrdinal(row.Key, to) >= 0)
            {
                break;
            }

            found.Add(VaultKeys.WalOf(row.Key, row.SizeBytes));
        }

        return found;
    }

    async Task CompareAsync(WalRef entry, WalRange part, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        using var stored = await WalObject.OpenAsync(vault, entry, whole: true, cancellationToken);
        var there = new byte[content.Length];
        await stored.ReadAsync(part, there, cancellationToken);
        var same = there.AsSpan().CommonPrefixLength(content.Span);
        if (same < there.Length || stored.Details.Timeline != timeline || stored.Details.Shape != shape)
        {
            throw new WalConflictException(vault.Location, timeline, part.First + Math.Min(same, there.Length - 1));
        }
    }
}
