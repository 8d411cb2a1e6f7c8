using System.Buffers.Binary;
using System.Globalization;

namespace Salvor.Postgres.Restore;

/// <summary>How the pages of a cluster are.</summary>
/// <param name="BlockBytes">How long a page is, 1 KiB to 32 KiB.</param>
/// <param name="SegmentBlocks">How many pages a file has at most.</param>
/// <param name="HasChecksums">Whether pages have checksums.</param>
readonly record struct ControlPages(int BlockBytes, int SegmentBlocks, bool HasChecksums);

/// <summary>What a control file (<c>global/pg_control</c>) says of the server that wrote it: that of PostgreSQL 13 to 18.</summary>
static class ControlFile
{
    /// <summary>Its place in a data directory. No server starts without it.</summary>
    public const string Path = "global/pg_control";

    const int SettingsAt = 180;

    /// <summary>A number that the server checks too: only where all that is before it has this layout, it is there.</summary>
    const int ProofAt = 208;
    const double Proof = 1234567.0;

    const int BlockBytesAt = 216;
    const int SegmentBlocksAt = 220;
    const int ChecksumsAt = 252;

    static readonly string[] Names =
    [
        "max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction",
    ];

    /// <summary>The system identifier of the cluster that it is of, which it begins with; null where it is too short.</summary>
    public static ulong? SystemId(ReadOnlySpan<byte> file) =>
        file.Length >= sizeof(ulong) && BinaryPrimitives.ReadUInt64LittleEndian(file) is > 0 and var id ? id : null;

    /// <summary>
    /// The settings of which a recovery must have as much as there was, or it stops; none where the file has another layout.
    /// </summary>
    public static IEnumerable<(string Name, string Value)> Settings(ReadOnlySpan<byte> file)
    {
        var settings = new List<(string, string)>();
        if (IsKnown(file))
        {
            foreach (var (index, name) in Names.Index())
            {
                var value = BinaryPrimitives.ReadInt32LittleEndian(file[(SettingsAt + (index * sizeof(int)))..]);
                settings.Add((name, value.ToString(CultureInfo.InvariantCulture)));
            }
        }

        return settings;
    }

    /// <summary>How the pages of its cluster are; null where the file has another layout.</summary>
    public static ControlPages? PagesOf(ReadOnlySpan<byte> file)
    {
        const int BlockBytesMin = 1 << 10;
        const int BlockBytesMax = 32 << 10;
        const int SegmentBlocksMax = 1 << 24;
        if (!IsKnown(file))
        {
            return null;
        }

        var block = BinaryPrimitives.ReadInt32LittleEndian(file[BlockBytesAt..]);
        var segment = BinaryPrimitives.ReadInt32LittleEndian(file[SegmentBlocksAt..]);
        return block is >= BlockBytesMin and <= BlockBytesMax && int.IsPow2(block) && segment is > 0 and <= SegmentBlocksMax
            ? new ControlPages(block, segment, BinaryPrimitives.ReadInt32LittleEndian(file[ChecksumsAt..]) != 0)
            : null;
    }

    static bool IsKnown(ReadOnlySpan<byte> file) =>
        file.Length >= ChecksumsAt + sizeof(int) && BinaryPrimitives.ReadDoubleLittleEndian(file[ProofAt..]) == Proof;
}
