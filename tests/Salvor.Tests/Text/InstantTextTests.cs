using Salvor.Text;

namespace Salvor.Tests.Text;

public sealed class InstantTextTests
{
    [Theory]
    [InlineData("2026-08-01T10:30:00Z", "2026-08-01T10:30:00Z")]
    [InlineData("2026-08-01t10:30:00z", "2026-08-01T10:30:00Z")]
    [InlineData("2026-08-01T12:30:00+02:00", "2026-08-01T10:30:00Z")]
    [InlineData("2026-08-01T00:30:00+02:00", "2026-07-31T22:30:00Z")]
    [InlineData("2026-08-01T06:00:00.5-04:30", "2026-08-01T10:30:00.5Z")]
    [InlineData("2026-08-01T10:30:00-00:00", "2026-08-01T10:30:00Z")]
    [InlineData("2026-08-01T23:30:00+23:59", "2026-07-31T23:31:00Z")]
    public void A_time_with_a_zone_is_that_moment(string text, string utc) =>
        Assert.Equal(utc, InstantText.Format(InstantText.Parse(text)));

    [Theory]
    [InlineData("2026-08-01", "2026-08-01T00:00:00Z")]
    [InlineData("2026-08-01 10:30", "2026-08-01T10:30:00Z")]
    [InlineData("2026-08-01T10:30", "2026-08-01T10:30:00Z")]
    [InlineData("2026-08-01 10:30:05.25", "2026-08-01T10:30:05.25Z")]
    [InlineData("2024-02-29", "2024-02-29T00:00:00Z")]
    public void Without_a_zone_utc_is_meant(string text, string utc) => Assert.Equal(utc, InstantText.Format(InstantText.Parse(text)));

    [Theory]
    [InlineData("")]
    [InlineData("yesterday")]
    [InlineData("10:30")]
    [InlineData("2026-8-1")]
    [InlineData("2026-02-29")]
    [InlineData("2026-13-01")]
    [InlineData("01/08/2026")]
    [InlineData("2026-08-01T")]
    [InlineData("2026-08-01Z")]
    [InlineData("2026-08-01T10")]
    [InlineData("2026-08-01T24:00:00Z")]
    [InlineData("2026-08-01T10:60:00Z")]
    [InlineData("2026-08-01T23:59:60Z")]
    [InlineData("2026-08-01T10:30:00.Z")]
    [InlineData("2026-08-01T10:30:00 Z")]
    [InlineData("2026-08-01T10:30:00+2")]
    [InlineData("2026-08-01T10:30:00+0200")]
    [InlineData("2026-08-01T10:30:00+24:00")]
    [InlineData("2026-08-01T10:30:00.12345678x")]
    [InlineData("2026-08-01T10:30:00ZZ")]
    [InlineData(" 2026-08-01")]
    [InlineData("0001-01-01T00:00:00+01:00")]
    [InlineData("9999-12-31T23:30:00-01:00")]
    public void Anything_else_is_refused_with_examples(string text)
    {
        var e = Assert.Throws<SalvorException>(() => InstantText.Parse(text));

        Assert.Equal(FailureKind.Usage, e.Kind);
        Assert.Equal($"\"{text}\" is not a time", e.Message);
        Assert.Equal(
            "Write it like 2026-08-01T10:30:00Z, 2026-08-01T12:30:00+02:00, \"2026-08-01 10:30\" (UTC) or 2026-08-01 (its first "
            + "moment, UTC).",
            e.Hint);
    }

    [Fact]
    public void No_text_is_no_time() => Assert.False(InstantText.TryParse(null, out _));

    [Theory]
    [InlineData("2026-08-01T10:30:00.123456789Z", 1_234_567)]
    [InlineData("2026-08-01T10:30:00.99999999999999999999Z", 9_999_999)]
    public void Digits_beyond_the_clock_are_cut_so_that_a_target_never_moves_later(string text, long ticks) =>
        Assert.Equal(ticks, InstantText.Parse(text).Ticks % TimeSpan.TicksPerSecond);

    [Theory]
    [InlineData(0, "2026-08-01T10:30:00Z")]
    [InlineData(5_000_000, "2026-08-01T10:30:00.5Z")]
    [InlineData(10, "2026-08-01T10:30:00.000001Z")]
    [InlineData(9_999_999, "2026-08-01T10:30:00.999999Z")]
    [InlineData(9, "2026-08-01T10:30:00Z")]
    public void A_formatted_second_has_the_digits_that_it_needs(long ticks, string text) =>
        Assert.Equal(text, InstantText.Format(new DateTimeOffset(2026, 8, 1, 10, 30, 0, TimeSpan.Zero).AddTicks(ticks)));

    [Fact]
    public void A_local_time_is_formatted_in_utc() =>
        Assert.Equal("2026-08-01T08:30:00Z", InstantText.Format(new(2026, 8, 1, 10, 30, 0, TimeSpan.FromHours(2))));

    [Fact]
    public void Every_formatted_time_parses_back_to_the_microsecond()
    {
        var random = new Random(1);
        for (var i = 0; i < 10_000; i++)
        {
            var ticks = random.NextInt64(DateTime.MaxValue.Ticks);
            var value = new DateTimeOffset(ticks - (ticks % TimeSpan.TicksPerMicrosecond), TimeSpan.Zero);
            Assert.Equal(value, InstantText.Parse(InstantText.Format(value)));
        }
    }
}
