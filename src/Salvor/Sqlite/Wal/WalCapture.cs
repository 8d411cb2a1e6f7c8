using Salvor.Sqlite.Capture;
using Salvor.Sqlite.Native;
using Salvor.Vault;

namespace Salvor.Sqlite.Wal;

/// <summary>Takes what <see cref="WalCapture"/> captures, in commit order.</summary>
interface IFrameSink
{
    /// <summary>A version of a page. What came since the last commit is one transaction.</summary>
    void AddPage(uint page, ReadOnlySpan<byte> content);

    /// <summary>The end of a transaction; the database has this many pages now.</summary>
    void AddCommit(uint pageCount);
}

/// <summary>What a look at the log found.</summary>
enum PumpResult
{
    /// <summary>All that is committed is captured.</summary>
    Idle,

    /// <summary>More is committed than the budget allowed.</summary>
    More,

    /// <summary>The header was being changed, or a checkpoint was in the way: look again soon.</summary>
    Retry,

    /// <summary>Continuity cannot be proved any more; <see cref="WalCapture.LostReason"/> says why.</summary>
    Lost,
}

/// <summary>
/// Follows the log of one database: proves which frames are committed, hands them to a sink in order, and holds the log so that none can
/// be lost in between. The loop and its proof are in docs/capture.md. All calls come from one thread.
/// </summary>
sealed class WalCapture : ICapturedLog
{
    const int BufferBytesMin = 256 << 10;

    readonly FileObject database;
    readonly FileObject wal;
    readonly uint pageSize;
    readonly WalIndex index;
    readonly WalHold hold;

    WalSalts generation;
    WalChecksum chain;
    bool bigEndian;
    bool headerKnown;
    uint captured;
    uint mark0At;

    public WalCapture(FileObject database, FileObject wal, uint pageSize)
    {
        (this.database, this.wal, this.pageSize) = (database, wal, pageSize);
        index = new WalIndex(database);
        hold = new WalHold(database, index);
    }

    public static int BufferBytes(uint pageSize) => Math.Max(BufferBytesMin, 4 * (WalFrameHeader.SizeBytes + (int)pageSize));

    public string LostReason { get; private set; } = "";

    /// <summary>Transactions handed over so far.</summary>
    public long CommitCount { get; private set; }

    /// <summary>The last committed frame at the last look.</summary>
    public uint LastFrame { get; private set; }

    /// <summary>The length of the log at the last look, in bytes.</summary>
    public long LogBytes => LastFrame * (long)(WalFrameHeader.SizeBytes + pageSize);

    /// <summary>Whether all was captured at the last look, and the last frame ended a transaction.</summary>
    public bool AtEnd => captured == LastFrame;

    /// <summary>Nothing is left to do until somebody commits.</summary>
    public bool IsResting => hold.HasMark0 && !hold.HasGuard;

    /// <summary>Where the captured part ends, for a later start.</summary>
    public WalCursor Cursor => new(generation.First, generation.Second, captured, chain.First, chain.Second);

    /// <summary>The size of the database at the last look, in pages; 0 where the log does not say.</summary>
    public uint PageCount { get; private set; }

    /// <summary>
    /// Takes the guard and begins at the first frame of the generation that is there. False while a checkpoint is in the way.
    /// </summary>
    public bool TryBegin()
    {
        if (!hold.TryGuard() || !index.TryRead(out var header))
        {
            return false;
        }

        StartGeneration(header.Salts);
        (LastFrame, PageCount) = (header.LastFrame, header.PageCount);
        return true;
    }

