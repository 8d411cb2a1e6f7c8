using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Vault.Pruning;

/// <summary>What of the packs goes.</summary>
/// <param name="Unused">The packs that no snapshot needs.</param>
/// <param name="Sparse">Packs of which little is needed: that is moved to new ones, and they go.</param>
sealed record Garbage(IReadOnlyList<Hash256> Unused, IReadOnlyList<Hash256> Sparse)
{
    /// <summary>Where nothing goes.</summary>
    public static readonly Garbage None = new([], []);

    /// <summary>What the packs of a snapshot that is being made may look like: nobody names them yet. No backup takes longer.</summary>
    static readonly TimeSpan AgeMin = TimeSpan.FromHours(24);

    const int TablesInFlight = 16;

    /// <summary>The bytes of the unused ones, as listed.</summary>
    public long UnusedBytes { get; init; }

    /// <summary>The bytes of the sparse ones, as listed.</summary>
    public long SparseBytes { get; init; }

    /// <summary>Finds what goes. Reads the chunk tables of the packs that are used.</summary>
    public static async Task<Garbage> FindAsync(PackUse use, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var unused = use.Packs.Where(item => use.Chunks(item.Key) == 0 && !(now - item.Value.StoredAt < AgeMin)).ToList();
        var sparse = new List<Hash256>();
        var options = new ParallelOptions { MaxDegreeOfParallelism = TablesInFlight, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(use.Packs.Keys.Where(pack => use.Chunks(pack) > 0), options, async (pack, cancel) =>
        {
            // Where less than half is needed, moving it costs less than what comes free.
            var table = await use.TableAsync(pack, cancel);
            if (2 * use.Chunks(pack) < table.Count)
            {
                lock (sparse)
                {
                    sparse.Add(pack);
                }
            }
        });
        return new Garbage([.. unused.Select(item => item.Key).OrderBy(VaultKeys.Pack)], [.. sparse.OrderBy(VaultKeys.Pack)])
        {
            UnusedBytes = unused.Sum(item => item.Value.SizeBytes),
            SparseBytes = sparse.Sum(pack => use.Packs[pack].SizeBytes),
        };
    }
}
