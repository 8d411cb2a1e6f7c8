namespace Salvor.Vault.Pruning;

/// <summary>
/// Which records of prunes a new one takes over. Each listing of a vault reads all records, and a prune a day makes a thousand in three
/// years, so those whose work is done long ago are joined.
/// </summary>
/// <param name="Records">Their numbers, with those that they took over themselves.</param>
/// <param name="Pruned">The log numbers that stay gone.</param>
/// <param name="Backups">The ids of the backups that stay gone.</param>
sealed record Retirement(IReadOnlyList<NumberRange> Records, IReadOnlyList<PrunedRange> Pruned, IReadOnlyList<NumberRange> Backups)
{
    /// <summary>Of a record that takes over none.</summary>
    public static readonly Retirement None = new([], [], []);

    /// <summary>So long a copy at another destination may stand still without missing what to delete.</summary>
    public static readonly TimeSpan Age = TimeSpan.FromDays(30);

    /// <summary>Finds them.</summary>
    /// <param name="condemned">All records.</param>
    /// <param name="isPresent">Whether an object is stored.</param>
    /// <param name="now">The time.</param>
    public static Retirement Find(Condemnations condemned, Func<string, bool> isPresent, DateTimeOffset now)
    {
        var done = condemned.All
            .Where(item => item.Outcome is { } outcome && now - outcome.At >= Age && (item.IsUndeleted || !item.Keys.Any(isPresent)))
            .ToList();
        var deletions = done.Where(item => item.IsDeleting).ToList();
        var deleted = deletions.Select(item => item.Record).ToList();
        var backups = deletions.SelectMany(Condemnations.BackupsOf)
            .Concat(deleted.SelectMany(record => record.PrunedBackups).Select(range => (range.First, range.Last)));
        var numbers = done.Select(item => (item.Number, item.Number))
            .Concat(deleted.SelectMany(record => record.Retired).Select(range => (range.First, range.Last)));
        return new Retirement(
            RangesOf(numbers),
            [.. deleted.SelectMany(record => record.Pruned).GroupBy(range => range.Branch).OrderBy(branch => branch.Key).SelectMany(Join)],
            RangesOf(backups));
    }

    static IReadOnlyList<NumberRange> RangesOf(IEnumerable<(ulong, ulong)> ranges) =>
        [.. NumberRanges.Join(ranges).Select(range => new NumberRange(range.First, range.Last))];

    static IEnumerable<PrunedRange> Join(IGrouping<uint, PrunedRange> branch) =>
        NumberRanges.Join(branch.Select(range => (range.First, range.Last)))
            .Select(range => new PrunedRange(branch.Key, range.First, range.Last));
}
