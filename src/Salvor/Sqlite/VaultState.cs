using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;

namespace Salvor.Sqlite;

/// <summary>Where a vault's newest branch ends, as its writer needs to know it.</summary>
/// <param name="Tip">Where the log continues.</param>
/// <param name="PageSize">0 where nothing is stored yet.</param>
/// <param name="Table">The page hashes at the tip.</param>
/// <param name="Cursor">Where the last change-set ended in the write-ahead log.</param>
/// <param name="Image">The hash of an image that still waits for its base, if any.</param>
/// <param name="NeedsImage">Nothing is stored on this branch, so a full copy must come first.</param>
sealed record VaultState(
    LogTip Tip, uint PageSize, PageTable Table, WalCursor Cursor, ulong Inode, long InodeBirth, Hash256? Image, bool NeedsImage)
{
    /// <summary>Nothing may follow on this branch: whoever goes on makes another one.</summary>
    public bool IsEnded { get; private init; }

    /// <summary>
    /// Reads the state from a vault: listing, snapshot roots and the details of the log, but no page. With a cache that the vault confirms,
    /// only the log after it.
    /// </summary>
    public static async Task<VaultState> LoadAsync(VaultCatalog catalog, PageTableCache? cache, CancellationToken cancellationToken)
    {
        var branch = catalog.Branches.Last();
        var logs = catalog.Logs(branch.Number);
        if (logs.Missing.Count > 0)
        {
            throw new DamagedObjectException(
                VaultKeys.Log(branch.Number, logs.Missing[0]), $"it is missing from vault {catalog.Vault.Location}");
        }

        var last = logs.Last == 0 ? null : await catalog.ReadLogAsync(branch.Number, logs.Chain[^1], cancellationToken);
        var link = last?.Header.LineageAfter ?? catalog.LineageStart(branch);
        var state = await LoadAsync(catalog, cache, branch, link, cancellationToken);
        return state with { IsEnded = last?.Details.Kind == LogKind.End };
    }

    static async Task<VaultState> LoadAsync(
        VaultCatalog catalog, PageTableCache? cache, Branch branch, Hash256 link, CancellationToken cancellationToken)
    {
        var logs = catalog.Logs(branch.Number);
        var planner = new RestorePlanner(catalog);
        if (await planner.FirstAsync(branch.Number, cancellationToken) is not null)
        {
            var latest = await planner.LatestAsync(branch.Number, cancellationToken);
            var tip = new LogTip(branch.Number, logs.Last, latest.Position, Micros.Of(latest.Time), link);
            if (await TryContinueAsync(catalog, planner, cache, tip, cancellationToken) is { } continued)
            {
                return continued;
            }

            var plan = await planner.PlanAsync(branch.Number, latest.Position, cancellationToken);
            var state = await ReplayAsync(catalog, plan, tip, cancellationToken);

            // Where a snapshot stands at the tip, no log was replayed; the place in the write-ahead log is known nevertheless.
            var last = await planner.LogOfAsync(latest, cancellationToken);
            return state with { Cursor = last.Details.Cursor, Inode = last.Details.Inode, InodeBirth = last.Details.InodeBirth };
        }

        return await LoadUnstartedAsync(catalog, planner, branch, link, cancellationToken);
    }

    /// <summary>The state at the tip from a cache and the log after it; null where the vault does not confirm the cache.</summary>
    static async Task<VaultState?> TryContinueAsync(
        VaultCatalog catalog, RestorePlanner planner, PageTableCache? cache, LogTip tip, CancellationToken cancellationToken)
    {
        if (cache is null || cache.Branch != tip.Branch || cache.Position > tip.Position || cache.Position.Value == 0)
        {
            return null;
        }

        if (await planner.FindAsync(tip.Branch, cache.Position, cancellationToken) is not { } point)
        {
            // The ladder dropped it.
            return null;
        }

        var log = await planner.LogOfAsync(point, cancellationToken);
        var table = PageTable.Of(cache.Hashes);
        var isWithin = log.Header.PositionLast != cache.Position.Value;
        if (point.Branch != cache.Branch || (isWithin && !log.Details.IsCompacted)
            || log.Details.Commits[log.LastAt(cache.Position)].Checksum != table.Checksum || log.Details.PageSize != cache.PageSize)
        {
            return null;
        }

        var plan = planner.PlanOn(log, cache.Position, tip.Position);
        var target = new TableTarget(cache.PageSize, table);
        var last = await Replay.RunAsync(catalog, plan, target, cancellationToken) ?? log;
        return table.Checksum != last.Details.ChecksumAfter
            ? null
            : new VaultState(
                tip, cache.PageSize, table, last.Details.Cursor, last.Details.Inode, last.Details.InodeBirth,
                Image: null, NeedsImage: false);
    }

    /// <summary>The page hashes at a position.</summary>
    public static async Task<VaultState> ReplayAsync(
        VaultCatalog catalog, RestorePlan plan, LogTip tip, CancellationToken cancellationToken)
    {
        var (table, pageSize, _) = await LoadSnapshotAsync(catalog, plan.Snapshot, cancellationToken);
        var target = new TableTarget(pageSize, table);
        var last = await Replay.RunAsync(catalog, plan, target, cancellationToken);
        var details = last?.Details;
        if (details is not null && target.Checksum != table.Checksum)
        {
            throw new DamagedObjectException(
                last!.Key, "the pages before it do not add up to its checksum");
        }

        return new VaultState(
            tip, details?.PageSize ?? pageSize, table, details?.Cursor ?? default, details?.Inode ?? 0, details?.InodeBirth ?? 0,
            Image: null, NeedsImage: false);
    }

    /// <summary>A branch without a restore point of its own: nothing yet, an image without its base, or a fork.</summary>
    static async Task<VaultState> LoadUnstartedAsync(
        VaultCatalog catalog, RestorePlanner planner, Branch branch, Hash256 link, CancellationToken cancellationToken)
    {
        var fork = new Position(branch.Record.ForkPosition);
        var forkTime = fork.Value == 0
            ? 0
            : Micros.Of((await planner.PointAsync(branch.Record.Parent, fork, cancellationToken)).Time);
        var tip = new LogTip(branch.Number, catalog.Logs(branch.Number).Last, fork, forkTime, link);
        if (catalog.Snapshots.Any(snapshot => snapshot.Branch == branch.Number))
        {
            var (table, pageSize, hash) = await LoadSnapshotAsync(catalog, new SnapshotRef(branch.Number, fork), cancellationToken);
            return new VaultState(tip, pageSize, table, default, 0, 0, hash, NeedsImage: false);
        }

        if (branch.Record.Parent == 0)
        {
            return new VaultState(tip, 0, new PageTable(), default, 0, 0, null, NeedsImage: true);
        }

        var plan = await planner.PlanAsync(branch.Record.Parent, fork, cancellationToken);
        return await ReplayAsync(catalog, plan, tip, cancellationToken);
    }

    static async Task<(PageTable Table, uint PageSize, Hash256 Hash)> LoadSnapshotAsync(
        VaultCatalog catalog, SnapshotRef snapshot, CancellationToken cancellationToken)
    {
        var reader = await SnapshotReader.OpenAsync(catalog.Vault, snapshot, cancellationToken);
        var table = new PageTable();
        var lockPage = DatabasePages.LockBytePage(reader.Details.PageSize);
        await reader.ReadPageHashesAsync(
            (page, hashes) =>
            {
                foreach (var hash in hashes)
                {
                    if (page != lockPage)
                    {
                        table.Set(page, hash);
                    }

                    page++;
                }
            },
            cancellationToken);
        table.Resize(reader.Details.PageCount);
        if (table.Checksum != reader.Details.Checksum)
        {
            throw new DamagedObjectException(
                VaultKeys.Snapshot(snapshot.Branch, snapshot.Position), "its page hashes do not add up to its checksum");
        }

        return (table, reader.Details.PageSize, reader.DetailsHash);
    }

    sealed class TableTarget(uint pageSize, PageTable table) : IReplayTarget
    {
        public uint PageSize { get; } = pageSize;

        public uint PageCount => table.PageCount;

        public ulong Checksum { get; private set; }

        public void AddPage(LogObject log, int index)
        {
            var page = log.Details.Pages[index];
            table.Set(page.Number, page.Hash);
        }

        public void AddCommit(LogObject log, CommitEntry commit)
        {
            table.Resize(commit.PageCount);
            Checksum = commit.Checksum;
        }
    }
}
