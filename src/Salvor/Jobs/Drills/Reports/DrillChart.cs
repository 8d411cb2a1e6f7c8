using System.Globalization;
using System.Text;
using Salvor.Text;

namespace Salvor.Jobs.Drills.Reports;

/// <summary>Pictures of a drill, drawn into the page itself.</summary>
static class DrillChart
{
    static readonly double[] Tops =
    [
        0.01, 0.02, 0.1, 0.2, 1, 2, 4, 10, 20, 60, 120, 240, 360, 600, 1_200, 3_600, 7_200, 14_400, 28_800, 86_400, 172_800, 864_000,
    ];

    const double Width = 720;
    const double Height = 220;
    const double Left = 64;
    const double Right = 16;
    const double Top = 16;
    const double Bottom = 36;

    /// <summary>The time to recover of each drill, oldest first, and the target where there is one.</summary>
    public static string Trend(IReadOnlyList<DrillRecord> history)
    {
        DrillRecord[] drills = [.. history.Where(item => item.RtoSeconds is not null)];
        if (drills.Length == 0)
        {
            return "<p class=\"quiet\">No drill has restored it yet.</p>";
        }

        var target = drills[^1].RtoTargetSeconds;
        var top = NiceAbove(Math.Max(drills.Max(item => item.RtoSeconds!.Value), target ?? 0));
        var svg = new StringBuilder();
        svg.Append(Invariant($"<svg class=\"trend\" viewBox=\"0 0 {Width} {Height}\" role=\"img\" "))
            .Append("aria-label=\"Time to recover of each drill\">");
        foreach (var share in (double[])[0, 0.5, 1])
        {
            var y = YOf(top * share, top);
            svg.Append(Invariant($"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{y:0.#}\" y2=\"{y:0.#}\"/>"))
                .Append(Label(Left - 8, y + 4, "end", DrillWords.Seconds(top * share)));
        }

        if (target is { } line)
        {
            var y = YOf(line, top);
            svg.Append(Invariant($"<line class=\"target\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{y:0.#}\" y2=\"{y:0.#}\"/>"))
                .Append(Label(Width - Right, y - 5, "end", $"target {DrillWords.Seconds(line)}"));
        }

        var points = drills.Select((item, index) => (X: XOf(index, drills.Length), Y: YOf(item.RtoSeconds!.Value, top))).ToList();
        svg.Append("<polyline class=\"rto\" points=\"")
            .AppendJoin(' ', points.Select(point => Invariant($"{point.X:0.#},{point.Y:0.#}")))
            .Append("\"/>");
        foreach (var (item, (x, y)) in drills.Zip(points))
        {
            svg.Append(Invariant($"<circle class=\"{Class(item.Result)}\" cx=\"{x:0.#}\" cy=\"{y:0.#}\" r=\"4.5\"><title>"))
                .Append(DrillHtml.Text($"{InstantText.Format(item.StartedAt)}: {DrillWords.Seconds(item.RtoSeconds)}, "
                    + DrillWords.Name(item.Result)))
                .Append("</title></circle>");
        }

        svg.Append(Label(points[0].X, Height - 10, drills.Length == 1 ? "middle" : "start", Day(drills[0])));
        if (drills.Length > 1)
        {
            svg.Append(Label(points[^1].X, Height - 10, "end", Day(drills[^1])));
        }

        return svg.Append("</svg>").ToString();
    }

    /// <summary>The phases as parts of one bar.</summary>
    public static string Phases(IReadOnlyList<DrillPhase> phases)
    {
        const double barWidth = 720;
        const double barHeight = 26;
        var total = phases.Sum(phase => phase.Seconds);
        if (total <= 0)
        {
            return "";
        }

        var svg = new StringBuilder(Invariant($"<svg class=\"phases\" viewBox=\"0 0 {barWidth} {barHeight}\" role=\"img\" "));
        svg.Append("aria-label=\"Phases\" preserveAspectRatio=\"none\">");
        var x = 0.0;
        foreach (var phase in phases)
        {
            var width = phase.Seconds / total * barWidth;
            svg.Append(Invariant($"<rect class=\"{phase.Name}\" x=\"{x:0.##}\" y=\"0\" width=\"{width:0.##}\" height=\"{barHeight}\"/>"));
            x += width;
        }

        return svg.Append("</svg>").ToString();
    }

    public static string Class(DrillResult result) => result.ToString().ToLowerInvariant();

    static double XOf(int index, int count)
    {
        const double inset = 12;
        var width = Width - Left - Right - (2 * inset);
        return Left + inset + (count == 1 ? width / 2 : width * index / (count - 1));
    }

    static double YOf(double seconds, double top) => Height - Bottom - ((Height - Top - Bottom) * seconds / top);

    /// <summary>A little more than this, so that both it and its half are round figures of time.</summary>
    static double NiceAbove(double seconds) =>
        Tops.FirstOrDefault(top => top >= seconds * 1.05) is var found and > 0 ? found : seconds * 1.05;

    static string Day(DrillRecord record) => record.StartedAt.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    static string Label(double x, double y, string anchor, string text) =>
        Invariant($"<text x=\"{x:0.#}\" y=\"{y:0.#}\" text-anchor=\"{anchor}\">{DrillHtml.Text(text)}</text>");

    static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
