using System.CommandLine;
using System.Text;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Health;
using Salvor.Jobs.Notify;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Cli.Commands;

static class StatusCommand
{
    static readonly Argument<string?> Source = new("SOURCE")
    {
        Description = "The name of a configured source, or the path of a database; default: all sources.", Arity = ArgumentArity.ZeroOrOne,
    };

    static readonly Option<string?> Db = new("--db", "--source-name") { Description = "The same as SOURCE.", HelpName = "NAME" };

    static readonly Option<string?> StateDirectory = new("--state-dir")
    {
        Description = "The folder of local state, if 'replicate' was given one.", HelpName = "DIR",
    };

    static readonly Option<bool> Check = new("--check")
    {
        Description = "Exit with 8 where a source is not served by a living process, or its destination does not work.",
    };

    static readonly Option<bool> Policy = new("--policy")
    {
        Description = "With --check: also where it is not within the limits of its configuration.",
    };

    static readonly Option<string?> MaxLag = Limit("--max-lag", "a commit waits for longer than this to be durable");
    static readonly Option<string?> MaxBackupAge = Limit("--max-backup-age", "the last backup is older than this");
    static readonly Option<string?> MaxVerifyAge = Limit("--max-verify-age", "the last successful verification is older than this");

    static readonly Option<string?> MaxDrillAge = Limit("--max-drill-age", "the last drill that passed is older than this");

    /// <summary>Each with an example for the hint.</summary>
    static readonly (Option Option, string Example)[] PartsOfACheck =
    [
        (Policy, "--policy"),
        (MaxLag, "--max-lag 10m"),
        (MaxBackupAge, "--max-backup-age 26h"),
        (MaxVerifyAge, "--max-verify-age 36h"),
        (MaxDrillAge, "--max-drill-age 35d"),
    ];

    static readonly Option<string> Format = new Option<string>("--format")
    {
        Description = "text, json (as --json), nagios (a line and the exit code of a plugin) or prom (as --prom).",
        DefaultValueFactory = _ => "text", HelpName = "FORMAT",
    }.WithChoices("text", "json", "nagios", "prom");

    static readonly Option<bool> Prom = new("--prom") { Description = "Print metrics for Prometheus." };

    static readonly Option<string?> Output = new("--output")
    {
        Description = "With --prom: write them to this file, in one step.", HelpName = "FILE",
    };

    public static Command Create() => new Command("status", "Print how each source fares, from local files only.")
    {
        Source, Db, StateDirectory, Check, Policy, MaxLag, MaxBackupAge, MaxVerifyAge, MaxDrillAge, Format, Prom, Output,
    }.WithAction(invocation => Task.FromResult(Run(invocation)));

    static Option<string?> Limit(string name, string what) => new(name)
    {
        Description = $"With --check: also where {what}.", HelpName = "TIME",
    };

    static int Run(Invocation invocation)
    {
        var format = invocation.Get(Prom) ? "prom" : invocation.Get(Format);
        invocation.AsJson = format == "json";
        if (format != "nagios")
        {
            return Run(invocation, format);
        }

        try
        {
            return Run(invocation, format);
        }
        catch (SalvorException e)
        {
            Console.Out.WriteLine($"UNKNOWN: {e.Message}");
            return NagiosAnswer.Unknown;
        }
    }

    static int Run(Invocation invocation, string format)
    {
        ExpectSense(invocation, format);
        var reader = new HealthReader(invocation.Time);
        SourceHealth[] all = Find(invocation, reader);
        HealthProblem[][] problems = [.. all.Select(health => HealthCheck.Problems(health, LimitsOf(invocation, health)).ToArray())];
        if (format == "nagios")
        {
            var answer = NagiosAnswer.Of(all, [.. all.Select(health => LimitsOf(invocation, health).BackupAge ?? health.Limits.BackupAge)],
                [.. problems.SelectMany(item => item)]);
            Console.Out.WriteLine(answer.Text);
            return answer.ExitCode;
        }

        if (format == "prom")
        {
            PrintMetrics(invocation, all);
        }

        foreach (var health in format == "prom" ? [] : all)
        {
            StatusText.Print(invocation, health);
        }

        // A document with all that is known, instead of the error alone.
        var failure = invocation.Get(Check) ? HealthCheck.Failure([.. problems.SelectMany(item => item)]) : null;
        if (failure is not null)
        {
            Verb.PrintError(failure);
        }

        if (invocation.Json)
        {
            invocation.PrintJson(
                new StatusDocument([.. all.Zip(problems, StatusBody.Of)], Ok: failure is null), () => CliJson.Default.StatusDocument);
        }

        return failure is null ? 0 : (int)failure.Kind;
    }

