using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Salvor.Text;

/// <summary>
/// Durations as people write them: a whole number and a unit, or several from the largest unit down, <c>1h30m</c>. A year is 365 days.
/// </summary>
public static class DurationText
{
    /// <summary>The expected form, for messages.</summary>
    public const string Hint = "Write a whole number and a unit, for example 250ms, 10m, 36h, 7d, 1y or 1h30m.";

    /// <summary>Largest first: a text names each unit at most once, in this order, so that 1m1h is noticed as a slip.</summary>
    static readonly (string Name, long Ticks)[] Units =
    [
        ("y", 365 * TimeSpan.TicksPerDay),
        ("w", 7 * TimeSpan.TicksPerDay),
        ("d", TimeSpan.TicksPerDay),
        ("h", TimeSpan.TicksPerHour),
        ("m", TimeSpan.TicksPerMinute),
        ("s", TimeSpan.TicksPerSecond),
        ("ms", TimeSpan.TicksPerMillisecond),
        ("us", TimeSpan.TicksPerMicrosecond),
    ];

    /// <summary>Throws <see cref="FailureKind.Usage"/> with an example of what is expected.</summary>
    public static TimeSpan Parse(string text) =>
        TryParse(text, out var value)
            ? value
            : throw new SalvorException(FailureKind.Usage, $"\"{text}\" is not a duration", Hint);

    /// <summary>False for anything but a duration that is zero or more and fits into a <see cref="TimeSpan"/>.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out TimeSpan value)
    {
        value = TimeSpan.Zero;
        var rest = text.AsSpan();
        var ticks = Int128.Zero;
        var unitsLeft = Units.AsSpan();
        do
        {
            if (!TryTakeNumber(ref rest, out var number) || !TryTakeUnit(ref rest, ref unitsLeft, out var unitTicks))
            {
                return false;
            }

            ticks += (Int128)number * unitTicks;
        }
        while (!rest.IsEmpty);

        if (ticks > long.MaxValue)
        {
            return false;
        }

        value = new((long)ticks);
        return true;
    }

    /// <summary>
    /// The exact value to the microsecond. Whole years are years and everything else counts in days, because 30d says more than 4w2d.
    /// A negative duration, which no setting can be, gets a minus sign.
    /// </summary>
    public static string Format(TimeSpan value) => Format(value, unitsMax: Units.Length);

    /// <summary>The two largest units, for reading: <c>1h30m</c>, <c>2s250ms</c>. What is smaller is dropped, not rounded.</summary>
    public static string FormatShort(TimeSpan value) => Format(value, unitsMax: 2);

    static string Format(TimeSpan value, int unitsMax)
    {
        // Absolute as Int128: TimeSpan.MinValue has no positive counterpart.
        var rest = Int128.Abs(value.Ticks);
        var text = new StringBuilder();
        var smallest = Units.Length;
        for (var i = 0; i < smallest; i++)
        {
            var (name, unitTicks) = Units[i];
            var count = rest / unitTicks;
            if (count == 0 || name == "w" || (name == "y" && rest % unitTicks != 0))
            {
                continue;
            }

            smallest = text.Length == 0 ? Math.Min(smallest, i + unitsMax) : smallest;
            text.Append(count).Append(name);
            rest %= unitTicks;
        }

        return text.Length == 0 ? "0s" : value < TimeSpan.Zero ? $"-{text}" : text.ToString();
    }

    static bool TryTakeNumber(ref ReadOnlySpan<char> rest, out long number)
    {
        var length = rest.IndexOfAnyExceptInRange('0', '9');
        if (length <= 0 || !long.TryParse(rest[..length], out number))
        {
            number = 0;
            return false;
        }

        rest = rest[length..];
        return true;
    }

    static bool TryTakeUnit(ref ReadOnlySpan<char> rest, ref Span<(string Name, long Ticks)> unitsLeft, out long ticks)
    {
        var length = rest.IndexOfAnyInRange('0', '9');
        var name = length < 0 ? rest : rest[..length];
        for (var i = 0; i < unitsLeft.Length; i++)
        {
            if (name.SequenceEqual(unitsLeft[i].Name))
            {
                ticks = unitsLeft[i].Ticks;
                unitsLeft = unitsLeft[(i + 1)..];
                rest = rest[name.Length..];
                return true;
            }
        }

        ticks = 0;
        return false;
    }
}
