using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;

namespace Salvor.Sqlite.Restore;

/// <summary>
/// Where the newest version of each page is at a restore point: in the log, or still in the snapshot. Filled by replaying the details
/// of the log, about 40 bytes for each page that it touched.
/// </summary>
sealed class NewestVersions(uint pageSize, uint snapshotPages) : IReplayTarget
{
    uint snapshotEnd = snapshotPages;
    uint pageMax;

    public uint PageSize { get; } = pageSize;

    /// <summary>
    /// Pages whose newest version is in the log: the index of the object in <see cref="Objects"/> and of the row in its pages, and the
    /// hash.
    /// </summary>
    public Dictionary<uint, (int Object, int Index, ulong Hash)> Pages { get; } = [];

    /// <summary>The log objects that hold those.</summary>
    public List<(string Key, Hash256 Proof)> Objects { get; } = [];

    /// <summary>The image that the last base in the log completes.</summary>
    public Hash256? Base { get; private set; }

    public uint PageCount { get; private set; } = snapshotPages;

    /// <summary>The checksum of the database after the last transaction; 0 before the first.</summary>
    public ulong Checksum { get; private set; }

    public bool TakesFromSnapshot(uint page) => page <= snapshotEnd && !Pages.ContainsKey(page);

    public void AddPage(LogObject log, int index)
    {
        if (Objects.Count == 0 || Objects[^1].Key != log.Key)
        {
            Objects.Add((log.Key, log.Proof));
        }

        var (page, hash) = log.Details.Pages[index];
        Pages[page] = (Objects.Count - 1, index, hash);
        pageMax = Math.Max(pageMax, page);
    }

    public void AddCommit(LogObject log, CommitEntry commit)
    {
        if (log.Details.Kind == LogKind.Base)
        {
            Base = log.Details.Snapshot;
        }

        // What a transaction cuts off does not come back when the database grows again: then it is stored anew.
        for (var page = commit.PageCount + 1; page <= pageMax; page++)
        {
            Pages.Remove(page);
        }

        snapshotEnd = Math.Min(snapshotEnd, commit.PageCount);
        (PageCount, Checksum) = (commit.PageCount, commit.Checksum);
        pageMax = Math.Min(pageMax, commit.PageCount);
    }

    /// <summary>An image is no state of the source before the log has completed it; the log must name this very image.</summary>
    public void ExpectBase(SnapshotRef place, SnapshotReader snapshot)
    {
        if (snapshot.Details.IsImage && Base != snapshot.DetailsHash)
        {
            throw new DamagedObjectException(
                VaultKeys.Snapshot(place.Branch, place.Position), "the log completes another image than this one");
        }
    }
}
