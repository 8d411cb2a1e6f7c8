using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Drills.Reports;
using Salvor.Sqlite;
using Salvor.Text;
using Salvor.Vault.Restore;

namespace Salvor.Cli.Commands;

static class DrillCommand
{
    static readonly VaultOptions Vault = new();
    static readonly Option<string?> Destination = new("--destination")
    {
        Description = "Restore from this configured destination alone.", HelpName = "NAME",
    };

    static readonly Option<string?> Timestamp = new("--timestamp")
    {
        Description = "Drill the last commit at or before this time, in place of the newest.", HelpName = "TIME",
    };

    static readonly Option<string?> MaxAge = new("--max-age")
    {
        Description = "STALE where the destination was complete longer ago, for example 25h.", HelpName = "TIME",
    };

    static readonly Option<bool> Keep = new("--keep") { Description = "Leave the restored database, and say where." };
    static readonly Option<bool> AcceptRows = new("--accept-rows")
    {
        Description = "Tables may have shrunk: compare the next drill with this one.",
    };

    static readonly Option<string[]> Report = new("--report")
    {
        Description = "Write a report; the ending says which: .md, .html or .json. May be given again.", HelpName = "FILE",
        DefaultValueFactory = _ => [],
    };

    static readonly Option<string?> Webhook = new("--webhook")
    {
        Description = "Post {\"text\": \"BACKUP VERIFY ...\"} there for each drill that did not pass.", HelpName = "URL",
    };

    static readonly Option<bool> History = new("--history") { Description = "Print the drills that were made, and make none." };

    public static Command Create()
    {
        var command = new Command("drill", "Rehearse a restore: into scratch, checked, timed, compared with its targets, reported.")
        {
            Destination, Timestamp, MaxAge, Keep, AcceptRows, Report, Webhook, History,
        };
        Vault.AddTo(command);
        return command.WithWatchedAction(
            RunAsync, invocation => !Vault.IsFromGiven(invocation) && !invocation.Has(History) && !invocation.Has(Timestamp));
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        CheckOptions(invocation);
        if (invocation.Get(History))
        {
            return DrillText.PrintHistory(invocation, Targets(invocation).Select(target => target.Request));
        }

        var drills = Vault.IsFromGiven(invocation) ? [await FromAsync(invocation)] : Targets(invocation);
        var stories = new List<DrillStory>();
        foreach (var (request, find) in drills)
        {
            var record = await DrillAsync(invocation, request, find);
            stories.Add(new DrillStory(record, DrillText.HistoryOf(request, record)));
            if (record.Result != DrillResult.Pass && invocation.Get(Webhook) is { } url)
            {
                await DrillWebhook.PostAsync(new Uri(url), record, invocation.Time, invocation.Tell, invocation.Cancellation);
            }
        }

        foreach (var report in invocation.Get(Report))
        {
            DrillReport.Write(Path.GetFullPath(report), stories);
            invocation.Tell($"report: {Path.GetFullPath(report)}");
        }

        invocation.PrintJson(DrillReport.DocumentOf(stories), () => DrillJson.Default.DrillDocument);
        return ExitCodeOf([.. stories.Select(story => story.Record)]);
    }

    static void CheckOptions(Invocation invocation)
    {
        foreach (var report in invocation.Get(Report))
        {
            DrillReport.CheckPath(Path.GetFullPath(report));
        }

        if (invocation.Get(MaxAge) is { } age)
        {
            DurationText.Parse(age);
        }

        if (invocation.Get(Webhook) is { } url
            && (!Uri.TryCreate(url, UriKind.Absolute, out var parsed) || parsed.Scheme is not ("http" or "https")))
        {
            throw new SalvorException(
                FailureKind.Usage, "the text after '--webhook' is no http or https URL",
                "Copy it from the service that takes the message.");
        }

        if (Vault.IsFromGiven(invocation) && (invocation.Get(Destination) is not null || invocation.Get(History)))
        {
            throw new SalvorException(
                FailureKind.Usage, "'--destination' and '--history' are for configured sources, and '--from' names the place itself",
                "Leave '--from' out, or the other one.");
        }
    }