    /// <summary>
    /// Continues after a cursor of an earlier run, if the log still has everything up to it: same generation, and the same checksum at the
    /// same frame. Null if so; otherwise the reason why not. Only right after <see cref="TryBegin"/>.
    /// </summary>
    /// <param name="cursor">Where the earlier run was.</param>
    /// <param name="buffer">Room for frames.</param>
    /// <param name="wentBack">
    /// Whether the log is in the same use as it was then, without what was captured: a power loss or a copy took commits back.
    /// </param>
    public string? TryResume(WalCursor cursor, Span<byte> buffer, out bool wentBack)
    {
        wentBack = false;
        // A log that was just created has no salts yet: every one is like every other, and what went before them left no trace.
        if (generation == default || new WalSalts(cursor.Salt1, cursor.Salt2) != generation)
        {
            return "the write-ahead log was restarted while nobody was looking";
        }

        if (cursor.Frame > LastFrame)
        {
            wentBack = true;
            return $"the write-ahead log ends at frame {LastFrame}, before frame {cursor.Frame} that was captured";
        }

        if (cursor.Frame == 0)
        {
            return null;
        }

        if (!TryReadHeader() || !TryReadFrames(cursor.Frame, buffer, sink: null, long.MaxValue))
        {
            return LostReason;
        }

        if (chain == new WalChecksum(cursor.Checksum1, cursor.Checksum2))
        {
            return null;
        }

        wentBack = true;
        StartGeneration(generation);
        return "the write-ahead log holds other frames than those that were captured";
    }

    /// <summary>Looks, and hands over what is new, up to about this many bytes.</summary>
    public PumpResult Pump(IFrameSink sink, long budgetBytes, Span<byte> buffer)
    {
        if (!index.TryRead(out var header))
        {
            return PumpResult.Retry;
        }

        if (IsResting)
        {
            if (header.Salts == generation && header.LastFrame == captured)
            {
                return PumpResult.Idle;
            }

            // While mark 0 is held the log can restart at most once with frames, and only at the frame where mark 0 was taken. So it is
            // safe to go on under it when a checkpoint holds the slots that a guard needs.
            var guarded = hold.TryGuard();
            if (guarded && !index.TryRead(out header))
            {
                hold.ReleaseGuard();
                return PumpResult.Retry;
            }

            if (header.Salts != generation && !FollowRestart(header))
            {
                return PumpResult.Lost;
            }

            if (guarded)
            {
                hold.ReleaseMark0();
            }
        }
        else if (header.Salts != generation && !FollowEmptyGeneration(header))
        {
            return PumpResult.Lost;
        }

        if (hold.SharesWithReaders)
        {
            hold.TryGuard();
        }

        return Capture(sink, header, budgetBytes, buffer);
    }

    /// <summary>Lets go of the log. Only a new <see cref="TryBegin"/> can follow.</summary>
    public void Release()
    {
        hold.ReleaseGuard();
        hold.ReleaseMark0();
    }

    /// <summary>
    /// The content that a reader at the captured position finds in a page: the last captured frame that holds it, else the database file,
    /// else zeros. Slow, for the few pages that grow into a database without ever being written.
    /// </summary>
    public void ReadPages(IReadOnlySet<uint> pages, Action<uint, ReadOnlySpan<byte>> found)
    {
        Span<byte> bytes = stackalloc byte[WalFrameHeader.SizeBytes];
        var frames = new Dictionary<uint, uint>();
        for (var frame = 1u; frame <= captured; frame++)
        {
            wal.Read(WalFrameHeader.Offset(frame, pageSize), bytes);
            var header = WalFrameHeader.Read(bytes);
            if (pages.Contains(header.Page))
            {
                frames[header.Page] = frame;
            }
        }

        var content = new byte[pageSize];
        foreach (var page in pages.Order())
        {
            if (frames.TryGetValue(page, out var frame))
            {
                wal.Read(WalFrameHeader.Offset(frame, pageSize) + WalFrameHeader.SizeBytes, content);
            }
            else
            {
                database.Read((page - 1L) * pageSize, content);
            }

            found(page, content);
        }
    }

    PumpResult Capture(IFrameSink sink, WalIndexHeader header, long budgetBytes, Span<byte> buffer)
    {
        LastFrame = header.LastFrame;
        if (header.LastFrame < captured)
        {
            return Lose($"the write-ahead log went back from frame {captured} to {header.LastFrame}");
        }

        if (header.LastFrame > captured)
        {
            if (header.PageSize != pageSize)
            {
                return Lose($"the page size changed from {pageSize} to {header.PageSize}");
            }

            if (budgetBytes <= 0)
            {
                return PumpResult.More;
            }

            if ((!headerKnown && !TryReadHeader()) || !TryReadFrames(header.LastFrame, buffer, sink, budgetBytes))
            {
                return PumpResult.Lost;
            }

            if (captured < header.LastFrame)
            {
                return PumpResult.More;
            }

            // The wal-index has its own copy of the checksum at the last committed frame. This closes the case of a frame that is valid in
            // the file and was never committed.
            if (chain != header.Checksum)
            {
                return Lose($"the write-ahead log does not match the wal-index at frame {captured}");
            }
        }

        PageCount = header.PageCount;
        if (!hold.HasMark0)
        {
            TryRest();
        }

        return PumpResult.Idle;
    }

