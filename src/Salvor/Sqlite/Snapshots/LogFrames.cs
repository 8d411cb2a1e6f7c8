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
    /// <param name="source">The object; its proof says that it is still the one that was replayed.</param>
    /// <param name="index">The row.</param>
    /// <param name="pageSize">The size of a page, in bytes.</param>
    /// <param name="cancellationToken">Ends the fetch.</param>
    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(
        (string Key, Hash256 Proof) source, int index, uint pageSize, CancellationToken cancellationToken)
    {
        var perFrame = SealedFrame.ContentBytesMax / (int)pageSize;
        var key = (source.Proof, index / perFrame);
        if (!frames.TryGet(key, out var frame))
        {
            frame = await FetchAsync(source, index / perFrame, cancellationToken);
            frames.Add(key, frame);
        }

        var offset = index % perFrame * (int)pageSize;
        return offset + pageSize <= frame.Length
            ? frame.AsMemory(offset, (int)pageSize)
            : throw new DamagedObjectException(source.Key, "a frame is shorter than its pages");
    }

    async Task<byte[]> FetchAsync(
        (string Key, Hash256 Proof) source, int frame, CancellationToken cancellationToken)
    {
        var key = source.Key;
        using var stored = await catalog.OpenLogAsync(key, whole: false, cancellationToken);
        if (!objects.TryGet(source.Proof, out var log))
        {
            log = await catalog.ReadDetailsAsync(stored, cancellationToken);
            objects.Add(source.Proof, log);
        }

        if (log.Proof != source.Proof || log.Header != stored.Header)
        {
            throw new DamagedObjectException(key, "it changed while it was read");
        }

        var content = await stored.ReadFrameAsync(frame, cancellationToken);
        return catalog.Vault.Secrets.NameOf(content) == log.Details.FrameHashes[frame]
            ? content
            : throw new DamagedObjectException(key, $"frame {frame} does not match its hash");
    }
}
