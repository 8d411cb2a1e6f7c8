using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Pruning;

namespace Salvor.Cli.Commands;

/// <summary><c>salvor backup --delete</c>: one backup goes, in the two steps of a prune.</summary>
static class BackupDeletion
{
    public static Option<bool> Delete { get; } = new("--delete")
    {
        Description = "Drop the backup that '--backup-id' names; its restore point stays as long as 'keep' says.",
    };

    public static Option<ulong?> BackupId { get; } = new("--backup-id") { Description = "With --delete: which backup.", HelpName = "N" };

    public static Option<bool> Cascade { get; } = new("--cascade")
    {
        Description = "With --delete: accepted, and drops no more, because no backup depends on another.",
    };

    public static Option<bool> Yes { get; } = new("--yes") { Description = "With --delete: do not ask." };

    public static async Task<int> RunAsync(Invocation invocation, VaultOptions options)
    {
        if (invocation.Get(BackupId) is not { } id)
        {
            throw new SalvorException(
                FailureKind.Usage,
                "which backup is to be deleted is not said",
                "Add '--backup-id N'; 'salvor list --type backups' shows them.");
        }

        var place = await VaultPlace.FindOneAsync(options, invocation, "backups");
        var (vault, proven, dryRun) = (place.Vault, place.Proven, invocation.Get(PruneCommand.DryRun));
        var catalog = await VaultCatalog.LoadAsync(vault, invocation.Cancellation);
        var backup = await BackupRemoval.ExpectAllowedAsync(catalog, id, proven, invocation.Cancellation);
        ulong? number = null;
        if (!dryRun)
        {
            if (!invocation.Get(Yes))
            {
                Ask(vault, backup);
            }

            number = await new Pruner(vault, invocation.Time).CondemnBackupAsync(id, proven, place.Grace, invocation.Cancellation);
        }

        var document = new BackupDeleteDocument(
            vault.Identity.Source, vault.Location, id, dryRun, number, number is null ? null : invocation.Time.GetUtcNow() + place.Grace);
        Print(invocation, document, backup);
        invocation.PrintJson(document, () => CliJson.Default.BackupDeleteDocument);
        return 0;
    }

    static void Ask(VaultAccess vault, BackupRecord backup) => Confirmation.Ask(
        $"delete backup {backup.Id}{LabelOf(backup)} of {InstantText.Format(backup.Time)} at {vault.Location}",
        "Look at it with 'salvor list --type backups', then add '--yes'.",
        "the backup was left as it is");

    static void Print(Invocation invocation, BackupDeleteDocument document, BackupRecord backup)
    {
        var subject = $"{document.Source}: backup {backup.Id}{LabelOf(backup)} of {InstantText.Format(backup.Time)}";
        invocation.Print(document.DryRun ? $"{subject} would be condemned" : $"{Symbols.Ok} {subject} is condemned");
        invocation.Print("  no other backup depends on it, and its restore point stays as long as 'keep' says");
        if (document is { Number: { } number, GraceEnds: { } ends })
        {
            invocation.Print(
                $"  a prune after {InstantText.Format(ends)} deletes it; until then 'salvor prune undelete {number}' takes it back");
        }
    }

    static string LabelOf(BackupRecord backup) => backup.Label.Length == 0 ? "" : $" \"{backup.Label}\"";
}
