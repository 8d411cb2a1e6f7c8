using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>
/// Where the chunks of packs went. Snapshots name a pack for each chunk, and are never rewritten; so whoever moves chunks to other
/// packs, to heal them or to give back the room of dead ones, first stores a record that leads from the old pack to the new ones.
/// </summary>
public sealed class PackMoves
{
    /// <summary>Where nothing was moved.</summary>
    public static readonly PackMoves None = new();

    readonly Dictionary<Hash256, List<Hash256>> into = [];

    PackMoves()
    {
    }

    /// <summary>
    /// Stores the record of a move and returns its number. The new packs must be durable before, and the old ones may go only after.
    /// </summary>
    /// <param name="vault">The vault.</param>
    /// <param name="moves">For each old pack the packs that hold its chunks from now on.</param>
    /// <param name="time">When it happens.</param>
    /// <param name="cancellationToken">Ends it before it is stored.</param>
    public static Task<ulong> PutAsync(
        VaultAccess vault, IReadOnlyDictionary<Hash256, IReadOnlyList<Hash256>> moves, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var record = new MoveRecord
        {
            CreatedAt = time.GetUtcNow(),
            Packs = [.. moves.Select(move => new PackMove(move.Key.ToString(), [.. move.Value.Select(pack => pack.ToString())]))],
        };
        return NumberedRecords.PutNextAsync(
            vault, VaultKeys.Moves, VaultKeys.Move, new ObjectHeader { Kind = ObjectKind.Move, VaultId = vault.Id },
            _ => VaultJson.Write(record, VaultJson.Default.MoveRecord), cancellationToken);
    }

    /// <summary>Reads all records of a vault.</summary>
    public static async Task<PackMoves> LoadAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        var moves = new PackMoves();
        await foreach (var row in vault.ListAsync(VaultKeys.Moves, after: null, cancellationToken))
        {
            var record = await vault.ReadRecordAsync(row.Key, ObjectKind.Move, VaultJson.Default.MoveRecord, cancellationToken);
            foreach (var move in record.Packs)
            {
                moves.Add(row.Key, move);
            }
        }

        return moves;
    }

    /// <summary>
    /// The packs to which the chunks of a pack were moved, in one step or several; nearest first, each once, never itself.
    /// </summary>
    public IReadOnlyList<Hash256> Of(Hash256 pack)
    {
        var found = new List<Hash256>();
        var seen = new HashSet<Hash256> { pack };
        var next = new Queue<Hash256>([pack]);
        while (next.TryDequeue(out var from))
        {
            foreach (var to in (into.GetValueOrDefault(from) ?? []).Where(seen.Add))
            {
                found.Add(to);
                next.Enqueue(to);
            }
        }

        return found;
    }

    void Add(string key, PackMove? move)
    {
        // What JSON leaves out is null, whatever the types say.
        if (move?.Pack is null || move.Into is null)
        {
            throw new DamagedObjectException(key, "it moves a pack without saying which, or where to");
        }

        var from = Parse(key, move.Pack);
        if (!into.TryGetValue(from, out var targets))
        {
            into[from] = targets = [];
        }

        targets.AddRange(move.Into.Select(pack => Parse(key, pack)));
    }

    static Hash256 Parse(string key, string text) => Hash256.TryParse(text, out var pack)
        ? pack
        : throw new DamagedObjectException(key, $"'{text}' is not the name of a pack");
}
