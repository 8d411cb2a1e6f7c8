using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Trees;

namespace Salvor.Vault.Verify;

/// <summary>What keeps a part of a tree from being read: the object at fault, and what is wrong with it.</summary>
readonly record struct TreeDamage(string Key, string What);

/// <summary>What lies below a node: the XOR of its page hashes, and what is damaged there.</summary>
sealed record TreeState(ulong Checksum, IReadOnlyList<TreeDamage> Damages);

/// <summary>
/// Checks that every chunk and node that the trees of snapshots name can be found. Packs that were found good are believed their lists of
/// chunks; only of others the chunks themselves are read. What several snapshots share is looked at once. Memory is bounded by the
/// nodes and lists that are kept.
/// </summary>
/// <param name="vault">The copy.</param>
/// <param name="goodPacks">The packs that were found good.</param>
/// <param name="moves">Where chunks went.</param>
sealed class ChunkTreeCheck(VaultAccess vault, IReadOnlySet<Hash256> goodPacks, PackMoves moves)
{
    const int NodesKept = 200_000;
    const long ChunksKept = 500_000;
    const int DamagesMax = 1000;

    readonly ChunkReader chunks = new(vault);
    readonly RecentlyUsed<Hash256, TreeState> seen = new(NodesKept, _ => 1);
    readonly RecentlyUsed<Hash256, Dictionary<Hash256, uint>> lists = new(ChunksKept, list => list.Count + 1);

    /// <summary>Checks one snapshot.</summary>
    /// <param name="key">Its root.</param>
    /// <param name="root">What the root says.</param>
    public async Task<IReadOnlyList<TreeDamage>> RunAsync(string key, SnapshotRoot root, CancellationToken cancellationToken)
    {
        var damages = new List<TreeDamage>();
        var sum = 0UL;
        foreach (var top in root.Tops)
        {
            var state = await NodeAsync(key, root.Database, start: 0, top, cancellationToken);
            sum ^= state.Checksum;
            Note(damages, state.Damages);
        }

        return damages.Count == 0 && root.Database is { } database && sum != database.Checksum
            ? [new TreeDamage(key, "its page hashes do not add up to its checksum")]
            : damages;
    }

    async Task<TreeState> NodeAsync(
        string key, SnapshotDetails? details, ulong start, ChunkNode node, CancellationToken cancellationToken)
    {
        if (node.Level == 0)
        {
            return await LeafAsync(key, details, start, node, cancellationToken);
        }

        var states = node.Entries.Select(entry => seen.TryGet(entry.Name, out var known) ? known : null).ToArray();
        var nodes = await ReadNodesAsync(node.Entries.Where((_, i) => states[i] is null), cancellationToken);
        var (sum, damages) = (0UL, new List<TreeDamage>());
        for (var i = 0; i < states.Length; i++)
        {
            var entry = node.Entries[i];
            if (states[i] is not { } state)
            {
                state = await BelowAsync(key, details, start, node.Level, entry, nodes[entry.Name], cancellationToken);
                seen.Add(entry.Name, state);
            }

            sum ^= state.Checksum;
            Note(damages, state.Damages);
            start += entry.Length;
        }

        return new TreeState(sum, damages);
    }

    async Task<TreeState> BelowAsync(
        string key, SnapshotDetails? details, ulong start, int level, ChunkEntry entry, (ChunkNode? Node, TreeDamage Damage) read,
        CancellationToken cancellationToken) => read.Node switch
    {
        null => new TreeState(0, [read.Damage]),
        { } node when node.Level != level - 1 || node.Length != entry.Length => new TreeState(
            0, [new TreeDamage(VaultKeys.Pack(entry.Pack), $"node {entry.Name} is another than the one that should be there")]),
        { } node => await NodeAsync(key, details, start, node, cancellationToken),
    };

