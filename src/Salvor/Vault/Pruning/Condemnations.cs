using Salvor.Storage;
using Salvor.Vault.Format;

namespace Salvor.Vault.Pruning;

/// <summary>What a prune condemned, and what became of that.</summary>
/// <param name="Number">The number of both records.</param>
/// <param name="Outcome">Null while the grace lasts, and until a later prune carries it out.</param>
public sealed record Condemnation(ulong Number, CondemnedRecord Record, OutcomeRecord? Outcome)
{
    /// <summary>Whether it was taken back: then it is as if it had never been.</summary>
    public bool IsUndeleted => Outcome?.Decision == OutcomeRecord.Undeleted;

    /// <summary>Whether it may be deleted at any time.</summary>
    public bool IsDeleting => Outcome?.Decision == OutcomeRecord.Deleting;

    /// <summary>Until when it can be taken back.</summary>
    public DateTimeOffset GraceEnds
    {
        get
        {
            var grace = TimeSpan.FromSeconds(Math.Clamp(Record.GraceSeconds, 0, GraceSecondsMax));
            return Record.At > DateTimeOffset.MaxValue - grace ? DateTimeOffset.MaxValue : Record.At + grace;
        }
    }

    const long GraceSecondsMax = 100L * 365 * 24 * 3600;

    /// <summary>What goes: without that which was needed after all.</summary>
    public IEnumerable<CondemnedGroup> Groups => Outcome is not { Kept.Count: > 0 }
        ? Record.Groups
        : Record.Groups.Select(group => group with { Keys = [.. group.Keys.Except(Outcome.Kept)] });

    /// <summary>All keys.</summary>
    public IEnumerable<string> Keys => Groups.SelectMany(group => group.Keys);
}

/// <summary>
/// All that prunes condemned in a vault. Readers do not offer it, and may still read it. A record that cannot be read counts as absent:
/// what it hid is offered again for as long as it is there.
/// </summary>
public sealed class Condemnations
{
    /// <summary>Of a vault that was never pruned.</summary>
    public static readonly Condemnations None = new([], 0);

    readonly Dictionary<string, CondemnedGroup> hidden = [];

    Condemnations(IReadOnlyList<Condemnation> all, ulong last)
    {
        (All, Last) = (all, last);
        foreach (var group in all.Where(item => !item.IsUndeleted).SelectMany(item => item.Groups))
        {
            foreach (var key in group.Keys)
            {
                hidden[key] = group;
            }
        }
    }

    /// <summary>By number.</summary>
    public IReadOnlyList<Condemnation> All { get; }

    /// <summary>The highest number that is taken, be it by a damaged record; 0 where there is none.</summary>
    public ulong Last { get; }

    /// <summary>The keys that are deleted, or may be at any time.</summary>
    public IEnumerable<string> Deleted => All.Where(item => item.IsDeleting).SelectMany(item => item.Keys);

    /// <summary>The ids of backups that are absent on purpose, or may be at any time.</summary>
    public IEnumerable<(ulong First, ulong Last)> BackupsGone => All.Where(item => !item.IsUndeleted).SelectMany(item =>
        BackupsOf(item).Concat(item.Record.PrunedBackups.Select(range => (range.First, range.Last))));

    /// <summary>The numbers of records that were taken over by later ones, which may be deleted.</summary>
    public IEnumerable<NumberRange> Retired => All.Where(item => item.IsDeleting).SelectMany(item => item.Record.Retired);

    /// <summary>Whether an object is condemned.</summary>
    public bool Hides(string key) => hidden.ContainsKey(key);

    /// <summary>With what an object is condemned; null where it is not.</summary>
    public CondemnedGroup? GroupOf(string key) => hidden.GetValueOrDefault(key);

    /// <summary>The log numbers of a branch that are gone on purpose.</summary>
    public IEnumerable<(ulong First, ulong Last)> PrunedOf(uint branch) =>
        All.Where(item => !item.IsUndeleted).SelectMany(item => item.Record.Pruned)
            .Where(range => range.Branch == branch).Select(range => (range.First, range.Last));

    /// <summary>The backups that a record condemns, each as a range.</summary>
    internal static IEnumerable<(ulong First, ulong Last)> BackupsOf(Condemnation item) => item.Keys
        .Where(key => key.StartsWith(VaultKeys.Backups, StringComparison.Ordinal))
        .Select(key => (VaultKeys.NumberOf(key), VaultKeys.NumberOf(key)));

    /// <summary>The highest number that is taken; 0 where there is none.</summary>
    public static async Task<ulong> LastAsync(VaultAccess vault, CancellationToken cancellationToken) =>
        (await ReadAsync<CondemnedRecord>(vault, VaultKeys.Condemned, read: null, cancellationToken)).Last;

    /// <summary>Reads them.</summary>
    public static async Task<Condemnations> LoadAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        var (records, last) = await ReadAsync(
            vault, VaultKeys.Condemned, key => ReadRecordAsync(vault, key, cancellationToken), cancellationToken);
        if (last == 0)
        {
            return None;
        }

