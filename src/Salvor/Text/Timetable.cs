using System.Diagnostics.CodeAnalysis;
using Cronos;

namespace Salvor.Text;

/// <summary>
/// When something is done again: <c>every 15m</c>, or at the minutes that the five fields of a cron table name, as the clocks of a time
/// zone show them. A minute that a change of the clocks skips is done right after it, and one that it repeats is done once, but for tables
/// that name an interval.
/// </summary>
public sealed record Timetable
{
    public const string Hint = "Write 'every 15m', or five fields like '30 2 * * *' for half past two each day.";

    static readonly TimeSpan EveryMin = TimeSpan.FromMinutes(1);
    static readonly TimeSpan EveryMax = TimeSpan.FromDays(365);

    /// <summary>One, or two where either of two days will do.</summary>
    readonly CronExpression[] tables;

    Timetable(string text, TimeSpan? every, CronExpression[] tables, TimeZoneInfo zone) =>
        (Text, Every, this.tables, Zone) = (text, every, tables, zone);

    /// <summary>As it is written.</summary>
    public string Text { get; }

    /// <summary>The time between two; null where a table says when.</summary>
    public TimeSpan? Every { get; }

    /// <summary>Whose clocks a table goes by.</summary>
    public TimeZoneInfo Zone { get; }

    /// <param name="text">What is written.</param>
    /// <param name="zone">Whose clocks a table goes by.</param>
    /// <param name="value">The times. A table that never comes is none.</param>
    public static bool TryParse(string text, TimeZoneInfo zone, [NotNullWhen(true)] out Timetable? value)
    {
        const string EveryWord = "every ";
        value = null;
        if (text.StartsWith(EveryWord, StringComparison.Ordinal))
        {
            value = DurationText.TryParse(text[EveryWord.Length..].Trim(), out var every) && every >= EveryMin && every <= EveryMax
                ? new Timetable(text, every, [], zone)
                : null;
            return value is not null;
        }

        if (ParseTables(text) is { } tables)
        {
            var table = new Timetable(text, null, tables, zone);
            value = table.TryNext(DateTimeOffset.UnixEpoch) is null ? null : table;
        }

        return value is not null;
    }

    /// <summary>The first time after another one. Throws where there is none, which <see cref="TryParse"/> refuses.</summary>
    public DateTimeOffset NextAfter(DateTimeOffset time) =>
        Every is { } every ? time + every : TryNext(time) ?? throw new InvalidOperationException($"'{Text}' never comes");

    /// <summary>The longest time between two, as far as the next years show it.</summary>
    public TimeSpan LongestGap()
    {
        const int CountMin = 10_000;
        if (Every is { } every)
        {
            return every;
        }

        // The first year has a leap day. What comes often shows all in two months.
        var start = new DateTimeOffset(2028, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var (last, longest) = (NextAfter(start), TimeSpan.Zero);
        for (var count = 0; last < start.AddYears(9) && (count < CountMin || last < start.AddDays(62)); count++)
        {
            var next = NextAfter(last);
            longest = next - last > longest ? next - last : longest;
            last = next;
        }

        return longest;
    }

    DateTimeOffset? TryNext(DateTimeOffset time) => tables.Min(table => table.GetNextOccurrence(time, Zone))?.ToUniversalTime();

    static CronExpression[]? ParseTables(string text)
    {
        var parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length != 5)
        {
            return null;
        }

        // As cron has it: where both days are said, either will do.
        string[] wanted = parts[2][0] is '*' or '?' || parts[4][0] is '*' or '?'
            ? [text]
            : [string.Join(' ', [.. parts[..4], "*"]), string.Join(' ', [.. parts[..2], "*", .. parts[3..]])];
        CronExpression[] tables =
            [.. wanted.Select(item => CronExpression.TryParse(item, out var table) ? table : null).OfType<CronExpression>()];
        return tables.Length == wanted.Length ? tables : null;
    }
}
