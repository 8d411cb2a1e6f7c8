using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Sqlite.Snapshots;
using Salvor.Text;

namespace Salvor.Cli.Commands;

static class HistoryCommand
{
    static readonly Argument<string?> Source = new("SOURCE")
    {
        Description = "The name of a configured source; default: all that are backed up now and then.", Arity = ArgumentArity.ZeroOrOne,
    };

    static readonly Option<int?> Limit = PruneOptions.Count("--limit", "How many runs of each source are printed; default: 50.");

    public static Command Create() => new Command(
        "history", "Print the runs of backups, and those that were missed, from local files only; the newest first.")
    {
        Source, Limit,
    }.WithAction(invocation => Task.FromResult(Run(invocation)));

    static int Run(Invocation invocation)
    {
        const int LimitDefault = 50;
        var bodies = new List<RunBody>();
        var config = ConfigFile.LoadLocal(invocation.ConfigPath());
        foreach (var source in Find(config, invocation.Get(Source)))
        {
            var runs = RunsOf(config, source, invocation.Time.GetUtcNow())
                .Reverse().Take(invocation.Get(Limit) ?? LimitDefault).Select(run => BodyOf(source.Name, run)).ToList();
            bodies.AddRange(runs);
            if (runs.Count == 0)
            {
                invocation.Print($"{source.Name}: no run yet");
            }

            foreach (var run in runs)
            {
                Print(invocation, run);
            }
        }

        invocation.PrintJson(new HistoryDocument(bodies), () => CliJson.Default.HistoryDocument);
        return 0;
    }

    static IEnumerable<SnapshotSourceConfig> Find(SalvorConfig config, string? name)
    {
        if (name is null)
        {
            return config.SnapshotSources;
        }

        if (config.SnapshotSources.FirstOrDefault(source => source.Name == name) is { } found)
        {
            return [found];
        }

        var (_, member) = ConfiguredSources.Find(config, name);
        throw new SalvorException(
            FailureKind.Usage, $"{member.Name} is a database, of which every commit is kept: it has no runs",
            $"Run 'salvor list {member.Name}' for its restore points, and 'salvor status {member.Name}' for its snapshots.");
    }

    /// <summary>What is in the file, and what was missed since, which only a daemon writes down.</summary>
    static IEnumerable<RunRecord> RunsOf(SalvorConfig config, SnapshotSourceConfig source, DateTimeOffset now)
    {
        var state = ConfiguredSources.StateOf(config, source);
        var runs = RunHistory.Read(LocalState.RunsPath(state, source.Name));
        var mark = BackupMarkFile.Read(LocalState.BackupPath(state, source.Name));
        var latest = runs is [.., var last] ? last : null;
        var missed = source.Schedule is { } schedule ? BackupPlan.Make(schedule, mark, latest, now).Missed : null;
        return missed is null ? runs : runs.Append(missed);
    }

    static RunBody BodyOf(string source, RunRecord run) => new(
        source, NameOf(run.Trigger), NameOf(run.Outcome), run.StartedAt, run.EndedAt,
        Math.Round((run.EndedAt - run.StartedAt).TotalSeconds, 3), run.Missed, run.BackupId, run.SizeBytes, run.AddedBytes, run.Error,
        run.Anomaly);

    static void Print(Invocation invocation, RunBody run)
    {
        var what = run switch
        {
            { Missed: > 0 } => $"{run.Missed} due until {InstantText.Format(run.EndedAt)}, and not made",
            { Error.Length: > 0 } => run.Error,
            _ => $"backup {run.BackupId}: {SizeText.Format(run.SizeBytes)}, {SizeText.Format(run.AddedBytes)} added"
                + (run.Anomaly.Length > 0 ? $"; looks as if ransomware had been there: {run.Anomaly}" : ""),
        };
        var seconds = run.Missed > 0 ? "" : run.DurationSeconds.ToString("0.###' s'", CultureInfo.InvariantCulture);
        invocation.Print(
            $"{InstantText.Format(run.StartedAt)}  {run.Source}  {run.Trigger,-8}  {run.Outcome,-7}  {seconds,9}  {what}");
    }

    static string NameOf<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.SnakeCaseLower.ConvertName($"{value}");
}
