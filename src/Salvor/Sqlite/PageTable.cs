namespace Salvor.Sqlite;

/// <summary>
/// The hash of each page of a database at one position, and their XOR: the whole-database checksum. Eight bytes a page. A hash of zero
/// means that the page does not exist.
/// </summary>
sealed class PageTable
{
    ulong[] hashes = [];

    /// <summary>The size of the database in pages.</summary>
    public uint PageCount { get; private set; }

    /// <summary>The size at the last <see cref="Resize"/>, which is the last commit.</summary>
    public uint PageCountBefore { get; private set; }

    /// <summary>The XOR of all page hashes.</summary>
    public ulong Checksum { get; private set; }

    /// <summary>The hash of a page, from 1; 0 where it does not exist.</summary>
    public ulong this[uint page] => page <= (uint)hashes.Length ? hashes[page - 1] : 0;

    /// <summary>The table with these hashes.</summary>
    public static PageTable Of(ulong[] hashes)
    {
        var table = new PageTable();
        for (var i = 0u; i < hashes.Length; i++)
        {
            table.Set(i + 1, hashes[i]);
        }

        table.Resize((uint)hashes.Length);
        return table;
    }

    /// <summary>A copy of all hashes.</summary>
    public ulong[] ToArray() => hashes.AsSpan(0, (int)PageCount).ToArray();

    public void Set(uint page, ulong hash)
    {
        if (page > (uint)hashes.Length)
        {
            Array.Resize(ref hashes, (int)Math.Max(page, Math.Min(2u * (uint)hashes.Length, page + (1u << 20))));
        }

        ref var entry = ref hashes[page - 1];
        Checksum ^= entry ^ hash;
        entry = hash;
        PageCount = Math.Max(PageCount, page);
    }

    /// <summary>Makes the database this long: what lies past the new end is forgotten, what is new does not exist yet.</summary>
    public void Resize(uint pageCount)
    {
        for (var page = pageCount; page < PageCount; page++)
        {
            Checksum ^= hashes[page];
            hashes[page] = 0;
        }

        PageCount = PageCountBefore = pageCount;
    }
}
