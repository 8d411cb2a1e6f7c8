using System.Globalization;

namespace Salvor.Jobs.Drills;

/// <summary>Compares the rows of each table with those of the drill that passed last.</summary>
static class RowComparison
{
    const int NamedMax = 5;

    /// <summary>Without a limit of the operator's, a table that lost this much is worth a look.</summary>
    const int NoticedPercent = 50;

    /// <summary>The answer as a check.</summary>
    /// <param name="rows">The rows of each table now.</param>
    /// <param name="before">Those of the drill that passed last; null where none did.</param>
    /// <param name="shrinkPercent">By how much a table may shrink; null where that is not said, and then it is a warning.</param>
    /// <param name="accepted">The operator knows why they shrank.</param>
    public static (CheckOutcome Outcome, string Found) Judge(
        IReadOnlyDictionary<string, long> rows, IReadOnlyDictionary<string, long>? before, int? shrinkPercent, bool accepted)
    {
        var total = $"{rows.Count} table(s), {Number(rows.Values.Sum())} row(s)";
        if (before is null)
        {
            return (CheckOutcome.Pass, $"{total}; nothing to compare with yet");
        }

        string[] lost = [.. before.Where(item => IsLost(rows, item, shrinkPercent ?? NoticedPercent)).Select(item => Describe(rows, item))];
        if (lost.Length == 0)
        {
            return (CheckOutcome.Pass, total);
        }

        var more = lost.Length > NamedMax ? $", and {lost.Length - NamedMax} more" : "";
        var outcome = shrinkPercent is null || accepted ? CheckOutcome.Warn : CheckOutcome.Fail;
        return (outcome, $"{string.Join(", ", lost.Take(NamedMax))}{more}");
    }

    static bool IsLost(IReadOnlyDictionary<string, long> rows, KeyValuePair<string, long> before, int percent) =>
        !rows.TryGetValue(before.Key, out var now) || (now < before.Value && (before.Value - now) * 100m > before.Value * (decimal)percent);

    static string Describe(IReadOnlyDictionary<string, long> rows, KeyValuePair<string, long> before) =>
        rows.TryGetValue(before.Key, out var now)
            ? $"table {before.Key} went from {Number(before.Value)} to {Number(now)} row(s)"
            : $"table {before.Key} with {Number(before.Value)} row(s) is gone";

    static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);
}
