using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Salvor.Sqlite.Wal;

/// <summary>
/// The running checksum of a WAL file: https://www.sqlite.org/fileformat2.html#checksum_algorithm. Each frame continues from the one
/// before, so a frame left over from an earlier use of the file does not match even if it is intact.
/// </summary>
readonly record struct WalChecksum(uint First, uint Second)
{
    public WalChecksum Add(ReadOnlySpan<byte> bytes, bool bigEndian)
    {
        Invariant.Check(bytes.Length % 8 == 0);
        var (first, second) = (First, Second);
        var words = MemoryMarshal.Cast<byte, uint>(bytes);
        if (bigEndian == BitConverter.IsLittleEndian)
        {
            for (var i = 0; i < words.Length; i += 2)
            {
                first += BinaryPrimitives.ReverseEndianness(words[i]) + second;
                second += BinaryPrimitives.ReverseEndianness(words[i + 1]) + first;
            }
        }
        else
        {
            for (var i = 0; i < words.Length; i += 2)
            {
                first += words[i] + second;
                second += words[i + 1] + first;
            }
        }

        return new WalChecksum(first, second);
    }

    /// <summary>As headers store it: always big-endian.</summary>
    public static WalChecksum Read(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt32BigEndian(bytes), BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]));
}

/// <summary>The two random numbers that name a use of the WAL file from one restart to the next.</summary>
readonly record struct WalSalts(uint First, uint Second)
{
    public static WalSalts Read(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt32BigEndian(bytes), BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]));
}

/// <summary>The first bytes of a WAL file: https://www.sqlite.org/fileformat2.html#the_write_ahead_log.</summary>
readonly record struct WalHeader(bool BigEndianChecksums, uint PageSize, WalSalts Salts, WalChecksum Checksum)
{
    public const int SizeBytes = 32;
    const int ChecksummedBytes = 24;
    const uint Magic = 0x377f0682;

    /// <summary>The header, or null where its magic, page size or checksum is wrong: SQLite treats such a file as empty.</summary>
    public static WalHeader? TryRead(ReadOnlySpan<byte> bytes)
    {
        var magic = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        var pageSize = BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]);
        if ((magic & ~1u) != Magic || !Vault.DatabasePages.IsPageSize(pageSize))
        {
            return null;
        }

        // The last bit of the magic number says in which byte order the checksums were computed; the header itself is always big-endian.
        var bigEndian = (magic & 1) != 0;
        var checksum = default(WalChecksum).Add(bytes[..ChecksummedBytes], bigEndian);
        return checksum == WalChecksum.Read(bytes[ChecksummedBytes..])
            ? new WalHeader(bigEndian, pageSize, WalSalts.Read(bytes[16..]), checksum)
            : null;
    }
}

/// <summary>The header before each page in a WAL file.</summary>
readonly record struct WalFrameHeader(uint Page, uint PageCountAfterCommit, WalSalts Salts, WalChecksum Checksum)
{
    public const int SizeBytes = 24;

    /// <summary>The part that the running checksum covers; the page follows.</summary>
    public const int ChecksummedBytes = 8;

    /// <summary>Only the last frame of a transaction carries the size of the database.</summary>
    public bool IsCommit => PageCountAfterCommit != 0;

    public static WalFrameHeader Read(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt32BigEndian(bytes),
        BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]),
        WalSalts.Read(bytes[8..]),
        WalChecksum.Read(bytes[16..]));

    /// <summary>Where a frame begins in the file; frames count from 1.</summary>
    public static long Offset(uint frame, uint pageSize) => WalHeader.SizeBytes + ((frame - 1L) * (SizeBytes + pageSize));
}
