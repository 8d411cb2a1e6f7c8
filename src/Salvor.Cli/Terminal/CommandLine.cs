using System.CommandLine;
using Salvor.Cli.Commands;
using Salvor.Cli.Demo;
using Salvor.Postgres;

namespace Salvor.Cli.Terminal;

/// <summary>The whole command line: from arguments to an exit code.</summary>
static class CommandLine
{
    /// <param name="arguments">As an operator types them.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">Chance.</param>
    /// <param name="cancellationToken">Ends the verb; where it cannot, the signals of the process do.</param>
    public static async Task<int> RunAsync(
        string[] arguments, TimeProvider time, Random random, CancellationToken cancellationToken = default)
    {
        var root = CreateRoot(arguments);
        var parsed = root.Parse(arguments);
        if (UsageErrors.Find(parsed) is { } error)
        {
            var reported = Verb.Report(arguments.Contains(Invocation.JsonOption.Name), error);
            return FailureCodeOf(parsed) ?? reported;
        }

        // Signals end a verb in an orderly way by themselves; see Verb.
        await using var output = new StringWriter();
        var surroundings = new Surroundings
        {
            Time = time, Random = random, Output = output, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null,
            HandlesSignals = !cancellationToken.CanBeCanceled,
            FailureCode = FailureCodeOf(parsed),
        };
        var code = await parsed.InvokeAsync(surroundings, cancellationToken);
        PrintHelp(output.ToString(), isRoot: parsed.CommandResult.Command == root);
        return code;
    }

    /// <summary>All verbs.</summary>
    public static RootCommand CreateRoot() => CreateRoot(Verbs);

    /// <summary>In the order in which help shows them.</summary>
    static readonly VerbEntry[] Verbs =
    [
        new("init", InitCommand.Create),
        new("daemon", DaemonCommand.Create),
        new("replicate", ReplicateCommand.Create),
        new("sync", SyncCommand.Create),
        new("backup", BackupCommand.Create),
        new("restore", RestoreCommand.Create),
        new("list", ListCommand.Create),
        new("find", FindCommand.Create),
        new("dump", DumpCommand.Create),
        new("diff", DiffCommand.Create),
        new("stats", StatsCommand.Create),
        new("status", StatusCommand.Create),
        new("history", HistoryCommand.Create),
        new("verify", VerifyCommand.Create),
        new("drill", DrillCommand.Create),
        new("runbook", RunbookCommand.Create),
        new("wal-push", WalCommands.CreatePush),
        new(WalCommands.Get, WalCommands.CreateGet, WalGet.Unknown),
        new("repair", RepairCommand.Create),
        new("prune", PruneCommand.Create),
        new("usage", UsageCommand.Create),
        new("doctor", DoctorCommand.Create),
        new("bench", BenchCommand.Create),
        new("lock", LockCommand.Create),
        new("break-lock", BreakLockCommand.Create),
        new("key", KeyCommand.Create),
        new("notify", NotifyCommand.Create),
        new("schedule", ScheduleCommand.Create),
        new("completions", CompletionsCommand.Create),
        new("config", ConfigCommand.Create),
        new("demo", DemoCommand.Create),
        new("demo-writer", DemoWriter.Create),
        new("version", VersionCommand.Create),
    ];

    /// <summary>
    /// To make all verbs takes longer than most commands do, so the one that is named first is made alone. What names none needs them all:
    /// help, and errors that say what there is.
    /// </summary>
    public static RootCommand CreateRoot(string[] arguments)
    {
        var named = arguments is [var first, ..] ? Verbs.FirstOrDefault(verb => verb.Name == first) : null;
        return CreateRoot(named is null ? Verbs : [named]);
    }

    static RootCommand CreateRoot(VerbEntry[] verbs)
    {
        var root = new RootCommand("Keeps databases and files recoverable to any moment, and proves it.")
        {
            Invocation.ConfigOption,
            Invocation.JsonOption,
            Invocation.QuietOption,
            Invocation.ProgressOption,
        };
        foreach (var verb in verbs)
        {
            var command = verb.Create();
            TypedOptions.TakeTextAsItIs(command);
            root.Add(command);
        }

        return root;
    }

    /// <summary>The library calls the program by its assembly, and operators by its name.</summary>
    static void PrintHelp(string text, bool isRoot)
    {
        if (text.Length > 0)
        {
            var help = text.Replace(RootCommand.ExecutableName, "salvor", StringComparison.Ordinal).TrimEnd() + Environment.NewLine;
            Console.Out.Write(isRoot && help.Contains("Usage:", StringComparison.Ordinal) ? help + ExitCodes.Help() : help);
        }
    }

    static int? FailureCodeOf(ParseResult parsed) =>
        Verbs.FirstOrDefault(verb => verb.Name == parsed.CommandResult.Command.Name)?.FailureCode;

    /// <param name="Name">What it is called.</param>
    /// <param name="Create">Makes it.</param>
    /// <param name="FailureCode">See <see cref="Surroundings.FailureCode"/>.</param>
    sealed record VerbEntry(string Name, Func<Command> Create, int? FailureCode = null);
}
