using Salvor.Vault.Compaction;
using Salvor.Vault.Format;

namespace Salvor.Vault.Pruning;

/// <summary>
/// Which objects need a longer lock. What is needed is locked anew each time that half of the time of a lock has passed since it was
/// stored, so an object is asked for twice in that time, and whether it is due follows from when it was stored and when this was last
/// looked at.
/// </summary>
public static class LockPlan
{
    /// <summary>Whether an object is due. What is not known is taken as due.</summary>
    /// <param name="storedAt">When it was stored, with a lock; null where the destination does not say.</param>
    /// <param name="time">How long a lock lasts.</param>
    /// <param name="last">When all that was due was last locked for that time; null where that never was.</param>
    /// <param name="now">The time.</param>
    public static bool IsDue(DateTimeOffset? storedAt, TimeSpan time, DateTimeOffset? last, DateTimeOffset now)
    {
        var half = Math.Max(1, time.Ticks / 2);
        return storedAt is not { } stored || last is not { } then
            || Math.Max(0, (now - stored).Ticks) / half > Math.Max(0, (then - stored).Ticks) / half;
    }

    /// <summary>How often it is looked: often enough that a lock never has less than three eighths of its time left.</summary>
    public static TimeSpan StepOf(TimeSpan time) => time / 8 < TimeSpan.FromDays(1) ? time / 8 : TimeSpan.FromDays(1);

    /// <summary>
    /// What a vault does not need any more: what is condemned, log objects that another one has taken the place of, and all claims but the
    /// newest. Those run out of their locks.
    /// </summary>
    public static async Task<Func<string, bool>> NeededAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        var superseded = new HashSet<string>();
        foreach (var branch in catalog.Branches.Select(branch => branch.Number))
        {
            IReadOnlyList<LogEntry> compacted = [.. catalog.Logs(branch).Entries.Where(entry => entry.IsCompacted)];
            var headers = await catalog.ReadLogHeadersAsync(branch, compacted, cancellationToken);
            var lossless = compacted.Where((_, index) => IsLossless(headers[index])).ToHashSet();
            superseded.UnionWith(
                Superseded.Find(catalog.Logs(branch), lossless.Contains).Select(item => VaultKeys.Log(branch, item.Entry)));
        }

        var claim = VaultKeys.Claim(await new WriterClaims(vault).NewestEpochAsync(cancellationToken));
        return key => !catalog.Condemned.Hides(key) && !superseded.Contains(key)
            && (!key.StartsWith(VaultKeys.Claims, StringComparison.Ordinal) || string.CompareOrdinal(key, claim) >= 0);
    }

    static bool IsLossless(ObjectHeader header) => header.Log.Points == header.PositionLast - header.PositionFirst + 1;
}
