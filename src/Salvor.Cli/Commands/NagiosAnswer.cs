using Salvor.Jobs.Health;

namespace Salvor.Cli.Commands;

/// <summary>The answer of a plugin of Nagios: https://www.monitoring-plugins.org/doc/guidelines.html.</summary>
/// <param name="Text">The line that is shown, and one for each problem.</param>
/// <param name="ExitCode">0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.</param>
readonly record struct NagiosAnswer(string Text, int ExitCode)
{
    public const int Unknown = 3;

    const int Ok = 0;
    const int Warning = 1;
    const int Critical = 2;

    /// <summary>The line is about the backup that is oldest; what else is wrong is said in its place, or below it.</summary>
    /// <param name="all">How the sources fare.</param>
    /// <param name="limits">How old the backup of each may be; null where any age will do.</param>
    /// <param name="problems">What is wrong otherwise.</param>
    public static NagiosAnswer Of(
        IReadOnlyList<SourceHealth> all, IReadOnlyList<TimeSpan?> limits, IReadOnlyList<HealthProblem> problems)
    {
        if (all.Count == 0)
        {
            return new("UNKNOWN: no source was found", Unknown);
        }

        var ages = all.Select(health => health.AgeOf(health.Backup?.LastSuccessAt)).ToList();
        var tooOld = ages.Zip(limits).Any(item => item.Second is { } limit && !(item.First <= limit));
        var backup = ages.Contains(null) ? "Backup was never made" : $"Backup is {Math.Floor(ages.Max()!.Value.TotalHours):0} hours old";
        var others = problems.Where(problem => problem.Kind != "backup_age").ToList();
        var code = tooOld || others.Any(problem => problem is { Severity: Severity.Page, Kind: not "unknown" }) ? Critical
            : others.Any(problem => problem.Kind == "unknown") ? Unknown
            : others.Count > 0 ? Warning
            : Ok;
        var word = code switch { Ok => "OK", Warning => "WARNING", Critical => "CRITICAL", _ => "UNKNOWN" };
        string[] lines = [.. tooOld || others.Count == 0 ? [backup] : Array.Empty<string>(), .. others.Select(item => item.Message)];
        return new($"{word}: {string.Join('\n', lines)}", code);
    }
}
