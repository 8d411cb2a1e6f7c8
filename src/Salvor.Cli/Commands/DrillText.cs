using Salvor.Cli.Terminal;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Drills.Reports;
using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Cli.Commands;

/// <summary>Drills on a terminal.</summary>
static class DrillText
{
    /// <summary>The last line is for scripts.</summary>
    public static void Print(Invocation invocation, DrillRecord record)
    {
        invocation.Print($"drill of {record.Source}: {DrillWords.Point(record)}, from {record.Destination}");
        foreach (var check in record.Checks)
        {
            var expected = check.Expected.Length > 0 && check.Outcome != CheckOutcome.Pass ? $"; expected {check.Expected}" : "";
            invocation.Print($"  {Mark(check.Outcome),-7} {DrillWords.Label(check)}: {check.Found}{expected}");
            foreach (var line in check.Output.Split('\n').Where(line => line.Length > 0))
            {
                invocation.Print($"            {line}");
            }
        }

        if (record.RtoSeconds is { } rto)
        {
            var phases = string.Join(", ", record.Phases.Select(phase => $"{phase.Name} {DrillWords.Seconds(phase.Seconds)}"));
            invocation.Print(
                $"  recovered in {DrillWords.Seconds(rto)}: {phases}; {DrillWords.Against(rto, record.RtoTargetSeconds)}");
        }

        if (record.KeptAt.Length > 0)
        {
            invocation.Print($"  kept: {record.KeptAt}");
        }

        if (record.Result != DrillResult.Pass)
        {
            ErrorStream.WriteLine($"salvor: {record.Source}: {record.Reason}\nhint: {record.Hint}");
        }

        invocation.Print(DrillWords.Line(record));
    }

    /// <summary>The drills of each source, newest first.</summary>
    public static int PrintHistory(Invocation invocation, IEnumerable<DrillRequest> requests)
    {
        var drills = requests.SelectMany(request => HistoryOf(request).Reverse()).ToList();
        if (drills.Count == 0)
        {
            invocation.Print("no drill was made yet");
        }

        foreach (var group in drills.GroupBy(record => record.Source))
        {
            invocation.Print(group.Key);
            invocation.Print("  When                         Result  Position    RTO         RPO         Reason");
            foreach (var record in group)
            {
                invocation.Print(
                    $"  {InstantText.Format(record.StartedAt),-27}  {DrillWords.Name(record.Result),-6}  "
                        + $"{DrillWords.Position(record),-10}  {DrillWords.Seconds(record.RtoSeconds),-10}  "
                        + $"{DrillWords.Seconds(record.RpoSeconds),-10}  {record.Reason}");
            }
        }

        invocation.PrintJson(new DrillHistoryDocument(drills), () => DrillJson.Default.DrillHistoryDocument);
        return 0;
    }

    /// <summary>The drills that are written down, oldest first, and this one where it is not.</summary>
    public static IReadOnlyList<DrillRecord> HistoryOf(DrillRequest request, DrillRecord record) =>
        request.StateDirectory is null ? [record] : HistoryOf(request);

    static IReadOnlyList<DrillRecord> HistoryOf(DrillRequest request) => request.StateDirectory is { } state
        ? DrillFile.ReadHistory(LocalState.DrillHistoryPath(state, request.DatabasePath))
        : [];

    static string Mark(CheckOutcome outcome) => outcome == CheckOutcome.Pass ? Symbols.Ok : $"[{outcome.ToString().ToLowerInvariant()}]";
}
