using System.Buffers;
using Salvor.Sqlite.Snapshots;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;

namespace Salvor.Tests.Support;

/// <summary>A restore point of a model, with what a restore must give.</summary>
sealed record ModelPoint(uint Branch, Position Position, DateTimeOffset Time, byte[] Content, ulong[] PageHashes);

/// <summary>A line of history of a model: its own points, and where it left its parent.</summary>
sealed record ModelBranch(uint Number, ModelBranch? Parent, Position Fork)
{
    public List<ModelPoint> Points { get; } = [];

    /// <summary>Every restore point on the way to this branch, in order.</summary>
    public IEnumerable<ModelPoint> History =>
        (Parent?.History.Where(point => point.Position <= Fork) ?? []).Concat(Points);
}

/// <summary>
/// A fake database whose history is written into a vault by the real writers, and remembered in full at every position. The steps are
/// what a replicator does: images with their base, transactions alone and batched, giant ones in parts, parts left over by a crash,
/// resyncs, snapshots and branches.
/// </summary>
sealed class VaultModel
{
    const string Host = "model";

    readonly Random random;
    readonly List<byte[]> pages = [];
    readonly List<(uint PageCount, byte[] Content, long Micros)> uncounted = [];
    LogWriter? log;
    uint epoch;
    long micros = Micros.Of(new DateTimeOffset(2026, 8, 1, 10, 30, 0, TimeSpan.Zero));

    VaultModel(VaultAccess vault, Random random, uint pageSize) => (Vault, this.random, PageSize) = (vault, random, pageSize);

    public VaultAccess Vault { get; private set; }

    public uint PageSize { get; }

    public List<ModelBranch> Branches { get; } = [];

    public ModelBranch Current => Branches[^1];

    public LogTip Tip => log!.Tip;

    /// <summary>The time of the newest commit, or later.</summary>
    public DateTimeOffset Now => Micros.ToTime(micros);

    /// <summary>From now on objects are compressed in another way, as after a restart with another setting.</summary>
    public void Compress(FrameCompression compression)
    {
        Vault = Vault.With(compression);
        log = log is null ? null : new LogWriter(Vault, log.Tip, epoch, TimeProvider.System);
    }

    /// <summary>Lets time pass in which nothing is committed.</summary>
    public void Advance(TimeSpan span) => micros += (long)span.TotalMicroseconds;

    public IEnumerable<ModelPoint> Points => Branches.SelectMany(branch => branch.Points);

    /// <summary>A vault of an empty history.</summary>
    public static async Task<VaultModel> CreateAsync(
        IObjectStore store, Random random, uint pageSize, string name = "app", TimeProvider? time = null, Keyring? keys = null)
    {
        var vault = await VaultAccess.OpenOrCreateAsync(
            store, name, "sqlite", "/data/app.db", keys, time ?? TimeProvider.System, default);
        var model = new VaultModel(vault, random, pageSize);
        await model.ClaimAsync();
        return model;
    }

    /// <summary>A vault with a history of so many random steps.</summary>
    public static async Task<VaultModel> BuildAsync(IObjectStore store, Random random, int steps)
    {
        uint[] sizes = [512, 512, 1024, 4096, 4096, 8192, 16384, 32768, 65536];
        var model = await CreateAsync(store, random, sizes[random.Next(sizes.Length)]);
        await model.BeginAsync();
        for (var i = 0; i < steps; i++)
        {
            await model.StepAsync();
        }

        return model;
    }

    public async Task StepAsync() => await (random.Next(100) switch
    {
        < 45 => CommitAsync(transactions: random.Next(1, 4)),
        < 60 => CommitInPartsAsync(parts: random.Next(2, 4)),
        < 70 => CommitSplitAsync(),
        < 78 => LeaveOverAsync(),
        < 86 => ResyncAsync(),
        < 93 => SnapshotAsync(),
        _ => ForkAsync(Current.History.ElementAt(random.Next(Current.History.Count())), image: random.Next(3) == 0),
    });

