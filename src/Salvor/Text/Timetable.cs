using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Salvor.Text;

/// <summary>
/// When something is done again: <c>every 15m</c>, or at the minutes that the five fields of a cron table name (minute, hour, day of the
/// month, month, day of the week from Sunday = 0 or 7), in UTC.
/// </summary>
public sealed record Timetable
{
    public const string Hint = "Write 'every 15m', or five fields like '30 2 * * *' for half past two each day, in UTC.";

    static readonly TimeSpan EveryMin = TimeSpan.FromMinutes(1);
    static readonly TimeSpan EveryMax = TimeSpan.FromDays(365);

    /// <summary>The least and the greatest value of each field.</summary>
    static readonly (int Min, int Max)[] Ranges = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];

    readonly HashSet<int>[] fields;
    readonly bool eitherDay;

    Timetable(string text, TimeSpan? every, HashSet<int>[] fields, bool eitherDay) =>
        (Text, Every, this.fields, this.eitherDay) = (text, every, fields, eitherDay);

    /// <summary>As it is written.</summary>
    public string Text { get; }

    /// <summary>The time between two; null where a table says when.</summary>
    public TimeSpan? Every { get; }

    public static bool TryParse(string text, [NotNullWhen(true)] out Timetable? value)
    {
        const string EveryWord = "every ";
        value = null;
        if (text.StartsWith(EveryWord, StringComparison.Ordinal))
        {
            value = DurationText.TryParse(text[EveryWord.Length..].Trim(), out var every) && every >= EveryMin && every <= EveryMax
                ? new Timetable(text, every, [], eitherDay: false)
                : null;
            return value is not null;
        }

        var parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length != Ranges.Length)
        {
            return false;
        }

        var fields = parts.Zip(Ranges, ParseField).ToArray();
        if (fields.Any(field => field is null))
        {
            return false;
        }

        // As cron has it: where both days are said, either will do.
        var table = new Timetable(text, null, fields!, eitherDay: parts[2][0] != '*' && parts[4][0] != '*');
        value = table.TryNext(DateTimeOffset.UnixEpoch) is null ? null : table;
        return value is not null;
    }

    /// <summary>The first time after another one. Throws where there is none, which <see cref="TryParse"/> refuses.</summary>
    public DateTimeOffset NextAfter(DateTimeOffset time) =>
        Every is { } every ? time + every : TryNext(time) ?? throw new InvalidOperationException($"'{Text}' never comes");

    DateTimeOffset? TryNext(DateTimeOffset time)
    {
        const int DaysMax = 9 * 366;
        var utc = time.UtcDateTime;
        var first = new DateTime(utc.Year, utc.Month, utc.Day, utc.Hour, utc.Minute, 0, DateTimeKind.Utc).AddMinutes(1);
        for (var day = 0; day < DaysMax; day++)
        {
            var date = first.Date.AddDays(day);
            if (IsDay(date))
            {
                for (var at = day == 0 ? first : date; at.Date == date; at = at.AddMinutes(1))
                {
                    if (fields[1].Contains(at.Hour) && fields[0].Contains(at.Minute))
                    {
                        return at;
                    }
                }
            }
        }

        return null;
    }

    bool IsDay(DateTime date)
    {
        var (ofMonth, ofWeek) = (fields[2].Contains(date.Day), IsWeekday(date.DayOfWeek));
        return fields[3].Contains(date.Month) && (eitherDay ? ofMonth || ofWeek : ofMonth && ofWeek);
    }

    bool IsWeekday(DayOfWeek day) => fields[4].Contains((int)day) || (day == DayOfWeek.Sunday && fields[4].Contains(7));

    /// <summary>A list of numbers, ranges, and either with a step; null for anything else.</summary>
    static HashSet<int>? ParseField(string text, (int Min, int Max) range)
    {
        var values = new HashSet<int>();
        foreach (var part in text.Split(','))
        {
            var halves = part.Split('/');
            var step = halves.Length == 1 ? 1 : Number(halves[1]);
            int?[] bounds = halves[0] == "*" ? [range.Min, range.Max] : [.. halves[0].Split('-').Select(Number)];
            if (halves.Length > 2 || step is null or 0 || bounds.Length > 2 || bounds[0] is not { } first || bounds[^1] is not { } last
                || first < range.Min || last > range.Max || first > last)
            {
                return null;
            }

            last = bounds.Length == 1 && halves.Length == 2 ? range.Max : last;
            for (var value = first; value <= last; value += step.Value)
            {
                values.Add(value);
            }
        }

        return values;
    }

    static int? Number(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
