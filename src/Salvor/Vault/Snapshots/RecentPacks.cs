using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>A pack that is open, and where its chunks are in it.</summary>
sealed record OpenPack(Hash256 Name, StoredObject Stored, Dictionary<Hash256, ChunkPlace> Places)
{
    /// <summary>How many read it now.</summary>
    public int Users { get; set; } = 1;
}

/// <summary>
/// The packs that were fetched whole last, for who goes through content in order: what comes next is mostly in the same. One that is being
/// read stays.
/// </summary>
/// <param name="kept">How many stay; each takes up to 16 MiB, or where little of it is wanted what its list of places does.</param>
/// <param name="isSparse">Whether little of each is wanted: then only that is fetched of it.</param>
sealed class RecentPacks(int kept, bool isSparse = false) : IDisposable
{
    public bool IsSparse => isSparse;


    readonly Lock gate = new();
    readonly List<OpenPack> packs = [];
    readonly Dictionary<Hash256, long> asked = [];

    /// <summary>A pack that is here, for the caller to release.</summary>
    public OpenPack? Find(Hash256 name)
    {
        lock (gate)
        {
            if (packs.Find(pack => pack.Name == name) is not { } found)
            {
                return null;
            }

            packs.Remove(found);
            packs.Add(found);
            found.Users++;
            return found;
        }
    }

    /// <summary>How much was asked for of a pack that is not here, with what is asked for now.</summary>
    public long Ask(Hash256 name, long bytes)
    {
        lock (gate)
        {
            return asked[name] = asked.GetValueOrDefault(name) + bytes;
        }
    }

    /// <summary>Lets go of those that were not used for longest, before another one is fetched.</summary>
    public void MakeRoom() => Trim(kept - 1);

    /// <summary>Keeps a pack that was fetched whole. The caller releases it too.</summary>
    public void Add(OpenPack pack)
    {
        lock (gate)
        {
            asked.Remove(pack.Name);
            packs.Add(pack);
        }
    }

    /// <summary>The caller is done with it.</summary>
    public void Release(OpenPack pack)
    {
        lock (gate)
        {
            pack.Users--;
        }

        Trim(kept);
    }

    public void Dispose() => Trim(0);

    void Trim(int left)
    {
        lock (gate)
        {
            for (int i; packs.Count > left && (i = packs.FindIndex(pack => pack.Users == 0)) >= 0; packs.RemoveAt(i))
            {
                packs[i].Stored.Dispose();
            }
        }
    }
}
