using System.Collections.Concurrent;
using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>
/// An entry of a node that is being written. Its place in the tree is fixed at once, and its name and pack are filled in when they are
/// known.
/// </summary>
sealed class PendingEntry
{
    public required ulong Length { get; init; }

    public Hash256? Name { get; set; }

    public PendingPack? Pack { get; set; }

    public bool IsKnown => Name is not null && Pack is { Name: not null };

    public ChunkEntry Known => new(Name!.Value, Length, Pack!.Name!.Value);

    public static PendingEntry Of(ChunkEntry entry) =>
        new() { Length = entry.Length, Name = entry.Name, Pack = new PendingPack { Name = entry.Pack } };
}

/// <summary>
/// Makes a chunk tree from its chunks in order, and from whole nodes of an earlier tree where nothing changed. A node is stored as soon as
/// the packs of its entries have names, so memory is bounded by what is in the packs being filled. Nodes of each level have packs of
/// their own, because a node names the packs of those below.
/// </summary>
sealed class ChunkTreeWriter(PackStore store) : IAsyncDisposable
{
    /// <summary>A leaf that ends by a name has at least so many entries, and twice as many on average.</summary>
    const int NamedLeafMin = 64;

    const int NamedLeafMask = 127;

    readonly List<Level> levels = [];
    readonly ConcurrentDictionary<Hash256, Hash256> stored = [];

    /// <summary>
    /// Whether leaves end where the name of a chunk says so, and not only when they are full: then a chunk more in one place changes the
    /// leaves there, and not all that follow. For sources whose chunks move.
    /// </summary>
    public bool CutsByName { get; init; }

    /// <summary>Bytes stored so far.</summary>
    public long StoredBytes => levels.Sum(level => level.Packs.StoredBytes);

    /// <summary>Nodes that are complete, and not stored yet.</summary>
    internal int WaitingNodes => levels.Sum(level => level.Closed.Count);

    /// <summary>Adds the next chunk.</summary>
    public void AddChunk(PendingEntry chunk, ReadOnlySpan<ulong> pageHashes)
    {
        Append(0, chunk);
        levels[0].PageHashes.AddRange(pageHashes);
        if (CutsByName && levels[0].Entries.Count >= NamedLeafMin && (chunk.Name!.Value.GetHashCode() & NamedLeafMask) == 0)
        {
            Close(0);
        }
    }

    /// <summary>Adds a whole node of an earlier tree. What was added before must end where a node of this level ends.</summary>
    public void AddNode(int level, ChunkEntry node)
    {
        for (var below = 0; below <= level; below++)
        {
            Close(below);
        }

        Append(level + 1, PendingEntry.Of(node));
    }

    /// <summary>A node that is stored already: if it comes out as it was, it is not stored again.</summary>
    public void AddStored(ChunkEntry node) => stored[node.Name] = node.Pack;

    /// <summary>Stores the nodes that can be written by now.</summary>
    public async Task StoreReadyAsync(CancellationToken cancellationToken)
    {
        for (var level = 0; level < levels.Count; level++)
        {
            await StoreReadyAsync(levels[level], cancellationToken);
        }
    }

    /// <summary>Stores the rest, and returns the top, which is for the root object. All packs of the chunks must be durable.</summary>
    public async Task<ChunkNode> FinishAsync(CancellationToken cancellationToken)
    {
        var level = 0;
        for (; level < levels.FindLastIndex(item => item.Entries.Count > 0); level++)
        {
            Close(level);
        }

        if (level >= levels.Count)
        {
            return ChunkNode.Empty;
        }

        foreach (var below in levels.Take(level))
        {
            await StoreReadyAsync(below, cancellationToken);
            Invariant.Check(below.Closed.Count == 0);
            await below.Packs.FinishAsync(cancellationToken);
        }

        return levels[level].Open(level).Known();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var level in levels)
        {
            await level.Packs.DisposeAsync();
        }
    }

    void Append(int level, PendingEntry entry)
    {
        while (levels.Count <= level)
        {
            levels.Add(new Level(new PackWriter(store)));
        }

        if (levels[level].Entries.Count == ChunkNode.EntriesMax)
        {
            Close(level);
        }

        levels[level].Entries.Add(entry);
    }

    /// <summary>The open node of a level becomes an entry of the level above.</summary>
    void Close(int level)
    {
        if (level < levels.Count && levels[level].Entries.Count > 0)
        {
            var node = levels[level].Open(level);
            levels[level].Closed.Enqueue(node);
            levels[level].Entries.Clear();
            levels[level].PageHashes.Clear();
            Append(level + 1, node.Self);
        }
    }

    async Task StoreReadyAsync(Level level, CancellationToken cancellationToken)
    {
        while (level.Closed.TryPeek(out var node) && node.Entries.All(entry => entry.IsKnown))
        {
            var content = level.Closed.Dequeue().Known().ToBytes();
            var name = store.Vault.Secrets.NameOf(content);
            node.Self.Pack = stored.TryGetValue(name, out var pack)
                ? new PendingPack { Name = pack }
                : await level.Packs.AddAsync(SealedRun.Seal(store.Vault, content, content.Length), cancellationToken);
            node.Self.Name = name;
        }
    }

    sealed record PendingNode(int Level, PendingEntry Self, PendingEntry[] Entries, ulong[] PageHashes)
    {
        public ChunkNode Known() =>
            new() { Level = Level, Entries = [.. Entries.Select(entry => entry.Known)], PageHashes = PageHashes };
    }

    sealed record Level(PackWriter Packs)
    {
        public List<PendingEntry> Entries { get; } = [];

        public List<ulong> PageHashes { get; } = [];

        public Queue<PendingNode> Closed { get; } = [];

        public PendingNode Open(int level)
        {
            var length = Entries.Aggregate(0UL, (sum, entry) => sum + entry.Length);
            return new PendingNode(level, new PendingEntry { Length = length }, [.. Entries], [.. PageHashes]);
        }
    }
}
