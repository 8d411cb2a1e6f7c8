using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Salvor.Text;

/// <summary>
/// Sizes in bytes as people write them: <c>16MiB</c> counts in 1024, <c>5GB</c> in 1000, a bare number is bytes. Upper and lower case
/// mean the same.
/// </summary>
public static class SizeText
{
    /// <summary>The expected form, for messages.</summary>
    public const string Hint = "Write a number and a unit, for example 512KiB, 16MiB, 5GB or 100 (bytes).";

    static readonly SearchValues<char> NumberCharacters = SearchValues.Create("0123456789.");
    static readonly string[] BinaryUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    static readonly string[] DecimalUnits = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];

    /// <summary>Throws <see cref="FailureKind.Usage"/> with an example of what is expected.</summary>
    public static long Parse(string text) =>
        TryParse(text, out var sizeBytes)
            ? sizeBytes
            : throw new SalvorException(FailureKind.Usage, $"\"{text}\" is not a size", Hint);

    /// <summary>False for anything but a size that is zero or more and fits into a <see cref="long"/>.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out long sizeBytes)
    {
        sizeBytes = 0;
        var span = text.AsSpan();
        var numberLength = span.IndexOfAnyExcept(NumberCharacters);
        var number = numberLength < 0 ? span : span[..numberLength];
        var unit = span[number.Length..];

        // One space, because that is how sizes are printed.
        unit = unit.Length > 1 && unit[0] == ' ' ? unit[1..] : unit;
        if (!decimal.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var count)
            || number[0] == '.' || number[^1] == '.'
            || BytesOf(unit) is not { } unitBytes
            || count > long.MaxValue / unitBytes)
        {
            return false;
        }

        sizeBytes = (long)decimal.Round(count * unitBytes);
        return true;
    }

    /// <summary>For reading: at most two decimals of a unit of 1024, <c>1.07 GiB</c>. It parses back to about the same size.</summary>
    public static string Format(long sizeBytes)
    {
        var value = (decimal)sizeBytes;
        var unit = 0;

        // 1023.996 would be printed as 1024 of its unit, hence the comparison of the rounded value.
        while (decimal.Round(Math.Abs(value), 2) >= 1024 && unit < BinaryUnits.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{decimal.Round(value, 2):0.##} {BinaryUnits[unit]}");
    }

    /// <summary>The exact size as a setting is written: <c>16MiB</c>, or bytes where no unit of 1024 divides it.</summary>
    public static string FormatExact(long sizeBytes)
    {
        var unit = 0;
        while (sizeBytes != 0 && sizeBytes % 1024 == 0 && unit < BinaryUnits.Length - 1)
        {
            sizeBytes /= 1024;
            unit++;
        }

        return unit == 0 ? $"{sizeBytes}" : $"{sizeBytes}{BinaryUnits[unit]}";
    }

    static decimal? BytesOf(ReadOnlySpan<char> unit)
    {
        if (unit.IsEmpty)
        {
            return 1;
        }

        var (binary, power10) = (1m, 1m);
        for (var i = 0; i < BinaryUnits.Length; i++, binary *= 1024, power10 *= 1000)
        {
            if (unit.Equals(DecimalUnits[i], StringComparison.OrdinalIgnoreCase))
            {
                return power10;
            }

            if (unit.Equals(BinaryUnits[i], StringComparison.OrdinalIgnoreCase))
            {
                return binary;
            }
        }

        return null;
    }
}
