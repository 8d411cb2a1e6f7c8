using System.Text;
using Salvor.Text;

namespace Salvor.Jobs.Drills.Reports;

/// <summary>Drills as a page of Markdown.</summary>
public static class DrillMarkdown
{
    public static string Write(IReadOnlyList<DrillStory> stories)
    {
        var page = new StringBuilder();
        foreach (var story in stories)
        {
            Write(page, story);
        }

        return page.ToString();
    }

    static void Write(StringBuilder page, DrillStory story)
    {
        var record = story.Record;
        page.Append($"# Restore drill of {Cell(record.Source)}: {DrillWords.Name(record.Result)}\n\n");
        if (record.Reason.Length > 0)
        {
            page.Append($"**{Cell(record.Reason)}.** {Cell(record.Hint)}\n\n");
        }

        page.Append("| | |\n|---|---|\n");
        Row(page, "Started", InstantText.Format(record.StartedAt));
        Row(page, "Finished", InstantText.Format(record.FinishedAt));
        Row(page, "Restored", DrillWords.Point(record));
        Row(page, "From", record.Destination.Length > 0 ? record.Destination : "nowhere");
        Row(page, "Size", $"{SizeText.Format(record.SizeBytes)}, {SizeText.Format(record.FetchedBytes)} fetched");
        Row(page, "Checksum", record.Checksum.Length > 0 ? $"{record.Checksum}, as at the source" : "none");
        Row(page, "Age of the backup", DrillWords.Seconds(record.BackupAgeSeconds));
        Row(page, "Time to recover (RTO)", With(record.RtoSeconds, record.RtoTargetSeconds));
        Row(page, "Data-loss window (RPO)", With(record.RpoSeconds, record.RpoTargetSeconds));
        Row(page, "Passed last", record.LastPassedAt is { } passed ? InstantText.Format(passed) : "never");
        Row(page, "Made on", $"{record.Host} by Salvor {record.Version}");
        page.Append("\n## Where the time went\n\n| Phase | Time |\n|---|---:|\n");
        foreach (var phase in record.Phases)
        {
            Row(page, phase.Name, DrillWords.Seconds(phase.Seconds));
        }

        page.Append("\n## Checks\n\n| Result | Check | Expected | Found | Time |\n|---|---|---|---|---:|\n");
        foreach (var check in record.Checks)
        {
            Row(
                page, DrillWords.Name(check.Outcome), DrillWords.Label(check), check.Expected, check.Found,
                DrillWords.Seconds(check.Seconds));
        }

        foreach (var check in record.Checks.Where(check => check.Output.Length > 0))
        {
            page.Append($"\nOutput of {Cell(DrillWords.Label(check))}:\n\n{Indented(check.Output)}\n");
        }

        History(page, story.History);
        page.Append("\n## Review\n\n- Issues found, and who takes care of them:\n- The runbook was followed, and what to change in it:\n"
            + "- Reviewed by, on:\n\n");
    }

    static void History(StringBuilder page, IReadOnlyList<DrillRecord> history)
    {
        page.Append("\n## History\n\n| When | Result | Position | RTO | RPO |\n|---|---|---:|---:|---:|\n");
        foreach (var item in history.Reverse())
        {
            Row(
                page, InstantText.Format(item.StartedAt), DrillWords.Name(item.Result), DrillWords.Position(item),
                DrillWords.Seconds(item.RtoSeconds), DrillWords.Seconds(item.RpoSeconds));
        }
    }

    static string With(double? seconds, double? target) => $"{DrillWords.Seconds(seconds)} ({DrillWords.Against(seconds, target)})";

    static void Row(StringBuilder page, params string[] cells) =>
        page.Append($"| {string.Join(" | ", cells.Select(Cell))} |\n");

    /// <summary>Text as itself, whatever it contains: neither markup nor the end of a cell.</summary>
    static string Cell(string text)
    {
        var cell = new StringBuilder();
        foreach (var c in text.ReplaceLineEndings(" "))
        {
            if (c is '|' or '\\' or '`' or '*' or '_' or '<' or '>' or '[' or ']' or '#' or '&')
            {
                cell.Append('\\');
            }

            cell.Append(c);
        }

        return cell.ToString();
    }

    static string Indented(string text) => string.Concat(text.ReplaceLineEndings("\n").Split('\n').Select(line => $"    {line}\n"));
}
