using Salvor.Platform;
using Salvor.Vault;
using Salvor.Vault.Restore;

namespace Salvor.Sqlite.Verify;

/// <summary>How a file differs from a restore point.</summary>
/// <param name="PageCount">The pages that it should have.</param>
/// <param name="Pages">The first of those that differ, in order.</param>
/// <param name="Count">How many differ.</param>
public sealed record FileDifference(uint PageCount, IReadOnlyList<uint> Pages, long Count);

/// <summary>Compares a database file that nobody uses with what a vault says that it was, by the hashes of its pages.</summary>
public sealed class FileComparison(VaultCatalog catalog, RestorePlanner planner)
{
    const int PagesMax = 1000;

    /// <summary>The newest restore point whose database is exactly this file, by its checksum; null where there is none.</summary>
    public async Task<RestorePoint?> FindAsync(string file, CancellationToken cancellationToken)
    {
        var sums = new Dictionary<uint, ulong>();
        var length = new FileInfo(file).Length;
        foreach (var branch in catalog.Branches.Reverse())
        {
            // The finest objects too: a coarse one has not every restore point.
            foreach (var entry in catalog.Logs(branch.Number).Entries.OrderByDescending(entry => entry.Last))
            {
                var log = await catalog.ReadLogAsync(branch.Number, entry, cancellationToken);
                var size = log.Details.PageSize;
                for (var i = log.Details.Commits.Count - 1; i >= 0; i--)
                {
                    var commit = log.Details.Commits[i];
                    if ((long)commit.PageCount * size == length && commit.Checksum == SumOf(size))
                    {
                        return new RestorePoint(branch.Number, log.PositionOf(i), Micros.ToTime(commit.TimeMicros));
                    }
                }
            }
        }

        return null;

        ulong SumOf(uint pageSize)
        {
            if (!sums.TryGetValue(pageSize, out var sum))
            {
                using var handle = Posix.Open(file, Posix.ReadOnly);
                sums[pageSize] = sum = ImageChecksum.Of(handle, pageSize, catalog.Vault.Hasher, cancellationToken);
            }

            return sum;
        }
    }

    /// <summary>Which pages of a file are not those of a restore point.</summary>
    public async Task<FileDifference> CompareAsync(
        string file, uint branch, RestorePoint point, CancellationToken cancellationToken)
    {
        var plan = await planner.PlanAsync(point.Branch == branch ? branch : point.Branch, point.Position, cancellationToken);
        var tip = new LogTip(point.Branch, 0, point.Position, Micros.Of(point.Time), default);
        var state = await VaultState.ReplayAsync(catalog, plan, tip, cancellationToken);
        var pages = new List<uint>();
        var (count, last) = (0L, 0u);
        using var handle = Posix.Open(file, Posix.ReadOnly);
        ImageChecksum.Of(handle, state.PageSize, catalog.Vault.Hasher, cancellationToken, (page, hash) =>
        {
            last = page;
            if (state.Table[page] != hash)
            {
                Note(page);
            }
        });

        var lockPage = DatabasePages.LockBytePage(state.PageSize);
        for (var page = last + 1; page <= state.Table.PageCount; page++)
        {
            if (page != lockPage)
            {
                Note(page);
            }
        }

        return new FileDifference(state.Table.PageCount, pages, count);

        void Note(uint page)
        {
            count++;
            if (pages.Count < PagesMax)
            {
                pages.Add(page);
            }
        }
    }
}
