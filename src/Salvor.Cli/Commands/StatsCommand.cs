using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault.Trees;

namespace Salvor.Cli.Commands;

static class StatsCommand
{
    const int ExtensionsMax = 20;

    static readonly VaultOptions Vault = new();
    static readonly Option<string?> Snapshot = new("--snapshot")
    {
        Description = "Of this backup, by its id, label, a time, or 'latest' (the default).", HelpName = "BACKUP",
    };

    public static Command Create()
    {
        var command = new Command("stats", "Print what a backup of files holds, counted.") { Snapshot };
        Vault.AddTo(command);
        return command.WithAction(RunAsync);
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        var opened = await TreeVerbs.OpenAsync(invocation, Vault, source: null, invocation.Get(Snapshot));
        var sums = new Dictionary<string, (long Files, long Bytes)>();
        await foreach (var (path, entry) in TreeSearch.EntriesAsync(opened.Snapshot, invocation.Cancellation))
        {
            if (entry.Kind == TreeEntryKind.File && entry.FirstPath.Length == 0)
            {
                var extension = Path.GetExtension(DirectoryCalls.Show(path)).ToLowerInvariant();
                var (files, bytes) = sums.GetValueOrDefault(extension);
                sums[extension] = (files + 1, bytes + entry.SizeBytes);
            }
        }

        var (record, details) = (opened.Record, opened.Snapshot.Details);
        var totals = details.Totals;
        ExtensionBody[] extensions =
        [
            .. sums.OrderByDescending(item => item.Value.Bytes).ThenBy(item => item.Key, StringComparer.Ordinal).Take(ExtensionsMax)
                .Select(item => new ExtensionBody(item.Key, item.Value.Files, item.Value.Bytes)),
        ];
        invocation.Print($"backup {record.Id} of {InstantText.Format(record.Time)}: {SizeText.Format(totals.Bytes)}");
        invocation.Print($"  {totals.Files} file(s), {totals.Directories} directories, {totals.Others} other(s)");
        invocation.Print($"  {totals.Unreadable} could not be read, {totals.Changed} changed while they were read");
        foreach (var item in extensions)
        {
            invocation.Print(
                $"  {(item.Extension.Length > 0 ? item.Extension : "(none)"),-10}  {item.Files} file(s), {SizeText.Format(item.Bytes)}");
        }

        invocation.PrintJson(
            new StatsDocument(
                opened.Vault.Identity.Source, opened.Vault.Location, record.Id, record.Time, totals.Files, totals.Directories,
                totals.Others, totals.Bytes, (long)details.Content.Length, totals.Unreadable, totals.Changed, extensions),
            () => CliJson.Default.StatsDocument);
        return 0;
    }
}
