using System.Buffers;
using System.Buffers.Binary;
using Salvor.Vault.Format;

namespace Salvor.Vault.Wal;

/// <summary>Where the log is not what PostgreSQL writes: recovery ends there.</summary>
/// <param name="At">The record or the page.</param>
/// <param name="What">As a part of a sentence.</param>
/// <param name="IsForeign">A page is not of this cluster, timeline or place: these bytes do not belong here at all.</param>
public sealed record WalProblem(Lsn At, string What, bool IsForeign);

/// <summary>
/// Reads the log as a stream, in pieces of any size: checks each page and record as a recovery does, and tells the ends of transactions
/// and the named restore points. It begins anywhere: what continues from before is skipped. Formats of PostgreSQL 13 to 18.
/// </summary>
/// <param name="shape">Of the cluster.</param>
/// <param name="timeline">Whose segments these are; pages of older ones may stand before where it began.</param>
/// <param name="first">The address of the first byte that is added.</param>
/// <param name="found">Told of each event, in order.</param>
public sealed class WalRecords(WalShape shape, uint timeline, Lsn first, Action<WalEvent> found)
{
    const int RecordHeaderBytes = 24;
    const int ChecksummedHeaderBytes = 20;
    const int Alignment = 8;

    /// <summary>PostgreSQL makes no longer record.</summary>
    const uint RecordBytesMax = 1 << 30;

    /// <summary>A commit with a few million subtransactions. What is longer is checked, and told without its number.</summary>
    const int KeptBytesMax = 32 << 20;

    readonly byte[] pageHeader = new byte[WalShape.LongHeaderBytes];
    readonly byte[] header = new byte[RecordHeaderBytes];
    readonly ArrayBufferWriter<byte> content = new(256);
    State state = State.BeforePage;
    int pageHeaderBytes;
    ushort magic;
    uint pageTimeline;
    Lsn recordStart;
    int headerBytes;
    uint left;
    uint crc;
    bool isKept;

    enum State
    {
        /// <summary>Until the first page begins.</summary>
        BeforePage,

        /// <summary>Between records, or in the header of one.</summary>
        Record,

        /// <summary>In a record.</summary>
        Content,

        /// <summary>In a record that began before the first byte.</summary>
        Skipped,

        /// <summary>After a record that ended its segment.</summary>
        Switched,

        /// <summary>Nothing more is read.</summary>
        Ended,
    }

    /// <summary>The address of the next byte.</summary>
    public Lsn Position { get; private set; } = first;

    /// <summary>After the last whole record; <see cref="Lsn.None"/> before there is one.</summary>
    public Lsn WholeEnd { get; private set; }

    /// <summary>From where on everything is checked. Before that is what a record had that began before the first byte.</summary>
    public Lsn CheckedFrom { get; private set; } = first;

    /// <summary>Where the last whole record begins.</summary>
    public Lsn LastRecord { get; private set; }

    /// <summary>How many whole records there were.</summary>
    public long Count { get; private set; }

    /// <summary>What is wrong; null where nothing is. What follows it is not read.</summary>
    public WalProblem? Problem { get; private set; }

    /// <summary>Whether the log ended: by zeros, or by a <see cref="Problem"/>.</summary>
    public bool HasEnded => state == State.Ended;

