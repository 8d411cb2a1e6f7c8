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
/// <param name="kept">
/// How many stay; each takes up to 16 MiB, or where little of it is wanted what its list of places does.
/// </param>
/// <param name="isSparse">Whether little of each is wanted: then only that is fetched of it.</param>
sealed class RecentPacks(int kept, bool isSparse = false) : IDisposable
{
    /// <summary>Of at most 1 MiB each.</summary>
    const int FramesKept = 8;

    readonly Lock gate = new();
    readonly List<(Hash256 Pack, int Number, byte[] Content)> frames = [];
    readonly List<OpenPack> packs = [];
    readonly Dictionary<Hash256, long> asked = [];

    /// <summary>Whether little of each is wanted.</summary>
    public bool IsSparse => isSparse;

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

    /// <summary>
    /// What a frame has that was read lately: content in order comes from frames that are near each other, and not in their order.
    /// </summary>
    public byte[]? FindFrame(Hash256 pack, int number)
    {
        lock (gate)
        {
            var at = frames.FindIndex(frame => frame.Number == number && frame.Pack == pack);
            if (at < 0)
            {
                return null;
            }

            var found = frames[at];
            frames.RemoveAt(at);
            frames.Add(found);
            return found.Content;
        }
    }

    /// <summary>Keeps what a frame has, in place of the one that was not asked for for longest.</summary>
    public void KeepFrame(Hash256 pack, int number, byte[] content)
    {
        lock (gate)
        {
            if (frames.Count == FramesKept)
            {
                frames.RemoveAt(0);
            }

            frames.Add((pack, number, content));
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
