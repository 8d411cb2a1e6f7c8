using System.CommandLine;
using Salvor.Cli.Schedules;
using Salvor.Cli.Terminal;

namespace Salvor.Cli.Commands;

static class ScheduleCommand
{
    /// <summary>What the image in <c>packaging/container</c> is called where nobody gave it another name.</summary>
    const string ImageDefault = "salvor:latest";

    static readonly Option<string> Format = CreateFormat();

    static readonly Option<string> User = new("--user")
    {
        Description = "Who runs it: the user who owns the databases.", HelpName = "NAME",
        DefaultValueFactory = _ => ScheduleSettings.Default.User,
    };

    static readonly Option<string> Program = new("--program")
    {
        Description = "The path of the program.", HelpName = "PATH", DefaultValueFactory = _ => ScheduleSettings.Default.Program,
    };

    static readonly Option<string> Image = new("--image")
    {
        Description = "With k8s: the container's image.", HelpName = "NAME", DefaultValueFactory = _ => ImageDefault,
    };

    static readonly Option<string?> Output = new("--output")
    {
        Description = "Write the files into this folder, instead of printing them.", HelpName = "DIR",
    };

    public static Command Create()
    {
        var export = new Command("export", "Print the checks that belong outside of the daemon, for a scheduler.")
        {
            Format, User, Program, Image, Output,
        };
        return new Command("schedule", "Have a scheduler run what the daemon cannot do for itself.") { export.WithAction(Run) };
    }

    static Task<int> Run(Invocation invocation)
    {
        var settings = new ScheduleSettings(
            invocation.Get(Program),
            Path.GetFullPath(invocation.Get(Invocation.ConfigOption) ?? ScheduleSettings.Default.Config),
            invocation.Get(User));
        ExpectPlain(settings);
        var files = Make(invocation, settings);
        if (invocation.Get(Output) is { } folder)
        {
            Directory.CreateDirectory(folder);
            foreach (var file in files)
            {
                File.WriteAllText(Path.Combine(folder, file.Name), file.Text);
            }

            invocation.Tell($"wrote {files.Count} file(s) to {folder}");
        }
        else if (!invocation.Json)
        {
            Console.Out.Write(files.Count == 1 ? files[0].Text : string.Join('\n', files.Select(file => $"# {file.Name}\n{file.Text}")));
        }

        invocation.PrintJson(
            new ScheduleDocument(invocation.Get(Format), [.. files.Select(file => new ScheduleFileBody(file.Name, file.Text))]),
            () => CliJson.Default.ScheduleDocument);
        return Task.FromResult(0);
    }

    static IReadOnlyList<ScheduleFile> Make(Invocation invocation, ScheduleSettings settings) => invocation.Get(Format) switch
    {
        "systemd" => SystemdUnits.Make(settings),
        "launchd" => LaunchAgents.Make(settings),
        "k8s" => [new("salvor-cronjobs.yaml", CronJobs.Make(settings, invocation.Get(Image)))],
        "cron.d" => [new("salvor", CronTables.Directory(settings))],
        "crontab" => [new("crontab", CronTables.System(settings))],
        _ => [new("crontab-user", CronTables.OfUser(settings))],
    };

    /// <summary>The lines are read by schedulers of which each quotes in its own way: a path that needs none is the same for all.</summary>
    static void ExpectPlain(ScheduleSettings settings)
    {
        foreach (var word in (string[])[settings.Program, settings.Config, settings.User])
        {
            if (word.FirstOrDefault(letter => !char.IsAsciiLetterOrDigit(letter) && !"/._-+@:,".Contains(letter)) is var odd and not '\0')
            {
                throw new SalvorException(
                    FailureKind.Usage,
                    $"'{word}' has a '{odd}', which schedulers read in different ways",
                    "Use a path or name of letters, digits and ./_-+@:, only.");
            }
        }
    }

    static Option<string> CreateFormat()
    {
        var option = new Option<string>("--format")
        {
            Description = "For whom: systemd (units and timers), cron.d (a file for /etc/cron.d), crontab (lines for /etc/crontab), "
                + "crontab-user (lines for 'crontab -e'), launchd or k8s.",
            Required = true, HelpName = "FORMAT",
        };
        return option.WithChoices("systemd", "cron.d", "crontab", "crontab-user", "launchd", "k8s");
    }
}
