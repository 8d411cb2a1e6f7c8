using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs.Doctor;

namespace Salvor.Cli.Commands;

static class DoctorCommand
{
    static readonly VaultOptions Vault = new();

    static readonly Option<string?> Destination = new("--destination", "--dest")
    {
        Description = "Only this destination, and what is kept there.", HelpName = "NAME",
    };

    static readonly Option<bool> Probe = new("--probe")
    {
        Description = "Really try to delete, hide and overwrite an object of our own at each destination.",
    };

    public static Command Create()
    {
        var command = new Command("doctor", "Find out whether a restore, or this configuration, will work, and what to do about it.")
        {
            Destination, Probe,
        };
        Vault.AddTo(command);
        return command.WithAction(RunAsync);
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        var checks = await CheckAsync(invocation);
        var code = Check.ExitCodeOf(checks);
        Print(invocation, checks, code);
        invocation.PrintJson(
            new DoctorDocument(
                code == 0, code, Count(checks, CheckLevel.Ok), Count(checks, CheckLevel.Warn), Count(checks, CheckLevel.Fail),
                [
                    .. checks.Select(check => new CheckBody(
                        NameOf(check.Level), check.Area, check.Subject, check.What, check.Detail, check.Fix, check.Known)),
                ]),
            () => CliJson.Default.DoctorDocument);
        return code;
    }

    static async Task<IReadOnlyList<Check>> CheckAsync(Invocation invocation)
    {
        var name = Vault.NameIn(invocation);
        var run = new DoctorRun(invocation.Time, invocation.Random) { Waiting = names => TellWaiting(invocation, names) };
        if (Vault.IsFromGiven(invocation))
        {
            return await CheckVaultsAsync(invocation, run, name);
        }

        Jobs.Config.SalvorConfig config;
        try
        {
            config = invocation.LoadConfig();
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Usage)
        {
            // The first thing that it is asked for: an answer like the others, and not the end of them.
            return DoctorRun.CheckMachine(e);
        }

        var request = new DoctorRequest
        {
            Source = name,
            Destination = invocation.Get(Destination),
            KeysOf = source => KeyOptions.Find(invocation, source),
            Probes = invocation.Get(Probe),
            Scratch = config.Restore.Scratch ?? Path.GetFullPath("restored"),
        };
        return await run.CheckAsync(config, request, invocation.Cancellation);
    }

    static async Task<IReadOnlyList<Check>> CheckVaultsAsync(Invocation invocation, DoctorRun run, string? name)
    {
        if (invocation.Get(Destination) is not null || invocation.Get(Probe))
        {
            var option = invocation.Get(Probe) ? "'--probe' writes to a destination of a configuration, and '--from' only reads"
                : "'--destination' names one of a configuration, and '--from' needs none";
            throw new SalvorException(FailureKind.Usage, option, "Give one of the two.");
        }

        var checks = new List<Check>();
        foreach (var from in invocation.Get(Vault.From))
        {
            checks.AddRange(await run.CheckVaultAsync(
                from, name, KeyOptions.Find(invocation, source: null), Path.GetFullPath("restored"), invocation.Cancellation));
        }

        // The machine is the same for each.
        return [.. checks.Distinct()];
    }

    static void Print(Invocation invocation, IReadOnlyList<Check> checks, int code)
    {
        foreach (var check in checks)
        {
            // Under --quiet errors only, and there they belong to.
            if (check.Level == CheckLevel.Fail && invocation.Quiet && !invocation.Json)
            {
                ErrorStream.WriteLine(Line(check));
            }

            invocation.Print(Line(check));
        }

        invocation.Print(
            $"{checks.Count} checks: {Count(checks, CheckLevel.Ok)} ok, {Count(checks, CheckLevel.Warn)} warnings, "
                + $"{Count(checks, CheckLevel.Fail)} failed{(code == 0 ? "" : $"; exit code {code}")}");
    }

    static string Line(Check check)
    {
        var subject = check.Subject.Length > 0 ? $"{check.Subject}: " : "";
        var detail = check.Detail.Length > 0 ? $"  ({check.Detail})" : "";
        var fix = check.Fix.Length > 0 ? $"{Environment.NewLine}      fix: {check.Fix}" : "";
        return $"{NameOf(check.Level).ToUpperInvariant(),-4}  {check.Area,-11}  {subject}{check.What}{detail}{fix}";
    }

    static void TellWaiting(Invocation invocation, IReadOnlyCollection<string> names)
    {
        if (invocation.ShowsProgress)
        {
            invocation.Tell($"waiting for {string.Join(", ", names)}");
        }
    }

    static int Count(IReadOnlyList<Check> checks, CheckLevel level) => checks.Count(check => check.Level == level);

    static string NameOf(CheckLevel level) => level.ToString().ToLowerInvariant();
}
