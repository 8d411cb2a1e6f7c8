using Salvor.Vault.Format;

namespace Salvor.Vault.Compaction;

/// <summary>Reads pages of log objects in the order in which they lie there, holding one frame, and checks each.</summary>
sealed class SourcePages(VaultCatalog catalog, CompactedPages pages) : IDisposable
{
    readonly int pagesPerFrame = SealedFrame.ContentBytesMax / (int)pages.PageSize;
    readonly byte[] frame = new byte[SealedFrame.ContentBytesMax];
    StoredObject? stored;
    int openSource = -1;
    int openFrame = -1;

    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(SourcePage page, CancellationToken cancellationToken)
    {
        var source = pages.Sources[page.Source];
        if (openSource != page.Source)
        {
            stored?.Dispose();
            stored = null;
            stored = await catalog.OpenLogAsync(source.Key, whole: false, cancellationToken);
            (openSource, openFrame) = (page.Source, -1);
            if (stored.Frames.Count - 1 != source.FrameHashes.Count)
            {
                throw new DamagedObjectException(source.Key, "it changed while it was read");
            }
        }

        if (openFrame != page.Row / pagesPerFrame)
        {
            openFrame = page.Row / pagesPerFrame;
            var content = frame.AsMemory(0, (int)stored!.Frames[openFrame].ContentBytes);
            await stored.ReadFrameAsync(openFrame, content, cancellationToken);
            if (catalog.Vault.Secrets.NameOf(content.Span) != source.FrameHashes[openFrame])
            {
                throw new DamagedObjectException(source.Key, $"frame {openFrame} does not match its hash");
            }
        }

        var bytes = frame.AsMemory(page.Row % pagesPerFrame * (int)pages.PageSize, (int)pages.PageSize);
        return catalog.Vault.Hasher.Hash(page.Number, bytes.Span) == page.Hash
            ? bytes
            : throw new DamagedObjectException(source.Key, $"page {page.Number} does not match its hash");
    }

    public void Dispose() => stored?.Dispose();
}
