using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Files;
using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault.Trees;

namespace Salvor.Cli.Commands;

static class DiffCommand
{
    static readonly VaultOptions Vault = new();
    static readonly Argument<string[]> Arguments = new("[SOURCE] BACKUP BACKUP")
    {
        Description = "The source, which may be left out where there is only one, and two backups, by id, label, a time or 'latest'.",
        Arity = new ArgumentArity(2, 3),
    };

    public static Command Create()
    {
        var command = new Command("diff", "Print what differs between two backups of files.") { Arguments };
        Vault.AddNamesTo(command);
        return command.WithAction(RunAsync);
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        var (source, rest) = TreeVerbs.Take(invocation, Arguments, 2, "salvor diff 1 latest");
        var (vault, catalog) = await TreeVerbs.FindAsync(invocation, Vault, source);
        var from = await TreeBackups.FindAsync(catalog, rest[0], invocation.Cancellation);
        var to = await TreeBackups.FindAsync(catalog, rest[1], invocation.Cancellation);
        var lines = new List<DiffLineBody>();
        var counts = new long[Enum.GetValues<TreeChange>().Length];
        invocation.Print($"from backup {from.Id} of {InstantText.Format(from.Time)} to backup {to.Id} of {InstantText.Format(to.Time)}");
        await foreach (var line in TreeDifference.FindAsync(
            await TreeBackups.OpenAsync(vault, from, invocation.Cancellation),
            await TreeBackups.OpenAsync(vault, to, invocation.Cancellation), invocation.Cancellation))
        {
            counts[(int)line.Change]++;
            lines.Add(new DiffLineBody(line.Change.ToString().ToLowerInvariant(), DirectoryCalls.Show(line.Path), line.SizeBytes));
            invocation.Print($"{"+-MU"[(int)line.Change]}  {lines[^1].Path}");
        }

        invocation.Print(
            $"{counts[(int)TreeChange.Added]} added, {counts[(int)TreeChange.Removed]} removed, {counts[(int)TreeChange.Changed]} changed, "
                + $"{counts[(int)TreeChange.Metadata]} with other permissions, owner, time or attributes");
        invocation.PrintJson(
            new DiffDocument(
                vault.Identity.Source, vault.Location, from.Id, to.Id, counts[(int)TreeChange.Added], counts[(int)TreeChange.Removed],
                counts[(int)TreeChange.Changed], counts[(int)TreeChange.Metadata], lines),
            () => CliJson.Default.DiffDocument);
        return 0;
    }
}
