using System.Globalization;
using Salvor.Text;
using Salvor.Vault.Wal;

namespace Salvor.Jobs.Drills.Reports;

/// <summary>A drill and those before it, for a report.</summary>
/// <param name="Record">The drill.</param>
/// <param name="History">All that are known, oldest first, this one among them.</param>
public sealed record DrillStory(DrillRecord Record, IReadOnlyList<DrillRecord> History);

/// <summary>How reports spell what a drill found.</summary>
public static class DrillWords
{
    /// <summary>The last line of the answer, for scripts: <c>Backup verify: PASS (archive=app-42, age=3h)</c>.</summary>
    public static string Line(DrillRecord record)
    {
        var archive = record.Position == 0 ? "none" : $"{record.Source}-{Position(record)}";
        var age = record.BackupAgeSeconds is { } seconds
            ? string.Create(CultureInfo.InvariantCulture, $"{Math.Floor(seconds / 3600):0}h")
            : "unknown";
        return $"Backup verify: {Name(record.Result)} (archive={archive}, age={age})";
    }

    /// <summary>The message for a chat, about a drill that did not pass.</summary>
    public static string Alert(DrillRecord record) =>
        $"BACKUP VERIFY {Name(record.Result)}: {record.Source} on {record.Host}: {record.Reason}. {record.Hint}";

    public static string Name(DrillResult result) => result.ToString().ToUpperInvariant();

    public static string Name(CheckOutcome outcome) => outcome.ToString().ToUpperInvariant();

    /// <summary>Up to a minute with a fraction, then in two units.</summary>
    public static string Seconds(double? seconds) => seconds switch
    {
        null => "not known",
        < 60 => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.##} s"),
        var value => DurationText.FormatShort(TimeSpan.FromSeconds(Math.Round(value.Value))),
    };

    /// <summary>A figure against its target.</summary>
    public static string Against(double? seconds, double? target) =>
        target is null ? "no target"
        : $"target {Seconds(target)}: {(seconds <= target ? "met" : seconds is null ? "not known" : "missed")}";

    /// <summary>What was restored, in a few words.</summary>
    public static string Point(DrillRecord record) => record switch
    {
        { Time: { } time, Cluster: { } cluster } => $"{Position(record)} of {InstantText.Format(time)}, timeline {cluster.Timeline}",
        { Time: { } time } => $"position {record.Position} of {InstantText.Format(time)}, branch {record.Branch}",
        _ => "nothing",
    };

    /// <summary>The position that was restored; of a cluster the address in its log, as PostgreSQL prints it.</summary>
    public static string Position(DrillRecord record) => record.Cluster is null ? $"{record.Position}" : $"{new Lsn(record.Position)}";

    /// <summary>The label of a check: its kind, and its name where that says more.</summary>
    public static string Label(DrillCheck check) => check.Name == check.Kind ? check.Kind : $"{check.Kind}: {check.Name}";
}
