using System.Globalization;
using Salvor.Vault.Format;

namespace Salvor.Vault.Wal;

/// <summary>The branches of a vault of PostgreSQL: one for each timeline, made when it is first met.</summary>
public static class WalBranches
{
    /// <summary>
    /// The branch of a timeline. It and those of all timelines before it are made where they are absent; none is ever changed.
    /// </summary>
    /// <param name="vault">The vault; of one cluster.</param>
    /// <param name="systemId">The cluster's own.</param>
    /// <param name="history">Where the timeline comes from.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends it between two branches.</param>
    public static async Task<uint> EnsureAsync(
        VaultAccess vault, ulong systemId, TimelineHistory history, TimeProvider time, CancellationToken cancellationToken)
    {
        while (true)
        {
            var branches = await VaultCatalog.ListBranchesAsync(vault, cancellationToken);
            ExpectCluster(vault, branches, systemId);
            if (await TryEnsureAsync(vault, branches, systemId, history, time, cancellationToken) is { } branch)
            {
                return branch;
            }
        }
    }

    /// <summary>The newest branch of a timeline; null where there is none.</summary>
    public static Branch? Find(IEnumerable<Branch> branches, uint timeline) =>
        branches.LastOrDefault(branch => branch.Record.Timeline == timeline);

    /// <summary>The history of the timeline of a branch, checked; throws where the record is of another kind of vault.</summary>
    public static TimelineHistory HistoryOf(Branch branch)
    {
        var record = branch.Record;
        try
        {
            var history = TimelineHistory.Read(record.Timeline ?? 0, record.History ?? default(ReadOnlyMemory<byte>));
            var isFirst = history.Parents.Count == 0;
            return SystemIdOf(branch) > 0 && record.ForkPosition == history.ForkAt.Value && (record.Parent == 0) == isFirst
                ? history
                : throw Damaged(branch, "what it says of its parent is not what its history says");
        }
        catch (SalvorException e) when (e is not DamagedObjectException)
        {
            throw Damaged(branch, e.Message);
        }
    }

    /// <summary>The cluster of a branch.</summary>
    public static ulong SystemIdOf(Branch branch) =>
        ulong.TryParse(branch.Record.SystemId, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id > 0
            ? id
            : throw Damaged(branch, "it does not say of which cluster it is");

    static DamagedObjectException Damaged(Branch branch, string what) => new(VaultKeys.Branch(branch.Number), what);

    static void ExpectCluster(VaultAccess vault, IReadOnlyList<Branch> branches, ulong systemId)
    {
        foreach (var other in branches.Select(SystemIdOf).Where(id => id != systemId))
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"vault {vault.Location} is of the cluster with system identifier {other}, and this server has {systemId}",
                "After 'initdb' or 'pg_upgrade' a cluster is another one: give it another name, so that neither history hides the other.");
        }
    }

    /// <summary>Null where somebody else made a branch meanwhile.</summary>
    static async Task<uint?> TryEnsureAsync(
        VaultAccess vault, IReadOnlyList<Branch> branches, ulong systemId, TimelineHistory history, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var next = branches.Count == 0 ? 1 : branches[^1].Number + 1;
        var parent = 0U;
        var all = Enumerable.Range(0, history.Parents.Count).Select(history.OfParent).Append(history);
        foreach (var timeline in all)
        {
            if (Find(branches, timeline.Timeline) is { } known)
            {
                ExpectSame(vault, known, timeline);
                parent = known.Number;
                continue;
            }

            if (!await PutAsync(vault, next, Record(systemId, timeline, parent, time), cancellationToken))
            {
                return null;
            }

            parent = next++;
        }

        return parent;
    }

    static void ExpectSame(VaultAccess vault, Branch known, TimelineHistory history)
    {
        if (!HistoryOf(known).Agrees(history))
        {
            throw new SalvorException(
                FailureKind.Integrity,
                $"timeline {history.Timeline} of vault {vault.Location} left its parent elsewhere than that of this server",
                "Two servers were promoted, and each began a timeline of that number: find out which one counts, and give the other "
                    + "another name.");
        }
    }

    static BranchRecord Record(ulong systemId, TimelineHistory history, uint parent, TimeProvider time) => new()
    {
        Parent = parent,
        ForkPosition = history.ForkAt.Value,
        ForkNumber = 0,
        ForkLineage = Hash256.Zero.ToString(),
        Reason = history.Parents.Count == 0 ? "first timeline" : history.Parents[^1].Reason,
        CreatedAt = time.GetUtcNow(),
        Timeline = history.Timeline,
        SystemId = systemId.ToString(CultureInfo.InvariantCulture),
        History = history.Bytes.ToArray(),
    };

    static async Task<bool> PutAsync(VaultAccess vault, uint number, BranchRecord record, CancellationToken cancellationToken)
    {
        using var writer = vault.NewObject();
        var (bytes, _) = writer.Finish(
            new ObjectHeader { Kind = ObjectKind.Branch, VaultId = vault.Id, Branch = number },
            VaultJson.Write(record, VaultJson.Default.BranchRecord));
        return await vault.PutAsync(VaultKeys.Branch(number), bytes, cancellationToken)
            || await vault.HoldsAsync(VaultKeys.Branch(number), bytes, cancellationToken);
    }
}
