using Salvor.Vault;

namespace Salvor.Tests.Simulation;

/// <summary>A state of the database that was really committed.</summary>
/// <param name="Parent">The state that it was made of; null for the first.</param>
/// <param name="Pages">Its content. Pages are never changed, only replaced.</param>
sealed record CommittedState(int Version, CommittedState? Parent, byte[][] Pages)
{
    public bool HasContentOf(IReadOnlyList<byte[]> pages)
    {
        if (pages.Count != Pages.Length)
        {
            return false;
        }

        for (var i = 0; i < Pages.Length; i++)
        {
            if (!ReferenceEquals(Pages[i], pages[i]) && !Pages[i].AsSpan().SequenceEqual(pages[i]))
            {
                return false;
            }
        }

        return true;
    }
}

/// <summary>A row of the write-ahead log.</summary>
/// <param name="Commit">Where the frame ends a transaction, the state after it.</param>
/// <param name="Check">The cumulative checksum.</param>
readonly record struct SimulatedFrame(uint Page, byte[] Content, CommittedState? Commit, ulong Check);

/// <summary>
/// A database as SQLite keeps one: a file, a log whose frames checkpoints copy back into it, and restarts of the log, which wait for those
/// who hold it. Every committed state is remembered in full.
/// </summary>
sealed class SimulatedDatabase
{
    const int PagesMax = 96;

    readonly Random random;
    readonly bool hasGiants;
    readonly List<byte[]> file = [];
    readonly List<SimulatedFrame> frames = [];

    // Pages that grew into the database without being written. What they hold means nothing to SQLite, so whoever looks late may see them
    // as they are later: they stay as they are for one generation.
    readonly HashSet<uint> silent = [];

    TaskCompletionSource changed = new();
    int synced;
    int versions;

    public SimulatedDatabase(Random random, uint pageSize, bool hasGiants)
    {
        (this.random, this.hasGiants, PageSize) = (random, hasGiants, pageSize);
        for (var i = random.Next(1, 12); i > 0; i--)
        {
            file.Add(RandomPage());
        }

        State = new CommittedState(versions++, null, [.. file]);
        NewGeneration();
    }

    public uint PageSize { get; }

    /// <summary>What was committed last.</summary>
    public CommittedState State { get; private set; }

    public (uint First, uint Second) Generation { get; private set; }

    public IReadOnlyList<SimulatedFrame> Frames => frames;

    /// <summary>Those who hold the log.</summary>
    public List<SimulatedCapture> Holders { get; } = [];

    public uint FilePages => (uint)file.Count;

    /// <summary>Completes at the next commit.</summary>
    public Task Changed => changed.Task;

    /// <summary>A page of the file, without the log; zeros past its end.</summary>
    public byte[] FilePage(uint page) => page <= file.Count ? file[(int)page - 1] : new byte[PageSize];

    /// <summary>What a reader finds who sees this many frames.</summary>
    public byte[] PageAt(uint page, int frameCount)
    {
        for (var i = frameCount - 1; i >= 0; i--)
        {
            if (frames[i].Page == page)
            {
                return frames[i].Content;
            }
        }

        return FilePage(page);
    }

    public ulong CheckAt(int frameCount) =>
        frameCount == 0 ? Generation.First * 0x1_0000_0001UL ^ Generation.Second : frames[frameCount - 1].Check;

    /// <summary>One transaction.</summary>
    public void Commit()
    {
        var before = (uint)State.Pages.Length;
        var after = NextSize(before);
        var writes = NextWrites(before, after);
        if (writes.Count == 0)
        {
            writes.Add((1, RandomPage()));
        }

        for (var i = 0; i < writes.Count - 1; i++)
        {
            AddFrame(writes[i].Page, writes[i].Content, null);
        }

        // The last frame carries the commit, and the state has that frame's page too.
        AddFrame(writes[^1].Page, writes[^1].Content, null);
        var pages = new byte[after][];
        for (var page = 1u; page <= after; page++)
        {
            pages[page - 1] = page <= before && !writes.Exists(write => write.Page == page)
                ? State.Pages[page - 1]
                : PageAt(page, frames.Count);
        }

        State = new CommittedState(versions++, State, pages);
        frames[^1] = frames[^1] with { Commit = State };
        var waiting = changed;
        changed = new();
        waiting.SetResult();
    }

