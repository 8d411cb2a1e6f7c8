using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Files;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Cli.Commands;

static class FindCommand
{
    static readonly VaultOptions Vault = new();
    static readonly Argument<string[]> Arguments = new("[SOURCE] PATTERN")
    {
        Description = "The source, which may be left out where there is only one, and a name or path as in .gitignore.",
        Arity = new ArgumentArity(1, 2),
    };

    static readonly Option<string?> Snapshot = new("--snapshot")
    {
        Description = "Look into this backup, by its id, label, a time, or 'latest' (default: all, the newest first).", HelpName = "BACKUP",
    };

    public static Command Create()
    {
        var command = new Command("find", "Find names in backups of files.") { Arguments, Snapshot };
        Vault.AddNamesTo(command);
        return command.WithAction(RunAsync);
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        var (source, rest) = TreeVerbs.Take(invocation, Arguments, 1, "salvor find '*.pdf'");
        var pattern = PathPatterns.Parse(rest);
        var (vault, catalog) = await TreeVerbs.FindAsync(invocation, Vault, source);
        var found = new List<FoundBody>();
        foreach (var record in await BackupsAsync(invocation, catalog))
        {
            var snapshot = await TreeBackups.OpenAsync(vault, record, invocation.Cancellation);
            var isFirst = true;
            await foreach (var item in TreeSearch.EntriesAsync(snapshot, invocation.Cancellation))
            {
                if (!pattern.Matches(item.Path, item.Entry.Kind == TreeEntryKind.Directory))
                {
                    continue;
                }

                if (isFirst)
                {
                    invocation.Print($"backup {record.Id} of {InstantText.Format(record.Time)}");
                    isFirst = false;
                }

                found.Add(new FoundBody(record.Id, record.Time, TreeVerbs.BodyOf(item)));
                invocation.Print($"  {TreeVerbs.LineOf(found[^1].Entry)}");
            }
        }

        if (found.Count == 0)
        {
            throw new SalvorException(
                FailureKind.NotRestorable, $"no backup that was looked into has a name that matches '{rest[0]}'",
                "Patterns are as in .gitignore: '*.pdf' for names, '/srv/app/**' for paths.");
        }

        invocation.PrintJson(new FindDocument(vault.Identity.Source, vault.Location, found), () => CliJson.Default.FindDocument);
        return 0;
    }

    static async Task<IReadOnlyList<BackupRecord>> BackupsAsync(Invocation invocation, VaultCatalog catalog)
    {
        if (invocation.Get(Snapshot) is { } name)
        {
            return [await TreeBackups.FindAsync(catalog, name, invocation.Cancellation)];
        }

        var records = new List<BackupRecord>();
        foreach (var id in catalog.Backups.Reverse())
        {
            records.Add(await Backups.ReadAsync(catalog, id, invocation.Cancellation));
        }

        return records;
    }
}
