using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Vault.Trees;

/// <summary>Chunks that were sealed together, and so lie in one pack: the pack is known once they are in it.</summary>
sealed class PackedRun
{
    List<PendingEntry>? waiting;
    PendingPack? pack;

    public static PackedRun In(Hash256 name) => new() { pack = new PendingPack { Name = name } };

    /// <summary>Tells the pack of one of its chunks, now or as soon as it is known.</summary>
    public void Tell(PendingEntry entry)
    {
        if (pack is null)
        {
            (waiting ??= []).Add(entry);
        }
        else
        {
            entry.Pack = pack;
        }
    }

    /// <summary>They are in this pack.</summary>
    public void Put(PendingPack into)
    {
        pack = into;
        foreach (var entry in waiting ?? [])
        {
            entry.Pack = into;
        }

        waiting = null;
    }
}

/// <summary>
/// The chunks that need not be stored again: those of the snapshot before, of all packs that are there, and what was stored since. The
/// packs are read when the first chunk is asked for, so that where nothing changed nothing is.
/// </summary>
sealed class KnownChunks
{
    const int TablesInFlight = 8;

    readonly VaultAccess vault;
    readonly PackStore store;
    readonly HashSet<Hash256> sound;
    readonly ChunkIndex index = new();
    readonly List<(PackedRun Run, Hash256? Pack)> runs = [];
    bool isLoaded;

    KnownChunks(VaultAccess vault, PackStore store, HashSet<Hash256> sound) => (this.vault, this.store, this.sound) = (vault, store, sound);

    /// <summary>Lists the packs.</summary>
    /// <param name="catalog">What it condemns counts as absent.</param>
    /// <param name="store">Told of each pack that is made use of; what is damaged counts as absent.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<KnownChunks> ListAsync(VaultCatalog catalog, PackStore store, CancellationToken cancellationToken)
    {
        var sound = new HashSet<Hash256>();
        await foreach (var row in catalog.Vault.ListAsync(VaultKeys.Packs, after: null, cancellationToken))
        {
            if (Hash256.TryParse(row.Key.AsSpan(VaultKeys.Packs.Length), out var pack)
                && !catalog.Condemned.Hides(row.Key) && !store.Damaged.Contains(row.Key))
            {
                sound.Add(pack);
            }
        }

        return new KnownChunks(catalog.Vault, store, sound);
    }

    /// <summary>Whether a pack of an earlier snapshot is there, as far as is known.</summary>
    public bool IsSound(Hash256 pack) => sound.Contains(pack);

    /// <summary>The run with a chunk; null where it is new.</summary>
    public async ValueTask<PackedRun?> FindAsync(Hash256 name, CancellationToken cancellationToken)
    {
        if (await PlaceOfAsync(name, cancellationToken) is not { } place)
        {
            return null;
        }

        if (runs[place].Pack is { } pack)
        {
            store.Use(pack);
        }

        return runs[place].Run;
    }

    /// <summary>The pack with a chunk that was there before, without making use of it; null where there is none.</summary>
    public async ValueTask<Hash256?> PackOfAsync(Hash256 name, CancellationToken cancellationToken) =>
        await PlaceOfAsync(name, cancellationToken) is { } place ? runs[place].Pack : null;

    async ValueTask<int?> PlaceOfAsync(Hash256 name, CancellationToken cancellationToken)
    {
        if (!isLoaded)
        {
            await LoadAsync(cancellationToken);
            isLoaded = true;
        }

        return index.TryGet(name, out var place) ? place : null;
    }

    /// <summary>Adds a run whose chunks follow.</summary>
    public int Add(PackedRun run)
    {
        runs.Add((run, null));
        return runs.Count - 1;
    }

    /// <summary>Adds a chunk of a run.</summary>
    public void Add(Hash256 name, int run) => index.Add(name, run);

    /// <summary>What an interrupted backup stored is among them: it is not stored again.</summary>
    async Task LoadAsync(CancellationToken cancellationToken)
    {
        var options = new ParallelOptions { MaxDegreeOfParallelism = TablesInFlight, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(sound, options, async (pack, cancel) =>
        {
            if (await TryReadAsync(pack, cancel) is not { } table)
            {
                return;
            }

            lock (runs)
            {
                var run = Add(PackedRun.In(pack));
                runs[run] = (runs[run].Run, pack);
                foreach (var name in table.Keys)
                {
                    index.Add(name, run);
                }
            }
        });
    }

    /// <summary>A pack that is damaged, or gone since it was listed, has nothing that could be relied on: it is stored anew.</summary>
    async Task<Dictionary<Hash256, ChunkPlace>?> TryReadAsync(Hash256 pack, CancellationToken cancellationToken)
    {
        try
        {
            return await ChunkPlace.ReadAsync(vault.Alone(), pack, cancellationToken);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Integrity)
        {
            return null;
        }
    }
}
