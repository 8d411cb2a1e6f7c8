using System.Buffers.Binary;
using Salvor.Vault;

namespace Salvor.Sqlite;

/// <summary>The beginning of a database file: https://www.sqlite.org/fileformat2.html#the_database_header.</summary>
/// <param name="PageSize">In bytes.</param>
/// <param name="IsWal">Whether it uses a write-ahead log.</param>
/// <param name="PageCount">As the header has it; 0 where an old version of SQLite wrote it.</param>
readonly record struct DatabaseHeader(uint PageSize, bool IsWal, uint PageCount)
{
    public const int SizeBytes = 100;

    /// <summary>Null where this is not the beginning of a database that can be read without a key.</summary>
    public static DatabaseHeader? TryParse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < SizeBytes || !bytes.StartsWith("SQLite format 3\0"u8))
        {
            return null;
        }

        uint stored = BinaryPrimitives.ReadUInt16BigEndian(bytes[16..]);
        var pageSize = stored == 1 ? 65536 : stored;
        return DatabasePages.IsPageSize(pageSize)
            ? new DatabaseHeader(pageSize, bytes[19] == 2, BinaryPrimitives.ReadUInt32BigEndian(bytes[28..]))
            : null;
    }
}
