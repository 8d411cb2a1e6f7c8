using System.Runtime.InteropServices;
using Salvor.Vault.Format;

namespace Salvor.Vault.Trees;

/// <summary>
/// Where the chunks of a vault are that are known: a table of half names, because two chunks with the same 128 bits do not happen. About 30
/// bytes for each chunk. Not thread-safe.
/// </summary>
sealed class ChunkIndex
{
    const int CapacityMin = 1 << 12;

    UInt128[] names = new UInt128[CapacityMin];
    int[] places = new int[CapacityMin];

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>Finds the number under which a chunk was added first.</summary>
    public bool TryGet(Hash256 name, out int place)
    {
        place = places[SlotOf(HalfOf(name))] - 1;
        return place >= 0;
    }

    /// <summary>Adds a chunk, unless it is there.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="place">A number that the caller knows, from 0.</param>
    public void Add(Hash256 name, int place)
    {
        if (4L * (Count + 1) > 3L * names.Length)
        {
            Grow();
        }

        var half = HalfOf(name);
        var slot = SlotOf(half);
        if (places[slot] == 0)
        {
            (names[slot], places[slot]) = (half, place + 1);
            Count++;
        }
    }

    static UInt128 HalfOf(Hash256 name) => MemoryMarshal.Read<UInt128>(MemoryMarshal.AsBytes(new ReadOnlySpan<Hash256>(in name)));

    /// <summary>Where a name is, or would be.</summary>
    int SlotOf(UInt128 half)
    {
        var mask = names.Length - 1;
        var slot = (int)((ulong)half >> 8) & mask;
        while (places[slot] != 0 && names[slot] != half)
        {
            slot = (slot + 1) & mask;
        }

        return slot;
    }

    void Grow()
    {
        var (oldNames, oldPlaces) = (names, places);
        names = new UInt128[2 * oldNames.Length];
        places = new int[names.Length];
        for (var i = 0; i < oldNames.Length; i++)
        {
            if (oldPlaces[i] != 0)
            {
                var slot = SlotOf(oldNames[i]);
                (names[slot], places[slot]) = (oldNames[i], oldPlaces[i]);
            }
        }
    }
}
