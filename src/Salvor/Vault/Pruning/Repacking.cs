using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Vault.Pruning;

/// <summary>
/// Moves what is needed of some packs to new ones, and stores where it went. The old packs are left: a prune condemns them then. Memory is
/// bounded by the packs being read and filled.
/// </summary>
static class Repacking
{
    /// <summary>Returns when all is durable. Throws for a pack that is damaged.</summary>
    public static async Task RunAsync(
        VaultAccess vault, PackUse use, IReadOnlyList<Hash256> packs, Action<WorkProgress>? progressed, TimeProvider time,
        CancellationToken cancellationToken)
    {
        if (packs.Count == 0)
        {
            return;
        }

        var store = new PackStore(vault);
        await using var writer = new PackWriter(store);
        var into = new Dictionary<Hash256, List<PendingPack>>();
        foreach (var pack in packs)
        {
            progressed?.Invoke(new WorkProgress("moving chunks", into.Count, packs.Count) { Unit = "packs" });
            into[pack] = await MoveAsync(vault, use, pack, writer, cancellationToken);
        }

        await writer.FinishAsync(cancellationToken);
        await store.ExpectKeptAsync(cancellationToken);
        var moves = into.ToDictionary(
            item => item.Key, item => (IReadOnlyList<Hash256>)[.. item.Value.Select(pack => pack.Name!.Value).Distinct()]);
        await PackMoves.PutAsync(vault, moves, time, cancellationToken);
    }

    static async Task<List<PendingPack>> MoveAsync(
        VaultAccess vault, PackUse use, Hash256 pack, PackWriter writer, CancellationToken cancellationToken)
    {
        var wanted = (await use.TableAsync(pack, cancellationToken)).Values.Where(place => use.IsNamed(place.Name, pack))
            .Select(place => new WantedChunk(place.Name, pack, place.Length, 0)).ToList();
        var runs = new List<SealedRun>();
        await new ChunkReader(vault).ReadAsync(
            wanted, packsInFlight: 1, (_, frame, found) => runs.Add(SealAgain(vault, frame, found.Select(item => item.Place))),
            cancellationToken);
        var into = new List<PendingPack>();
        foreach (var run in runs)
        {
            into.Add(await writer.AddAsync(run, cancellationToken));
        }

        return into;
    }

    /// <summary>What is needed of a frame, as a frame.</summary>
    static SealedRun SealAgain(VaultAccess vault, ReadOnlySpan<byte> frame, IEnumerable<ChunkPlace> places)
    {
        var chunks = new List<(Hash256 Name, int Offset, int Length)>();
        var content = new byte[frame.Length];
        var length = 0;
        foreach (var place in places.DistinctBy(place => place.Name).OrderBy(place => place.Offset))
        {
            frame.Slice((int)place.Offset, (int)place.Length).CopyTo(content.AsSpan(length));
            chunks.Add((place.Name, length, (int)place.Length));
            length += (int)place.Length;
        }

        return SealedRun.Seal(vault, content.AsSpan(0, length), chunks);
    }
}
