using System.CommandLine;
using Salvor.Cli.Commands;
using Salvor.Cli.Demo;

namespace Salvor.Cli.Terminal;

/// <summary>The whole command line: from arguments to an exit code.</summary>
static class CommandLine
{
    const string ExitCodes = """

        Exit codes:
          0 ok   1 failure   2 usage or configuration   3 source unreadable   4 destination unreachable
          5 corrupt or missing data   6 nothing to restore   7 locked by another process   8 unhealthy
          10 too old   124 timed out   130 interrupted. Any other code is a failure too.

        """;

    public static async Task<int> RunAsync(string[] arguments, TimeProvider time, Random random)
    {
        var root = CreateRoot();
        var parsed = root.Parse(arguments);
        if (UsageErrors.Find(parsed) is { } error)
        {
            return Verb.Report(arguments.Contains(Invocation.JsonOption.Name), error);
        }

        // Signals end a verb in an orderly way by themselves; see Verb.
        await using var output = new StringWriter();
        var surroundings = new Surroundings
        {
            Time = time, Random = random, Output = output, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null,
        };
        var code = await parsed.InvokeAsync(surroundings);
        PrintHelp(output.ToString(), isRoot: parsed.CommandResult.Command == root);
        return code;
    }

    public static RootCommand CreateRoot() => new("Keeps databases recoverable to any moment, and proves it.")
    {
        InitCommand.Create(),
        DaemonCommand.Create(),
        ReplicateCommand.Create(),
        SyncCommand.Create(),
        BackupCommand.Create(),
        RestoreCommand.Create(),
        ListCommand.Create(),
        StatusCommand.Create(),
        VerifyCommand.Create(),
        DrillCommand.Create(),
        RunbookCommand.Create(),
        RepairCommand.Create(),
        PruneCommand.Create(),
        UsageCommand.Create(),
        DoctorCommand.Create(),
        BenchCommand.Create(),
        LockCommand.Create(),
        BreakLockCommand.Create(),
        KeyCommand.Create(),
        ScheduleCommand.Create(),
        CompletionsCommand.Create(),
        ConfigCommand.Create(),
        DemoCommand.Create(),
        DemoWriter.Create(),
        VersionCommand.Create(),
        Invocation.ConfigOption,
        Invocation.JsonOption,
        Invocation.QuietOption,
        Invocation.ProgressOption,
    };

    /// <summary>The library calls the program by its assembly, and operators by its name.</summary>
    static void PrintHelp(string text, bool isRoot)
    {
        if (text.Length > 0)
        {
            var help = text.Replace(RootCommand.ExecutableName, "salvor", StringComparison.Ordinal).TrimEnd() + Environment.NewLine;
            Console.Out.Write(isRoot && help.Contains("Usage:", StringComparison.Ordinal) ? help + ExitCodes : help);
        }
    }
}