    /// <summary>The first branch: an image that was read while the database changed, and the base that completes it.</summary>
    public async Task BeginAsync()
    {
        Grow((uint)random.Next(1, 12));
        await StartBranchAsync(new ModelBranch(1, null, Position.None), forkNumber: 0, Hash256.Zero);
        var tip = new LogTip(1, 0, Position.None, 0, Lineage.StartOf(Vault.Secrets, Vault.Id, 1, Position.None, Hash256.Zero));
        log = new LogWriter(Vault, tip, epoch, TimeProvider.System);
        await ImageAsync();
    }

    /// <summary>One object of several transactions.</summary>
    public async Task CommitAsync(int transactions)
    {
        using var part = Begin(LogKind.Commits);
        for (var i = 0; i < transactions; i++)
        {
            Write(part, NextTransaction());
        }

        await AppendAsync(part);
    }

    /// <summary>A transaction that is too large for one object, and another one in its last part.</summary>
    public async Task CommitInPartsAsync(int parts)
    {
        await WriteInPartsAsync(LogKind.Commits, parts, "", default, NextTransaction());
    }

    /// <summary>A batch that is sealed in the middle of a transaction, whose pages move on to the next.</summary>
    public async Task CommitSplitAsync()
    {
        using var part = Begin(LogKind.Commits);
        Write(part, NextTransaction());
        var open = NextTransaction();
        Add(part, open.Writes[..(open.Writes.Count / 2)]);
        using var next = part.SplitOpen(Begin(LogKind.Commits, part.Commits[^1].Checksum));
        await AppendAsync(part);
        Write(next, (open.Writes[(open.Writes.Count / 2)..], open.PageCount));
        await AppendAsync(next);
    }

    /// <summary>A writer stores a part and dies; the next one continues after what is left over.</summary>
    public async Task LeaveOverAsync()
    {
        var before = pages.ToArray();
        using (var part = Begin(LogKind.Commits))
        {
            Add(part, NextTransaction().Writes);
            part.Final = false;
            await log!.AppendAsync(part, default);
        }

        pages.Clear();
        pages.AddRange(before);
        await ClaimAsync();
        log = new LogWriter(Vault, log.Tip, epoch, TimeProvider.System);
    }

    /// <summary>What happened meanwhile cannot be told apart: one difference.</summary>
    public Task ResyncAsync() => WriteInPartsAsync(LogKind.Resync, random.Next(1, 3), "nobody watched", default, NextTransaction());

    /// <summary>A snapshot of the newest state, at the end of the log.</summary>
    public async Task SnapshotAsync()
    {
        if (Current.Points.Count == 0)
        {
            return;
        }

        if (random.Next(3) == 0)
        {
            await StoreSnapshotAsync([.. pages], isImage: false);
        }
        else
        {
            await MakeSnapshotAsync();
        }
    }

    /// <summary>A snapshot of the newest state, out of the one before it and the log.</summary>
    public async Task<MadeSnapshot> MakeSnapshotAsync()
    {
        var (last, catalog) = (Current.Points[^1], await VaultCatalog.LoadAsync(Vault, default));
        return await IncrementalSnapshot.MakeAsync(catalog, new RestorePoint(last.Branch, last.Position, last.Time), epoch, default);
    }

    /// <summary>A branch that leaves the history at a point, either continuing its log or with an image of its own.</summary>
    public async Task ForkAsync(ModelPoint point, bool image)
    {
        var catalog = await VaultCatalog.LoadAsync(Vault, default);
        var parent = await new RestorePlanner(catalog).LogOfAsync(new RestorePoint(point.Branch, point.Position, point.Time), default);

        await ClaimAsync();
        var branch = new ModelBranch(Current.Number + 1, Branches.Single(item => item.Number == point.Branch), point.Position);
        await StartBranchAsync(branch, parent.Header.Number, parent.Header.LineageAfter);
        pages.Clear();
        pages.AddRange(point.Content.Chunk((int)PageSize));
        var link = Lineage.StartOf(Vault.Secrets, Vault.Id, branch.Number, point.Position, parent.Header.LineageAfter);
        var tip = new LogTip(branch.Number, 0, point.Position, Micros.Of(point.Time), link);
        log = new LogWriter(Vault, tip, epoch, TimeProvider.System);
        if (image)
        {
            await ImageAsync();
        }
    }

