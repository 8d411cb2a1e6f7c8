using System.CommandLine;
using Salvor.Cli.Commands;
using Salvor.Cli.Demo;
using Salvor.Cli.Terminal;

var root = new RootCommand("Keeps databases recoverable to any moment, and proves it.")
{
    DaemonCommand.Create(),
    ReplicateCommand.Create(),
    SyncCommand.Create(),
    RestoreCommand.Create(),
    ListCommand.Create(),
    StatusCommand.Create(),
    DemoCommand.Create(),
    DemoWriter.Create(),
    VersionCommand.Create(),
    Invocation.ConfigOption,
    Invocation.JsonOption,
    Invocation.QuietOption,
    Invocation.ProgressOption,
};

// Signals end a verb in an orderly way by themselves; see Verb.
var parsed = root.Parse(args);
if (parsed.Errors.Count > 0)
{
    foreach (var error in parsed.Errors)
    {
        Console.Error.WriteLine($"salvor: {error.Message}");
    }

    Console.Error.WriteLine($"hint: Run 'salvor {string.Join(' ', [.. args.Take(1).Where(arg => !arg.StartsWith('-')), "--help"])}'.");
    return 2;
}

return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
