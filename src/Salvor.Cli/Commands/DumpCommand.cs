using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Files;
using Salvor.Vault.Trees;

namespace Salvor.Cli.Commands;

static class DumpCommand
{
    static readonly VaultOptions Vault = new();
    static readonly Argument<string[]> Arguments = new("[SOURCE] BACKUP[:/PATH]")
    {
        Description = "The source, which may be left out where there is only one, and a file in a backup; "
            + "of what a command printed the backup alone.",
        Arity = new ArgumentArity(1, 2),
    };

    public static Command Create()
    {
        var command = new Command(
            "dump", "Write one file of a backup of files, or what a command printed, to standard output.")
        { Arguments };
        Vault.AddNamesTo(command);
        return command.WithAction(RunAsync);
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        var (source, rest) = TreeVerbs.Take(invocation, Arguments, 1, "salvor dump latest:/etc/app/app.conf");
        if (invocation.Json)
        {
            throw new SalvorException(
                FailureKind.Usage, "'dump' prints the file itself, and no document",
                "Leave '--json' out, or use 'salvor list' for a document.");
        }

        var (backup, path) = TreeVerbs.IsPlace(rest[0]) is null ? (rest[0], null) : TreeVerbs.Split(rest[0]);
        var opened = await TreeVerbs.OpenAsync(invocation, Vault, source, backup);
        await using var output = Console.OpenStandardOutput();
        if (path is not null)
        {
            await TreeSearch.DumpAsync(opened.Snapshot, path, output, invocation.Cancellation);
        }
        else if (opened.Vault.Identity.Kind == StreamBackup.Kind)
        {
            await new StreamRestorer(opened.Snapshot).WriteAsync(output, progressed: null, invocation.Cancellation);
        }
        else
        {
            TreeVerbs.Split(rest[0]);
        }

        await output.FlushAsync(invocation.Cancellation);
        return 0;
    }
}