        var (outcomes, _) = await ReadAsync(
            vault, VaultKeys.Outcomes, key => ReadOutcomeAsync(vault, key, cancellationToken), cancellationToken);
        return new Condemnations(
            [.. records.Select(item => new Condemnation(item.Key, item.Value, outcomes.GetValueOrDefault(item.Key)))], last);
    }

    /// <summary>Reads what became of a record.</summary>
    internal static async Task<OutcomeRecord> ReadOutcomeAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        var outcome = await vault.ReadRecordAsync(key, ObjectKind.Outcome, VaultJson.Default.OutcomeRecord, cancellationToken);
        return outcome.Decision is OutcomeRecord.Undeleted or OutcomeRecord.Deleting
            ? outcome
            : throw new DamagedObjectException(key, $"'{outcome.Decision}' is no outcome");
    }

    /// <summary>Reads a record. What it names is deleted one day, so nothing is taken from it that no prune would condemn.</summary>
    internal static async Task<CondemnedRecord> ReadRecordAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        var record = await vault.ReadRecordAsync(key, ObjectKind.Condemned, VaultJson.Default.CondemnedRecord, cancellationToken);
        if (record.Groups.Contains(null!) || record.Pruned.Contains(null!) || record.Retired.Contains(null!)
            || record.PrunedBackups.Contains(null!)
            || record.Groups.Any(group => group.Keys.Contains(null!)))
        {
            // In a list, JSON may say null, whatever the types say.
            throw new DamagedObjectException(key, "it says nothing where it should name what goes");
        }

        if (record.Pruned.FirstOrDefault(range => range.First == 0 || range.First > range.Last) is { } wrong)
        {
            throw new DamagedObjectException(key, $"it prunes numbers {wrong.First}-{wrong.Last}");
        }

        if (record.Retired.FirstOrDefault(range => range.First == 0 || range.First > range.Last || range.Last >= VaultKeys.NumberOf(key))
            is { } impossible)
        {
            throw new DamagedObjectException(key, $"it takes over records {impossible.First}-{impossible.Last}");
        }

        if (record.PrunedBackups.FirstOrDefault(range => range.First == 0 || range.First > range.Last) is { } none)
        {
            throw new DamagedObjectException(key, $"it prunes backups {none.First}-{none.Last}");
        }

        foreach (var group in record.Groups)
        {
            if (group.Keys.FirstOrDefault(item => !MayGo(item, group.By, record)) is { } stays)
            {
                throw new DamagedObjectException(key, $"it condemns '{stays}', which no prune does");
            }
        }

        return record;
    }

    /// <summary>
    /// Backups, snapshots, packs and the log of a cluster; of another log only what lies wholly within another object that is named, or
    /// within the numbers that are pruned.
    /// </summary>
    static bool MayGo(string key, string by, CondemnedRecord record)
    {
        if (key.StartsWith(VaultKeys.Backups, StringComparison.Ordinal))
        {
            return VaultKeys.NumberOf(key) > 0 && by.Length == 0;
        }

        if (key.StartsWith(VaultKeys.Snapshots, StringComparison.Ordinal))
        {
            // An image is at position 0.
            return VaultKeys.BranchOf(key) > 0 && VaultKeys.NumberOf(key) >= 0 && by.Length == 0;
        }

        if (key.StartsWith(VaultKeys.Packs, StringComparison.Ordinal))
        {
            return Hash256.TryParse(key.AsSpan(VaultKeys.Packs.Length), out var pack) && key == VaultKeys.Pack(pack) && by.Length == 0;
        }

        if (key.StartsWith(VaultKeys.Wals, StringComparison.Ordinal))
        {
            return VaultKeys.WalOf(key, storedBytes: 0).Branch > 0 && by.Length == 0;
        }

        if (!key.StartsWith(VaultKeys.Logs, StringComparison.Ordinal))
        {
            return false;
        }

        var branch = VaultKeys.BranchOf(key);
        var entry = VaultKeys.LogEntryOf(key, 0).Entry;
        if (by.Length == 0)
        {
            return record.Pruned.Any(range => range.Branch == branch && range.First <= entry.First && entry.Last <= range.Last);
        }

        var over = VaultKeys.LogEntryOf(by, 0).Entry;
        return by.StartsWith(VaultKeys.LogsOf(branch), StringComparison.Ordinal) && over.First <= entry.First && entry.Last <= over.Last
            && (over.First, over.Last) != (entry.First, entry.Last);
    }

    static async Task<(SortedDictionary<ulong, T> Records, ulong Last)> ReadAsync<T>(
        VaultAccess vault, string prefix, Func<string, Task<T>>? read, CancellationToken cancellationToken)
    {
        var keys = new SortedDictionary<ulong, string>();
        await foreach (var row in vault.ListAsync(prefix, after: null, cancellationToken))
        {
            try
            {
                keys[VaultKeys.NumberOf(row.Key)] = row.Key;
            }
            catch (DamagedObjectException)
            {
                // A verification tells it.
            }
        }

        var records = new SortedDictionary<ulong, T>();
        if (read is null || keys.Count == 0)
        {
            return (records, keys.Keys.LastOrDefault());
        }

        var all = keys.ToList();
        await InFlight.ForEachAsync(all.Count, ReadAsync, cancellationToken);
        return (records, all[^1].Key);

        async Task ReadAsync(int index)
        {
            try
            {
                var record = await read(all[index].Value);
                lock (records)
                {
                    records[all[index].Key] = record;
                }
            }
            catch (SalvorException e) when (e is DamagedObjectException or NewerFormatException)
            {
                // As above. A bit of its version may have rotten, and the history is not lost for that.
            }
        }
    }
}