    async Task<TreeState> LeafAsync(
        string key, SnapshotDetails? details, ulong start, ChunkNode leaf, CancellationToken cancellationToken)
    {
        var damages = new List<TreeDamage>();
        try
        {
            details?.ExpectShape(key, start, leaf);
        }
        catch (DamagedObjectException e)
        {
            damages.Add(new TreeDamage(e.Key, e.What));
        }

        foreach (var pack in leaf.Entries.GroupBy(entry => entry.Pack))
        {
            IReadOnlyList<ChunkEntry> doubtful = [.. pack];
            foreach (var place in moves.Of(pack.Key).Prepend(pack.Key).Where(goodPacks.Contains))
            {
                if (doubtful.Count > 0 && await ListOfAsync(place, cancellationToken) is { } list)
                {
                    doubtful = [.. doubtful.Where(entry => !list.TryGetValue(entry.Name, out var length) || length != entry.Length)];
                }
            }

            var wanted = doubtful.Select(entry => new WantedChunk(entry.Name, entry.Pack, (uint)entry.Length, 0)).ToList();
            if (wanted.Count > 0 && await TryReadAsync(wanted, (_, _, _) => { }, cancellationToken) is { } damage)
            {
                Note(damages, [damage]);
            }
        }

        return new TreeState(leaf.PageHashes.Aggregate(0UL, (sum, hash) => sum ^ hash), damages);
    }

    /// <summary>The nodes that these entries name: all at once, and one by one where one of them is nowhere.</summary>
    async Task<Dictionary<Hash256, (ChunkNode? Node, TreeDamage Damage)>> ReadNodesAsync(
        IEnumerable<ChunkEntry> entries, CancellationToken cancellationToken)
    {
        var nodes = new Dictionary<Hash256, (ChunkNode? Node, TreeDamage Damage)>();
        var wanted = entries.DistinctBy(entry => entry.Name)
            .Select(entry => new WantedChunk(entry.Name, entry.Pack, Length: 0, 0)).ToList();
        if (wanted.Count == 0 || await TryReadAsync(wanted, Take, cancellationToken) is null)
        {
            return nodes;
        }

        foreach (var chunk in wanted.Where(chunk => !nodes.ContainsKey(chunk.Name)))
        {
            if (await TryReadAsync([chunk], Take, cancellationToken) is { } damage)
            {
                nodes[chunk.Name] = (null, damage);
            }
        }

        return nodes;

        void Take(string key, ReadOnlySpan<byte> frame, IReadOnlyList<(ChunkPlace Place, WantedChunk Chunk)> found)
        {
            foreach (var (place, chunk) in found)
            {
                nodes[chunk.Name] = (ChunkNode.Read(key, frame.Slice((int)place.Offset, (int)place.Length)), default);
            }
        }
    }

    async Task<TreeDamage?> TryReadAsync(List<WantedChunk> wanted, FrameHandler handler, CancellationToken cancellationToken)
    {
        try
        {
            await chunks.ReadAsync(wanted, packsInFlight: 1, handler, cancellationToken);
            return null;
        }
        catch (DamagedObjectException e)
        {
            return new TreeDamage(e.Key, e.What);
        }
        catch (NewerFormatException e)
        {
            return new TreeDamage(VaultKeys.Pack(wanted[0].Pack), e.Message);
        }
    }

    /// <summary>The lengths of the chunks of a good pack by their names; null where it cannot be read any more.</summary>
    async Task<Dictionary<Hash256, uint>?> ListOfAsync(Hash256 pack, CancellationToken cancellationToken)
    {
        if (lists.TryGet(pack, out var known))
        {
            return known;
        }

        try
        {
            var places = await ChunkPlace.ReadAsync(vault, pack, cancellationToken);
            var list = places.ToDictionary(item => item.Key, item => item.Value.Length);
            lists.Add(pack, list);
            return list;
        }
        catch (DamagedObjectException)
        {
            // Whoever needs a chunk of it is told when that is read.
            return null;
        }
    }

    static void Note(List<TreeDamage> damages, IEnumerable<TreeDamage> more)
    {
        foreach (var damage in more)
        {
            if (damages.Count < DamagesMax && damages.All(item => item.Key != damage.Key))
            {
                damages.Add(damage);
            }
        }
    }
}
