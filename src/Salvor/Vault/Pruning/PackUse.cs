using System.Buffers.Binary;
using Salvor.Storage;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Trees;

namespace Salvor.Vault.Pruning;

/// <summary>
/// Which chunks of which packs the trees of snapshots name. What several snapshots share is read once. Memory: about 20 bytes for each
/// chunk that is named.
/// </summary>
sealed class PackUse
{
    const int PacksInFlight = 4;

    readonly VaultAccess vault;
    readonly ChunkReader chunks;
    readonly PackMoves moves;
    readonly HashSet<Hash256> nodes = [];
    readonly HashSet<ulong> live = [];
    readonly Dictionary<Hash256, int> used = [];
    readonly Dictionary<Hash256, HashSet<Hash256>> elsewhere = [];
    readonly Dictionary<Hash256, Dictionary<Hash256, ChunkPlace>> tables = [];
    readonly HashSet<Hash256> condemned = [];
    readonly Dictionary<Hash256, SnapshotRef> lastUsers = [];
    SnapshotRef visited;

    PackUse(VaultAccess vault, PackMoves moves) => (this.vault, this.moves, chunks) = (vault, moves, new ChunkReader(vault));

    /// <summary>The packs that are stored and not condemned.</summary>
    public Dictionary<Hash256, ObjectInfo> Packs { get; } = [];

    /// <summary>Condemned packs with chunks that no other holds.</summary>
    public HashSet<Hash256> Needed { get; } = [];

    /// <summary>A pack with chunks that are nowhere; null where all are there.</summary>
    public Hash256? Missing { get; private set; }

    /// <summary>Reads the trees of all snapshots of a catalogue but some.</summary>
    /// <param name="catalog">What is condemned there counts as absent.</param>
    /// <param name="except">Snapshots that go.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<PackUse> ReadAsync(
        VaultCatalog catalog, IReadOnlySet<SnapshotRef> except, CancellationToken cancellationToken)
    {
        // What is stored after the snapshots were listed belongs to later ones: it is listed before them, or too young to go.
        var use = new PackUse(catalog.Vault, await PackMoves.LoadAsync(catalog.Vault, cancellationToken));
        await foreach (var row in catalog.Vault.ListAsync(VaultKeys.Packs, after: null, cancellationToken))
        {
            if (!Hash256.TryParse(row.Key.AsSpan(VaultKeys.Packs.Length), out var pack))
            {
                continue;
            }

            if (catalog.Condemned.Hides(row.Key))
            {
                use.condemned.Add(pack);
            }
            else
            {
                use.Packs[pack] = row;
            }
        }

        // The newest first: what several share is noted for the last that needs it.
        foreach (var snapshot in catalog.Snapshots.Where(snapshot => !except.Contains(snapshot))
            .OrderByDescending(snapshot => snapshot.Position).ThenByDescending(snapshot => snapshot.Branch))
        {
            use.visited = snapshot;
            foreach (var top in (await SnapshotRoot.OpenAsync(catalog.Vault, snapshot, cancellationToken)).Tops)
            {
                await use.VisitAsync(top, cancellationToken);
            }
        }

        await use.FollowMovesAsync(cancellationToken);
        return use;
    }

    /// <summary>How many chunks of a pack are named; a chunk that is in several packs may count in each.</summary>
    public int Chunks(Hash256 pack) => used.GetValueOrDefault(pack);

    /// <summary>The bytes of the packs that come free when a snapshot and all older ones go.</summary>
    public IReadOnlyDictionary<SnapshotRef, long> BytesOfLastUsers() => lastUsers.GroupBy(item => item.Value)
        .ToDictionary(group => group.Key, group => group.Sum(item => Packs[item.Key].SizeBytes));

    /// <summary>Whether a chunk is named as one of a pack.</summary>
    public bool IsNamed(Hash256 chunk, Hash256 pack) => live.Contains(Mixed(chunk, pack));

    /// <summary>The chunk table of a pack.</summary>
    public async Task<Dictionary<Hash256, ChunkPlace>> TableAsync(Hash256 pack, CancellationToken cancellationToken) =>
        tables.TryGetValue(pack, out var known) ? known : await ChunkPlace.ReadAsync(vault, pack, cancellationToken);

    async Task VisitAsync(ChunkNode node, CancellationToken cancellationToken)
    {
        foreach (var entry in node.Entries)
        {
            Note(entry.Name, entry.Pack);
        }

        var unseen = node.Level == 0 ? [] : node.Entries.Where(entry => nodes.Add(entry.Name)).ToList();
        if (unseen.Count == 0)
        {
            return;
        }

        var below = new ChunkNode[unseen.Count];
        var wanted = unseen.Select((entry, i) => new WantedChunk(entry.Name, entry.Pack, Length: 0, (ulong)i)).ToList();
        await chunks.ReadAsync(
            wanted, PacksInFlight,
            (key, frame, found) =>
            {
                foreach (var (place, chunk) in found)
                {
                    below[chunk.Id] = ChunkNode.Read(key, frame.Slice((int)place.Offset, (int)place.Length));
                }
            },
            cancellationToken);
        for (var i = 0; i < below.Length; i++)
        {
            // So the way down ends, whatever the nodes say.
            if (below[i].Level != node.Level - 1)
            {
                throw new DamagedObjectException(
                    VaultKeys.Pack(unseen[i].Pack), $"node {unseen[i].Name} has level {below[i].Level} in place of {node.Level - 1}");
            }

            await VisitAsync(below[i], cancellationToken);
        }
    }

    void Note(Hash256 chunk, Hash256 pack)
    {
        if (!Packs.ContainsKey(pack))
        {
            (elsewhere.TryGetValue(pack, out var names) ? names : elsewhere[pack] = []).Add(chunk);
        }
        else if (live.Add(Mixed(chunk, pack)))
        {
            used[pack] = used.GetValueOrDefault(pack) + 1;
            lastUsers.TryAdd(pack, visited);
        }
    }

    /// <summary>Finds the chunks whose pack is gone, or goes, where they were moved to.</summary>
    async Task FollowMovesAsync(CancellationToken cancellationToken)
    {
        foreach (var (pack, names) in elsewhere)
        {
            foreach (var other in moves.Of(pack).Where(Packs.ContainsKey))
            {
                if (!tables.TryGetValue(other, out var table))
                {
                    tables[other] = table = await ChunkPlace.ReadAsync(vault, other, cancellationToken);
                }

                foreach (var name in names.Where(table.ContainsKey).ToList())
                {
                    names.Remove(name);
                    Note(name, other);
                }
            }

            if (names.Count > 0 && condemned.Contains(pack))
            {
                Needed.Add(pack);
            }
            else if (names.Count > 0)
            {
                Missing ??= pack;
            }
        }
    }

    /// <summary>Two pairs are the same once in 2^64: then a chunk too many is kept.</summary>
    static ulong Mixed(Hash256 chunk, Hash256 pack)
    {
        Span<byte> bytes = stackalloc byte[Hash256.SizeBytes];
        chunk.CopyTo(bytes);
        var first = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        pack.CopyTo(bytes);
        return first ^ ulong.RotateLeft(BinaryPrimitives.ReadUInt64LittleEndian(bytes), 1);
    }
}
