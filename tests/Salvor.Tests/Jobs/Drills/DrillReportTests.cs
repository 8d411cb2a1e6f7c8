using System.Text.RegularExpressions;
using System.Xml.Linq;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Drills.Reports;

namespace Salvor.Tests.Jobs.Drills;

public sealed partial class DrillReportTests
{
    const string Hostile = "<script>alert(1)</script> | \"a\" & `b` ![x](http://evil.example/x.png)";
    static readonly DateTimeOffset Now = new(2026, 8, 31, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void The_page_needs_nothing_else_and_shows_text_as_text()
    {
        var page = DrillHtml.Write([Story()]);

        Assert.DoesNotContain("<script", page, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotMatch(ReferencePattern(), page);
        Assert.Contains("&lt;script&gt;alert(1)&lt;/script&gt;", page, StringComparison.Ordinal);
        Assert.Contains("default-src 'none'", page, StringComparison.Ordinal);
        Assert.Equal(3, Regex.Count(page, "<circle "));
        Assert.Contains("class=\"target\"", page, StringComparison.Ordinal);
        foreach (Match picture in PicturePattern().Matches(page))
        {
            Assert.NotNull(XElement.Parse(picture.Value));
        }
    }

    [Fact]
    public void A_table_of_markdown_stays_one_whatever_is_in_it()
    {
        var page = DrillMarkdown.Write([Story()]);

        Assert.StartsWith("# Restore drill of app: FAIL\n", page, StringComparison.Ordinal);
        Assert.Contains("| Time to recover (RTO) | 2 s (target 1 s: missed) |", page, StringComparison.Ordinal);
        Assert.Contains("| Data-loss window (RPO) | 0 s (no target) |", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<script>", page.Replace("    <script>", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.DoesNotContain("![x](", page.Replace("`b` ![x](", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public void A_drill_that_restored_nothing_has_a_report_too()
    {
        var record = new DrillRecord
        {
            Source = "app", Result = DrillResult.Fail, Reason = "the destination is away", StartedAt = Now, FinishedAt = Now,
        };

        Assert.Contains("No drill has restored it yet", DrillHtml.Write([new DrillStory(record, [record])]), StringComparison.Ordinal);
        Assert.Contains("| Restored | nothing |", DrillMarkdown.Write([new DrillStory(record, [record])]), StringComparison.Ordinal);
    }

    static DrillStory Story()
    {
        var record = new DrillRecord
        {
            Source = "app",
            Result = DrillResult.Fail,
            Reason = Hostile,
            Hint = Hostile,
            StartedAt = Now,
            FinishedAt = Now,
            Host = Hostile,
            Destination = Hostile,
            Branch = 1,
            Position = 7,
            Time = Now,
            RtoSeconds = 2,
            RtoTargetSeconds = 1,
            RpoSeconds = 0,
            Phases = [new DrillPhase("fetch", 1), new DrillPhase("apply", 0.5), new DrillPhase("check", 0.5), new DrillPhase("smoke", 0)],
            Checks = [new DrillCheck(Hostile, "sql", CheckOutcome.Fail, Hostile, Hostile, 1) { Output = Hostile }],
        };
        return new DrillStory(record, [record with { StartedAt = Now.AddDays(-60) }, record with { StartedAt = Now.AddDays(-30) }, record]);
    }

    /// <summary>Anything that a browser would fetch.</summary>
    [GeneratedRegex(@"\s(src|href|action|data)\s*=|url\(|@import|<(img|link|iframe|object|form)\b", RegexOptions.IgnoreCase)]
    private static partial Regex ReferencePattern();

    [GeneratedRegex(@"<svg[\s\S]*?</svg>")]
    private static partial Regex PicturePattern();
}
