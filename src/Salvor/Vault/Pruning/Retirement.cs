namespace Salvor.Vault.Pruning;

/// <summary>
/// Which records of prunes a new one takes over. Each listing of a vault reads all records, and a prune a day makes a thousand in three
/// years, so those whose work is done long ago are joined.
/// </summary>
/// <param name="Records">Their numbers, with those that they took over themselves.</param>
/// <param name="Pruned">The log numbers that stay gone.</param>
sealed record Retirement(IReadOnlyList<NumberRange> Records, IReadOnlyList<PrunedRange> Pruned)
{
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
        var deleted = done.Where(item => item.IsDeleting).Select(item => item.Record).ToList();
        var numbers = done.Select(item => (0U, item.Number, item.Number))
            .Concat(deleted.SelectMany(record => record.Retired).Select(range => (0U, range.First, range.Last)));
        var pruned = deleted.SelectMany(record => record.Pruned).Select(range => (range.Branch, range.First, range.Last));
        return new Retirement(
            [.. Join(numbers).Select(range => new NumberRange(range.First, range.Last))],
            [.. Join(pruned).Select(range => new PrunedRange(range.Group, range.First, range.Last))]);
    }

    static IEnumerable<(uint Group, ulong First, ulong Last)> Join(IEnumerable<(uint Group, ulong First, ulong Last)> ranges)
    {
        (uint Group, ulong First, ulong Last)? open = null;
        foreach (var range in ranges.Order())
        {
            if (open is { } joined && joined.Group == range.Group && range.First - 1 <= joined.Last)
            {
                open = joined with { Last = Math.Max(joined.Last, range.Last) };
                continue;
            }

            if (open is { } done)
            {
                yield return done;
            }

            open = range;
        }

        if (open is { } last)
        {
            yield return last;
        }
    }
}
