using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Vault.Trees;

/// <summary>Goes forward through the chunks of a tree, in order. Not thread-safe.</summary>
sealed class ChunkCursor(ChunkReader chunks, ChunkNode top) : IAsyncDisposable
{
    const int PacksInFlight = 4;

    readonly ChunkTreeReader tree = new(chunks, top);
    IAsyncEnumerator<IReadOnlyList<TreeLeaf>>? batches;
    IReadOnlyList<TreeLeaf> leaves = [];
    int leaf;
    int index;

    /// <summary>The length of all content.</summary>
    public ulong Length => top.Length;

    /// <summary>Where the current chunk begins.</summary>
    public ulong Start { get; private set; }

    /// <summary>The current chunk.</summary>
    public ChunkEntry Current => leaves[leaf].Leaf.Entries[index];

    /// <summary>Told of each node that is met, but the top.</summary>
    public Action<ChunkEntry>? Met { get; init; }

    /// <summary>Goes to the chunk that covers a byte, which lies not before the current one; false at the end.</summary>
    public async ValueTask<bool> SeekAsync(ulong offset, CancellationToken cancellationToken)
    {
        if (offset >= Length)
        {
            return false;
        }

        if (leaves.Count == 0 || leaves[^1].Start + leaves[^1].Leaf.Length <= offset)
        {
            await LoadAsync(offset, cancellationToken);
        }

        while (leaves[leaf].Start + leaves[leaf].Leaf.Length <= offset)
        {
            (leaf, index, Start) = (leaf + 1, 0, leaves[leaf + 1].Start);
        }

        for (; Start + Current.Length <= offset; index++)
        {
            Start += Current.Length;
        }

        return true;
    }

    /// <summary>The chunks of a range that begins and ends where chunks do. Throws where it does not.</summary>
    public async ValueTask<IReadOnlyList<ChunkEntry>> TakeAsync(
        string key, ulong offset, ulong length, CancellationToken cancellationToken)
    {
        var taken = new List<ChunkEntry>();
        for (var end = offset + length; offset < end; offset += taken[^1].Length)
        {
            if (!await SeekAsync(offset, cancellationToken) || Start != offset || Current.Length > end - offset)
            {
                throw new DamagedObjectException(key, $"the chunks of its content do not begin at byte {offset}, where a file does");
            }

            taken.Add(Current);
        }

        return taken;
    }

    public ValueTask DisposeAsync() => batches?.DisposeAsync() ?? ValueTask.CompletedTask;

    async Task LoadAsync(ulong offset, CancellationToken cancellationToken)
    {
        // A jump past the next batch goes down the tree anew.
        if (batches is null || !await batches.MoveNextAsync() || batches.Current[^1].Start + batches.Current[^1].Leaf.Length <= offset)
        {
            await DisposeAsync();
            batches = tree.LeavesAsync(PacksInFlight, cancellationToken, offset).GetAsyncEnumerator(cancellationToken);
            Invariant.Check(await batches.MoveNextAsync());
        }

        leaves = batches.Current;
        (leaf, index, Start) = (0, 0, leaves[0].Start);
        if (Met is null || top.Level == 0)
        {
            return;
        }

        foreach (var item in leaves)
        {
            Met(item.Self);
        }

        for (var level = 1; level < top.Level; level++)
        {
            Met((await tree.FindEntryAsync(level, Start, cancellationToken)).Entry);
        }
    }
}
