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
        Assert.True(Timetable.TryParse(text, out var times));
        Assert.Equal(InstantText.Parse(expected), times.NextAfter(InstantText.Parse(after)));
    }

    [Theory]
    [InlineData("every")]
    [InlineData("every 5")]
    [InlineData("every 1s")]
    [InlineData("15m")]
    [InlineData("60 * * * *")]
    [InlineData("* * * *")]
    [InlineData("5-1 * * * *")]
    [InlineData("*/0 * * * *")]
    [InlineData("0 0 30 2 *")]
    [InlineData("a * * * *")]
    public void What_names_no_time_is_refused(string text) => Assert.False(Timetable.TryParse(text, out _));
}
