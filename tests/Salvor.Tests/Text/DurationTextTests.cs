using Salvor.Text;

namespace Salvor.Tests.Text;

public sealed class DurationTextTests
{
    [Theory]
    [InlineData("250ms", 250)]
    [InlineData("90s", 90_000)]
    [InlineData("10m", 600_000)]
    [InlineData("36h", 36 * 3_600_000L)]
    [InlineData("7d", 7 * 86_400_000L)]
    [InlineData("2w", 14 * 86_400_000L)]
    [InlineData("1y", 365 * 86_400_000L)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("1y2w3d4h5m6s7ms", 365 * 86_400_000L + 17 * 86_400_000L + 4 * 3_600_000L + 5 * 60_000 + 6_000 + 7)]
    [InlineData("0s", 0)]
    [InlineData("0090s", 90_000)]
    public void A_number_and_a_unit_is_a_duration(string text, long milliseconds) =>
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), DurationText.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("10")]
    [InlineData("m")]
    [InlineData("10 m")]
    [InlineData("10M")]
    [InlineData("-10m")]
    [InlineData("+10m")]
    [InlineData("1.5h")]
    [InlineData("10min")]
    [InlineData("10m ")]
    [InlineData("1h30")]
    [InlineData("٣m")]
    [InlineData("99999999999999999999s")]
    [InlineData("9223372036854775807y")]
    [InlineData("30000y")]
    public void Anything_else_is_refused_with_an_example(string text)
    {
        var e = Assert.Throws<SalvorException>(() => DurationText.Parse(text));

        Assert.Equal(FailureKind.Usage, e.Kind);
        Assert.Equal($"\"{text}\" is not a duration", e.Message);
        Assert.Equal("Write a whole number and a unit, for example 250ms, 10m, 36h, 7d, 1y or 1h30m.", e.Hint);
    }

    [Theory]
    [InlineData("30m1h")]
    [InlineData("1h1h")]
    [InlineData("5ms1s")]
    public void Units_must_go_from_large_to_small_because_another_order_is_a_slip(string text) =>
        Assert.False(DurationText.TryParse(text, out _));

    [Fact]
    public void No_text_is_no_duration() => Assert.False(DurationText.TryParse(null, out _));

    [Theory]
    [InlineData("50ms")]
    [InlineData("1h30m")]
    [InlineData("1d12h")]
    [InlineData("30d")]
    [InlineData("366d")]
    [InlineData("2y")]
    [InlineData("12ms345us")]
    [InlineData("10d5us")]
    [InlineData("0s")]
    public void Formatting_is_exact(string text) => Assert.Equal(text, DurationText.Format(DurationText.Parse(text)));

    [Fact]
    public void The_longest_duration_is_formatted_to_the_microsecond() =>
        Assert.Equal(TimeSpan.MaxValue - TimeSpan.FromTicks(7), DurationText.Parse(DurationText.Format(TimeSpan.MaxValue)));

    [Theory]
    [InlineData(-5_000, "-5s")]
    [InlineData(-90_000, "-1m30s")]
    public void A_negative_duration_is_shown_with_its_sign(int milliseconds, string text) =>
        Assert.Equal(text, DurationText.Format(TimeSpan.FromMilliseconds(milliseconds)));

    [Fact]
    public void The_most_negative_duration_can_be_shown() => Assert.StartsWith("-10675199d", DurationText.Format(TimeSpan.MinValue));

    [Theory]
    [InlineData("1h30m59s", "1h30m")]
    [InlineData("1h59s", "1h")]
    [InlineData("2s250ms7us", "2s250ms")]
    [InlineData("400d5h3m", "400d5h")]
    [InlineData("7us", "7us")]
    [InlineData("0s", "0s")]
    public void The_short_form_keeps_two_units(string exact, string text) =>
        Assert.Equal(text, DurationText.FormatShort(DurationText.Parse(exact)));

    [Fact]
    public void Every_formatted_duration_parses_back_to_the_microsecond()
    {
        var random = new Random(1);
        for (var i = 0; i < 10_000; i++)
        {
            var value = TimeSpan.FromMicroseconds(random.NextInt64(1L << random.Next(1, 59)));
            Assert.Equal(value, DurationText.Parse(DurationText.Format(value)));
        }
    }
}