    static void ExpectSense(Invocation invocation, string format)
    {
        foreach (var (option, example) in PartsOfACheck)
        {
            if (invocation.Has(option) && !invocation.Get(Check) && format != "nagios")
            {
                throw new SalvorException(
                    FailureKind.Usage, $"'{option.Name}' is a part of a check", $"Write 'salvor status --check {example}'.");
            }
        }

        if (invocation.Has(Output) && format != "prom")
        {
            throw new SalvorException(
                FailureKind.Usage, "'--output' is for metrics", "Write 'salvor status --prom --output FILE', or redirect what is printed.");
        }
    }

    /// <summary>What is allowed: nothing is asked but life, unless the policy or an option says more.</summary>
    static HealthLimits LimitsOf(Invocation invocation, SourceHealth health)
    {
        var limits = invocation.Get(Policy) ? health.Limits : HealthLimits.None;
        return limits with
        {
            Lag = Given(MaxLag) ?? limits.Lag,
            BackupAge = Given(MaxBackupAge) ?? limits.BackupAge,
            VerifyAge = Given(MaxVerifyAge) ?? limits.VerifyAge,
            DrillAge = Given(MaxDrillAge) ?? limits.DrillAge,
            NeedsDrill = limits.NeedsDrill || invocation.Has(MaxDrillAge),
        };

        TimeSpan? Given(Option<string?> option) => invocation.Get(option) is { } text ? DurationText.Parse(text) : null;
    }

    static void PrintMetrics(Invocation invocation, IReadOnlyList<SourceHealth> all)
    {
        var text = MetricsText.Write(all) + MetricsText.WriteNotifiers(Notifiers(invocation));
        if (invocation.Get(Output) is not { } file)
        {
            Console.Out.Write(text);
            return;
        }

        // The collector of a node exporter runs as another user.
        DurableFile.Replace(Path.GetFullPath(file), Encoding.UTF8.GetBytes(text));
        File.SetUnixFileMode(
            file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
    }

    /// <summary>Of a database that was named by its path nobody is told.</summary>
    static IReadOnlyList<NotifierFigures> Notifiers(Invocation invocation)
    {
        var name = invocation.Get(Db) ?? invocation.Get(Source);
        return name is null ? NotifyState.ReadFigures(ConfigFile.LoadLocal(invocation.ConfigPath())) : [];
    }

    static SourceHealth[] Find(Invocation invocation, HealthReader reader)
    {
        var name = invocation.Get(Db) ?? invocation.Get(Source);
        if (name is not null)
        {
            var path = Path.GetFullPath(name);
            var state = OneShot.StateOf(path, invocation.Get(StateDirectory));
            if (File.Exists(path) || File.Exists(LocalState.StatusPath(state, path)))
            {
                return [reader.Read(new HealthTarget(Path.GetFileNameWithoutExtension(path), path, state, Config: null))];
            }
        }

        var config = ConfigFile.LoadLocal(invocation.ConfigPath());
        if (name is null)
        {
            return reader.ReadAll(config, TellUnreadable);
        }

        if (config.SnapshotSources.FirstOrDefault(source => source.Name == name) is { } found)
        {
            return [reader.Read(config, found)];
        }

        return reader.ReadAll(config.Sources.TryGetValue(name, out var whole) ? HealthReader.Targets(whole, TellUnreadable)
            : [One(ConfiguredSources.Find(config, name))]);

        static HealthTarget One((SqliteSourceConfig Source, SourceMember Member) item) => HealthReader.TargetOf(item.Source, item.Member);

        void TellUnreadable(SalvorException failure) => invocation.Tell($"salvor: {failure.Message}\nhint: {failure.Hint}");
    }
}
