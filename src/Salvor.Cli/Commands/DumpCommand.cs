using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Vault.Trees;

namespace Salvor.Cli.Commands;

static class DumpCommand
{
    static readonly VaultOptions Vault = new();
    static readonly Argument<string[]> Arguments = new("[SOURCE] BACKUP:/PATH")
    {
        Description = "The source, which may be left out where there is only one, and a file in a backup.",
        Arity = new ArgumentArity(1, 2),
    };

    public static Command Create()
    {
        var command = new Command("dump", "Write one file of a backup of files to standard output.") { Arguments };
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

        var (backup, path) = TreeVerbs.Split(rest[0]);
        var opened = await TreeVerbs.OpenAsync(invocation, Vault, source, backup);
        await using var output = Console.OpenStandardOutput();
        await TreeSearch.DumpAsync(opened.Snapshot, path, output, invocation.Cancellation);
        await output.FlushAsync(invocation.Cancellation);
        return 0;
    }
}