    /// <summary>
    /// When all is captured and all is in the database file, nothing can be lost by letting the log restart once: mark 0 takes over.
    /// </summary>
    void TryRest()
    {
        if (index.Backfilled != captured || !hold.TryMark0())
        {
            return;
        }

        if (index.TryRead(out var header)
            && header.Salts == generation && header.LastFrame == captured && index.Backfilled == captured)
        {
            mark0At = captured;
            hold.ReleaseGuard();
        }
        else
        {
            hold.ReleaseMark0();
        }
    }

    bool FollowRestart(WalIndexHeader header)
    {
        if (captured != mark0At && captured != 0)
        {
            Lose("the write-ahead log was restarted twice at once, which no version of SQLite does");
            return false;
        }

        mark0At = 0;
        StartGeneration(header.Salts);
        return true;
    }

    bool FollowEmptyGeneration(WalIndexHeader header)
    {
        // A generation without frames may change its salts any number of times: the first writer after a truncation draws them anew.
        if (captured == 0)
        {
            StartGeneration(header.Salts);
            return true;
        }

        Lose("the write-ahead log was restarted although it was held; another tool must have replaced it");
        return false;
    }

    void StartGeneration(WalSalts salts)
    {
        (generation, captured, headerKnown, chain) = (salts, 0, false, default);
    }

    bool TryReadHeader()
    {
        Span<byte> bytes = stackalloc byte[WalHeader.SizeBytes];
        if (!wal.Read(0, bytes) || WalHeader.TryRead(bytes) is not { } header)
        {
            Lose("the header of the write-ahead log is damaged");
            return false;
        }

        if (header.Salts != generation || header.PageSize != pageSize)
        {
            Lose("the header of the write-ahead log belongs to another generation than the wal-index");
            return false;
        }

        (bigEndian, chain, headerKnown) = (header.BigEndianChecksums, header.Checksum, true);
        return true;
    }

    bool TryReadFrames(uint last, Span<byte> buffer, IFrameSink? sink, long budgetBytes)
    {
        var frameBytes = WalFrameHeader.SizeBytes + (int)pageSize;
        var framesMax = (uint)(buffer.Length / frameBytes);
        while (captured < last && budgetBytes > 0)
        {
            var count = Math.Min(framesMax, last - captured);
            var frames = buffer[..((int)count * frameBytes)];
            if (!wal.Read(WalFrameHeader.Offset(captured + 1, pageSize), frames))
            {
                Lose($"the write-ahead log ends before frame {last}");
                return false;
            }

            for (; !frames.IsEmpty; frames = frames[frameBytes..])
            {
                if (!TryTakeFrame(frames[..frameBytes], sink))
                {
                    return false;
                }
            }

            budgetBytes -= count * frameBytes;
        }

        return true;
    }

    bool TryTakeFrame(ReadOnlySpan<byte> frame, IFrameSink? sink)
    {
        var header = WalFrameHeader.Read(frame);
        var content = frame[WalFrameHeader.SizeBytes..];
        var next = chain.Add(frame[..WalFrameHeader.ChecksummedBytes], bigEndian).Add(content, bigEndian);
        if (header.Salts != generation || header.Checksum != next || header.Page == 0)
        {
            Lose($"frame {captured + 1} of the write-ahead log is damaged");
            return false;
        }

        chain = next;
        captured++;
        if (header.Page != DatabasePages.LockBytePage(pageSize))
        {
            sink?.AddPage(header.Page, content);
        }

        if (header.IsCommit && sink is not null)
        {
            sink.AddCommit(header.PageCountAfterCommit);
            CommitCount++;
        }

        return true;
    }

    PumpResult Lose(string reason)
    {
        LostReason = reason;
        return PumpResult.Lost;
    }
}
