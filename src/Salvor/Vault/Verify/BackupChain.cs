using Salvor.Vault.Format;
using Salvor.Vault.Pruning;

namespace Salvor.Vault.Verify;

/// <summary>
/// Whether the records of backups are all there, and are those that there were. Ids are dense, each record names the one before it by a
/// hash, and prunes and heads say what went and what was stored; so what somebody else removed or replaced shows.
/// </summary>
/// <param name="condemned">What prunes condemned.</param>
/// <param name="newestKnown">The newest id that a head names; 0 where none does.</param>
sealed class BackupChain(Condemnations condemned, ulong newestKnown)
{
    readonly SortedDictionary<ulong, (BackupRecord Record, Hash256 DetailsHash)?> present = [];

    /// <summary>Notes a backup that is listed; null where its record cannot be read.</summary>
    public void Add(ulong id, (BackupRecord Record, Hash256 DetailsHash)? read) => present[id] = read;

    /// <summary>What is wrong, by id. No costs more than its record: restore points are of the log and of snapshots.</summary>
    public IEnumerable<(ulong Id, FindingLayer Layer, string What)> Find()
    {
        var last = present.Keys.LastOrDefault();
        var newest = present.Values.LastOrDefault(item => item?.Record.Before is not null)?.Record;
        foreach (var (id, before) in present.Values.Where(item => item?.Record.Before is not null)
            .Select(item => (item!.Value.Record.Id, item.Value.Record.Before!)))
        {
            if (present.GetValueOrDefault(before.Id) is { } linked && linked.DetailsHash.ToString() != before.Hash)
            {
                yield return (before.Id, FindingLayer.Lineage, $"it was replaced: backup {id} was made after another one of this id");
            }
        }

        // Before the first record with a link nobody knows what there was.
        IEnumerable<(ulong, ulong)> unknown = newest is null ? [(1, last)] : newest.Before!.Gone.Select(range => (range.First, range.Last));
        var explained = present.Keys.Select(id => (id, id)).Concat(condemned.BackupsGone).Concat(unknown);
        foreach (var gap in NumberRanges.Missing(explained, Math.Max(last, newestKnown)))
        {
            var which = gap.First == gap.Last ? "it was" : $"it and all up to backup {gap.Last} were";
            yield return gap.Last > last
                ? (gap.First, FindingLayer.Head, $"the newest backups were removed: backup {gap.Last} was stored")
                : (gap.First, FindingLayer.Listing, $"{which} removed, and no prune did that");
        }
    }
}
