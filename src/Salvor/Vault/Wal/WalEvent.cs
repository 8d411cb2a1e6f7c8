using System.Buffers.Binary;
using System.Text;

namespace Salvor.Vault.Wal;

/// <summary>What a record of the log means for whoever chooses a point to recover to.</summary>
public enum WalEventKind
{
    /// <summary>A transaction was committed.</summary>
    Commit,

    /// <summary>A transaction was rolled back.</summary>
    Abort,

    /// <summary>A prepared transaction was committed.</summary>
    CommitPrepared,

    /// <summary>A prepared transaction was rolled back.</summary>
    AbortPrepared,

    /// <summary>Somebody gave this point a name.</summary>
    RestorePoint,

    /// <summary>A tablespace was made: whoever applies this record makes a link to its place, and writes there.</summary>
    Tablespace,
}

/// <summary>The end of a transaction, a named restore point, or a new tablespace.</summary>
/// <param name="Start">Of its record.</param>
/// <param name="End">After its record: recovered up to here, the database has it.</param>
/// <param name="TimeMicros">By the server's clock, in microseconds since 1970 UTC; 0 of a tablespace.</param>
/// <param name="Xid">The transaction; 0 where it has none, or more subtransactions than are read.</param>
/// <param name="Name">Of a restore point; of a tablespace its place; else empty.</param>
public readonly record struct WalEvent(WalEventKind Kind, Lsn Start, Lsn End, long TimeMicros, uint Xid, string Name)
{
    /// <summary>Whether it made changes last.</summary>
    public bool IsCommit => Kind is WalEventKind.Commit or WalEventKind.CommitPrepared;
}

/// <summary>Reads the content of the records that are events.</summary>
static class WalEventReader
{
    const byte XlogManager = 0;
    const byte TransactionManager = 1;
    const byte TablespaceManager = 5;
    const byte RestorePointInfo = 0x70;
    const byte SwitchInfo = 0x40;
    const byte HasInfo = 0x80;
    const int NameBytes = 64;
    const int PathBytes = 1024;

    /// <summary>2000-01-01, from which PostgreSQL counts, in microseconds since 1970.</summary>
    const long EpochMicros = 946_684_800L * 1_000_000;

    /// <summary>Statistics that were dropped have 16 bytes each since PostgreSQL 18, and 12 before.</summary>
    const ushort MagicOf18 = 0xD118;

    /// <summary>Whether a record ends its segment.</summary>
    public static bool IsSwitch(byte manager, byte info) => manager == XlogManager && (info & 0xF0) == SwitchInfo;

    /// <summary>Whether the content of a record is wanted.</summary>
    public static bool IsWanted(byte manager, byte info) => KindOf(manager, info) is not null;

    /// <summary>The event of a record; null where its content is none.</summary>
    public static WalEvent? Read(byte manager, byte info, uint xid, ReadOnlySpan<byte> content, ushort magic)
    {
        var kind = KindOf(manager, info);
        var main = MainData(content);
        if (kind is null || main.Length < sizeof(long))
        {
            return null;
        }

        if (kind == WalEventKind.Tablespace)
        {
            return new WalEvent(kind.Value, default, default, 0, xid, Name(main[sizeof(uint)..], PathBytes));
        }

        // A time that is none leaves the range of what can be added.
        var time = unchecked(BinaryPrimitives.ReadInt64LittleEndian(main) + EpochMicros);
        var name = kind == WalEventKind.RestorePoint ? Name(main[sizeof(long)..], NameBytes) : "";
        var prepared = kind is WalEventKind.CommitPrepared or WalEventKind.AbortPrepared;
        return !Micros.IsTime(time) ? null
            : new WalEvent(
                kind.Value, default, default, time,
                prepared ? PreparedXid(info, main[sizeof(long)..], magic >= MagicOf18 ? 16 : 12) : xid, name);
    }

    static WalEventKind? KindOf(byte manager, byte info) => (manager, info & 0x70) switch
    {
        (XlogManager, _) => (info & 0xF0) == RestorePointInfo ? WalEventKind.RestorePoint : null,
        (TablespaceManager, 0x00) => WalEventKind.Tablespace,
        (TransactionManager, 0x00) => WalEventKind.Commit,
        (TransactionManager, 0x20) => WalEventKind.Abort,
        (TransactionManager, 0x30) => WalEventKind.CommitPrepared,
        (TransactionManager, 0x40) => WalEventKind.AbortPrepared,
        _ => null,
    };

    /// <summary>What the resource manager wrote, without the headers before it. These records refer to no blocks.</summary>
    static ReadOnlySpan<byte> MainData(ReadOnlySpan<byte> content)
    {
        while (content.Length > 5)
        {
            switch (content[0])
            {
                case 255:
                    return content[2..].Length >= content[1] ? content.Slice(2, content[1]) : [];
                case 254:
                    var length = BinaryPrimitives.ReadUInt32LittleEndian(content[1..]);
                    return length <= content.Length - 5 ? content.Slice(5, (int)length) : [];
                case 253:
                    content = content[3..];
                    break;
                case 252:
                    content = content[5..];
                    break;
                default:
                    return [];
            }
        }

        return [];
    }

    static string Name(ReadOnlySpan<byte> bytes, int bytesMax)
    {
        var name = bytes[..Math.Min(bytes.Length, bytesMax)];
        var end = name.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? name : name[..end]);
    }

    /// <summary>The transaction that was prepared: behind lists whose presence the first field tells.</summary>
    static uint PreparedXid(byte info, ReadOnlySpan<byte> rest, int statisticsBytes)
    {
        if ((info & HasInfo) == 0 || rest.Length < 4)
        {
            return 0;
        }

        var present = BinaryPrimitives.ReadUInt32LittleEndian(rest);
        rest = rest[4..];
        if ((present & 1) != 0)
        {
            rest = rest.Length < 8 ? [] : rest[8..];
        }

        foreach (var (flag, itemBytes) in (ReadOnlySpan<(uint, int)>)[(2, 4), (4, 12), (256, statisticsBytes), (8, 16)])
        {
            rest = (present & flag) == 0 ? rest : AfterList(rest, itemBytes);
        }

        return (present & 16) != 0 && rest.Length >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(rest) : 0;
    }

    static ReadOnlySpan<byte> AfterList(ReadOnlySpan<byte> rest, int itemBytes)
    {
        var count = rest.Length < 4 ? -1 : BinaryPrimitives.ReadInt32LittleEndian(rest);
        return count < 0 || count > (rest.Length - 4) / itemBytes ? [] : rest[(4 + (count * itemBytes))..];
    }
}
