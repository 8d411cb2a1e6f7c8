using System.Net;
using System.Text;
using Salvor.Text;

namespace Salvor.Jobs.Drills.Reports;

/// <summary>Drills as one page that needs nothing else: no scripts, no pictures from elsewhere, all text escaped.</summary>
public static class DrillHtml
{
    public static string Write(IReadOnlyList<DrillStory> stories)
    {
        var title = string.Join(", ", stories.Select(story => $"{story.Record.Source}: {DrillWords.Name(story.Record.Result)}"));
        var page = new StringBuilder("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
        page.Append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
            .Append("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">")
            .Append($"<title>Restore drill of {Text(title)}</title><style>{DrillStyle.Sheet}</style></head><body>");
        foreach (var story in stories)
        {
            Write(page, story);
        }

        return page.Append("</body></html>\n").ToString();
    }

    /// <summary>Text as itself.</summary>
    public static string Text(string text) => WebUtility.HtmlEncode(text);

    static void Write(StringBuilder page, DrillStory story)
    {
        var record = story.Record;
        page.Append($"<main><header><h1>Restore drill of {Text(record.Source)}</h1>")
            .Append($"<span class=\"badge {DrillChart.Class(record.Result)}\">{DrillWords.Name(record.Result)}</span></header>");
        page.Append($"<p class=\"quiet\">{Text(InstantText.Format(record.StartedAt))} on {Text(record.Host)}, from ")
            .Append($"{Text(record.Destination.Length > 0 ? record.Destination : "no destination")}</p>");
        if (record.Reason.Length > 0)
        {
            page.Append($"<p class=\"reason {DrillChart.Class(record.Result)}\"><strong>{Text(record.Reason)}.</strong> ")
                .Append($"{Text(record.Hint)}</p>");
        }

        Cards(page, record);
        page.Append("<h2>Where the time went</h2>").Append(DrillChart.Phases(record.Phases)).Append("<ul class=\"legend\">");
        foreach (var phase in record.Phases)
        {
            page.Append($"<li><i class=\"{Text(phase.Name)}\"></i>{Text(phase.Name)} <b>{DrillWords.Seconds(phase.Seconds)}</b></li>");
        }

        page.Append("</ul>");
        Checks(page, record);
        page.Append("<h2>Time to recover, drill by drill</h2>").Append(DrillChart.Trend(story.History));
        History(page, story.History);
        Facts(page, record);
        page.Append("<h2>Review</h2><dl class=\"review\"><dt>Issues found, and who takes care of them</dt><dd></dd>")
            .Append("<dt>What to change in the runbook</dt><dd></dd><dt>Reviewed by, on</dt><dd></dd></dl></main>");
    }

    static void Cards(StringBuilder page, DrillRecord record)
    {
        page.Append("<section class=\"cards\">");
        Card(page, "Time to recover", record.RtoSeconds, record.RtoTargetSeconds);
        Card(page, "Data-loss window", record.RpoSeconds, record.RpoTargetSeconds);
        Card(page, "Age of the backup", record.BackupAgeSeconds, record.MaxAgeSeconds);
        var passed = record.Checks.Count(check => check.Outcome == CheckOutcome.Pass);
        page.Append($"<div><span>Checks passed</span><b>{passed} of {record.Checks.Count}</b>")
            .Append($"<small>{Text(SizeText.Format(record.SizeBytes))} restored</small></div></section>");
    }

    static void Card(StringBuilder page, string name, double? seconds, double? target)
    {
        var missed = target is not null && !(seconds <= target);
        page.Append($"<div{(missed ? " class=\"missed\"" : "")}><span>{name}</span><b>{Text(DrillWords.Seconds(seconds))}</b>")
            .Append($"<small>{Text(DrillWords.Against(seconds, target))}</small></div>");
    }

    static void Checks(StringBuilder page, DrillRecord record)
    {
        page.Append("<h2>Checks</h2><div class=\"wide\"><table><thead><tr><th>Result</th><th>Check</th><th>Expected</th><th>Found</th>")
            .Append("<th class=\"number\">Time</th></tr></thead><tbody>");
        foreach (var check in record.Checks)
        {
            var outcome = check.Outcome.ToString().ToLowerInvariant();
            page.Append($"<tr><td><span class=\"tag {outcome}\">{DrillWords.Name(check.Outcome)}</span></td>")
                .Append($"<td>{Text(DrillWords.Label(check))}</td><td>{Text(check.Expected)}</td><td>{Text(check.Found)}");
            if (check.Output.Length > 0)
            {
                page.Append($"<pre>{Text(check.Output)}</pre>");
            }

            page.Append($"</td><td class=\"number\">{Text(DrillWords.Seconds(check.Seconds))}</td></tr>");
        }

        page.Append("</tbody></table></div>");
    }

    static void History(StringBuilder page, IReadOnlyList<DrillRecord> history)
    {
        page.Append("<div class=\"wide\"><table><thead><tr><th>When</th><th>Result</th><th class=\"number\">Position</th>")
            .Append("<th class=\"number\">Time to recover</th><th class=\"number\">Data-loss window</th></tr></thead><tbody>");
        foreach (var item in history.Reverse())
        {
            page.Append($"<tr><td>{Text(InstantText.Format(item.StartedAt))}</td>")
                .Append($"<td><span class=\"tag {DrillChart.Class(item.Result)}\">{DrillWords.Name(item.Result)}</span></td>")
                .Append($"<td class=\"number\">{DrillWords.Position(item)}</td>")
                .Append($"<td class=\"number\">{Text(DrillWords.Seconds(item.RtoSeconds))}</td>")
                .Append($"<td class=\"number\">{Text(DrillWords.Seconds(item.RpoSeconds))}</td></tr>");
        }

        page.Append("</tbody></table></div>");
    }

    static void Facts(StringBuilder page, DrillRecord record)
    {
        page.Append("<h2>What was restored</h2><dl class=\"facts\">");
        Fact(page, "Restore point", DrillWords.Point(record));
        Fact(page, "Checksum", record.Checksum.Length > 0 ? $"{record.Checksum}, as at the source" : "none");
        Fact(page, "Fetched", $"{SizeText.Format(record.FetchedBytes)}, {record.ChangeSets} change-set(s) on a snapshot");
        Fact(page, "Passed last", record.LastPassedAt is { } passed ? InstantText.Format(passed) : "never");
        Fact(page, "Made by", $"Salvor {record.Version}, until {InstantText.Format(record.FinishedAt)}");
        page.Append("</dl>");
    }

    static void Fact(StringBuilder page, string name, string value) => page.Append($"<dt>{name}</dt><dd>{Text(value)}</dd>");
}
