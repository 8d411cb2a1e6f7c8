using System.Text.RegularExpressions;
using Salvor.Cli.Schedules;
using Salvor.Cli.Terminal;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;
using YamlDotNet.RepresentationModel;

namespace Salvor.Tests.Packaging;

/// <summary>What is shipped for schedulers is what the program exports, and every command in it is one that the program takes.</summary>
public sealed partial class ScheduleTests : IDisposable
{
    readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void The_shipped_units_are_the_exported_ones()
    {
        foreach (var file in SystemdUnits.Make(ScheduleSettings.Default))
        {
            Assert.Equal(file.Text, Checkout.Read($"packaging/systemd/{file.Name}"));
        }

        Assert.Equal(CronTables.Directory(ScheduleSettings.Default), Checkout.Read("packaging/cron/salvor.cron"));
        Assert.Equal(
            CronJobs.Make(ScheduleSettings.Default, "salvor:latest"), Checkout.Read("packaging/kubernetes/salvor-cronjobs.yaml"));
    }

    [Fact]
    public void Every_command_of_a_unit_a_table_and_a_manifest_is_one_that_the_program_takes()
    {
        var lines = Checkout.Files
            .Where(path => path.StartsWith("packaging/", StringComparison.Ordinal))
            .SelectMany(path => CommandLines().Matches(Checkout.Read(path)).Select(match => (path, match.Groups["arguments"].Value)))
            .ToList();

        Assert.True(lines.Count >= 9, $"only {lines.Count} found");
        foreach (var (path, arguments) in lines)
        {
            AssertTaken(path, arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        }
    }

    [Fact]
    public void Every_list_of_arguments_in_a_manifest_is_one_that_the_program_takes()
    {
        var found = 0;
        foreach (var path in (string[])
            ["packaging/kubernetes/app.yaml", "packaging/kubernetes/salvor-cronjobs.yaml", "packaging/container/compose.yaml"])
        {
            var yaml = new YamlStream();
            yaml.Load(new StringReader(Checkout.Read(path)));
            foreach (var list in yaml.Documents.SelectMany(document => Lists(document.RootNode)))
            {
                AssertTaken(path, list[0] == "/usr/bin/salvor" ? list[1..] : list);
                found++;
            }
        }

        Assert.Equal(9, found);
    }

    [Fact]
    public void Liveness_in_a_manifest_asks_for_no_threshold()
    {
        var probe = LivenessProbe().Match(Checkout.Read("packaging/kubernetes/app.yaml")).Value;

        Assert.Contains("\"status\", \"--check\", \"--quiet\"", probe, StringComparison.Ordinal);
        Assert.DoesNotContain("--max", probe, StringComparison.Ordinal);
    }

    [Fact]
    public void Timers_only_time()
    {
        foreach (var file in SystemdUnits.Make(ScheduleSettings.Default))
        {
            var isTimer = file.Name.EndsWith(".timer", StringComparison.Ordinal);
            Assert.DoesNotContain("Requires=", file.Text, StringComparison.Ordinal);
            Assert.Equal(isTimer, file.Text.Contains("\nOnCalendar=", StringComparison.Ordinal));
            Assert.Equal(isTimer, file.Text.Contains("\nPersistent=true\n", StringComparison.Ordinal));

            // A job that is wanted by a target would run at every boot.
            Assert.Equal(isTimer || file.Name == "salvor.service", file.Text.Contains("[Install]", StringComparison.Ordinal));
            Assert.Equal(
                !isTimer && file.Name.StartsWith("salvor", StringComparison.Ordinal),
                file.Text.Contains("\n#OnFailure=notify-failure@%n.service\n", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Systemd_finds_nothing_wrong_with_the_units_and_little_to_attack()
    {
        var folder = _scratch.Subdirectory("units");
        var program = Path.Combine(folder, "salvor");
        await File.WriteAllTextAsync(program, "");
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        await ExpectAsync("schedule", "export", "--format", "systemd", "--program", program, "--user", "root", "--output", folder);
        string[] units = [.. Directory.EnumerateFiles(folder, "*.service").Concat(Directory.EnumerateFiles(folder, "*.timer"))];

        var verified = await ChildProcess.RunAsync("systemd-analyze", ["verify", "--man=no", .. units]);
        Assert.True(verified is { ExitCode: 0, Stdout: "", Stderr: "" }, verified.ToString());
        foreach (var unit in units.Where(unit => unit.EndsWith(".service", StringComparison.Ordinal)))
        {
            var judged = await ChildProcess.RunAsync(
                "systemd-analyze", ["security", "--offline=true", "--threshold=30", "--no-pager", unit]);
            Assert.True(judged.ExitCode == 0, $"{unit}: {judged}");
        }
    }

    [Fact]
    public async Task Tables_for_cron_have_as_many_fields_as_their_place_wants()
    {
        var directory = (await ExpectAsync("schedule", "export", "--format", "cron.d", "--user", "app")).Stdout;
        var own = (await ExpectAsync("schedule", "export", "--format", "crontab-user")).Stdout;

        Assert.Contains("\nMAILTO=root\n", directory, StringComparison.Ordinal);
        Assert.Contains(
            "\n*/5 * * * * app /usr/bin/salvor status --check --max-lag 10m --max-verify-age 36h "
                + "--config /etc/salvor/salvor.yaml --quiet\n",
            directory,
            StringComparison.Ordinal);
        Assert.StartsWith("*/5 * * * * /usr/bin/salvor status --check ", own, StringComparison.Ordinal);
        Assert.DoesNotContain("MAILTO", own, StringComparison.Ordinal);
        var system = (await ExpectAsync("schedule", "export", "--format", "crontab", "--user", "app")).Stdout;
        Assert.EndsWith(system, directory, StringComparison.Ordinal);
        var table = Path.Combine(_scratch.Subdirectory("cron"), "table");
        await File.WriteAllTextAsync(table, own);
        var checkedTable = await ChildProcess.RunAsync("crontab", ["-n", table]);
        Assert.True(checkedTable.ExitCode == 0, checkedTable.ToString());
    }

    [Fact]
    public async Task Launchd_gets_property_lists_that_it_can_read()
    {
        var folder = _scratch.Subdirectory("agents");
        await ExpectAsync("schedule", "export", "--format", "launchd", "--output", folder);

        const string Program = "import plistlib, sys; print(plistlib.load(open(sys.argv[1], 'rb')))";
        var weekly = await ChildProcess.RunAsync(Tool.Python, ["-c", Program, Path.Combine(folder, "salvor.repair.plist")]);
        Assert.Contains("'StartCalendarInterval': {'Weekday': 0, 'Hour': 5, 'Minute': 30}", weekly.Stdout, StringComparison.Ordinal);
        var often = await ChildProcess.RunAsync(Tool.Python, ["-c", Program, Path.Combine(folder, "salvor.check.plist")]);
        Assert.Contains("'StartInterval': 300", often.Stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_path_that_schedulers_read_in_different_ways_is_refused()
    {
        var result = await SalvorProcess.RunAsync("schedule", "export", "--format", "cron.d", "--program", "/opt/my tools/salvor");

        Assert.Equal(2, result.ExitCode);
        Assert.Equal(
            "salvor: '/opt/my tools/salvor' has a ' ', which schedulers read in different ways\n"
                + "hint: Use a path or name of letters, digits and ./_-+@:, only.\n",
            result.Stderr);
    }

    static async Task<ProcessResult> ExpectAsync(params string[] arguments)
    {
        var result = await SalvorProcess.RunAsync(arguments);
        Assert.True(result.ExitCode == 0, result.ToString());
        return result;
    }

    static void AssertTaken(string place, string[] arguments)
    {
        var parsed = CommandLine.CreateRoot().Parse(arguments);
        Assert.True(
            UsageErrors.Find(parsed) is null, $"{place}: salvor {string.Join(' ', arguments)}: {UsageErrors.Find(parsed)?.Message}");
    }

    /// <summary>The lists of words under <c>args</c> and <c>command</c> that are for this program.</summary>
    static IEnumerable<string[]> Lists(YamlNode node) => node switch
    {
        YamlMappingNode mapping => mapping.SelectMany(pair => pair is
            { Key: YamlScalarNode { Value: "args" or "command" }, Value: YamlSequenceNode words }
            ? [[.. words.Select(word => ((YamlScalarNode)word).Value!)]]
            : Lists(pair.Value)),
        YamlSequenceNode sequence => sequence.SelectMany(Lists),
        _ => [],
    };

    [GeneratedRegex(@"(?:ExecStart=|[*0-9] \w+ )/usr/bin/salvor (?<arguments>.+)")]
    private static partial Regex CommandLines();

    [GeneratedRegex(@"livenessProbe:\n(?: {12}.*\n)+")]
    private static partial Regex LivenessProbe();
}
