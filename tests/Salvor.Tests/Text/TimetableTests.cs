using Salvor.Text;

namespace Salvor.Tests.Text;

public sealed class TimetableTests
{
    [Theory]
    [InlineData("every 15m", "2026-11-29T10:07:30Z", "2026-11-29T10:22:30Z")]
    [InlineData("30 2 * * *", "2026-11-29T02:29:59Z", "2026-11-29T02:30:00Z")]
    [InlineData("30 2 * * *", "2026-11-29T02:30:00Z", "2026-11-30T02:30:00Z")]
    [InlineData("*/20 8-9 * * 1-5", "2026-11-27T09:41:00Z", "2026-11-30T08:00:00Z")]
    [InlineData("0 0 29 2 *", "2026-11-29T00:00:00Z", "2028-02-29T00:00:00Z")]
    [InlineData("0 0 1 * 0", "2026-11-29T00:00:00Z", "2026-12-01T00:00:00Z")]
    [InlineData("0 0 * * 7", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z")]
    [InlineData("5,10/20 * * * *", "2026-11-29T00:05:00Z", "2026-11-29T00:10:00Z")]
    public void The_next_time_is_that_of_the_table(string text, string after, string expected)
    {
        Assert.True(Timetable.TryParse(text, TimeZoneInfo.Utc, out var times));
        Assert.Equal(InstantText.Parse(expected), times.NextAfter(InstantText.Parse(after)));
    }

    [Theory]
    [InlineData("every")]
    [InlineData("every 5")]
    [InlineData("every 1s")]
    [InlineData("15m")]
    [InlineData("60 * * * *")]
    [InlineData("* * * *")]
    [InlineData("0 0 * * 8")]
    [InlineData("0 24 * * *")]
    [InlineData("H 2 * * *")]
    [InlineData("*/0 * * * *")]
    [InlineData("0 0 30 2 *")]
    [InlineData("a * * * *")]
    public void What_names_no_time_is_refused(string text) => Assert.False(Timetable.TryParse(text, TimeZoneInfo.Utc, out _));

    [Theory]

    // Spring: two to three o'clock is left out on the 28th of March. Autumn: it comes twice on the 31st of October.
    [InlineData("30 2 * * *", "2027-03-27T12:00:00Z", "2027-03-28T01:00:00Z")]
    [InlineData("30 2 * * *", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z")]
    [InlineData("30 2 * * *", "2027-10-30T12:00:00Z", "2027-10-31T00:30:00Z")]
    [InlineData("30 2 * * *", "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z")]
    [InlineData("*/30 * * * *", "2027-10-31T00:30:00Z", "2027-10-31T01:00:00Z")]
    [InlineData("0 9 * * 1", "2027-03-25T00:00:00Z", "2027-03-29T07:00:00Z")]
    public void A_table_goes_by_the_clocks_of_its_zone_when_they_are_changed_too(string text, string after, string expected)
    {
        Assert.True(Timetable.TryParse(text, TimeZoneInfo.FindSystemTimeZoneById("Europe/Berlin"), out var times));
        Assert.Equal(InstantText.Parse(expected), times.NextAfter(InstantText.Parse(after)));
    }

    [Theory]
    [InlineData("every 15m", "15m")]
    [InlineData("30 2 * * *", "1d")]
    [InlineData("0 9-17 * * 1-5", "2d16h")]
    [InlineData("0 3 29 2 *", "1461d")]
    [InlineData("* * 1 * *", "30d1m")]
    public void The_longest_time_between_two_is_found(string text, string expected)
    {
        Assert.True(Timetable.TryParse(text, TimeZoneInfo.Utc, out var times));
        Assert.Equal(DurationText.Parse(expected == "1461d" ? "4y1d" : expected), times.LongestGap());
    }
}
