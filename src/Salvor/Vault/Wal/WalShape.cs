using System.Buffers.Binary;
using System.Numerics;

namespace Salvor.Vault.Wal;

/// <summary>What all of the log of one cluster has in common, as the first page of each segment says it.</summary>
/// <param name="SystemId">Chosen by <c>initdb</c>: a cluster and its standbys have the same, and nobody else.</param>
/// <param name="SegmentBytes">The size of a file of the log: 1 MiB to 1 GiB.</param>
/// <param name="PageBytes">The size of a page of the log, nearly always 8192.</param>
public sealed record WalShape(ulong SystemId, uint SegmentBytes, uint PageBytes)
{
    /// <summary>The smallest size of a file of the log.</summary>
    public const uint SegmentBytesMin = 1 << 20;

    /// <summary>The size of the header of the first page of a segment.</summary>
    public const int LongHeaderBytes = 40;

    /// <summary>Whether a server can have been built and made with these sizes.</summary>
    public bool IsPossible =>
        BitOperations.IsPow2(SegmentBytes) && SegmentBytes is >= SegmentBytesMin and <= 1 << 30
        && BitOperations.IsPow2(PageBytes) && PageBytes is >= 1 << 10 and <= 1 << 16;

    /// <summary>What the start of a segment says; null where it is none.</summary>
    public static WalShape? TryRead(ReadOnlySpan<byte> start)
    {
        if (start.Length < LongHeaderBytes || start[1] != WalPage.MagicHigh || (start[2] & WalPage.IsLongFlag) == 0)
        {
            return null;
        }

        var shape = new WalShape(
            BinaryPrimitives.ReadUInt64LittleEndian(start[24..]), BinaryPrimitives.ReadUInt32LittleEndian(start[32..]),
            BinaryPrimitives.ReadUInt32LittleEndian(start[36..]));
        return shape.IsPossible ? shape : null;
    }
}

/// <summary>The header of a page of the log.</summary>
/// <param name="Magic">Another one for each major version.</param>
/// <param name="Timeline">Of the first record on the page: older than that of the segment, before a timeline began.</param>
/// <param name="RemainingBytes">Of the record that continues on this page.</param>
readonly record struct WalPage(ushort Magic, ushort Flags, uint Timeline, Lsn Address, uint RemainingBytes)
{
    /// <summary>The size of the header of most pages.</summary>
    public const int HeaderBytes = 24;

    /// <summary>Common to all versions since 9.3; the low byte counts versions.</summary>
    public const byte MagicHigh = 0xD1;

    public const int IsLongFlag = 2;

    /// <summary>A record continues here.</summary>
    public bool Continues => (Flags & 1) != 0;

    public bool IsLong => (Flags & IsLongFlag) != 0;

    /// <summary>The record that should continue here was lost in a crash, and does not count.</summary>
    public bool OverwritesRecord => (Flags & 8) != 0;

    public bool IsZero => this == default;

    public static WalPage Read(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt16LittleEndian(bytes), BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]), new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..])),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[16..]));
}