    /// <summary>A failure counts more than age, and the first failure says which.</summary>
    static int ExitCodeOf(IReadOnlyList<DrillRecord> records) =>
        (records.FirstOrDefault(record => record.Result == DrillResult.Fail)
            ?? records.FirstOrDefault(record => record.Result == DrillResult.Stale))?.ExitCode ?? 0;

    static async Task<DrillRecord> DrillAsync(Invocation invocation, DrillRequest request, CopiesFinder find)
    {
        using var progress = new ProgressLine(invocation, request.Source);
        var drill = new SourceDrill(request with { Progressed = progress.Reporter }, invocation.Time);
        var record = await drill.RunAsync(find, invocation.Cancellation);
        progress.Dispose();
        record = DrillSchedule.Write(request, record);
        DrillText.Print(invocation, record);
        return record;
    }

    /// <summary>The configured sources that are meant; all where none is named.</summary>
    static List<(DrillRequest Request, CopiesFinder Find)> Targets(Invocation invocation)
    {
        var config = invocation.LoadConfig();
        var name = Vault.NameIn(invocation);
        IEnumerable<ConfiguredVault> vaults = name is not null && config.SnapshotSources.Any(source => source.Name == name)
            ? ConfiguredSources.Vaults(config, source => source.Name == name)
            : name is null ?
                [
                    .. config.Sources.Values.SelectMany(source => Members(invocation, source)).Select(Of),
                    .. ConfiguredSources.Vaults(config, source => source is SnapshotSourceConfig),
                ]
            : config.Sources.TryGetValue(name, out var whole) ? Members(invocation, whole).Select(Of)
            : [Of(ConfiguredSources.Find(config, name))];
        return [.. vaults.Select(vault => Target(invocation, config, vault))];

        static ConfiguredVault Of((SqliteSourceConfig Source, SourceMember Member) item) =>
            ConfiguredSources.VaultOf(item.Source, item.Member);
    }

    static (DrillRequest Request, CopiesFinder Find) Target(Invocation invocation, SalvorConfig config, ConfiguredVault vault)
    {
        var source = vault.Config;
        var destinations = source.To;
        if (invocation.Get(Destination) is { } named)
        {
            destinations = source.To.Contains(named) ? [named] : throw new SalvorException(
                FailureKind.Usage,
                $"source {source.Name} does not go to a destination {named}",
                $"{Suggestion.Sentence(named, source.To)}It goes to {Suggestion.Enumerate(source.To)}.");
        }

        var request = With(invocation, DrillSchedule.RequestOf(config, vault));
        return (request, cancel =>
            SourceCopies.FindAsync(config, vault.Name, destinations, KeyOptions.Find(invocation, source), cancel));
    }

    /// <summary>Without a configuration: what cannot be found is a mistake in the command, and no drill.</summary>
    static async Task<(DrillRequest Request, CopiesFinder Find)> FromAsync(Invocation invocation)
    {
        var (copies, _, _) = await Vault.FindCopiesAsync(invocation);
        var identity = copies.First(copy => copy.Vault is not null).Vault!.Identity;
        var state = LocalState.DefaultDirectory(identity.Path);
        var isHere = !identity.IsTree && Directory.Exists(state);
        var request = new DrillRequest
        {
            Source = identity.Source,
            Config = new DrillConfig(),
            DatabasePath = identity.Path,
            StateDirectory = isHere ? state : null,
            ScratchRoot = isHere ? state : null,
        };
        return (With(invocation, request), _ => Task.FromResult(copies));
    }

    static DrillRequest With(Invocation invocation, DrillRequest request) => request with
    {
        Keep = invocation.Get(Keep),
        AcceptRows = invocation.Get(AcceptRows),
        Point = new RestoreRequest(
            Branch: null, invocation.Get(Timestamp) is { } time ? InstantText.Parse(time) : null, Position: null),
        Config = invocation.Get(MaxAge) is { } age ? request.Config with { AgeMax = DurationText.Parse(age) } : request.Config,
    };

    static IEnumerable<(SqliteSourceConfig Source, SourceMember Member)> Members(Invocation invocation, SqliteSourceConfig source) =>
        ConfiguredSources.Members(source, failure => invocation.Tell($"salvor: {failure.Message}\nhint: {failure.Hint}"))
            .Select(member => (source, member));
}