    async Task ClaimAsync() => epoch = await new WriterClaims(Vault).ClaimAsync(
        new ClaimRecord
        {
            Host = Host,
            BootId = "boot",
            Pid = 1,
            StartTicks = 1,
            WriterId = $"{random.Next():x8}",
            Since = Micros.ToTime(micros),
            Version = "1.0",
        },
        default);

    async Task StartBranchAsync(ModelBranch branch, ulong forkNumber, Hash256 forkLineage)
    {
        var record = new BranchRecord
        {
            Parent = branch.Parent?.Number ?? 0,
            ForkPosition = branch.Fork.Value,
            ForkNumber = forkNumber,
            ForkLineage = forkLineage.ToString(),
            Reason = branch.Parent is null ? "first copy" : "restored in place",
            CreatedAt = Micros.ToTime(micros),
        };
        using var writer = Vault.NewObject();
        var header = new ObjectHeader { Kind = ObjectKind.Branch, VaultId = Vault.Id, Branch = branch.Number, Epoch = epoch };
        var (bytes, _) = writer.Finish(header, VaultJson.Write(record, VaultJson.Default.BranchRecord));
        Assert.True(await Vault.PutAsync(VaultKeys.Branch(branch.Number), bytes, default));
        Branches.Add(branch);
    }

    async Task ImageAsync()
    {
        // What the scan saw: pages of now, of before and of a database of another length.
        byte[][] image = [.. pages.Select(page => random.Next(2) == 0 ? page : RandomPage())];
        image = random.Next(3) switch
        {
            0 => [.. image, RandomPage()],
            1 when image.Length > 1 => image[..^1],
            _ => image,
        };
        var stored = await StoreSnapshotAsync(image, isImage: true);
        if (random.Next(4) == 0)
        {
            await LeaveOverAsync();
        }

        var all = Enumerable.Range(1, pages.Count).Select(page => ((uint)page, pages[page - 1]));
        var missing = all.Where(page => page.Item1 > image.Length || !image[page.Item1 - 1].AsSpan().SequenceEqual(page.Item2)).ToList();
        await WriteInPartsAsync(LogKind.Base, random.Next(1, 3), "first copy", stored.DetailsHash, (missing, (uint)pages.Count));
    }

    async Task<StoredSnapshot> StoreSnapshotAsync(byte[][] content, bool isImage)
    {
        await using var writer = new SnapshotWriter(Vault, epoch, PageSize);
        var hashes = content.Index().Select(page => Vault.Hasher.Hash((uint)page.Index + 1, page.Item)).ToArray();
        var pagesPerRun = SnapshotWriter.RunBytes / (int)PageSize;
        for (var first = 0; first < content.Length; first += pagesPerRun)
        {
            var run = content.Skip(first).Take(pagesPerRun).SelectMany(page => page).ToArray();
            var rented = ArrayPool<byte>.Shared.Rent(run.Length);
            run.CopyTo(rented, 0);
            await writer.AddAsync(rented, run.Length, hashes[first..Math.Min(hashes.Length, first + pagesPerRun)], default);
        }

        var tip = log!.Tip;
        var key = VaultKeys.Snapshot(tip.Branch, tip.Position);
        return await Vault.Store.SizeAsync($"{Vault.Name}/{key}", default) is null
            ? await writer.FinishAsync(tip, (uint)content.Length, hashes.Aggregate(0UL, (sum, hash) => sum ^ hash), isImage, default)
            : new StoredSnapshot(null!, default, 0);
    }

