using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Salvor.Sqlite.Native;

namespace Salvor.Sqlite.Wal;

/// <summary>What the wal-index says about the log: https://www.sqlite.org/walformat.html#the_wal_index_header.</summary>
/// <param name="Salts">The generation.</param>
/// <param name="LastFrame">The last committed frame (mxFrame); 0 where the generation has none.</param>
/// <param name="PageCount">The size of the database in pages.</param>
/// <param name="PageSize">0 before the first commit.</param>
/// <param name="Checksum">The running checksum at the last committed frame.</param>
readonly record struct WalIndexHeader(WalSalts Salts, uint LastFrame, uint PageCount, uint PageSize, WalChecksum Checksum);

/// <summary>
/// The shared memory by which connections agree on what is committed. Only this bounds what may be captured: a commit whose sync failed
/// leaves frames with right checksums in the file that SQLite never shows to anyone and overwrites later.
/// </summary>
sealed unsafe class WalIndex(FileObject database)
{
    const int CopyBytes = 48;
    const int ChecksummedBytes = 40;
    const int BackfilledOffset = 96;
    const int ReadMarksOffset = 100;

    /// <summary>A read mark that no reader uses.</summary>
    public const uint ReadMarkUnused = 0xffffffff;

    readonly byte* region = database.MapWalIndex();

    /// <summary>How many frames are copied into the database file (nBackfill).</summary>
    public uint Backfilled => Volatile.Read(ref *(uint*)(region + BackfilledOffset));

    public uint ReadMark(int slot) => Volatile.Read(ref *(uint*)(region + ReadMarksOffset + (4 * slot)));

    /// <summary>
    /// Reads the header as SQLite's readers do: both copies must agree and the checksum must match. False while it is being changed, and
    /// while it needs recovery.
    /// </summary>
    public bool TryRead(out WalIndexHeader header)
    {
        Span<byte> copy = stackalloc byte[CopyBytes];
        new ReadOnlySpan<byte>(region, CopyBytes).CopyTo(copy);
        database.Barrier();
        var same = copy.SequenceEqual(new ReadOnlySpan<byte>(region + CopyBytes, CopyBytes));
        header = default;
        if (!same || copy[12] == 0)
        {
            return false;
        }

        // The index is in the machine's byte order, and so are the words of its checksum.
        var checksum = default(WalChecksum).Add(copy[..ChecksummedBytes], bigEndian: !BitConverter.IsLittleEndian);
        if (checksum != new WalChecksum(Native(copy[40..]), Native(copy[44..])))
        {
            return false;
        }

        uint pageSize = MemoryMarshal.Read<ushort>(copy[14..]);
        header = new WalIndexHeader(
            WalSalts.Read(copy[32..]),
            Native(copy[16..]),
            Native(copy[20..]),
            pageSize == 1 ? 65536 : pageSize,
            new WalChecksum(Native(copy[24..]), Native(copy[28..])));
        return true;
    }

    static uint Native(ReadOnlySpan<byte> bytes) => MemoryMarshal.Read<uint>(bytes);
}