    /// <summary>Copies what the log has into the file; at times only some of it, as when the checkpointer dies.</summary>
    public void Checkpoint()
    {
        var whole = random.Next(4) != 0;
        synced = frames.Count;
        var latest = new Dictionary<uint, byte[]>();
        frames.ForEach(frame => latest[frame.Page] = frame.Content);
        foreach (var (page, content) in latest.Where(item => item.Key <= State.Pages.Length && (whole || random.Next(2) == 0)))
        {
            while (file.Count < page)
            {
                file.Add(new byte[PageSize]);
            }

            file[(int)page - 1] = content;
        }

        if (!whole)
        {
            return;
        }

        while (file.Count < State.Pages.Length)
        {
            file.Add(new byte[PageSize]);
        }

        file.RemoveRange(State.Pages.Length, file.Count - State.Pages.Length);

        // The next writer begins the log anew unless somebody holds it who has not captured the end.
        if (frames.Count > 0 && random.Next(3) != 0 && Holders.TrueForAll(holder => holder.AtEnd))
        {
            NewGeneration();
        }
    }

    /// <summary>The machine loses its power: commits that were not flushed are gone, and the log goes on from before them.</summary>
    public void LosePower()
    {
        var keep = synced + random.Next(frames.Count - synced + 1);
        while (keep > synced && frames[keep - 1].Commit is null)
        {
            keep--;
        }

        if (keep < frames.Count)
        {
            State = frames[..keep].FindLast(frame => frame.Commit is not null).Commit
                ?? frames.Find(frame => frame.Commit is not null).Commit!.Parent!;
            frames.RemoveRange(keep, frames.Count - keep);
        }
    }

    void NewGeneration()
    {
        Generation = ((uint)random.Next(), (uint)random.Next());
        frames.Clear();
        silent.Clear();
        synced = 0;
    }

    void AddFrame(uint page, byte[] content, CommittedState? commit)
    {
        var check = CheckAt(frames.Count) * 6364136223846793005UL;
        check += BitConverter.ToUInt64(content) ^ page ^ (ulong)random.NextInt64();
        frames.Add(new SimulatedFrame(page, content, commit, check));
    }

    uint NextSize(uint before)
    {
        var floor = silent.Count == 0 ? 1 : silent.Max();
        return random.Next(10) switch
        {
            < 6 => before,
            < 9 => Math.Min(PagesMax, before + (uint)random.Next(1, hasGiants && random.Next(4) == 0 ? 40 : 7)),
            _ => Math.Max(floor, (uint)random.Next(1, (int)before + 1)),
        };
    }

    List<(uint Page, byte[] Content)> NextWrites(uint before, uint after)
    {
        var writes = new List<(uint Page, byte[] Content)>();
        var count = hasGiants && random.Next(12) == 0 ? random.Next(20, 80) : random.Next(after == before ? 1 : 0, 7);
        var maySkip = Holders.TrueForAll(holder => holder.IsLive);
        for (var page = before + 1; page <= after; page++)
        {
            if (maySkip && random.Next(12) == 0)
            {
                silent.Add(page);
            }
            else
            {
                writes.Add((page, RandomPage()));
            }
        }

        for (; count > 0; count--)
        {
            writes.Add(((uint)random.Next(1, (int)after + 1), RandomPage()));
        }

        if (random.Next(8) == 0)
        {
            writes.Add((after + (uint)random.Next(1, 9), RandomPage()));
        }

        writes.RemoveAll(write => silent.Contains(write.Page));
        var order = writes.ToArray();
        random.Shuffle(order);
        return [.. order];
    }

    byte[] RandomPage()
    {
        var page = new byte[PageSize];
        random.NextBytes(page.AsSpan(0, random.Next(16) == 0 ? 0 : 16));
        return page;
    }
}
