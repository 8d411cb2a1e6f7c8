namespace Salvor.Vault;

/// <summary>Sets of numbers, as ranges.</summary>
static class NumberRanges
{
    /// <summary>The fewest ranges with the same numbers, in order. What is no range is left out.</summary>
    public static (ulong First, ulong Last)[] Join(IEnumerable<(ulong First, ulong Last)> ranges)
    {
        var joined = new List<(ulong First, ulong Last)>();
        foreach (var range in ranges.Where(range => range.First > 0 && range.First <= range.Last).Order())
        {
            if (joined.Count > 0 && range.First - 1 <= joined[^1].Last)
            {
                joined[^1] = (joined[^1].First, Math.Max(joined[^1].Last, range.Last));
            }
            else
            {
                joined.Add(range);
            }
        }

        return [.. joined];
    }

    /// <summary>The ranges of the numbers from 1 to the last that are in none of these.</summary>
    public static IEnumerable<(ulong First, ulong Last)> Missing(IEnumerable<(ulong First, ulong Last)> ranges, ulong last)
    {
        var next = 1UL;
        foreach (var range in Join(ranges).TakeWhile(range => range.First <= last))
        {
            if (range.First > next)
            {
                yield return (next, range.First - 1);
            }

            next = range.Last == ulong.MaxValue ? range.Last : range.Last + 1;
        }

        if (next <= last && next != ulong.MaxValue)
        {
            yield return (next, last);
        }
    }
}