    /// <summary>Reads what follows.</summary>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var taken = HasEnded ? TakeRest(bytes) : Step(bytes);
            Position += taken;
            bytes = bytes[taken..];
            Settle();
        }
    }

    int Step(ReadOnlySpan<byte> bytes)
    {
        var inPage = (int)(Position.Value % shape.PageBytes);
        var inHeader = pageHeaderBytes > 0 || (inPage == 0 && state != State.Switched);
        if (inHeader)
        {
            return TakePageHeader(bytes);
        }

        bytes = bytes[..(int)Math.Min((uint)bytes.Length, shape.PageBytes - (uint)inPage)];
        return state switch
        {
            State.Record => TakeHeader(bytes),
            State.Content => TakeContent(bytes),
            State.Skipped => TakeSkipped(bytes),
            _ => bytes.Length,
        };
    }

    /// <summary>A log ends in zeros alone.</summary>
    int TakeRest(ReadOnlySpan<byte> bytes)
    {
        if (Problem is null && bytes.ContainsAnyExcept((byte)0))
        {
            Problem = new WalProblem(recordStart, "no record begins there, and something follows", IsForeign: false);
        }

        return bytes.Length;
    }

    /// <summary>What follows from the place alone.</summary>
    void Settle()
    {
        if (state == State.Switched && Position.Value % shape.SegmentBytes == 0)
        {
            state = Count == 0 ? State.BeforePage : State.Record;
        }
    }

    int TakePageHeader(ReadOnlySpan<byte> bytes)
    {
        var start = Position.Floor(shape.PageBytes);
        var length = start.Value % shape.SegmentBytes == 0 ? WalShape.LongHeaderBytes : WalPage.HeaderBytes;
        var taken = Math.Min(bytes.Length, length - pageHeaderBytes);
        bytes[..taken].CopyTo(pageHeader.AsSpan(pageHeaderBytes));
        pageHeaderBytes += taken;
        if (pageHeaderBytes == length)
        {
            pageHeaderBytes = 0;
            EnterPage(start, WalPage.Read(pageHeader), length);
        }

        return taken;
    }

    void EnterPage(Lsn start, WalPage page, int length)
    {
        if (page.IsZero)
        {
            // Of what was there before the first byte nothing is known: these may be the zeros behind a record that ended its segment.
            (state, recordStart) = (state == State.BeforePage ? State.Switched : State.Ended, headerBytes > 0 ? recordStart : start);
            return;
        }

        if (Foreign(start, page, length) is { } foreign)
        {
            End(new WalProblem(start, foreign, IsForeign: true));
            return;
        }

        (magic, pageTimeline) = (page.Magic, page.Timeline);
        var pending = state == State.Record && headerBytes > 0 ? TotalBytes - (uint)headerBytes : left;
        if (state == State.BeforePage)
        {
            (state, left) = page.Continues ? (State.Skipped, page.RemainingBytes) : (State.Record, 0);
        }
        else if (page.OverwritesRecord)
        {
            // Its beginning survived a crash, its end did not.
            (state, headerBytes, left) = (State.Record, 0, 0);
        }
        else if (page.Continues != pending > 0 || page.RemainingBytes != (page.Continues ? pending : 0))
        {
            End(new WalProblem(
                pending > 0 ? recordStart : start,
                $"{pending} bytes of a record are to follow at {start}, and the page there has {page.RemainingBytes}", IsForeign: false));
        }
    }

    string? Foreign(Lsn start, WalPage page, int length)
    {
        var own = length == WalShape.LongHeaderBytes ? WalShape.TryRead(pageHeader) : shape;
        return page.Magic >> 8 != WalPage.MagicHigh || page.IsLong != (length == WalShape.LongHeaderBytes) || own is null
                ? "no page of a write-ahead log begins there"
            : page.Address != start ? $"the page there belongs to {page.Address}"
            : own.SystemId != shape.SystemId ? $"it is of the cluster with system identifier {own.SystemId}, not {shape.SystemId}"
            : own != shape ? $"its segments have {own.SegmentBytes} bytes and pages {own.PageBytes}, not {shape.SegmentBytes} and "
                + $"{shape.PageBytes}"
            : page.Timeline > timeline || page.Timeline == 0 ? $"it is of timeline {page.Timeline}, not {timeline}"
            : page.Timeline < pageTimeline ? $"timeline {page.Timeline} follows timeline {pageTimeline} there"
            : null;
    }

    uint TotalBytes => BinaryPrimitives.ReadUInt32LittleEndian(header);

    int TakeHeader(ReadOnlySpan<byte> bytes)
    {
        var unaligned = (int)(Position.Value % Alignment);
        if (headerBytes == 0 && unaligned != 0)
        {
            return Math.Min(bytes.Length, Alignment - unaligned);
        }

        recordStart = headerBytes == 0 ? Position : recordStart;
        var taken = Math.Min(bytes.Length, (headerBytes < sizeof(uint) ? sizeof(uint) : RecordHeaderBytes) - headerBytes);
        bytes[..taken].CopyTo(header.AsSpan(headerBytes));
        headerBytes += taken;
        if (headerBytes == sizeof(uint) && TotalBytes == 0)
        {
            state = State.Ended;
        }
        else if (headerBytes == RecordHeaderBytes)
        {
            BeginContent(Position + taken);
        }

        return taken;
    }

    void BeginContent(Lsn at)
    {
        var before = new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(8)));
        if (TotalBytes is < RecordHeaderBytes or > RecordBytesMax)
        {
            End(new WalProblem(recordStart, $"a record there has {TotalBytes} bytes", IsForeign: false));
        }
        else if (Count > 0 ? before != LastRecord : before >= recordStart)
        {
            End(new WalProblem(recordStart, $"the record there follows {before}, not {LastRecord}", IsForeign: false));
        }
        else
        {
            (state, left, crc) = (State.Content, TotalBytes - RecordHeaderBytes, uint.MaxValue);
            isKept = WalEventReader.IsWanted(header[17], header[16]);
            content.ResetWrittenCount();
            if (left == 0)
            {
                EndRecord(at);
            }
        }
    }

    int TakeContent(ReadOnlySpan<byte> bytes)
    {
        var taken = (int)Math.Min((uint)bytes.Length, left);
        crc = Checksum.Update(crc, bytes[..taken]);
        left -= (uint)taken;
        if (isKept && content.WrittenCount + taken <= KeptBytesMax)
        {
            content.Write(bytes[..taken]);
        }

        if (left == 0)
        {
            EndRecord(Position + taken);
        }

        return taken;
    }

    int TakeSkipped(ReadOnlySpan<byte> bytes)
    {
        var taken = (int)Math.Min((uint)bytes.Length, left);
        left -= (uint)taken;
        state = left == 0 ? State.Record : state;
        CheckedFrom = Position + taken;
        return taken;
    }

    void EndRecord(Lsn at)
    {
        headerBytes = 0;
        if (~Checksum.Update(crc, header.AsSpan(0, ChecksummedHeaderBytes))
            != BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(ChecksummedHeaderBytes)))
        {
            End(new WalProblem(recordStart, "the record there does not match its checksum", IsForeign: false));
            return;
        }

        var (info, manager) = (header[16], header[17]);
        var isSwitch = WalEventReader.IsSwitch(manager, info);
        state = isSwitch ? State.Switched : State.Record;
        WholeEnd = isSwitch
            ? new Lsn(at.Value + shape.SegmentBytes - 1).Floor(shape.SegmentBytes)
            : new Lsn(at.Value + Alignment - 1).Floor(Alignment);
        (LastRecord, Count) = (recordStart, Count + 1);
        var xid = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(4));
        if (isKept && WalEventReader.Read(manager, info, xid, content.WrittenSpan, magic) is { } item)
        {
            found(item with { Start = recordStart, End = WholeEnd });
        }
    }

    void End(WalProblem problem) => (state, Problem) = (State.Ended, problem);
}