    async Task WriteInPartsAsync(
        LogKind kind, int parts, string reason, Hash256 snapshot, (List<(uint, byte[])> Writes, uint PageCount) transaction)
    {
        var perPart = Math.Max(1, transaction.Writes.Count / parts);
        var checksum = Checksum();
        var rest = transaction.Writes;
        for (; parts > 1 && rest.Count > perPart; parts--, rest = rest[perPart..])
        {
            using var part = Begin(kind, checksum, reason, snapshot);
            Add(part, rest[..perPart]);
            part.Final = false;
            await log!.AppendAsync(part, default);
        }

        using var last = Begin(kind, checksum, reason, snapshot);
        Write(last, (rest, transaction.PageCount));
        if (kind == LogKind.Commits && random.Next(2) == 0)
        {
            Write(last, NextTransaction());
        }

        await AppendAsync(last);
    }

    ChangeSetBuilder Begin(LogKind kind, ulong? checksum = null, string reason = "", Hash256 snapshot = default) =>
        new(kind, PageSize, checksum ?? Checksum()) { Inode = 7, InodeBirth = 8, Reason = reason, Snapshot = snapshot };

    /// <summary>Pages in the order in which they are written, among them at times one twice, or one past the end.</summary>
    (List<(uint Page, byte[] Content)> Writes, uint PageCount) NextTransaction()
    {
        var count = (uint)pages.Count;
        var after = random.Next(10) switch
        {
            < 6 => count,
            < 9 when count < 64 => count + (uint)random.Next(1, 7),
            _ => (uint)random.Next(1, (int)count + 1),
        };
        var writes = new List<(uint, byte[])>();
        for (var page = count + 1; page <= after; page++)
        {
            writes.Add((page, RandomPage()));
        }

        for (var i = random.Next(after == count ? 1 : 0, 7); i > 0; i--)
        {
            writes.Add(((uint)random.Next(1, (int)after + 1), RandomPage()));
        }

        if (random.Next(6) == 0)
        {
            writes.Add((after + (uint)random.Next(1, 9), RandomPage()));
        }

        var order = writes.ToArray();
        random.Shuffle(order);
        return ([.. order], after);
    }

    void Add(ChangeSetBuilder part, List<(uint Page, byte[] Content)> writes)
    {
        foreach (var (page, content) in writes)
        {
            part.AddPage(page, Vault.Hasher.Hash(page, content), content);
            Grow(page);
            pages[(int)page - 1] = content;
        }
    }

    void Write(ChangeSetBuilder part, (List<(uint Page, byte[] Content)> Writes, uint PageCount) transaction)
    {
        Add(part, transaction.Writes);
        pages.RemoveRange((int)transaction.PageCount, pages.Count - (int)transaction.PageCount);
        micros += random.Next(1, 5_000_000);
        part.AddCommit(micros + 17, micros, transaction.PageCount, Checksum());
        part.Cursor = new WalCursor(1, 2, (uint)random.Next(1, 1000), 3, 4);
        uncounted.Add((transaction.PageCount, [.. pages.SelectMany(page => page)], micros));
    }

    async Task AppendAsync(ChangeSetBuilder part)
    {
        var position = log!.Tip.Position;
        await log.AppendAsync(part, default);
        foreach (var (pageCount, content, time) in uncounted.Take(part.Commits.Count))
        {
            Assert.Equal(pageCount * PageSize, (uint)content.Length);
            position = position.Next;
            var hashes = content.Chunk((int)PageSize).Index().Select(page => Vault.Hasher.Hash((uint)page.Index + 1, page.Item));
            Current.Points.Add(new ModelPoint(Current.Number, position, Micros.ToTime(time), content, [.. hashes]));
        }

        uncounted.RemoveRange(0, part.Commits.Count);
    }

    ulong Checksum() => pages.Index().Aggregate(0UL, (sum, page) => sum ^ Vault.Hasher.Hash((uint)page.Index + 1, page.Item));

    void Grow(uint count)
    {
        while (pages.Count < count)
        {
            pages.Add(RandomPage());
        }
    }

    byte[] RandomPage()
    {
        var page = new byte[PageSize];
        random.NextBytes(page.AsSpan(0, random.Next(3) == 0 ? page.Length : 16));
        return page;
    }
}
