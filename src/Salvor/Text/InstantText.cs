using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Salvor.Text;

/// <summary>
/// Moments in time as RFC 3339: <c>2026-08-01T10:30:00Z</c>, or with an offset. Without a zone, and for a date alone, UTC is meant: a
/// restore must not depend on where it is typed. Results are always in UTC.
/// </summary>
public static class InstantText
{
    /// <summary>The expected form, for messages.</summary>
    public const string Hint =
        "Write it like 2026-08-01T10:30:00Z, 2026-08-01T12:30:00+02:00, \"2026-08-01 10:30\" (UTC) or 2026-08-01 (its first moment, UTC).";

    static readonly string[] TimeForms = ["HH:mm", "HH:mm:ss", "HH:mm:ss.FFFFFFF"];

    /// <summary>Throws <see cref="FailureKind.Usage"/> with an example of what is expected.</summary>
    public static DateTimeOffset Parse(string text) =>
        TryParse(text, out var value)
            ? value
            : throw new SalvorException(FailureKind.Usage, $"\"{text}\" is not a time", Hint);

    /// <summary>False for anything but a date or a date with a time, with or without a zone.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out DateTimeOffset value)
    {
        value = default;
        const int dateLength = 10;
        if (text is null || text.Length < dateLength
            || !DateOnly.TryParseExact(text.AsSpan(0, dateLength), "yyyy-MM-dd", out var date))
        {
            return false;
        }

        var time = TimeOnly.MinValue;
        var offset = TimeSpan.Zero;
        if (text.Length > dateLength
            && !(text[dateLength] is 'T' or 't' or ' ' && TryParseTime(text.AsSpan(dateLength + 1), out time, out offset)))
        {
            return false;
        }

        // By ticks, because a DateTimeOffset with its offset refuses moments near both ends of time that exist in UTC.
        var ticks = date.ToDateTime(time).Ticks - offset.Ticks;
        if (ticks < DateTime.MinValue.Ticks || ticks > DateTime.MaxValue.Ticks)
        {
            return false;
        }

        value = new(ticks, TimeSpan.Zero);
        return true;
    }

    /// <summary>Whether a time says its zone; else it is UTC.</summary>
    public static bool HasZone(string text) => text.LastIndexOfAny(['Z', 'z', '+', '-']) > "2026-01-01".Length - 1;

    /// <summary>In UTC with <c>Z</c>, and as many digits of the second as needed, at most six: stored times are microseconds.</summary>
    public static string Format(DateTimeOffset value) =>
        value.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFF'Z'", CultureInfo.InvariantCulture);

    static bool TryParseTime(ReadOnlySpan<char> text, out TimeOnly time, out TimeSpan offset)
    {
        var zoneStart = text.IndexOfAny("Zz+-");
        var clock = zoneStart < 0 ? text : text[..zoneStart];

        // A fraction finer than the clock's 100 ns is cut, never rounded up: "until" must not include what came after.
        const int clockLengthMax = 16;
        if (clock.Length > clockLengthMax)
        {
            if (clock[clockLengthMax..].ContainsAnyExceptInRange('0', '9'))
            {
                (time, offset) = (default, default);
                return false;
            }

            clock = clock[..clockLengthMax];
        }

        offset = TimeSpan.Zero;
        return TimeOnly.TryParseExact(clock, TimeForms, CultureInfo.InvariantCulture, DateTimeStyles.None, out time)
            && clock[^1] != '.'
            && (zoneStart < 0 || TryParseZone(text[zoneStart..], out offset));
    }

    static bool TryParseZone(ReadOnlySpan<char> zone, out TimeSpan offset)
    {
        offset = TimeSpan.Zero;
        if (zone is "Z" or "z")
        {
            return true;
        }

        if (!TimeOnly.TryParseExact(zone[1..], "HH:mm", CultureInfo.InvariantCulture, DateTimeStyles.None, out var distance))
        {
            return false;
        }

        offset = zone[0] == '-' ? -distance.ToTimeSpan() : distance.ToTimeSpan();
        return true;
    }
}
