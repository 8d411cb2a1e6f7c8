namespace Salvor.Vault.Trees;

/// <summary>
/// Cuts content where the content itself says so, so that what is inserted or moved is cut as before: after about 16 KiB, where a rolling
/// hash of the last bytes has a certain form. The hash is keyed by the vault, so the lengths of chunks do not tell which known file it is.
/// Where chunks end is the writer's choice; no reader needs to know.
/// </summary>
/// <param name="hasher">That of the vault.</param>
sealed class ContentChunker(PageHasher hasher)
{
    public const int BytesMin = 4 << 10;
    public const int BytesMax = 64 << 10;

    /// <summary>A database is cut at multiples of this, which are page boundaries: it is written in place.</summary>
    public const int DatabaseBytes = 16 << 10;

    const int BytesNormal = 14 << 10;

    // Harder before the length that is wanted, and easier after it: lengths gather around it.
    const ulong MaskBefore = 0xFFFE_0000_0000_0000;
    const ulong MaskAfter = 0xFFF8_0000_0000_0000;
    const uint Purpose = 0x72616567;

    readonly ulong[] gear = [.. Enumerable.Range(0, 256).Select(value => hasher.Hash(Purpose, [(byte)value]))];

    /// <summary>
    /// The length of the first chunk of this content, which goes on for at least <see cref="BytesMax"/> or ends with its source.
    /// </summary>
    public int Cut(ReadOnlySpan<byte> content)
    {
        if (content.Length <= BytesMin)
        {
            return content.Length;
        }

        var end = Math.Min(content.Length, BytesMax);
        var normal = Math.Min(end, BytesNormal);
        var (hash, i, table) = (0UL, BytesMin, gear);
        for (; i < normal; i++)
        {
            hash = (hash << 1) + table[content[i]];
            if ((hash & MaskBefore) == 0)
            {
                return i + 1;
            }
        }

        for (; i < end; i++)
        {
            hash = (hash << 1) + table[content[i]];
            if ((hash & MaskAfter) == 0)
            {
                return i + 1;
            }
        }

        return end;
    }

    /// <summary>Whether content begins like an SQLite database.</summary>
    public static bool IsDatabase(ReadOnlySpan<byte> content) => content.StartsWith("SQLite format 3\0"u8);
}
