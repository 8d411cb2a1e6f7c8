using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Trees;

namespace Salvor.Postgres.Backup;

/// <summary>
/// Content of chunks of the backup before, each checked against its name. Chunks lie beside each other in frames that are read as a whole,
/// so those that are wanted soon are read with the one that is wanted now.
/// </summary>
/// <param name="vault">Where it is.</param>
/// <param name="names">The names of the chunks.</param>
/// <param name="known">Knows in which packs they are.</param>
sealed class ParentContent(VaultAccess vault, ChunkSpill names, ContentWriter known) : IDisposable
{
    /// <summary>4 MiB of content.</summary>
    const int ChunksMax = 256;

    const int PacksInFlight = 2;

    /// <summary>Of which the list of places is kept.</summary>
    const int PacksKept = 8;

    readonly RecentPacks recent = new(PacksKept, isSparse: true);
    readonly Dictionary<long, int> slots = [];
    byte[] buffer = [];
    ChunkReader? reader;

    /// <summary>A chunk, valid up to the next call. What is behind its end is of other chunks.</summary>
    /// <param name="chunk">Its number.</param>
    /// <param name="soon">Chunks that are wanted after it.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(long chunk, IEnumerable<long> soon, CancellationToken cancellationToken)
    {
        if (!slots.ContainsKey(chunk))
        {
            await LoadAsync(soon.Prepend(chunk).Distinct().Take(ChunksMax), cancellationToken);
        }

        return buffer.AsMemory(slots[chunk] * ContentChunker.DatabaseBytes, ContentChunker.DatabaseBytes);
    }

    public void Dispose()
    {
        if (buffer.Length > 0)
        {
            Buffers.Return(buffer);
        }

        recent.Dispose();
    }

    async Task LoadAsync(IEnumerable<long> chunks, CancellationToken cancellationToken)
    {
        slots.Clear();
        buffer = buffer.Length > 0 ? buffer : Buffers.Rent(ChunksMax * ContentChunker.DatabaseBytes);
        reader ??= new ChunkReader(vault, recent);
        var wanted = new List<WantedChunk>();
        foreach (var chunk in chunks)
        {
            var entry = names.Read(chunk, 1)[0];
            var pack = await known.PackOfAsync(entry.Name, cancellationToken);
            Invariant.Check(pack is not null);
            wanted.Add(new WantedChunk(entry.Name, pack!.Value, (uint)entry.Length, (ulong)wanted.Count));
            slots[chunk] = wanted.Count - 1;
        }

        await reader.ReadAsync(
            wanted, PacksInFlight,
            (_, frame, found) =>
            {
                foreach (var (place, chunk) in found)
                {
                    frame.Slice((int)place.Offset, (int)place.Length)
                        .CopyTo(buffer.AsSpan((int)chunk.Id * ContentChunker.DatabaseBytes));
                }
            },
            cancellationToken);
    }
}
