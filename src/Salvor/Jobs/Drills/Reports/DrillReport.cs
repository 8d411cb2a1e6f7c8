using System.Text;
using System.Text.Json;
using Salvor.Platform;

namespace Salvor.Jobs.Drills.Reports;

/// <summary>The answer of <c>salvor drill --json</c>.</summary>
public sealed record DrillDocument(IReadOnlyList<DrillRecord> Drills, bool Ok);

/// <summary>The answer of <c>salvor drill --history --json</c>: newest first.</summary>
public sealed record DrillHistoryDocument(IReadOnlyList<DrillRecord> Drills);

/// <summary>Writes drills to a file, in the form that its ending says.</summary>
public static class DrillReport
{
    static readonly string[] Endings = [".md", ".html", ".json"];

    public static DrillDocument DocumentOf(IReadOnlyList<DrillStory> stories) => new(
        [.. stories.Select(story => story.Record)], stories.All(story => story.Record.Result == DrillResult.Pass));

    /// <summary>Refuses before the work what would be refused after it.</summary>
    public static void CheckPath(string path)
    {
        if (!Endings.Contains(Path.GetExtension(path)))
        {
            throw new SalvorException(
                FailureKind.Usage, $"the report {path} has no known ending", $"End its name with {string.Join(", ", Endings)}.");
        }

        if (!Directory.Exists(Path.GetDirectoryName(path)))
        {
            throw new SalvorException(
                FailureKind.Usage, $"the folder of the report {path} does not exist",
                $"Make it with 'mkdir -p {Path.GetDirectoryName(path)}'.");
        }
    }

    /// <summary>For its owner only: a check may have printed what is not for everybody.</summary>
    public static void Write(string path, IReadOnlyList<DrillStory> stories) => DurableFile.Replace(
        path,
        Path.GetExtension(path) switch
        {
            ".md" => Encoding.UTF8.GetBytes(DrillMarkdown.Write(stories)),
            ".html" => Encoding.UTF8.GetBytes(DrillHtml.Write(stories)),
            _ => JsonSerializer.SerializeToUtf8Bytes(DocumentOf(stories), DrillJson.Default.DrillDocument),
        });
}
