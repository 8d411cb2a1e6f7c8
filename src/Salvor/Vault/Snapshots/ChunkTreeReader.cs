using System.Runtime.CompilerServices;
using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>A leaf of a chunk tree.</summary>
/// <param name="Start">The first byte that it covers.</param>
/// <param name="Leaf">What it says.</param>
/// <param name="Self">What the node above says of it; nothing where it is the top.</param>
readonly record struct TreeLeaf(ulong Start, ChunkNode Leaf, ChunkEntry Self);

/// <summary>
/// Reads the nodes of a chunk tree: one way down to a place, or all leaves in order. Keeps the nodes that it read last. Not thread-safe.
/// </summary>
/// <param name="chunks">Reads them.</param>
/// <param name="top">The top, from the root object.</param>
sealed class ChunkTreeReader(ChunkReader chunks, ChunkNode top)
{
    const int NodesKept = 64;

    readonly RecentlyUsed<Hash256, ChunkNode> recent = new(NodesKept, _ => 1);

    /// <summary>The top of the tree.</summary>
    public ChunkNode Top => top;

    /// <summary>The node of this level that covers a byte, and the first byte that it covers.</summary>
    public async ValueTask<(ulong Start, ChunkNode Node)> FindAsync(int level, ulong offset, CancellationToken cancellationToken)
    {
        Invariant.Check(offset < top.Length && level <= top.Level);
        var (start, node) = (0UL, top);
        while (node.Level > level)
        {
            var entry = EntryAt(node, offset, ref start);
            node = (await ReadNodesAsync([entry], node.Level - 1, packsInFlight: 1, cancellationToken))[0];
        }

        return (start, node);
    }

    /// <summary>The entry for the node of this level that covers a byte; it is below the top.</summary>
    public async ValueTask<(ulong Start, ChunkEntry Entry)> FindEntryAsync(int level, ulong offset, CancellationToken cancellationToken)
    {
        var (start, parent) = await FindAsync(level + 1, offset, cancellationToken);
        var entry = EntryAt(parent, offset, ref start);
        return (start, entry);
    }

    /// <summary>
    /// All leaves in order, as many at once as one node above them names, from the one on that covers a byte.
    /// </summary>
    public async IAsyncEnumerable<IReadOnlyList<TreeLeaf>> LeavesAsync(
        int packsInFlight, [EnumeratorCancellation] CancellationToken cancellationToken, ulong from = 0)
    {
        if (top.Level == 0)
        {
            yield return [new TreeLeaf(0, top, default)];
            yield break;
        }

        for (var offset = from; offset < top.Length;)
        {
            (offset, var parent) = await FindAsync(1, offset, cancellationToken);
            var leaves = new List<TreeLeaf>();
            var nodes = await ReadNodesAsync(parent.Entries, level: 0, packsInFlight, cancellationToken);
            foreach (var (leaf, self) in nodes.Zip(parent.Entries))
            {
                leaves.Add(new TreeLeaf(offset, leaf, self));
                offset += leaf.Length;
            }

            yield return leaves;
        }
    }

    static ChunkEntry EntryAt(ChunkNode node, ulong offset, ref ulong start)
    {
        foreach (var entry in node.Entries)
        {
            if (offset - start < entry.Length)
            {
                return entry;
            }

            start += entry.Length;
        }

        throw new InvalidOperationException($"no entry covers byte {offset}");
    }

    async ValueTask<ChunkNode[]> ReadNodesAsync(
        IReadOnlyList<ChunkEntry> entries, int level, int packsInFlight, CancellationToken cancellationToken)
    {
        var nodes = new ChunkNode[entries.Count];
        var wanted = new List<WantedChunk>();
        for (var i = 0; i < nodes.Length; i++)
        {
            if (recent.TryGet(entries[i].Name, out var known))
            {
                nodes[i] = Checked(VaultKeys.Pack(entries[i].Pack), known, level, entries[i]);
            }
            else
            {
                wanted.Add(new WantedChunk(entries[i].Name, entries[i].Pack, Length: 0, (ulong)i));
            }
        }

        if (wanted.Count > 0)
        {
            await chunks.ReadAsync(
                wanted, packsInFlight,
                (key, frame, found) =>
                {
                    foreach (var (place, chunk) in found)
                    {
                        var node = ChunkNode.Read(key, frame.Slice((int)place.Offset, (int)place.Length));
                        nodes[(int)chunk.Id] = Checked(key, node, level, entries[(int)chunk.Id]);
                    }
                },
                cancellationToken);
        }

        for (var i = 0; i < nodes.Length; i++)
        {
            recent.Add(entries[i].Name, nodes[i]);
        }

        return nodes;
    }

    static ChunkNode Checked(string key, ChunkNode node, int level, ChunkEntry entry) =>
        node.Level == level && node.Length == entry.Length
            ? node
            : throw new DamagedObjectException(
                key, $"node {entry.Name} has level {node.Level} and {node.Length} bytes in place of {level} and {entry.Length}");
}
