using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Sqlite.Snapshots;

/// <summary>
/// Reads frames of log objects that were replayed before, each checked against its hash. Keeps those that were used last. Not thread-safe.
/// </summary>
sealed class LogFrames(VaultCatalog catalog)
{
    const long FrameBytesKept = 32 << 20;
    const int ObjectsKept = 8;

    readonly RecentlyUsed<(Hash256 Object, int Frame), byte[]> frames = new(FrameBytesKept, frame => frame.Length);
    readonly RecentlyUsed<Hash256, LogObject> objects = new(ObjectsKept, _ => 1);

    /// <summary>The content of the page in this row of an object's pages; valid until the next call.</summary>
    /// <param name="source">The object; its link says that it is still the one that was replayed.</param>
    /// <param name="index">The row.</param>
    /// <param name="pageSize">The size of a page, in bytes.</param>
    /// <param name="cancellationToken">Ends the fetch.</param>
    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(
        (uint Branch, ulong Number, Hash256 LineageAfter) source, int index, uint pageSize, CancellationToken cancellationToken)
    {
        var perFrame = SealedFrame.ContentBytesMax / (int)pageSize;
        var key = (source.LineageAfter, index / perFrame);
        if (!frames.TryGet(key, out var frame))
        {
            frame = await FetchAsync(source, index / perFrame, cancellationToken);
            frames.Add(key, frame);
        }

        var offset = index % perFrame * (int)pageSize;
        return offset + pageSize <= frame.Length
            ? frame.AsMemory(offset, (int)pageSize)
            : throw new DamagedObjectException(VaultKeys.Log(source.Branch, source.Number), "a frame is shorter than its pages");
    }

    async Task<byte[]> FetchAsync(
        (uint Branch, ulong Number, Hash256 LineageAfter) source, int frame, CancellationToken cancellationToken)
    {
        var key = VaultKeys.Log(source.Branch, source.Number);
        if (!objects.TryGet(source.LineageAfter, out var log))
        {
            log = await catalog.ReadLogAsync(source.Branch, source.Number, cancellationToken);
            objects.Add(source.LineageAfter, log);
        }

        using var stored = await catalog.OpenLogAsync(source.Branch, source.Number, cancellationToken);
        if (log.Header.LineageAfter != source.LineageAfter || stored.Header.LineageAfter != source.LineageAfter)
        {
            throw new DamagedObjectException(key, "it changed while it was read");
        }

        var content = await stored.ReadFrameAsync(frame, cancellationToken);
        return catalog.Vault.Secrets.NameOf(content) == log.Details.FrameHashes[frame]
            ? content
            : throw new DamagedObjectException(key, $"frame {frame} does not match its hash");
    }
}
