using System.Globalization;
using System.Text;
using Salvor.Text;

namespace Salvor.Cli.Terminal;

/// <summary>How fast a phase goes.</summary>
/// <param name="Elapsed">Since it was first seen.</param>
/// <param name="Done">How much was done since then.</param>
readonly record struct ProgressPace(TimeSpan Elapsed, long Done)
{
    /// <summary>Earlier a rate says nothing.</summary>
    static readonly TimeSpan RateAfter = TimeSpan.FromSeconds(1);

    /// <summary>In a second; null where that is not known.</summary>
    public double? Rate => Elapsed >= RateAfter && Done > 0 ? Done / Elapsed.TotalSeconds : null;
}

/// <summary>How far long work is, in one line that fits the terminal.</summary>
static class ProgressText
{
    const int ItemColumnsMin = 12;
    static readonly TimeSpan ShownAfter = TimeSpan.FromSeconds(1);

    const double MaxSeconds = 99 * 24 * 3600;

    /// <summary>What matters least is left out where the line is too long; the end of a path says more than its beginning.</summary>
    /// <param name="what">The source.</param>
    /// <param name="progress">How far it is.</param>
    /// <param name="pace">How fast its phase goes.</param>
    /// <param name="columns">How long the line may be.</param>
    public static string Format(string what, WorkProgress progress, ProgressPace pace, int columns)
    {
        var (done, total) = (progress.Done, progress.Total);
        var head = $"{what}: {progress.Phase}{(total > 0 ? $" {Math.Min(100, done * 100.0 / total):0}%" : "")}";
        string[] parts =
        [
            done == 0 && total == 0 ? ""
                : total == 0 ? Amount(done, progress.Unit)
                : progress.Unit.Length == 0 ? $"{SizeText.Format(done)} of {SizeText.Format(total)}"
                : $"{done} of {total} {progress.Unit}",
            pace.Rate is { } known && total > done ? $"{Seconds((total - done) / known)} left"
                : (done == 0 || total == 0) && pace.Elapsed >= ShownAfter ? Seconds(pace.Elapsed.TotalSeconds) : "",
            pace.Rate is { } rate ? $"{Amount((long)rate, progress.Unit)}/s" : "",
            progress.Count,
        ];
        var line = head;

        // A part that does not fit is left out, and a shorter one after it may.
        foreach (var part in parts.Where(part => part.Length > 0))
        {
            var longer = $"{line}, {part}";
            line = Width(longer) <= columns ? longer : line;
        }

        var rest = columns - Width(line) - 2;
        return progress.Item.Length > 0 && rest >= ItemColumnsMin
            ? $"{line}, {Tail(Printable(progress.Item), rest)}"
            : Head(Printable(line), columns);
    }

    static string Seconds(double seconds) => DurationText.FormatShort(TimeSpan.FromSeconds(Math.Min(Math.Round(seconds), MaxSeconds)));

    static string Amount(long amount, string unit) =>
        unit.Length == 0 ? SizeText.Format(amount) : $"{amount.ToString(CultureInfo.InvariantCulture)} {unit}";

    /// <summary>The end of a text that is too long.</summary>
    static string Tail(string text, int columns)
    {
        if (Width(text) <= columns)
        {
            return text;
        }

        var runes = text.EnumerateRunes().ToArray();
        var room = columns - Symbols.Ellipsis.Length;
        var start = runes.Length;
        for (; start > 0 && WidthOf(runes[start - 1]) <= room; start--)
        {
            room -= WidthOf(runes[start - 1]);
        }

        return Symbols.Ellipsis + string.Concat(runes[start..]);
    }

    static string Head(string text, int columns)
    {
        var head = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            columns -= WidthOf(rune);
            if (columns < 0)
            {
                break;
            }

            head.Append(rune);
        }

        return head.ToString();
    }

    static int Width(string text) => text.EnumerateRunes().Sum(WidthOf);

    /// <summary>From the Hangul letters on most are two columns wide; that some are one only costs room.</summary>
    static int WidthOf(Rune rune) => rune.Value < 0x1100 ? 1 : rune == Ellipsis ? 1 : 2;

    static readonly Rune Ellipsis = new('…');

    /// <summary>What would move the cursor, or what the terminal cannot show, as a question mark.</summary>
    static string Printable(string text) => string.Concat(text.EnumerateRunes().Select(rune =>
        Rune.IsControl(rune) || (!rune.IsAscii && !Symbols.IsUtf8) ? "?" : rune.ToString()));
}
