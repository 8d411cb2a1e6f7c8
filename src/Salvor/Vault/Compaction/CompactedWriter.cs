using Salvor.Vault.Format;

namespace Salvor.Vault.Compaction;

/// <summary>Writes a compacted object, in parts where it is large; the one that completes it comes last.</summary>
sealed class CompactedWriter(VaultCatalog catalog, ObjectHeader header, LogEntry entry, CompactedPages pages)
{
    /// <summary>A part holds about so much. With its details and those of the last part it stays below the limit of an object.</summary>
    const int PartBytes = 6 << 20;

    const int PartPages = 1 << 17;
    const uint PartNumberMax = 9999;

    readonly byte[] frame = new byte[SealedFrame.ContentBytesMax / (int)pages.PageSize * (int)pages.PageSize];
    readonly List<LogPart> parts = [];
    readonly List<Hash256> frameHashes = [];
    readonly List<PageEntry> rows = [];
    int frameBytes;
    long storedBytes;

    public async Task<LogEntry> WriteAsync(CancellationToken cancellationToken)
    {
        using var source = new SourcePages(catalog, pages);
        var writer = catalog.Vault.NewObject(PartBytes);
        try
        {
            foreach (var page in pages.Pages)
            {
                (await source.ReadAsync(page, cancellationToken)).CopyTo(frame.AsMemory(frameBytes));
                frameBytes += (int)pages.PageSize;
                rows.Add(new PageEntry(page.Number, page.Hash));
                if (frameBytes < frame.Length)
                {
                    continue;
                }

                Seal(writer);
                if (writer.LengthBytes >= PartBytes || rows.Count >= PartPages)
                {
                    await PutPartAsync(writer, cancellationToken);
                    writer.Dispose();
                    writer = catalog.Vault.NewObject(PartBytes);
                }
            }

            Seal(writer);
            await PutLastAsync(writer, cancellationToken);
            return entry with { StoredBytes = storedBytes };
        }
        finally
        {
            writer.Dispose();
        }
    }

    void Seal(ObjectWriter writer)
    {
        if (frameBytes > 0)
        {
            var content = frame.AsSpan(0, frameBytes);
            frameHashes.Add(catalog.Vault.Secrets.NameOf(content));
            var sealedFrame = SealedFrame.Seal(content, catalog.Vault.Compression);
            writer.Add(sealedFrame);
            sealedFrame.Release();
            frameBytes = 0;
        }
    }

    async Task PutPartAsync(ObjectWriter writer, CancellationToken cancellationToken)
    {
        var details = Details() with { Final = false };
        var content = details.ToBytes();
        var (bytes, _) = writer.Finish(header with { Log = LogSummary.Of(details) }, content.Span);

        // What another attempt left under a number may be something else, for other kept commits. Then this part has the next number.
        for (var number = parts.Count == 0 ? 1 : parts[^1].Number + 1; number <= PartNumberMax; number++)
        {
            if (await PutAsync(VaultKeys.LogPart(header.Branch, entry, number), bytes, cancellationToken))
            {
                parts.Add(new LogPart(number, catalog.Vault.Secrets.NameOf(content.Span)));
                frameHashes.Clear();
                rows.Clear();
                return;
            }
        }

        throw new SalvorException(
            FailureKind.Integrity,
            $"{PartNumberMax} parts of {VaultKeys.Log(header.Branch, entry)} are left over in vault {catalog.Vault.Location}",
            "Run 'salvor prune' to remove what nothing needs.");
    }

    async Task PutLastAsync(ObjectWriter writer, CancellationToken cancellationToken)
    {
        var details = Details() with
        {
            Final = true,
            Kind = pages.Kind,
            Reason = pages.Reason,
            Snapshot = pages.Snapshot,
            Granularity = pages.Granularity,
            ChecksumAfter = pages.Last!.ChecksumAfter,
            Commits = pages.Commits,
            Positions = IsDense ? [] : pages.Positions,
            Breaks = pages.Breaks,
            Parts = parts,
        };
        var (bytes, _) = writer.Finish(header with { Log = LogSummary.Of(details) }, details.ToBytes().Span);
        var key = VaultKeys.Log(header.Branch, entry);
        if (!await PutAsync(key, bytes, cancellationToken))
        {
            await ExpectRivalAsync(key, cancellationToken);
        }
    }

    bool IsDense => (ulong)pages.Positions.Count == header.PositionLast - header.PositionFirst + 1;

    LogDetails Details() => new()
    {
        Kind = LogKind.Commits,
        Final = false,
        PageSize = pages.PageSize,
        FirstPart = entry.First,
        ChecksumBefore = pages.ChecksumBefore,
        ChecksumAfter = pages.ChecksumBefore,
        Cursor = pages.Last!.Cursor,
        Inode = pages.Last.Inode,
        InodeBirth = pages.Last.InodeBirth,
        Reason = "",
        Snapshot = default,
        FrameHashes = [.. frameHashes],
        Commits = [],
        Pages = [.. rows],
        FirstNumber = entry.First,
    };

    /// <summary>Stores an object and reads it back; false where something else has the key.</summary>
    async Task<bool> PutAsync(string key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var isNew = await catalog.Vault.PutAsync(key, bytes, cancellationToken);
        if (await catalog.Vault.HoldsAsync(key, bytes, cancellationToken))
        {
            storedBytes += bytes.Length;
            return true;
        }

        return isNew ? throw new DamagedObjectException(key, "it is not what was just written") : false;
    }

    /// <summary>A rival made an object of the same numbers: with another version of the compressor, or with other commits kept.</summary>
    async Task ExpectRivalAsync(string key, CancellationToken cancellationToken)
    {
        var rival = await catalog.ReadLogAsync(key, cancellationToken);
        var all = await catalog.ReadPartsAsync(rival, cancellationToken);
        var theirs = rival.Header;
        if (theirs.LineageBefore != header.LineageBefore || theirs.LineageAfter != header.LineageAfter
            || theirs.PositionFirst != header.PositionFirst || theirs.PositionLast != header.PositionLast
            || rival.Details.ChecksumAfter != pages.Last!.ChecksumAfter)
        {
            throw new DamagedObjectException(key, "it is not made of the objects whose numbers it covers");
        }

        storedBytes = all.Sum(part => part.StoredBytes);
    }
}
