using Salvor.Sqlite.Capture;
using Salvor.Sqlite.Wal;
using Salvor.Vault;

namespace Salvor.Tests.Simulation;

/// <summary>Follows the log of a simulated database and hands frames to a real sink, as <see cref="WalCapture"/> does.</summary>
sealed class SimulatedCapture : ICapturedLog
{
    readonly SimulatedDatabase database;
    (uint First, uint Second) generation;
    int captured;

    public SimulatedCapture(SimulatedDatabase database)
    {
        this.database = database;
        generation = database.Generation;
        database.Holders.Add(this);
    }

    /// <summary>Called after each commit that was handed over.</summary>
    public required Action<CommittedState> Committed { get; init; }

    /// <summary>Whether all that is committed is captured.</summary>
    public bool AtEnd => generation == database.Generation && captured == database.Frames.Count;

    /// <summary>Whether what it captures becomes transactions: no scan of the file is going on.</summary>
    public bool IsLive { get; set; }

    /// <summary>The size of the database at the end of what was captured; 0 where the log does not say.</summary>
    public uint PageCount { get; private set; }

    public WalCursor Cursor
    {
        get
        {
            var check = database.CheckAt(captured);
            return new WalCursor(generation.First, generation.Second, (uint)captured, (uint)check, (uint)(check >> 32));
        }
    }

    /// <summary>Goes on after a cursor of an earlier run where the log proves that nothing is missing.</summary>
    /// <param name="cursor">Where the earlier run was.</param>
    /// <param name="wentBack">Whether the log is in the same use without what was captured: a power loss took commits back.</param>
    public string? TryResume(WalCursor cursor, out bool wentBack)
    {
        wentBack = false;
        if ((cursor.Salt1, cursor.Salt2) != generation)
        {
            return "the log was restarted";
        }

        if (cursor.Frame > database.Frames.Count)
        {
            wentBack = true;
            return "the log ends before what was captured";
        }

        captured = (int)cursor.Frame;
        if (cursor.Frame == 0 || Cursor == cursor)
        {
            return null;
        }

        captured = 0;
        wentBack = true;
        return "the log holds other frames";
    }

    /// <summary>Hands over what is new, up to this many frames.</summary>
    public void Pump(IFrameSink sink, int framesMax)
    {
        if (generation != database.Generation)
        {
            (generation, captured) = (database.Generation, 0);
        }

        for (; framesMax > 0 && captured < database.Frames.Count; framesMax--)
        {
            var frame = database.Frames[captured++];
            sink.AddPage(frame.Page, frame.Content);
            if (frame.Commit is { } state)
            {
                PageCount = (uint)state.Pages.Length;
                sink.AddCommit(PageCount);
                Committed(state);
            }
        }
    }

    public void ReadPages(IReadOnlySet<uint> pages, Action<uint, ReadOnlySpan<byte>> found)
    {
        foreach (var page in pages.Order())
        {
            found(page, database.PageAt(page, captured));
        }
    }

    public void Release() => database.Holders.Remove(this);
}
